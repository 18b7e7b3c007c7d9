//! Dead messages: 1 to 7.

use std::{thread, time::Duration};

use offshoot_bootstrap::Method as _;
use offshoot_parent::{DropKind, Limits, RecvError, prelude::*};
use offshoot_tests::real::{
    PATIENCE, Signal,
    above::{Above, CHILD, body},
    eventually, is_gone, kill,
    puppet::{NUMBERED, Puppet, Seen},
    table::{
        ADD, ASK, ASK_CHILDREN, ASK_SECRET, BYTES, CHILDREN, COUNT, ECHO_BYTES, FAIL, FEED, NAME, SECRET,
        SUM, WAIT_FOR, WORK, functions,
    },
};
use offshoot_wire::{Dead, DeadCode, DelRoute, Frame, Handle, Part, ReplyTo, codec};

use crate::bed::{FOREVER_MS, hop, leaf, puppet, recorded, root};

crate::tests![
    t01_a_call_to_a_handle_that_does_not_exist_ends_in_a_dead_reply_that_says_so,
    t01_a_bare_frame_to_a_handle_that_does_not_exist_ends_in_a_dead_reply_that_says_so,
    t01_a_leaf_has_no_handle_to_make_children,
    t02_a_call_to_an_id_that_never_existed_is_answered_wherever_it_comes_from,
    t02_a_call_to_an_id_that_is_gone_is_answered_wherever_it_comes_from,
    t02_a_bare_frame_to_no_context_is_answered_in_its_name,
    t03_a_message_for_a_grandchild_that_just_died_is_answered_by_the_hop,
    t03_a_message_that_was_under_way_when_the_grandchild_died_is_not_bounced,
    t04_a_call_that_a_policy_refuses_ends_as_refused,
    t04_what_rules_a_context_is_refused_to_whom_is_not_above_it,
    t05_a_call_that_is_too_large_is_not_sent,
    t05_a_result_that_is_too_large_is_told_to_the_waiting_caller,
    t05_a_bare_call_that_is_too_large_is_answered_and_the_link_goes_on,
    t05_a_bare_reply_that_is_too_large_ends_the_call_that_waits_for_it,
    t06_a_dead_message_never_causes_another,
    t07_every_waiter_wakes_when_the_context_it_waits_for_goes,
    t07_every_waiter_wakes_when_a_context_on_the_way_goes,
    t07_every_waiter_wakes_when_the_own_broker_stops,
    t07_who_gives_up_as_the_answer_comes_takes_nobody_elses_place,
];

/// A handle of a puppet, where its dead messages go.
const fn waits(number: u32) -> Handle {
    Handle::new(5000 + number)
}

fn t01_a_call_to_a_handle_that_does_not_exist_ends_in_a_dead_reply_that_says_so() {
    let router = root();
    let (puppet, leaf) = (puppet(&router.here(), "puppet"), router.connect(leaf("leaf")).unwrap());
    for (n, dst) in (0..).zip([ContextId::ROOT, leaf.id()]) {
        let mut call = puppet.call(dst, waits(n), ADD, &(2, 3));
        call.handle = Handle::new(1234);
        puppet.put(&[call]);
        let (seen, dead) = puppet.until_dead(waits(n));
        assert_eq!((dead.code, dead.text), (DeadCode::NoHandle, format!("context {dst} has no handle 1234")));
        assert_eq!((seen.src, seen.auth, seen.dst), (dst, dst, puppet.id()), "it speaks as the destination");
    }
    assert_eq!(leaf.call(ADD, (2, 3)).unwrap(), 5, "the leaf lives on");
}

fn t01_a_bare_frame_to_a_handle_that_does_not_exist_ends_in_a_dead_reply_that_says_so() {
    let router = root();
    let (puppet, leaf) = (puppet(&router.here(), "puppet"), router.connect(leaf("leaf")).unwrap());
    // Some that are kept free, and some that a context gives to its calls, but has not.
    for (n, handle) in (0..).zip([119, 206, 900_000, u32::MAX].map(Handle::new)) {
        for (m, dst) in (0..).zip([ContextId::ROOT, leaf.id()]) {
            let at = waits(10 * n + m);
            puppet.put(&[puppet.frame(dst, handle, ReplyTo::Handle(at), Vec::new())]);
            let (_, dead) = puppet.until_dead(at);
            assert_eq!(dead.code, DeadCode::NoHandle);
            assert_eq!(dead.text, format!("context {dst} has no handle {handle}"));
        }
    }
    // Nobody waits for an answer, so none comes.
    let seen = puppet.seen().len();
    puppet.put(&[puppet.frame(ContextId::ROOT, Handle::new(1234), ReplyTo::Nobody, Vec::new())]);
    assert_eq!(puppet.seen().split_off(seen), Vec::<Seen>::new());
}

fn t01_a_leaf_has_no_handle_to_make_children() {
    let router = root();
    let parent = router.connect(leaf("leaf")).unwrap();
    let error = parent.connect(leaf("below")).unwrap_err();
    assert!(error.to_string().contains("is a leaf and can have no children"), "{error}");
    assert_eq!(error.kind().code(), "leaf");
}

/// Contexts at the root, beside it, and below a hop: `(hop, leaf at the root, leaf below the hop)`.
fn everywhere(router: &Router) -> (Context, Context, Context) {
    let hop = router.connect(hop("hop")).unwrap();
    let far = hop.connect(leaf("far")).unwrap();
    (hop, router.connect(leaf("near")).unwrap(), far)
}

/// Calls `nobody` from every context, and expects each to learn that it did not run, and why.
fn nobody_is_called(from: [&Context; 3], nobody: &Context, why: &[&str]) {
    let own = nobody.call(NAME, ()).unwrap_err();
    assert!(matches!(&own, CallError::Lost { id, .. } if *id == nobody.id()), "{own:?}");
    assert!(why.iter().any(|why| own.to_string().contains(why)), "{own}");
    assert_eq!(own.progress(), Progress::NotSent);
    for from in from {
        let error = from.call(ASK, nobody.clone()).unwrap_err().to_string();
        assert!(error.contains("is lost: ") && !error.contains("may have run"), "from {from}: {error}");
        assert!(why.iter().any(|why| error.contains(why)), "from {from}: {error}");
    }
    let handed = nobody.call_no_reply(ADD, (1, 1)).unwrap_err();
    assert!(handed.is_lost(), "{handed}");
}

fn t02_a_call_to_an_id_that_never_existed_is_answered_wherever_it_comes_from() {
    let router = root();
    let (hop, near, far) = everywhere(&router);
    let puppet = puppet(&router.here(), "puppet");
    let beyond = hop.id().number();
    assert_eq!(far.id().number() / 1000, 1, "the hop has the range 1");
    // In the root's range, in the hop's, in one that nobody has, and where no range is.
    for (number, why) in [
        (777 + beyond, "there is no context"),
        (1777, "was never announced"),
        (555_000, "there is no context"),
        (u32::MAX, "there is no context"),
    ] {
        let nobody = puppet.context().call(NUMBERED, number).unwrap();
        nobody_is_called([&hop, &near, &far], &nobody, &[why, "there is no context"]);
    }
}

fn t02_a_call_to_an_id_that_is_gone_is_answered_wherever_it_comes_from() {
    let router = root();
    let (hop, near, far) = everywhere(&router);
    for gone in [router.connect(leaf("gone")).unwrap(), hop.connect(leaf("gone")).unwrap()] {
        gone.shutdown().wait_timeout(PATIENCE).unwrap();
        nobody_is_called([&hop, &near, &far], &gone, &["is gone"]);
        assert!(!gone.is_alive());
    }
    assert!(near.is_alive() && far.is_alive());
}

fn t02_a_bare_frame_to_no_context_is_answered_in_its_name() {
    let router = root();
    let puppet = puppet(&router.here(), "puppet");
    let nobody = ContextId::new(4711);
    puppet.put(&[puppet.frame(nobody, Handle::CALL_FUNCTION, ReplyTo::Handle(waits(0)), Vec::new())]);
    let (seen, dead) = puppet.until_dead(waits(0));
    assert_eq!(dead, Dead::new(DeadCode::NoRoute, "there is no context 4711"));
    assert_eq!((seen.src, seen.auth), (nobody, ContextId::ROOT), "it speaks as the destination");
}

/// A hop below a parent written by hand, with a leaf of its own: the parent, and the leaf's id and process.
fn hop_with_leaf() -> (Above, ContextId, u32) {
    let mut above = Above::begin(&hop("hop"));
    let add = above.create(waits(0), &leaf("leaf").plan(), 1);
    let pid = above.created(waits(0)).expect("the leaf is made");
    (above, add.id, pid)
}

fn t03_a_message_for_a_grandchild_that_just_died_is_answered_by_the_hop() {
    let (mut above, leaf, pid) = hop_with_leaf();
    kill(pid, Signal::KILL);
    let del: DelRoute = body(&above.until("DEL_ROUTE", |frame| frame.handle == Handle::DEL_ROUTE));
    assert_eq!((del.ids, del.top), (vec![leaf], leaf));
    // The root might just as well not have read that yet.
    let mut call = above.call(Handle::CALL_FUNCTION, waits(1), NAME.name(), &());
    call.dst = leaf;
    above.send(&call);
    let answer = above.until("the dead message", |frame| frame.handle == waits(1));
    assert!(answer.is_dead());
    assert_eq!((answer.dst, answer.src, answer.auth), (ContextId::ROOT, leaf, CHILD));
    let dead: Dead = body(&answer);
    assert!(matches!(dead.code, DeadCode::Gone | DeadCode::NoRoute), "{dead:?}");
    above.sync();
    assert!(above.passed().iter().all(|frame| frame.dst != leaf), "nothing is bounced: {:?}", above.passed());
}

fn t03_a_message_that_was_under_way_when_the_grandchild_died_is_not_bounced() {
    let (router, tape) = recorded(Router::builder());
    let hop = router.connect(hop("hop")).unwrap();
    let leaf = hop.connect(leaf("leaf")).unwrap();
    let tree = router.tree();
    let (hop_pid, leaf_pid) = (tree.pid(hop.id()).unwrap(), tree.pid(leaf.id()).unwrap());
    kill(hop_pid, Signal::STOP);
    kill(leaf_pid, Signal::KILL);
    eventually("the leaf is dead", PATIENCE, || is_gone(leaf_pid).then_some(()));
    let calls: Vec<_> = (0..3).map(|_| leaf.call_async(NAME, ())).collect();
    kill(hop_pid, Signal::CONT);
    for call in calls {
        let error = call.wait_timeout(PATIENCE).unwrap_err();
        assert!(matches!(&error, CallError::Lost { id, .. } if *id == leaf.id()), "{error:?}");
    }
    assert_eq!(hop.call(NAME, ()).unwrap(), "hop");
    let id = leaf.id();
    drop(router);
    let bounced: Vec<_> =
        tape.frames().into_iter().filter(|frame| frame.came_in && frame.dst == id).collect();
    assert!(bounced.is_empty(), "{bounced:?}");
}

fn t04_a_call_that_a_policy_refuses_ends_as_refused() {
    let router = root();
    let (hop, near, far) = everywhere(&router);
    // A sibling, a cousin and a nephew may not by default.
    for (from, to) in [(&near, &hop), (&near, &far), (&far, &near)] {
        let error = from.call(ASK_SECRET, to.clone()).unwrap_err().to_string();
        let text = format!(
            "context {} may not call secret in context {}; an ancestor can grant it",
            from.id(),
            to.id()
        );
        assert!(error.contains(&text), "{error}");
        // Anyone may call the other one.
        assert_eq!(from.call(ASK, to.clone()).unwrap(), to.name());
    }
    // Nor may the root, where it is for children alone.
    let error = hop.call(CHILDREN, ()).unwrap_err();
    assert!(matches!(&error, CallError::Refused { .. }), "{error:?}");
    assert_eq!((error.progress(), error.may_have_run()), (Progress::Undelivered, false));
    let to_the_child = format!("context 0 may not call children in context {}", hop.id());
    assert!(error.to_string().contains(&to_the_child), "{error}");
    assert_eq!(far.call(ASK_CHILDREN, hop).unwrap(), "hop", "its own child may");
    // On the wire it is a dead message of that code.
    let puppet = puppet(&router.here(), "puppet");
    puppet.put(&[puppet.call(near.id(), waits(0), SECRET, &())]);
    let (seen, dead) = puppet.until_dead(waits(0));
    assert_eq!((dead.code, seen.src, seen.auth), (DeadCode::Policy, near.id(), near.id()));
}

fn t04_what_rules_a_context_is_refused_to_whom_is_not_above_it() {
    let router = root();
    let (hop, near, far) = everywhere(&router);
    let puppet = puppet(&router.here(), "puppet");
    let grant = ("secret".to_owned(), puppet.id());
    for (n, dst) in (0..).zip([ContextId::ROOT, hop.id(), near.id(), far.id()]) {
        let mut call =
            puppet.call(dst, waits(2 * n), Function::<(String, ContextId), ()>::new("grant"), &grant);
        call.handle = Handle::GRANT;
        let mut create = puppet.call(dst, waits(2 * n + 1), NAME, &());
        create.handle = Handle::CREATE_CHILD;
        puppet.put(&[call, create]);
        for (at, what) in [(2 * n, "grant its functions"), (2 * n + 1, "make children of it")] {
            let (_, dead) = puppet.until_dead(waits(at));
            assert_eq!(dead.code, DeadCode::Policy);
            assert_eq!(dead.text, format!("only an ancestor of context {dst} may {what}"));
        }
    }
    // SHUTDOWN is never answered; it is dropped.
    puppet.put(&[puppet.frame_of(near.id(), Handle::SHUTDOWN, ReplyTo::Nobody, &(0_u32,))]);
    assert_eq!((near.call(NAME, ()).unwrap(), far.call(NAME, ()).unwrap()), ("near".into(), "far".into()));
}

/// A root whose tree has a limit of 1 MiB for bodies.
fn narrow() -> Router {
    let mut limits = Limits::default();
    limits.body = 1 << 20;
    Router::builder().functions(functions()).limits(limits).build().unwrap()
}

fn t05_a_call_that_is_too_large_is_not_sent() {
    let router = narrow();
    let (hop, near, far) = everywhere(&router);
    let bytes = || Blob::from(vec![1; 2 << 20]);
    for to in [&hop, &near, &far] {
        let error = to.call(ECHO_BYTES, bytes()).unwrap_err();
        assert!(matches!(&error, CallError::TooLarge { progress: Progress::NotSent, .. }), "{error:?}");
        assert!(error.to_string().contains("over the limit of 1048576 bytes"), "{error}");
        let error = to.call_no_reply(ECHO_BYTES, bytes()).unwrap_err();
        assert!(matches!(&error, CallError::TooLarge { .. }), "{error:?}");
        let fits = Blob::from(vec![1; (1 << 20) - 100]);
        assert_eq!(
            to.call(ECHO_BYTES, fits.clone()).unwrap(),
            fits,
            "just under the limit it passes both ways"
        );
    }
}

fn t05_a_result_that_is_too_large_is_told_to_the_waiting_caller() {
    let router = narrow();
    let (hop, near, far) = everywhere(&router);
    for to in [&hop, &near, &far] {
        let error = to.call(BYTES, 2 << 20).unwrap_err();
        assert!(matches!(&error, CallError::TooLarge { .. }), "{error:?}");
        assert!(error.may_have_run(), "{error:?}");
        assert!(error.to_string().contains("is over the limit of 1048576 bytes"), "{error}");
        assert_eq!(to.call(ADD, (2, 3)).unwrap(), 5, "it lives on");
    }
}

fn t05_a_bare_call_that_is_too_large_is_answered_and_the_link_goes_on() {
    let router = narrow();
    let (hop, near, far) = everywhere(&router);
    let puppet = puppet(&router.here(), "puppet");
    for (n, dst) in (0..).zip([ContextId::ROOT, hop.id(), near.id(), far.id()]) {
        // A body that will be over the limit once it is whole: its first piece says so.
        let mut first = puppet.frame(dst, Handle::CALL_FUNCTION, ReplyTo::Handle(waits(10 * n)), vec![0; 10]);
        first.part = Some(Part { total: 2 << 20, offset: 0 });
        puppet.put(&[first]);
        let (seen, dead) = puppet.until_dead(waits(10 * n));
        assert_eq!((dead.code, seen.src), (DeadCode::TooLarge, dst));
        assert_eq!(dead.text, "the body is over the limit of 1048576 bytes");
        // A frame that is longer than any may be: its bytes are skipped by whoever reads them first.
        let long = puppet.frame(dst, Handle::CALL_FUNCTION, ReplyTo::Handle(waits(10 * n + 1)), Vec::new());
        put_oversize(&puppet, &long);
        let (seen, dead) = puppet.until_dead(waits(10 * n + 1));
        assert_eq!((dead.code, seen.src, seen.auth), (DeadCode::TooLarge, dst, ContextId::ROOT));
    }
    let counted = |kind| router.dropped().contains(&(puppet.id(), kind, 5));
    assert!(counted(DropKind::Oversize), "{:?}", router.dropped());
}

/// Has a puppet write a frame whose body is longer than any may be.
fn put_oversize(puppet: &Puppet, frame: &Frame) {
    let zeros = 200_000_u32;
    let mut bytes = Vec::new();
    frame.encode_into(&mut bytes);
    let length = bytes.len() - 4..;
    bytes[length].copy_from_slice(&zeros.to_be_bytes());
    puppet.put_bytes(bytes, zeros).expect("the link goes on");
}

fn t05_a_bare_reply_that_is_too_large_ends_the_call_that_waits_for_it() {
    let router = narrow();
    let hop = router.connect(hop("hop")).unwrap();
    for puppet in [puppet(&router.here(), "near"), puppet(&hop, "far")] {
        let call = |function: u8| {
            let pending = puppet.context().call_async(ADD, (function.into(), 0));
            let seen = puppet.until("the call", |seen| {
                seen.handle == Handle::CALL_FUNCTION && seen.body.ends_with(&[0x82, function, 0])
            });
            (pending, Handle::new(seen.reply_to))
        };
        let (pieces, at) = call(1);
        let mut first = puppet.frame(ContextId::ROOT, at, ReplyTo::Nobody, vec![0; 10]);
        first.part = Some(Part { total: 2 << 20, offset: 0 });
        puppet.put(&[first]);
        let error = pieces.wait_timeout(PATIENCE).unwrap_err();
        assert!(matches!(&error, CallError::TooLarge { progress: Progress::Unknown, .. }), "{error:?}");

        let (long, at) = call(2);
        put_oversize(&puppet, &puppet.frame(ContextId::ROOT, at, ReplyTo::Nobody, Vec::new()));
        let error = long.wait_timeout(PATIENCE).unwrap_err();
        assert!(matches!(&error, CallError::TooLarge { progress: Progress::Unknown, .. }), "{error:?}");
    }
}

fn t06_a_dead_message_never_causes_another() {
    let (router, tape) = recorded(Router::builder());
    let (hop, near, far) = everywhere(&router);
    let gone = router.connect(leaf("gone")).unwrap();
    gone.shutdown().wait_timeout(PATIENCE).unwrap();
    let puppet = puppet(&router.here(), "puppet");
    let nobody = ContextId::new(4711);
    let contexts = [ContextId::ROOT, hop.id(), near.id(), far.id(), gone.id(), nobody, puppet.id()];
    let handles =
        [Handle::CALL_FUNCTION, Handle::CREATE_CHILD, Handle::PING, Handle::new(900_000), Handle::new(119)];
    let bodies = [codec::encode(&Dead::new(DeadCode::Gone, "no")).unwrap(), Vec::new()];
    for dst in contexts {
        for handle in handles {
            for body in &bodies {
                puppet.put(&[puppet.frame(dst, handle, ReplyTo::Dead, body.clone())]);
            }
        }
    }
    // One that is too long, and one in pieces.
    put_oversize(&puppet, &puppet.frame(near.id(), Handle::CALL_FUNCTION, ReplyTo::Dead, Vec::new()));
    let mut piece = puppet.frame(near.id(), Handle::CALL_FUNCTION, ReplyTo::Dead, vec![0; 10]);
    piece.part = Some(Part { total: 1 << 30, offset: 0 });
    puppet.put(&[piece]);
    // Everybody has dealt with all of it when these are answered.
    for dst in [hop.id(), near.id(), far.id(), ContextId::ROOT] {
        let at = waits(dst.number());
        puppet.put(&[puppet.call(dst, at, NAME, &())]);
        puppet.until("the answer of who lives", |seen| seen.handle == at);
    }
    let deads: Vec<_> = puppet.seen().into_iter().filter(|seen| seen.dead().is_some()).collect();
    assert!(deads.is_empty(), "{deads:?}");
    let others: Vec<_> = puppet.seen().into_iter().filter(|seen| seen.body.len() > 40).collect();
    assert!(others.is_empty(), "{others:?}");
    assert!(router.dropped().iter().any(|(id, kind, _)| (*id, *kind) == (puppet.id(), DropKind::Dead)));
    drop(router);
    let made: Vec<_> =
        tape.frames().into_iter().filter(|f| f.reply_to == 999 && f.src != puppet.id()).collect();
    assert!(made.is_empty(), "{made:?}");
}

/// The call that waits for a puppet, in whichever context.
fn calls_to(puppet: &Puppet) -> usize {
    let is_call = |seen: &&Seen| seen.handle == Handle::CALL_FUNCTION && seen.dst == puppet.id();
    puppet.seen().iter().filter(is_call).count()
}

fn t07_every_waiter_wakes_when_the_context_it_waits_for_goes() {
    let router = root();
    let [one, two] = ["one", "two"].map(|name| router.connect(hop(name)).unwrap());
    let sibling = one.connect(leaf("sibling")).unwrap();
    let cousin = two.connect(leaf("cousin")).unwrap();
    let (child, grandchild) = (puppet(&router.here(), "child"), puppet(&one, "grandchild"));
    for lost in [&grandchild, &child] {
        let pid = router.tree().pid(lost.id()).unwrap();
        // For the grandchild: its grandparent, parent, sibling, uncle, cousin. For the child: its parent, siblings
        // and nephews.
        let own = lost.context().call_async(WORK, FOREVER_MS);
        let waiters = [&one, &sibling, &two, &cousin];
        let waits = waiters.map(|waiter| waiter.call_async(WAIT_FOR, (lost.context().clone(), FOREVER_MS)));
        let watch = lost.context().lost();
        eventually("all calls have come", PATIENCE, || (calls_to(lost) == 5).then_some(()));
        kill(pid, Signal::KILL);
        let error = own.wait_timeout(PATIENCE).unwrap_err();
        assert!(
            matches!(&error, CallError::Lost { id, progress: Progress::Unknown, .. } if *id == lost.id()),
            "{error:?}"
        );
        watch.wait_timeout(PATIENCE).unwrap();
        for (waiter, wait) in waiters.iter().zip(waits) {
            let error = wait.wait_timeout(PATIENCE).unwrap_err();
            let name = lost.context().name();
            assert!(matches!(&error, CallError::Failed { .. }), "{waiter}: {error:?}");
            let text = error.to_string();
            assert!(text.contains(&format!("{name} is lost: ")), "{waiter}: {text}");
            assert!(text.contains("the call may have run"), "{waiter}: {text}");
        }
    }
}

fn t07_every_waiter_wakes_when_a_context_on_the_way_goes() {
    let router = root();
    let [one, two] = ["one", "two"].map(|name| router.connect(hop(name)).unwrap());
    let between = one.connect(hop("between")).unwrap();
    let sibling = one.connect(leaf("sibling")).unwrap();
    let cousin = two.connect(leaf("cousin")).unwrap();
    let deep = puppet(&between, "deep");
    let waiters = [&one, &sibling, &two, &cousin];
    let own = deep.context().call_async(WORK, FOREVER_MS);
    let numbers = between.call(COUNT, u64::MAX).unwrap();
    let waits = waiters.map(|waiter| waiter.call_async(WAIT_FOR, (deep.context().clone(), FOREVER_MS)));
    let watch = deep.context().lost();
    eventually("all calls have come", PATIENCE, || (calls_to(&deep) == 5).then_some(()));
    kill(router.tree().pid(between.id()).unwrap(), Signal::KILL);
    let error = own.wait_timeout(PATIENCE).unwrap_err();
    assert!(matches!(&error, CallError::Lost { context, .. } if context.ends_with("between")), "{error:?}");
    watch.wait_timeout(PATIENCE).unwrap();
    let end = numbers.into_iter().find_map(Result::err).expect("a stream of a lost context ends in an error");
    assert!(matches!(&end, RecvError::Lost { .. }), "{end:?}");
    for (waiter, wait) in waiters.iter().zip(waits) {
        let text = wait.wait_timeout(PATIENCE).unwrap_err().to_string();
        assert!(text.contains("between is lost: "), "{waiter}: {text}");
    }
}

fn t07_every_waiter_wakes_when_the_own_broker_stops() {
    let router = root();
    let puppet = puppet(&router.here(), "puppet");
    let here = router.here();
    let (sender, receiver) = router.channel::<u64>();
    let (into, from) = router.channel::<u64>();
    let feed = puppet.context().call_async(FEED, (sender, 1));
    let sum = puppet.context().call_async(SUM, from);
    let (lost, context, other) =
        (puppet.context().lost(), puppet.context().clone(), puppet.context().clone());
    let mut select = Select::new();
    select.add(puppet.context().call_async(WORK, 1), |end| end);
    let ended = |error: &CallError| matches!(error, CallError::Stopped { .. } | CallError::Lost { .. });
    let own_lost = here.lost();
    let waiters = [
        thread::spawn(move || context.call(WORK, FOREVER_MS).is_err_and(|error| ended(&error))),
        thread::spawn(move || {
            let other = other.with_timeout(Duration::from_secs(600));
            other.call(WORK, 2).is_err_and(|error| ended(&error))
        }),
        thread::spawn(move || here.call(WORK, FOREVER_MS).is_err_and(|error| ended(&error))),
        thread::spawn(move || !lost.wait().is_empty()),
        thread::spawn(move || !own_lost.wait().is_empty()),
        thread::spawn(move || matches!(select.wait(), Some(Err(_)))),
        thread::spawn(move || receiver.recv().is_err()),
        thread::spawn(move || (0..).any(|n| into.send(n).is_err())),
        thread::spawn(move || feed.wait().is_err_and(|error| ended(&error))),
        thread::spawn(move || sum.wait().is_err_and(|error| ended(&error))),
    ];
    eventually("the calls have come", PATIENCE, || (calls_to(&puppet) == 5).then_some(()));
    drop(router);
    for (n, waiter) in waiters.into_iter().enumerate() {
        eventually(&format!("waiter {n} wakes"), PATIENCE, || waiter.is_finished().then_some(()));
        assert!(waiter.join().unwrap(), "waiter {n}");
    }
    let error = puppet.context().call(FAIL, "late".into()).unwrap_err();
    assert!(matches!(error, CallError::Stopped { .. }), "{error:?}");
}

fn t07_who_gives_up_as_the_answer_comes_takes_nobody_elses_place() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let impatient = (0..3).map(|n| {
        let leaf = leaf.clone();
        thread::spawn(move || {
            // Around the time that an answer takes, so that both often meet.
            for round in 0..2000 {
                let pending = leaf.call_async(ADD, (round, n));
                let _sum = pending.wait_timeout(Duration::from_micros((round as u64 * 7) % 400));
            }
        })
    });
    let patient = (0..3).map(|n| {
        let leaf = leaf.clone();
        thread::spawn(move || {
            for round in 0..2000 {
                assert_eq!(leaf.call(ADD, (round, n)).unwrap(), round + n);
            }
        })
    });
    let threads: Vec<_> = impatient.chain(patient).collect();
    for thread in threads {
        eventually("every call ends", PATIENCE * 2, || thread.is_finished().then_some(()));
        thread.join().unwrap();
    }
}
