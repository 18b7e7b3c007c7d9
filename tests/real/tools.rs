//! Recordings of a real tree, the smallest program, several routers in one process, how many calls run side by side, and
//! whether the harness sees what is left.

use std::{
    path::Path,
    process::Command,
    sync::{Arc, Barrier, mpsc},
    thread,
};

use offshoot_parent::{prelude::*, record::Recorded, record::Recording};
use offshoot_tests::real::{
    PATIENCE, Watch, eventually,
    table::{self, ADD, ECHO, WORK},
};

use crate::bed::{hop, leaf, root};

crate::tests![
    tools_a_recording_of_a_real_tree_is_printed_frame_by_frame,
    tools_the_smallest_program_runs,
    tools_what_a_test_leaves_behind_is_seen,
    tools_two_routers_in_one_process_are_two_trees,
    tools_a_child_that_came_up_and_was_not_taken_is_ended,
    tools_the_calls_of_a_leaf_run_one_after_another,
    tools_workers_run_calls_side_by_side,
];

/// What an example of the parent crate prints, run as a user would.
fn example(name: &str, arguments: &[&Path]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let words = ["run", "-q", "-p", "offshoot-parent", "--example", name, "--"];
    let ran = Command::new(cargo).args(words).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

fn tools_a_recording_of_a_real_tree_is_printed_frame_by_frame() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tape");
    let router = Router::builder().functions(table::functions()).record(&file).build().unwrap();
    let deep = router.connect(hop("hop")).unwrap().connect(leaf("deep")).unwrap();
    assert_eq!(deep.call(ECHO, "a word that stands out".into()).unwrap(), "a word that stands out");
    drop(router);
    let frames = Recording::open(&file).unwrap().map(Result::unwrap);
    assert!(frames.filter(|item| matches!(item, Recorded::Frame(_))).count() > 10);

    let text = example("show_record", &[&file]);
    assert_eq!(text.matches("a word that stands out").count(), 2, "the argument and the result: {text}");
    for word in ["SETUP", "HELLO", "ADD_ROUTE", "CALL_FUNCTION", "SHUTDOWN"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

fn tools_the_smallest_program_runs() {
    let text = example("hello", &[]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "hello tree, from context 1");
    assert!(lines[1].starts_with("root (0, pid ") && lines[2].starts_with("  child (1, pid "), "{text}");
    assert_eq!(lines.len(), 3, "{text}");
}

fn tools_what_a_test_leaves_behind_is_seen() {
    let watch = Watch::begin();
    let mut process = Command::new("sleep").arg("600").spawn().unwrap();
    let file = tempfile::Builder::new().prefix(".offshoot-").tempfile().unwrap();
    let (end, ended) = mpsc::channel::<()>();
    let thread = thread::spawn(move || ended.recv());

    let left = watch.left();
    assert_eq!(left.processes, [(process.id(), "sleep".to_owned())]);
    assert!(left.descriptors.iter().any(|(_, target)| target == file.path()), "{left:?}");
    assert_eq!((&left.files[..], left.threads), (&[file.path().to_owned()][..], 1));

    process.kill().unwrap();
    assert_eq!(watch.left().processes.len(), 1, "dead, and nobody has reaped it");
    process.wait().unwrap();
    drop((end, file));
    thread.join().unwrap().unwrap_err();
    watch.end();
}

fn tools_two_routers_in_one_process_are_two_trees() {
    let (one, other) = (root(), root());
    let (a, b) = (one.connect(leaf("a")).unwrap(), other.connect(leaf("b")).unwrap());
    assert_eq!((a.id(), b.id()), (b.id(), a.id()), "each counts for itself");
    assert_ne!(a, b, "and yet they are two");
    assert_eq!((a.call(ADD, (1, 2)), b.call(ADD, (3, 4))), (Ok(3), Ok(7)));
    drop(one);
    assert!(a.call(ADD, (1, 2)).is_err());
    assert_eq!(b.call(ADD, (3, 4)), Ok(7));
    assert!(b.is_alive());
}

fn tools_a_child_that_came_up_and_was_not_taken_is_ended() {
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    for maker in [&router.here(), &hop] {
        let connecting = maker.connect_async(leaf("leaf"));
        eventually("it is up", PATIENCE, || connecting.is_ready().then_some(()));
        assert!(router.tree().to_string().contains("leaf"));
        drop(connecting);
        eventually("it is gone", PATIENCE, || (!router.tree().to_string().contains("leaf")).then_some(()));
    }
}

fn tools_the_calls_of_a_leaf_run_one_after_another() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let long = leaf.call_async(WORK, 200);
    let short = leaf.call_async(ADD, (1, 2));
    assert!(short.ready_timeout(PATIENCE));
    assert!(long.is_ready(), "what came first is done first");
}

fn tools_workers_run_calls_side_by_side() {
    const MEET: Function<(), ()> = Function::new("meet");

    // Nobody gets past it before three calls have come.
    let three = Arc::new(Barrier::new(3));
    let handler = move |_: &Call, ()| {
        three.wait();
    };
    let router = Router::builder().workers(3).serve_to(Policy::Children, MEET, handler).build().unwrap();
    let calls: Vec<_> = (0..3).map(|_| router.here().call_async(MEET, ())).collect();
    eventually("all three have met", PATIENCE, || calls.iter().all(Pending::is_ready).then_some(()));
    for call in calls {
        call.wait().unwrap();
    }
}
