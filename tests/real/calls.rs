//! How calls end: 18 to 21 and 23.

use std::time::{Duration, Instant};

use offshoot_parent::prelude::*;
use offshoot_tests::real::{
    PATIENCE, Signal, eventually,
    flows::{ASK_LATER, ASK_MYSELF, ENGAGE, LENGTH},
    kill,
    table::{ADD, ASK, BOUNCE, ECHO, FAIL, LEFT, NAME, PANIC, TALLY, UNENCODABLE, WAIT_FOR, WORK},
};

use offshoot_wire::{Failed, Handle, ReplyHead, codec};

use crate::bed::{chain, hop, leaf, puppet, root};

crate::tests![
    t18_a_panic_and_an_error_are_call_errors_and_the_child_lives_on,
    t18_a_result_that_cannot_be_encoded_is_an_error_of_its_own,
    t18_an_unknown_function_is_named,
    t18_arguments_of_another_type_are_an_error_of_their_own,
    t18_trailing_bytes_are_an_error_in_the_arguments,
    t18_an_error_text_of_20_kb_is_cut_at_16_kib,
    t19_behind_the_first_error_of_a_chain_nothing_runs,
    t19_a_chain_in_a_deep_context_fails_with_its_first_error_alone,
    t19_a_failure_of_a_call_without_reply_fails_the_chain,
    t20_a_deadline_ends_the_call_in_time_and_the_callee_sees_it,
    t20_a_deadline_is_not_late_but_by_what_the_machine_does_beside,
    t20_a_nested_call_inherits_the_deadline,
    t20_a_call_whose_deadline_passed_on_the_way_is_not_run,
    t21_a_call_cancelled_before_it_was_sent_never_runs,
    t21_a_call_cancelled_in_flight_never_runs,
    t21_a_running_call_sees_that_it_is_cancelled,
    t23_a_call_that_would_wait_for_itself_is_refused,
    t23_two_activities_that_cross_end_by_their_deadlines,
];

/// For a deadline that must pass; the callee has ample time to begin.
const SHORT: Duration = Duration::from_millis(600);
/// How late the news of a deadline may come on a busy machine.
const LATE: Duration = Duration::from_secs(3);

fn begun(context: &Context) -> u64 {
    context.with_timeout(PATIENCE).call(TALLY, ()).unwrap().1
}

fn cancelled(context: &Context) -> u64 {
    context.with_timeout(PATIENCE).call(TALLY, ()).unwrap().0
}

/// A call that runs now, and goes on for a minute.
fn working(context: &Context) -> Pending<()> {
    let (ready, readies) = context.channel();
    let pending = context.call_async(ENGAGE, (ready, 60_000));
    readies.recv_timeout(PATIENCE).unwrap().unwrap();
    pending
}

/// The same, and it has said so, which it does after 20 ms.
fn known_to_work(context: &Context) -> Pending<()> {
    let pending = working(context);
    assert!(!pending.ready_timeout(Duration::from_secs(1)));
    pending
}

fn t18_a_panic_and_an_error_are_call_errors_and_the_child_lives_on() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let panic = leaf.call(PANIC, "on purpose".into()).unwrap_err();
    assert!(
        matches!(&panic, CallError::Panicked { .. }) && panic.to_string().contains("on purpose"),
        "{panic}"
    );
    let failed = leaf.call(FAIL, "no such luck".into()).unwrap_err();
    assert!(
        matches!(&failed, CallError::Failed { .. }) && failed.to_string().contains("no such luck"),
        "{failed}"
    );
    assert_eq!(leaf.call(ECHO, "still here".into()).unwrap(), "still here");
}

fn t18_a_result_that_cannot_be_encoded_is_an_error_of_its_own() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let error = leaf.call(UNENCODABLE, ()).unwrap_err();
    assert!(matches!(&error, CallError::EncodeResult { .. }), "{error:?}");
    assert!(error.to_string().contains("skip_serializing_if"), "it says what to do: {error}");
    assert_eq!(leaf.call(ADD, (1, 2)).unwrap(), 3);
}

fn t18_an_unknown_function_is_named() {
    const NOWHERE: Function<(), ()> = Function::new("nowhere");
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let error = leaf.call(NOWHERE, ()).unwrap_err();
    assert!(matches!(&error, CallError::NoSuchFunction { .. }), "{error:?}");
    assert!(error.to_string().contains("nowhere") && error.to_string().contains("leaf"), "{error}");
    assert_eq!(leaf.call(ADD, (1, 2)).unwrap(), 3);
}

fn t18_arguments_of_another_type_are_an_error_of_their_own() {
    const TEXTS: Function<(String, String), i64> = Function::new("add");
    const THREE: Function<(i64, i64, i64), i64> = Function::new("add");
    const TEXT_BACK: Function<(i64, i64), String> = Function::new("add");
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let error = leaf.call(TEXTS, ("1".into(), "2".into())).unwrap_err();
    assert!(matches!(&error, CallError::DecodeArguments { .. }), "{error:?}");
    assert!(error.to_string().contains("same constant"), "it says what to do: {error}");
    let error = leaf.call(THREE, (1, 2, 3)).unwrap_err();
    assert!(matches!(&error, CallError::DecodeArguments { .. }), "{error:?}");
    let error = leaf.call(TEXT_BACK, (1, 2)).unwrap_err();
    assert!(matches!(&error, CallError::DecodeResult { .. }), "{error:?}");
    assert_eq!(leaf.call(ADD, (1, 2)).unwrap(), 3);
}

fn t18_trailing_bytes_are_an_error_in_the_arguments() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let puppet = puppet(&router.here(), "puppet");
    for (n, dst) in (0..).zip([ContextId::ROOT, leaf.id()]) {
        let waits = Handle::new(5000 + n);
        let right = puppet.call(dst, waits, NAME, &());
        let mut wrong = right.clone();
        wrong.body = [&*right.body, &[0xf6]].concat().into();
        puppet.put(&[wrong]);
        let seen = puppet.until("the answer", |seen| seen.handle == waits);
        let (head, end) = codec::decode_prefix::<ReplyHead>(&seen.body, 1 << 16).unwrap();
        assert!(matches!(&head, ReplyHead::Failed(Failed::Arguments, _)), "{head:?}");
        assert_eq!(end, seen.body.len());
        let waits = Handle::new(6000 + n);
        puppet.put(&[puppet.call(dst, waits, NAME, &())]);
        let seen = puppet.until("the answer", |seen| seen.handle == waits);
        let (head, _) = codec::decode_prefix::<ReplyHead>(&seen.body, 1 << 16).unwrap();
        assert!(matches!(&head, ReplyHead::Value(_)), "{dst} lives on: {head:?}");
    }
}

fn t18_an_error_text_of_20_kb_is_cut_at_16_kib() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    for (function, text) in [(FAIL, "f".repeat(20_000)), (PANIC, "p".repeat(20_000))] {
        let message = match leaf.call(function, text).unwrap_err() {
            CallError::Failed { message, .. } | CallError::Panicked { message, .. } => message,
            error => panic!("{error:?}"),
        };
        assert!(message.len() <= 16 * 1024 && message.len() > 16 * 1024 - 64, "{}", message.len());
        assert!(message.ends_with("(cut)"), "{}", &message[message.len() - 20..]);
    }
    assert_eq!(leaf.call(ADD, (1, 2)).unwrap(), 3);
}

fn t19_behind_the_first_error_of_a_chain_nothing_runs() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let chain = leaf.chain().with_timeout(PATIENCE);
    // All are on their way before the first of them fails.
    let first = chain.call_async(WORK, 0);
    let second = chain.call_async(FAIL, "broken".into());
    let behind: Vec<_> = (0..20).map(|_| chain.call_async(WORK, 0)).collect();
    first.wait().unwrap();
    let error = second.wait().unwrap_err();
    assert!(matches!(&error, CallError::Failed { .. }), "{error:?}");
    for pending in behind {
        let behind = pending.wait().unwrap_err();
        assert_eq!(behind, CallError::Chain(Box::new(error.clone())), "{behind}");
        assert!(!behind.may_have_run());
    }
    // Nor does what is called from now on.
    assert_eq!(chain.call(WORK, 0).unwrap_err(), CallError::Chain(Box::new(error)));
    assert_eq!(begun(&leaf), 1, "calls of the chain that ran");
    // Others are not touched, and a new chain begins anew.
    leaf.call(WORK, 0).unwrap();
    leaf.chain().call(WORK, 0).unwrap();
    assert_eq!(begun(&leaf), 3);
}

fn t19_a_chain_in_a_deep_context_fails_with_its_first_error_alone() {
    let router = root();
    let hops = chain(&router, 2);
    let deep = hops[1].connect(leaf("deep")).unwrap();
    let (one, other) = (deep.chain(), deep.chain());
    let panic = one.call(PANIC, "first".into()).unwrap_err();
    assert!(matches!(&panic, CallError::Panicked { .. }), "{panic:?}");
    assert_eq!(one.call(FAIL, "second".into()).unwrap_err(), CallError::Chain(Box::new(panic)));
    assert_eq!(other.call(ADD, (1, 2)).unwrap(), 3, "another chain to the same context");
}

fn t19_a_failure_of_a_call_without_reply_fails_the_chain() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let chain = leaf.chain().with_timeout(PATIENCE);
    chain.call_no_reply(FAIL, "nobody hears this".into()).unwrap();
    let error = chain.call(WORK, 0).unwrap_err();
    assert!(matches!(&error, CallError::Chain(_)), "{error:?}");
    assert!(error.to_string().contains("nobody hears this"), "{error}");
    assert_eq!(begun(&leaf), 0);
}

fn t20_a_deadline_ends_the_call_in_time_and_the_callee_sees_it() {
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let leaf = hop.connect(leaf("leaf")).unwrap();
    let left = leaf.with_timeout(PATIENCE).call(LEFT, ()).unwrap().unwrap();
    let patience = u64::try_from(PATIENCE.as_millis()).unwrap();
    assert!(left > 0 && left <= patience + 3, "the callee sees {left} ms");
    assert_eq!(leaf.call(LEFT, ()).unwrap(), None);

    let start = Instant::now();
    let error = leaf.with_timeout(SHORT).call(WORK, 60_000).unwrap_err();
    let took = start.elapsed();
    assert!(matches!(&error, CallError::TimedOut { progress: Progress::Started, .. }), "{error:?}");
    assert!(error.may_have_run() && error.to_string().contains("600ms"), "{error}");
    assert!(took >= SHORT && took < SHORT + LATE, "{took:?}");
    eventually("the callee sees it", LATE, || (cancelled(&leaf) == 1).then_some(()));
    // The same by a moment instead of a span.
    let start = Instant::now();
    let error = leaf.with_deadline(start + SHORT).call(WORK, 60_000).unwrap_err();
    assert!(matches!(&error, CallError::TimedOut { .. }), "{error:?}");
    assert!(start.elapsed() >= SHORT && start.elapsed() < SHORT + LATE);
    assert_eq!(leaf.call(ADD, (1, 2)).unwrap(), 3);
}

fn t20_a_deadline_is_not_late_but_by_what_the_machine_does_beside() {
    const SPAN: Duration = Duration::from_millis(50);
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let busy = working(&leaf);
    // What the machine does beside can hold up one of them, not all.
    let late = (0..7).map(|_| {
        let start = Instant::now();
        let error = leaf.with_timeout(SPAN).call(WORK, 0).unwrap_err();
        assert!(matches!(&error, CallError::TimedOut { .. }), "{error:?}");
        start.elapsed().saturating_sub(SPAN)
    });
    let late: Vec<_> = late.collect();
    assert!(late.iter().any(|late| *late < Duration::from_millis(10)), "{late:?}");
    drop(busy);
    assert_eq!(begun(&leaf), 1, "calls that ran");
}

fn t20_a_nested_call_inherits_the_deadline() {
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let leaf = hop.connect(leaf("leaf")).unwrap();
    let start = Instant::now();
    let error = hop.with_timeout(SHORT).call(WAIT_FOR, (leaf.clone(), 60_000)).unwrap_err();
    assert!(matches!(&error, CallError::TimedOut { .. }), "{error:?}");
    assert!(start.elapsed() < SHORT + LATE);
    // Nobody waits any more in the hop, nor in what it called.
    eventually("the nested call ends", LATE, || (cancelled(&leaf) == 1).then_some(()));
    assert_eq!(hop.with_timeout(LATE).call(ADD, (1, 2)).unwrap(), 3);
}

fn t20_a_call_whose_deadline_passed_on_the_way_is_not_run() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let pid = router.tree().pid(leaf.id()).unwrap();
    kill(pid, Signal::STOP);
    let start = Instant::now();
    let error = leaf.with_timeout(SHORT).call(WORK, 0).unwrap_err();
    assert!(matches!(&error, CallError::TimedOut { progress: Progress::Unknown, .. }), "{error:?}");
    assert!(start.elapsed() >= SHORT && start.elapsed() < SHORT + LATE, "{:?}", start.elapsed());
    kill(pid, Signal::CONT);
    assert_eq!(begun(&leaf), 0, "calls that ran");
}

fn t21_a_call_cancelled_before_it_was_sent_never_runs() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let busy = working(&leaf);
    // Calls beyond the window wait here, and so does all that comes behind them.
    let full: Vec<_> = (0..40).map(|_| leaf.call_async(LENGTH, vec![0; 64 * 1024].into())).collect();
    let error = leaf.call_async(WORK, 0).wait_timeout(Duration::ZERO).unwrap_err();
    assert!(matches!(&error, CallError::TimedOut { progress: Progress::NotSent, .. }), "{error:?}");
    assert!(!error.may_have_run());
    drop(leaf.call_async(WORK, 0));
    drop(busy);
    for pending in full {
        assert_eq!(pending.wait_timeout(PATIENCE).unwrap(), 64 * 1024);
    }
    assert_eq!(begun(&leaf), 1, "calls that ran");
}

fn t21_a_call_cancelled_in_flight_never_runs() {
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let leaf = hop.connect(leaf("leaf")).unwrap();
    let busy = working(&leaf);
    let second = leaf.call_async(WORK, 0);
    let dropped = leaf.call_async(WORK, 0);
    // They have surely arrived: this went behind them, and the broker answers it.
    leaf.ping().unwrap();
    drop(dropped);
    let error = second.wait_timeout(Duration::ZERO).unwrap_err();
    assert!(matches!(&error, CallError::TimedOut { progress: Progress::Unknown, .. }), "{error:?}");
    assert!(error.may_have_run());
    drop(busy);
    assert_eq!(begun(&leaf), 1, "calls that ran");
}

fn t21_a_running_call_sees_that_it_is_cancelled() {
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let leaf = hop.connect(leaf("leaf")).unwrap();
    let busy = known_to_work(&leaf);
    let error = busy.wait_timeout(Duration::ZERO).unwrap_err();
    assert!(matches!(&error, CallError::TimedOut { progress: Progress::Started, .. }), "{error:?}");
    assert_eq!(cancelled(&leaf), 1);
    drop(working(&leaf));
    assert_eq!(cancelled(&leaf), 2);
    assert_eq!(leaf.call(ADD, (1, 2)).unwrap(), 3);
}

fn t23_a_call_that_would_wait_for_itself_is_refused() {
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let (a, b) = (hop.connect(leaf("a")).unwrap(), hop.connect(leaf("b")).unwrap());
    // In one context.
    let error = a.with_timeout(PATIENCE).call(ASK_MYSELF, ()).unwrap_err();
    assert!(error.to_string().contains("would wait for itself"), "{error}");
    // Over another one: root > a > b > a.
    b.grant(ASK, &a).unwrap();
    let error = a.with_timeout(PATIENCE).call(BOUNCE, (b.clone(), a.clone())).unwrap_err();
    assert!(matches!(&error, CallError::Failed { .. }), "{error:?}");
    assert!(error.to_string().contains("would wait for itself"), "{error}");
    assert!(error.to_string().contains("workers"), "it says what to do: {error}");
    // What does not come back is none of it.
    assert_eq!(a.call(BOUNCE, (b.clone(), b)).unwrap_err().to_string().matches("would wait").count(), 1);
    assert_eq!(a.call(ASK, hop).unwrap(), "hop");
}

fn t23_two_activities_that_cross_end_by_their_deadlines() {
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let (a, b) = (hop.connect(leaf("a")).unwrap(), hop.connect(leaf("b")).unwrap());
    let (ready, readies) = router.channel();
    let start = Instant::now();
    let cross = |from: &Context, to: &Context| {
        let (go, wait) = router.channel();
        let pending = from.with_timeout(2 * SHORT).call_async(ASK_LATER, (ready.clone(), wait, to.clone()));
        (pending, go)
    };
    let (one, other) = (cross(&a, &b), cross(&b, &a));
    // Each is held by its own before either calls the other.
    for _ in 0..2 {
        readies.recv_timeout(PATIENCE).unwrap().unwrap();
    }
    one.1.send(()).unwrap();
    other.1.send(()).unwrap();
    let ended = [one.0.wait(), other.0.wait()];
    let took = start.elapsed();
    // Once the deadline of one has freed its leaf, the other may just be in time.
    assert!(ended.iter().any(|end| matches!(end, Err(CallError::TimedOut { .. }))), "{ended:?}");
    assert!(took >= SHORT && took < 2 * SHORT + LATE, "{took:?}");
    for context in [&a, &b] {
        assert_eq!(context.with_timeout(PATIENCE).call(NAME, ()).unwrap(), context.name());
    }
}
