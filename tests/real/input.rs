//! Bad input to every public function gets an error that says what, where and what to do.

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use offshoot_parent::{Limits, prelude::*, record::Recording};
use offshoot_tests::real::{
    PATIENCE,
    table::{ADD, ASK, ECHO, ECHO_BYTES, FEED, NAME, SUM, Skips, UNENCODABLE, WORK},
};

use crate::bed::{hop, leaf, root, script};

crate::tests![
    input_a_payload_that_is_no_program_is_refused_by_what_it_is,
    input_bytes_that_are_no_program_are_refused_by_what_they_are,
    input_a_payload_that_cannot_be_run_is_an_error_of_the_connect,
    input_a_bad_name_is_refused_with_the_rule,
    input_no_time_at_all_and_more_than_there_is,
    input_a_leaf_can_have_no_children,
    input_a_context_that_is_gone_can_do_nothing,
    input_a_tree_that_has_ended_makes_no_children_and_no_calls,
    input_a_limit_that_nobody_can_live_by_is_named,
    input_a_recording_that_cannot_be_made_or_read_names_its_file,
    input_a_program_started_by_hand_says_so,
    input_a_function_without_a_name_or_with_a_long_one_is_none,
    input_a_function_that_is_not_served_is_named_with_its_context,
    input_arguments_of_another_type_are_told_apart_from_a_failure,
    input_what_cannot_be_encoded_says_how_it_could,
    input_a_body_that_is_too_large_says_what_to_do,
    input_a_program_that_no_message_can_carry_is_refused_at_once,
    input_a_deadline_that_has_passed_is_kept,
    input_things_of_another_tree_are_refused,
    input_the_end_of_a_channel_is_written_only_into_a_message_and_once,
    input_an_end_whose_other_end_is_away_too_is_refused,
    input_an_item_of_another_type_is_an_error_of_its_receiver,
    input_zero_workers_are_one,
];

fn text<T>(result: Result<T, impl ToString>) -> String {
    match result {
        Ok(_) => panic!("bad input was taken"),
        Err(error) => error.to_string(),
    }
}

fn input_a_payload_that_is_no_program_is_refused_by_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("plain"), "hello").unwrap();
    let _listener = UnixListener::bind(at("socket")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    let refused = |name: &str| text(Payload::file(at(name)));
    let path = |name: &str| at(name).display().to_string();
    assert_eq!(refused("missing"), format!("{}: no such file", path("missing")));
    assert_eq!(refused("dangling"), format!("{}: no such file", path("dangling")));
    assert_eq!(refused("plain/below"), format!("{}: no such file", path("plain/below")));
    assert_eq!(
        text(Payload::file(folder.path())),
        format!("{}: a directory, not a program", folder.path().display())
    );
    assert_eq!(
        refused("socket"),
        format!("{}: neither a file nor a directory, not a program", path("socket"))
    );
    assert_eq!(
        refused("plain"),
        format!(
            "{}: not executable for this user; `chmod +x` it, or build the program and name its binary",
            path("plain")
        )
    );
    // A relative path is made whole: the error must be of use to who reads it elsewhere.
    let relative = text(Payload::file("target/no-such-payload"));
    assert!(
        relative.starts_with('/') && relative.ends_with("target/no-such-payload: no such file"),
        "{relative}"
    );
    assert_eq!(text(Payload::file("")), "the path of a payload is empty; name the file of a program");
}

fn input_bytes_that_are_no_program_are_refused_by_what_they_are() {
    let advice = "and bytes must be a program in the ELF format; write it to a file and use `Payload::file`";
    assert_eq!(text(Payload::bytes("tool", &b"#!/bin/sh\n"[..])), format!("tool: a script, {advice}"));
    assert_eq!(text(Payload::bytes("tool", &b""[..])), format!("tool: empty, {advice}"));
    assert_eq!(text(Payload::bytes("to\x1bol", &b"x"[..])), format!("to\\u{{1b}}ol: no program, {advice}"));
}

fn input_a_payload_that_cannot_be_run_is_an_error_of_the_connect() {
    let folder = tempfile::tempdir().unwrap();
    let router = root();
    let refused = |file: &Path| text(router.connect(Local::new(Payload::file(file).unwrap()).name("x")));
    let no_loader = folder.path().join("no_loader");
    fs::write(&no_loader, "#!/no/such/shell\n").unwrap();
    let executable = || std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&no_loader, executable()).unwrap();
    assert_eq!(
        refused(&no_loader),
        format!(
            "x: local, starting the process: {} is there, but the program that must load it is not; build it static, or \
             mend the first line of a script",
            no_loader.display()
        )
    );
    let gone = script(folder.path(), "gone", "exit 0");
    let payload = Payload::file(&gone).unwrap();
    fs::remove_file(&gone).unwrap();
    assert_eq!(
        text(router.connect(Local::new(payload).name("x"))),
        format!("x: local, starting the process: there is no file {}", gone.display())
    );
    let other = script(folder.path(), "other", "echo hello");
    let error = router.connect(Local::new(Payload::file(&other).unwrap()).name("x")).unwrap_err();
    assert_eq!(error.code(), "exited", "{error}");
    assert!(error.to_string().ends_with("its last words:\n  | hello"), "{error}");
}

fn input_a_bad_name_is_refused_with_the_rule() {
    let router = root();
    let refused = |name: &str| text(router.connect(Local::new(Payload::this_program()).name(name)));
    assert_eq!(refused(""), ": local, getting an id: the name `` is empty; give one with `.name(..)`");
    assert_eq!(
        refused("a b"),
        "a b: local, getting an id: the name `a b` may have letters, digits and any of `-_@:+=` in it, no more; give one \
         with `.name(..)`"
    );
    let long = "x".repeat(65);
    assert!(refused(&long).contains("is longer than 64 bytes; give one with `.name(..)`"));
}

fn input_no_time_at_all_and_more_than_there_is() {
    let router = root();
    let folder = tempfile::tempdir().unwrap();
    let silent = Payload::file(script(folder.path(), "silent", "exec sleep 600")).unwrap();
    let none = Local::new(silent).name("x").timeout(Duration::ZERO);
    let error = text(router.connect(none));
    assert!(error.starts_with("x: local, ") && error.contains("no answer within 0 s; "), "{error}");
    assert!(error.contains("allow it more by `.timeout(..)`"), "{error}");
    // For ever is not an error.
    let leaf = router.connect(leaf("leaf").timeout(Duration::MAX)).unwrap();
    assert_eq!(leaf.with_timeout(Duration::MAX).call(ADD, (1, 1)), Ok(2));
    assert_eq!(leaf.call_async(ADD, (1, 2)).wait_timeout(Duration::MAX), Ok(3));
    let (sender, receiver) = router.channel::<u64>();
    sender.send_timeout(1, Duration::MAX).unwrap();
    assert_eq!(receiver.recv_timeout(Duration::MAX), Ok(Some(1)));
    leaf.shutdown().wait_timeout(Duration::MAX).unwrap();
    drop(Router::builder().ping(Duration::MAX).build().unwrap());
}

fn input_a_leaf_can_have_no_children() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    assert_eq!(
        text(leaf.connect(Local::new(Payload::this_program()).name("x"))),
        "x: local from leaf, getting an id: leaf is a leaf and can have no children; its program must link `offshoot-parent`"
    );
}

fn input_a_context_that_is_gone_can_do_nothing() {
    let router = root();
    let gone = router.connect(hop("gone")).unwrap();
    let other = router.connect(leaf("other")).unwrap();
    gone.shutdown().wait_timeout(PATIENCE).unwrap();
    for error in [
        text(gone.call(ADD, (1, 1))),
        text(gone.call_async(ADD, (1, 1)).wait()),
        text(gone.call_no_reply(ADD, (1, 1))),
        text(gone.chain().call(ADD, (1, 1))),
        text(gone.ping()),
        text(gone.grant(NAME, &other)),
    ] {
        assert!(error.starts_with("gone is lost: ") && error.ends_with("; the call was not sent"), "{error}");
    }
    let error = text(gone.connect(leaf("x")));
    assert!(error.starts_with("x: local from gone, getting an id: gone is lost: "), "{error}");
    assert!(!gone.lost().wait().is_empty());
    assert_eq!(router.tree().pid(gone.id()), None);
}

fn input_a_tree_that_has_ended_makes_no_children_and_no_calls() {
    let router = root();
    let here = router.here();
    let leaf = router.connect(leaf("leaf")).unwrap();
    drop(router);
    let error = text(here.connect(Local::new(Payload::this_program()).name("x")));
    assert_eq!(error, "x: local, getting an id: the tree is shutting down");
    let error = leaf.call(ADD, (1, 1)).unwrap_err();
    assert!(!error.may_have_run(), "{error}");
    assert_eq!(error.to_string(), "this context is ending and makes no more calls; the call was not sent");
}

fn input_a_limit_that_nobody_can_live_by_is_named() {
    let refused = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        text(Router::builder().limits(limits).build())
    };
    for (change, name) in [
        ((|limits| limits.body = 0) as fn(&mut Limits), "body"),
        (|limits| limits.control = 0, "control"),
        (|limits| limits.news = 0, "news"),
        (|limits| limits.window_start = 0, "window_start"),
        (|limits| limits.window_max = 0, "window_max"),
        (|limits| limits.downlink = 0, "downlink"),
        (|limits| limits.partial_bodies = 0, "partial_bodies"),
        (|limits| limits.calls_in_flight = 0, "calls_in_flight"),
        (|limits| limits.calls_waiting = 0, "calls_waiting"),
        (|limits| limits.pings_lost = 0, "pings_lost"),
    ] {
        let error = refused(change);
        assert!(error.starts_with(&format!("the limit `{name}` is 0, and must be ")), "{error}");
    }
    // All contexts of a tree count on the same.
    for window in [8 << 10, 32 << 10] {
        let mut limits = Limits::default();
        limits.window_start = window;
        let error = text(Router::builder().limits(limits).build());
        assert!(
            error.starts_with(&format!("the limit `window_start` is {window}, and must be 16384")),
            "{error}"
        );
    }
}

fn input_a_recording_that_cannot_be_made_or_read_names_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no").join("frames");
    let error = text(Router::builder().record(&missing).build());
    assert!(error.starts_with(&format!("{}: No such file", missing.display())), "{error}");
    let error = text(Recording::open(&missing));
    assert!(error.starts_with(&format!("{}: No such file", missing.display())), "{error}");
    let other = folder.path().join("other");
    fs::write(&other, "hello").unwrap();
    assert_eq!(
        text(Recording::open(&other)),
        format!(
            "{}: no recording of frames; name a file that `Router::builder().record(path)` has written",
            other.display()
        )
    );
}

fn input_a_program_started_by_hand_says_so() {
    let said = |command: &mut Command| {
        let ran = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!(ran.status.code(), Some(2));
        assert!(ran.stdout.is_empty());
        String::from_utf8(ran.stderr).unwrap()
    };
    let sentence =
        "this program is a payload of offshoot: it is started by a parent with `connect`, not by hand\n";
    assert_eq!(said(&mut Command::new(env!("CARGO_BIN_EXE_leaf"))), sentence);
    let program = std::env::current_exe().unwrap();
    assert_eq!(said(Command::new(program).arg(offshoot_bootstrap::CHILD_ARG)), sentence);
}

fn input_a_function_without_a_name_or_with_a_long_one_is_none() {
    for name in ["", Box::leak("x".repeat(65).into_boxed_str())] {
        let panic = std::panic::catch_unwind(|| Function::<(), ()>::new(name)).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"the name of a function is 1 to 64 bytes long"));
    }
    assert_eq!(Function::<(), ()>::new(Box::leak("x".repeat(64).into_boxed_str())).name().len(), 64);
}

fn input_a_function_that_is_not_served_is_named_with_its_context() {
    const MISSING: Function<(), ()> = Function::new("missing");
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let error = text(leaf.call(MISSING, ()));
    let (before, rest) = error.split_once(" (").unwrap();
    assert_eq!(before, "leaf serves no function `missing`");
    let (builds, rest) = rest.split_once("); ").unwrap();
    assert_eq!(rest, "add it to the table of its program with `serve`");
    assert_eq!(builds_in(&error).map(str::len), [16; 2], "{builds}");
    // To grant what is not there says so too.
    let error = text(leaf.grant(MISSING, &router.here()));
    assert!(error.contains("missing"), "{error}");
}

fn input_arguments_of_another_type_are_told_apart_from_a_failure() {
    const ADD_TEXTS: Function<(String, String), i64> = Function::new("add");
    const ADD_TO_TEXT: Function<(i64, i64), String> = Function::new("add");
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let error = leaf.call(ADD_TEXTS, ("a".into(), "b".into())).unwrap_err();
    assert!(matches!(error, CallError::DecodeArguments { .. }));
    let error = error.to_string();
    assert!(error.starts_with("leaf cannot read the arguments of add: "), "{error}");
    let builds = builds_in(&error);
    assert!(error.ends_with("; build both programs against the same constant"), "{error}");
    let error = leaf.call(ADD_TO_TEXT, (1, 2)).unwrap_err();
    assert!(matches!(error, CallError::DecodeResult { .. }));
    let error = error.to_string();
    assert!(error.starts_with("the result of add from leaf cannot be read: "), "{error}");
    assert!(error.ends_with("; build both programs against the same constant"), "{error}");
    assert_eq!(builds_in(&error), builds, "whichever side could not read");
}

/// The build ids of the other side and of ours.
fn builds_in(error: &str) -> [&str; 2] {
    let (_, builds) = error.split_once("(its build is ").unwrap();
    let (theirs, rest) = builds.split_once(", ours ").unwrap();
    [theirs, rest.split_once(')').unwrap().0]
}

fn input_what_cannot_be_encoded_says_how_it_could() {
    const TAKES: Function<Skips, ()> = Function::new("takes");
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let error = text(leaf.call(UNENCODABLE, ()));
    let (_, how) = error.split_once("leaf ran unencodable and cannot send its result: ").expect(&error);
    assert!(how.contains("skip_serializing_if"), "{error}");
    let error = leaf.call(TAKES, Skips::skipping()).unwrap_err();
    assert_eq!(error.to_string(), format!("the arguments of takes cannot be sent: {how}"));
    assert_eq!(error.progress(), Progress::NotSent);
    let (sender, _receiver) = router.channel();
    assert_eq!(text(sender.send(Skips::skipping())), format!("the item cannot be sent: {how}"));
    assert_eq!(leaf.call(ECHO, "lives on".into()).unwrap(), "lives on");
}

fn input_a_body_that_is_too_large_says_what_to_do() {
    let mut limits = Limits::default();
    limits.body = 1 << 20;
    let router = Router::builder().limits(limits).build().unwrap();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let error = text(leaf.call(ECHO_BYTES, vec![0; 2 << 20].into()));
    assert!(error.starts_with("echo_bytes in leaf: ") && error.contains("1048576"), "{error}");
    assert!(error.ends_with("; send it in pieces through a channel, or raise the limit"), "{error}");
    let (sender, _receiver) = router.channel::<Blob>();
    let error = text(sender.send(vec![0; 2 << 20].into()));
    assert!(error.starts_with("the item cannot be sent: ") && error.contains("1048576"), "{error}");
}

fn input_a_program_that_no_message_can_carry_is_refused_at_once() {
    let mut limits = Limits::default();
    limits.body = 1 << 20;
    let router = Router::builder().limits(limits).build().unwrap();
    let hop = router.connect(hop("hop")).unwrap();
    let mut program = fs::read("/bin/cat").unwrap();
    program.resize(2 << 20, 0);
    let method = Local::new(Payload::bytes("large", program).unwrap());
    let error = hop.connect_async(method).wait_timeout(PATIENCE).unwrap_err();
    assert!(matches!(error.kind(), ConnectErrorKind::Asking { .. }), "{error}");
    assert!(error.to_string().contains("1048576"), "{error}");
}

fn input_a_deadline_that_has_passed_is_kept() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let past = Instant::now() - Duration::from_secs(1);
    let error = leaf.with_deadline(past).call(WORK, 60_000).unwrap_err();
    assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
    assert!(error.to_string().starts_with("no answer from leaf within "), "{error}");
    let error = leaf.with_timeout(Duration::ZERO).call(WORK, 60_000).unwrap_err();
    assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
    let error = text(leaf.call_async(WORK, 60_000).wait_deadline(past));
    assert!(error.starts_with("no answer from leaf within "), "{error}");
    let (sender, receiver) = router.channel::<u64>();
    assert_eq!(text(receiver.recv_deadline(past)), "no item came in time; the channel is still open");
    assert_eq!(
        text(receiver.recv_timeout(Duration::ZERO)),
        "no item came in time; the channel is still open"
    );
    drop(sender);
    let waited = router.here().lost().wait_timeout(Duration::ZERO);
    assert_eq!(text(waited), "nothing happened in time; wait again, or give it up");
    let leaf = router.connect(crate::bed::leaf("spins")).unwrap();
    let shutdown = leaf.shutdown().wait_deadline(past);
    assert!(text(shutdown).starts_with("no answer from spins within "));
}

fn input_things_of_another_tree_are_refused() {
    let (one, other) = (root(), root());
    let (a, b) = (one.connect(leaf("a")).unwrap(), one.connect(leaf("b")).unwrap());
    // In the other tree its id is that of another context.
    let foreign = other.connect(leaf("foreign")).unwrap();
    assert_eq!(foreign.id(), a.id());
    let why = "it belongs to another router of this process, and means nothing in this one's tree: make it with the \
               router of the context that gets it";
    assert_eq!(text(b.grant(NAME, &foreign)), format!("the arguments of grant cannot be sent: {why}"));
    assert_eq!(text(b.call(ASK, foreign.clone())), format!("the arguments of ask cannot be sent: {why}"));
    let (sender, receiver) = other.channel::<u64>();
    assert_eq!(text(b.call(FEED, (sender, 1))), format!("the arguments of feed cannot be sent: {why}"));
    assert_eq!(text(b.call(SUM, receiver)), format!("the arguments of sum cannot be sent: {why}"));
    let (contexts, _received) = one.channel::<Context>();
    assert_eq!(text(contexts.send(foreign)), format!("the item cannot be sent: {why}"));
    // What is of this tree goes.
    contexts.send(a).unwrap();
}

/// A receiver that is written twice.
#[derive(serde::Deserialize)]
struct Twice(Receiver<u64>);

impl serde::Serialize for Twice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.0, &self.0).serialize(serializer)
    }
}

fn input_the_end_of_a_channel_is_written_only_into_a_message_and_once() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let only = "can be written only into a message: pass it in an argument, a result or an item";
    let (sender, receiver) = router.channel::<u64>();
    for error in [
        text(serde_json::to_string(&leaf)),
        text(serde_json::to_string(&sender)),
        text(serde_json::to_string(&receiver)),
    ] {
        assert_eq!(error, format!("a Sender, Receiver or Context {only}"));
    }
    let error = text(serde_json::from_str::<Context>("1"));
    assert!(
        error.contains("can be read only from a message: take it from an argument, a result or an item"),
        "{error}"
    );
    // Whoever writes one twice, by a `Serialize` of his own, sends it once.
    const SUM_BOTH: Function<Twice, u64> = Function::new("sum");
    assert_eq!(
        text(leaf.call(SUM_BOTH, Twice(receiver))),
        "the arguments of sum cannot be sent: the end of a channel moves with the message that carries it, and this one was \
         sent before"
    );
    assert_eq!(leaf.call(ECHO, "lives on".into()).unwrap(), "lives on");
}

fn input_an_end_whose_other_end_is_away_too_is_refused() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let (sender, receiver) = router.channel::<u64>();
    let sum = leaf.call_async(SUM, receiver);
    let error = text(leaf.call(FEED, (sender, 3)));
    assert_eq!(
        error,
        "the arguments of feed cannot be sent: the other end of this channel is in another context or was used already: \
         an end can be sent only from where the other one stays; let one of the two contexts make the channel"
    );
    // What was refused is closed, and so the sum ends.
    assert_eq!(sum.wait_timeout(PATIENCE), Ok(0));
}

fn input_an_item_of_another_type_is_an_error_of_its_receiver() {
    const COUNT_IN_TEXTS: Function<u64, Receiver<String>> = Function::new("count");
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let texts = leaf.call(COUNT_IN_TEXTS, 3).unwrap();
    let error = text(texts.recv_timeout(PATIENCE));
    assert!(error.starts_with("an item cannot be read: "), "{error}");
    assert!(error.ends_with("; build both programs against the same types"), "{error}");
}

fn input_zero_workers_are_one() {
    let router =
        Router::builder().serve_to(Policy::Children, ADD, |_, (a, b)| a + b).workers(0).build().unwrap();
    assert_eq!(router.here().call(ADD, (2, 3)), Ok(5));
}
