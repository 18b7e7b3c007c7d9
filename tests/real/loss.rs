//! What a caller learns of its call when a context is lost: 30.

use std::time::Duration;

use offshoot_parent::prelude::*;
use offshoot_tests::real::{
    PATIENCE, Signal, eventually, kill,
    life::TICK,
    table::{ADD, ASK_SECRET, ECHO, ECHO_BYTES, NAME, SECRET, SPIN, WAIT_FOR, WORK},
};

use crate::bed::{chain, hop, leaf, pid, root, until_begun};

crate::tests![
    t30_a_call_to_a_context_that_is_gone_was_not_sent,
    t30_a_call_that_waits_for_room_was_not_sent_when_its_context_is_lost,
    t30_a_call_that_waits_for_room_is_not_sent_to_a_context_that_is_told_to_end,
    t30_a_call_that_a_policy_refuses_was_not_delivered,
    t30_a_call_that_comes_while_its_context_ends_was_not_delivered,
    t30_a_call_whose_context_never_took_it_up_may_have_run,
    t30_a_call_that_had_begun_says_so,
    t30_a_loss_between_names_the_context_that_was_lost,
    t30_a_sibling_learns_how_far_its_call_had_come,
];

/// The parts of a loss.
#[track_caller]
fn lost<R: std::fmt::Debug>(ended: Result<R, CallError>) -> (String, String, Progress) {
    match ended.expect_err("the context is lost") {
        CallError::Lost { context, reason, progress, .. } => (context, reason, progress),
        other => panic!("not lost, but: {other}"),
    }
}

fn t30_a_call_to_a_context_that_is_gone_was_not_sent() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let lost_one = leaf.lost();
    kill(pid(&router, &leaf), Signal::KILL);
    lost_one.wait_timeout(PATIENCE).unwrap();
    let error = leaf.with_timeout(PATIENCE).call(ADD, (1, 1)).unwrap_err();
    assert!(!error.may_have_run(), "{error}");
    let (context, _, progress) = lost(Err::<(), _>(error.clone()));
    assert_eq!((context.as_str(), progress), ("leaf", Progress::NotSent), "{error}");
    assert!(error.to_string().ends_with("; the call was not sent"), "{error}");
}

fn t30_a_call_that_waits_for_room_was_not_sent_when_its_context_is_lost() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    leaf.call_no_reply(SPIN, ()).unwrap();
    let large = leaf.with_timeout(PATIENCE).call_async(ECHO_BYTES, vec![0_u8; 8 << 20].into());
    let small = leaf.with_timeout(PATIENCE).call_async(ADD, (1, 1));
    kill(pid(&router, &leaf), Signal::KILL);
    // A part of the large one had gone; the small one stood behind it.
    assert_eq!(lost(large.wait()).2, Progress::Unknown);
    assert_eq!(lost(small.wait()).2, Progress::NotSent);
}

fn t30_a_call_that_waits_for_room_is_not_sent_to_a_context_that_is_told_to_end() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    leaf.call_no_reply(SPIN, ()).unwrap();
    let large = leaf.with_timeout(PATIENCE).call_async(ECHO_BYTES, vec![0_u8; 8 << 20].into());
    let small = leaf.with_timeout(PATIENCE).call_async(ADD, (1, 1));
    let shutdown = leaf.shutdown();
    // At once, long before the leaf is made to go.
    let (_, reason, progress) = lost(small.wait_timeout(Duration::from_secs(1)));
    assert_eq!(progress, Progress::NotSent);
    assert!(reason.contains("told to end"), "{reason}");
    kill(pid(&router, &leaf), Signal::KILL);
    assert_eq!(lost(large.wait()).2, Progress::Unknown);
    shutdown.wait_timeout(PATIENCE).unwrap();
}

fn t30_a_call_that_a_policy_refuses_was_not_delivered() {
    let router = root();
    let (a, b) = (router.connect(leaf("a")).unwrap(), router.connect(leaf("b")).unwrap());
    let asked = a.with_timeout(PATIENCE).call(ASK_SECRET, b.clone());
    let error = asked.unwrap_err().to_string();
    assert!(error.contains("does not let this context call secret"), "{error}");
    assert_eq!(b.call(SECRET, ()).unwrap(), "b");
}

fn t30_a_call_that_comes_while_its_context_ends_was_not_delivered() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let (working, sender) = until_begun(&leaf, |sender| leaf.call_async(TICK, (sender, 300)));
    let shutdown = leaf.shutdown();
    let late = leaf.with_timeout(PATIENCE).call_async(ECHO, "late".into());
    let error = late.wait().unwrap_err();
    assert_eq!(error.progress(), Progress::Undelivered, "{error}");
    assert!(error.is_lost() && error.to_string().ends_with("; the call did not run"), "{error}");
    // What it was at is finished, and its answer comes.
    assert!(working.wait_timeout(PATIENCE).unwrap() > 0);
    drop(sender);
    shutdown.wait_timeout(PATIENCE).unwrap();
}

fn t30_a_call_whose_context_never_took_it_up_may_have_run() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let pid = pid(&router, &leaf);
    kill(pid, Signal::STOP);
    let call = leaf.with_timeout(PATIENCE).call_async(ADD, (1, 1));
    // It has left: nothing else waits on this link.
    assert!(!call.ready_timeout(Duration::from_millis(50)));
    kill(pid, Signal::KILL);
    let error = call.wait().unwrap_err();
    assert!(error.may_have_run() && error.to_string().ends_with("; the call may have run"), "{error}");
    assert_eq!(lost(Err::<(), _>(error)).2, Progress::Unknown);
}

fn t30_a_call_that_had_begun_says_so() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let (working, _ticks) = until_begun(&leaf, |sender| leaf.call_async(TICK, (sender, 60_000)));
    kill(pid(&router, &leaf), Signal::KILL);
    let error = working.wait_timeout(PATIENCE).unwrap_err();
    assert!(error.may_have_run() && error.to_string().ends_with("; the call had begun to run"), "{error}");
    assert_eq!(lost(Err::<(), _>(error)).2, Progress::Started);
}

fn t30_a_loss_between_names_the_context_that_was_lost() {
    let router = root();
    let chain = chain(&router, 3);
    let deep = chain[2].connect(leaf("deep")).unwrap();
    let (working, _ticks) = until_begun(&deep, |sender| deep.call_async(TICK, (sender, 60_000)));
    kill(pid(&router, &chain[1]), Signal::KILL);
    let (context, _, progress) = lost(working.wait_timeout(PATIENCE));
    assert_eq!((context.as_str(), progress), (chain[1].name(), Progress::Started));
    let late = deep.with_timeout(PATIENCE).call(NAME, ());
    let (_, _, progress) = lost(late);
    assert_eq!(progress, Progress::NotSent);
    // What stands above the loss works on.
    assert_eq!(chain[0].call(ADD, (2, 3)).unwrap(), 5);
}

fn t30_a_sibling_learns_how_far_its_call_had_come() {
    let router = root();
    let up = router.connect(hop("up")).unwrap();
    let (a, b) = (up.connect(leaf("a")).unwrap(), router.connect(leaf("b")).unwrap());
    b.grant(WORK, &a).unwrap();
    let asked = a.call_async(WAIT_FOR, (b.clone(), 60_000));
    // The one worker of `b` is at it: its first call to somebody else does not come back.
    eventually("b is busy", PATIENCE, || {
        b.with_timeout(Duration::from_millis(100)).call(ADD, (1, 1)).is_err().then_some(())
    });
    kill(pid(&router, &b), Signal::KILL);
    let error = asked.wait_timeout(PATIENCE).unwrap_err().to_string();
    assert!(error.contains("b is lost") || error.contains("is lost: "), "{error}");
    assert!(error.ends_with("; the call had begun to run"), "{error}");
}
