//! Calls between two contexts: every way in which one ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use offshoot_latch::Latch;
use offshoot_wire::ContextId;
use serde::{Deserialize, Serialize};

use super::{SOON, block_on};
use crate::{
    CallError, Context, Function, Functions, Outcome, Policy, Progress, machine::Limits, pair::Pair,
};

const ADD: Function<(i64, i64), i64> = Function::new("add");
const FAIL: Function<String, u32> = Function::new("fail");
const PANIC: Function<String, ()> = Function::new("panic");
const HOLD: Function<(), u32> = Function::new("hold");
const WHERE: Function<(), (String, Context)> = Function::new("where");

fn arithmetic() -> Functions {
    Functions::new().serve(ADD, |_call, (a, b)| a + b)
}

/// A function that runs until it is let go, and tells when it began.
fn holding(who: Policy) -> (Functions, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let ((begun, has_begun), (let_go, go)) = (mpsc::channel(), mpsc::channel());
    let go = std::sync::Mutex::new(go);
    let functions = Functions::new().serve_to(who, HOLD, move |_call, ()| {
        begun.send(()).expect("the test waits for it");
        go.lock().expect("one call at a time").recv_timeout(SOON).map(|()| 7)
    });
    (functions, has_begun, let_go)
}

#[test]
fn a_call_returns_what_the_function_returned() {
    let pair = Pair::new(arithmetic());
    assert_eq!(pair.child.call(ADD, (2, 3)), Ok(5));
    assert_eq!(pair.sinks(), [0, 0]);
}

#[test]
fn many_calls_at_once_each_get_their_own_answer() {
    let pair = Pair::with(arithmetic(), Limits::default(), 4);
    let calls: Vec<_> = (0..500).map(|n| pair.child.call_async(ADD, (n, n))).collect();
    for (n, call) in (0..).zip(calls) {
        assert_eq!(call.wait(), Ok(2 * n));
    }
}

#[test]
fn a_pending_call_is_a_future() {
    let pair = Pair::new(arithmetic());
    assert_eq!(block_on(pair.child.call_async(ADD, (2, 3))), Ok(5));
}

#[test]
fn an_error_of_the_function_comes_back_as_its_text() {
    let pair =
        Pair::new(Functions::new().serve(FAIL, |_call, text: String| -> Outcome<_> { Err(text.into()) }));
    let error = pair.child.call(FAIL, "no such disk".into()).expect_err("it fails");
    assert_eq!(error.to_string(), "fail in child failed: no such disk");
    let error = pair.child.call(FAIL, "x".repeat(20 << 10)).expect_err("it fails");
    assert!(matches!(&error, CallError::Failed { message, .. } if message.len() <= 16 << 10), "{error:?}");
}

#[test]
fn a_handler_returns_a_value_a_result_of_any_error_or_a_result_of_its_own_type() {
    const SIZE: Function<String, u64> = Function::new("size");
    const PORT: Function<String, u16> = Function::new("port");
    const TYPED: Function<u8, Result<u8, String>> = Function::new("typed");
    let functions = Functions::new()
        .serve(SIZE, |_call, path| std::fs::metadata(path).map(|of| of.len()))
        .serve(PORT, |_call, text| -> Outcome<_> { Ok(text.parse::<u16>()?) })
        .serve(TYPED, |_call, n| if n > 0 { Ok(n) } else { Err("zero".to_owned()) });
    let pair = Pair::new(functions);
    assert!(matches!(pair.child.call(SIZE, "/no/such/file".into()), Err(CallError::Failed { .. })));
    assert_eq!(pair.child.call(PORT, "22".into()), Ok(22));
    let error = pair.child.call(PORT, "ssh".into()).expect_err("it is no number").to_string();
    assert_eq!(error, "port in child failed: invalid digit found in string");
    assert_eq!(pair.child.call(TYPED, 0), Ok(Err("zero".to_owned())));
}

/// Panics once more when it is dropped.
struct Twice;

impl Drop for Twice {
    fn drop(&mut self) {
        panic!("and again");
    }
}

#[test]
fn a_panic_that_panics_as_it_is_dropped_is_an_error_and_the_next_call_runs() {
    let functions = arithmetic().serve(PANIC, |_call, _: String| -> () { std::panic::panic_any(Twice) });
    let pair = Pair::new(functions);
    let error = pair.child.with_timeout(SOON).call(PANIC, String::new()).expect_err("it panics");
    assert_eq!(error.to_string(), "panic in child panicked: a panic without a text");
    assert_eq!(pair.child.with_timeout(SOON).call(ADD, (1, 1)), Ok(2));
}

#[test]
fn a_panic_is_an_error_and_the_next_call_runs() {
    let functions = arithmetic().serve(PANIC, |_call, text: String| -> () { std::panic::panic_any(text) });
    let pair = Pair::new(functions);
    let error = pair.child.call(PANIC, "out of cheese".into()).expect_err("it panics");
    assert_eq!(error.to_string(), "panic in child panicked: out of cheese");
    assert_eq!(pair.child.call(ADD, (2, 3)), Ok(5));
}

#[test]
fn an_unknown_function_is_named() {
    let pair = Pair::new(Functions::new());
    let error = pair.child.call(ADD, (2, 3)).expect_err("it is not served");
    assert!(matches!(error, CallError::NoSuchFunction { function: "add", .. }), "{error:?}");
    assert!(!error.may_have_run());
}

#[test]
fn arguments_of_another_type_are_an_error_of_their_own() {
    const OTHER: Function<(i64, i64, i64), i64> = Function::new("add");
    const TEXT: Function<(i64, i64), String> = Function::new("add");
    let pair = Pair::new(arithmetic());
    let error = pair.child.call(OTHER, (1, 2, 3)).expect_err("three are too many");
    assert!(matches!(error, CallError::DecodeArguments { .. }), "{error:?}");
    let error = pair.child.call(TEXT, (1, 2)).expect_err("a number is no text");
    assert!(matches!(error, CallError::DecodeResult { .. }), "{error:?}");
}

/// Says no when it is written.
#[derive(Debug, Deserialize)]
struct Mute;

impl Serialize for Mute {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("mute"))
    }
}

#[test]
fn what_cannot_be_written_is_told_by_the_side_that_cannot_write_it() {
    const TAKE: Function<Mute, ()> = Function::new("take");
    const GIVE: Function<(), Mute> = Function::new("give");
    let pair = Pair::new(Functions::new().serve(TAKE, |_call, _mute| ()).serve(GIVE, |_call, ()| Mute));
    let error = pair.child.call(TAKE, Mute).expect_err("it is not sent");
    assert!(matches!(error, CallError::EncodeArguments { .. }), "{error:?}");
    assert_eq!(error.progress(), Progress::NotSent);
    let error = pair.child.call(GIVE, ()).expect_err("it runs in vain");
    assert!(matches!(error, CallError::EncodeResult { .. }), "{error:?}");
    assert!(error.may_have_run());
}

#[test]
fn a_deadline_ends_the_call_and_the_function_can_see_it() {
    let ((seen, sees), (end, ends)) = (mpsc::channel(), mpsc::channel::<()>());
    let ends = std::sync::Mutex::new(ends);
    let functions = Functions::new().serve(HOLD, move |call, ()| {
        while call.check().is_ok() {
            thread::yield_now();
        }
        seen.send(call.deadline().is_some()).expect("the test waits for it");
        // Not before the caller has given up.
        ends.lock().expect("one call").recv_timeout(SOON).ok();
        0
    });
    let pair = Pair::new(functions);
    let timeout = Duration::from_millis(30);
    let error = pair.child.with_timeout(timeout).call(HOLD, ()).expect_err("it takes for ever");
    assert!(matches!(error, CallError::TimedOut { after, .. } if after == timeout), "{error:?}");
    assert!(error.may_have_run());
    assert_eq!(sees.recv_timeout(SOON), Ok(true));
    drop(end);
}

#[test]
fn a_wait_that_runs_out_cancels_the_call_and_a_look_does_not() {
    let (functions, begun, go) = holding(Policy::Parents);
    let pair = Pair::new(functions);
    let call = pair.child.call_async(HOLD, ());
    begun.recv_timeout(SOON).expect("it runs");
    assert!(!call.is_ready() && !call.ready_timeout(Duration::from_millis(1)));
    go.send(()).expect("it waits");
    assert!(call.ready_timeout(SOON) && call.is_ready());
    assert_eq!(call.wait(), Ok(7));

    let call = pair.child.call_async(HOLD, ());
    begun.recv_timeout(SOON).expect("it runs");
    let error = call.wait_timeout(Duration::from_millis(1)).expect_err("it is not let go");
    assert!(matches!(error, CallError::TimedOut { .. }), "{error:?}");
    go.send(()).expect("it waits");
}

#[test]
fn dropping_a_pending_call_cancels_it_and_detaching_does_not() {
    let (functions, begun, go) = holding(Policy::Parents);
    let (told, tells) = mpsc::channel();
    const TELL: Function<(), ()> = Function::new("tell");
    let functions = functions.serve(TELL, move |_call, ()| told.send(()).map_err(|_| "the test is over"));
    let pair = Pair::new(functions);
    drop(pair.child.call_async(TELL, ()));
    tells.recv_timeout(Duration::from_millis(1)).ok();

    let held = pair.child.call_async(HOLD, ());
    begun.recv_timeout(SOON).expect("it holds the only worker");
    pair.child.call_async(TELL, ()).detach();
    drop(pair.child.call_async(TELL, ()));
    go.send(()).expect("it waits");
    assert_eq!(held.wait(), Ok(7));
    tells.recv_timeout(SOON).expect("the detached one runs");
    assert_eq!(pair.child.call(TELL, ()), Ok(()));
    tells.recv_timeout(SOON).expect("that was the last one");
    assert!(tells.try_recv().is_err(), "the dropped one has run");
}

#[test]
fn a_loss_ends_every_call_and_names_the_context() {
    let (functions, begun, go) = holding(Policy::Parents);
    let pair = Pair::new(functions);
    let running = pair.child.call_async(HOLD, ());
    let lost = pair.child.lost();
    begun.recv_timeout(SOON).expect("it runs");
    pair.cut("exit status 9");
    let error = running.wait_timeout(SOON).expect_err("it is lost");
    assert!(error.is_lost() && error.may_have_run(), "{error:?}");
    assert!(error.to_string().starts_with("child is lost: exit status 9; the call "), "{error}");
    assert_eq!(lost.wait_timeout(SOON), Ok("exit status 9".to_owned()));
    let error = pair.child.call(HOLD, ()).expect_err("it is gone");
    assert!(error.is_lost() && !error.may_have_run(), "{error:?}");
    assert!(!pair.child.is_alive());
    assert!(pair.child.lost().wait_timeout(SOON).is_ok());
    go.send(()).expect("it waits");
}

#[test]
fn the_end_of_the_own_context_ends_every_call() {
    let (functions, begun, go) = holding(Policy::Parents);
    let pair = Pair::new(functions);
    let running = pair.child.call_async(HOLD, ());
    begun.recv_timeout(SOON).expect("it runs");
    pair.stop();
    let error = running.wait_timeout(SOON).expect_err("nobody will read the answer");
    assert!(matches!(error, CallError::Stopped { .. }), "{error:?}");
    go.send(()).expect("it waits");
}

#[test]
fn behind_the_first_failure_of_a_chain_nothing_runs() {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    const STEP: Function<u32, ()> = Function::new("step");
    let pair = Pair::new(Functions::new().serve(STEP, move |_call, step| {
        count.fetch_add(1, Ordering::SeqCst);
        if step == 2 { Err("step 2 is broken") } else { Ok(()) }
    }));
    let chain = pair.child.chain().with_timeout(SOON);
    let steps: Vec<_> = (1..=4).map(|step| chain.call_async(STEP, step)).collect();
    let ends: Vec<_> = steps.into_iter().map(|step| step.wait().map_err(|error| error.to_string())).collect();
    let first = "step in child failed: step 2 is broken";
    let later = format!("not run, since an earlier call of its chain failed: {first}");
    assert_eq!(ends, [Ok(()), Err(first.to_owned()), Err(later.clone()), Err(later.clone())]);
    assert_eq!(chain.call(STEP, 5).map_err(|error| error.to_string()), Err(later));
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(pair.child.chain().call(STEP, 6), Ok(()), "another chain has not failed");
}

/// They would run as if it had.
#[test]
fn what_is_behind_a_call_of_a_chain_that_never_left_does_not_run() {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    const STEP: Function<u32, ()> = Function::new("step");
    const FILL: Function<String, ()> = Function::new("fill");
    let (functions, begun, go) = holding(Policy::Anyone);
    let functions = functions.serve(FILL, |_call, _text| ()).serve(STEP, move |_call, _step| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let pair = Pair::new(functions);
    let holding = pair.child.call_async(HOLD, ());
    begun.recv_timeout(SOON).expect("it runs");
    let [chain, other] = [pair.child.chain(), pair.child.chain()];
    let first = chain.call_async(STEP, 1);
    // More than its window takes while the worker is held: what is behind does not leave.
    let fill: Vec<_> = (0..40).map(|_| pair.child.call_async(FILL, "x".repeat(60_000))).collect();
    let dropped = chain.call_async(STEP, 2);
    let behind = [chain.call_async(STEP, 3), other.call_async(STEP, 4)];
    drop(dropped);
    let later = chain.call_async(STEP, 5);
    go.send(()).expect("it waits");
    assert_eq!(holding.wait_timeout(SOON), Ok(7));
    fill.into_iter().for_each(|call| call.wait_timeout(SOON).expect("there is room again"));
    assert_eq!(first.wait_timeout(SOON), Ok(()), "it left before");
    let [chained, other] = behind.map(|call| call.wait_timeout(SOON).map_err(|error| error.to_string()));
    let later = later.wait_timeout(SOON).map_err(|error| error.to_string());
    let why = "not run, since an earlier call of its chain failed: the call of step in child was cancelled; the call was not sent";
    assert_eq!([chained, later], [(); 2].map(|()| Err(why.to_owned())));
    assert_eq!(other, Ok(()), "another chain has not failed");
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[test]
fn a_call_without_a_reply_runs_in_the_order_of_the_others() {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    const BUMP: Function<(), usize> = Function::new("bump");
    let pair = Pair::new(Functions::new().serve(BUMP, move |_call, ()| count.fetch_add(1, Ordering::SeqCst)));
    for _ in 0..10 {
        pair.child.call_no_reply(BUMP, ()).expect("there is room");
    }
    assert_eq!(pair.child.call(BUMP, ()), Ok(10));
}

#[test]
fn a_handler_knows_where_it_is_and_contexts_travel_by_id() {
    let pair = Pair::new(Functions::new().serve(WHERE, |call, ()| {
        assert_eq!(call.source(), call.root());
        assert_eq!(call.parent(), Some(call.root()));
        (call.function().to_owned(), call.here())
    }));
    let (function, here) = pair.child.call(WHERE, ()).expect("it says");
    assert_eq!((function.as_str(), &here), ("where", &pair.child));
    assert_eq!((here.to_string().as_str(), here.id()), ("child", ContextId::new(1)));
    assert!(pair.child.ping().is_ok_and(|trip| trip < SOON));
}

#[test]
fn a_context_is_not_written_outside_a_message() {
    let pair = Pair::new(Functions::new());
    assert!(offshoot_wire::codec::encode(&pair.child).is_err());
}

#[test]
fn a_pending_that_is_returned_answers_later_and_holds_no_worker() {
    const VIA: Function<(), u32> = Function::new("via");
    let (functions, begun, go) = holding(Policy::Anyone);
    let functions = functions.serve(ADD, |_call, (a, b)| a + b);
    let pair = Pair::new(functions.serve(VIA, |call, ()| call.root().call_async(HOLD, ())));
    let via = pair.child.call_async(VIA, ());
    begun.recv_timeout(SOON).expect("the root holds it");
    assert_eq!(pair.child.with_timeout(SOON).call(ADD, (2, 3)), Ok(5), "the only worker is free");
    assert!(!via.is_ready());
    go.send(()).expect("it waits");
    assert_eq!(via.wait_timeout(SOON), Ok(7));

    let via = pair.child.call_async(VIA, ());
    begun.recv_timeout(SOON).expect("the root holds it");
    drop(go);
    let error = via.wait_timeout(SOON).expect_err("it is let down").to_string();
    assert!(error.starts_with("via in child failed: hold in root failed: "), "{error}");
}

#[test]
fn a_policy_refuses_whom_it_does_not_name_until_he_is_granted() {
    let pair = Pair::new(arithmetic());
    let error = pair.root_from_child.call(ADD, (2, 3)).expect_err("a child is no parent");
    assert!(matches!(error, CallError::Refused { function: "add", .. }), "{error:?}");
    assert!(!error.may_have_run());
    assert_eq!(pair.root.grant(ADD, &pair.child), Ok(()));
    assert_eq!(pair.root_from_child.call(ADD, (2, 3)), Ok(5));
    assert_eq!(pair.child.grant(ADD, &pair.root), Ok(()), "a parent may grant in its child");
}

#[test]
fn a_call_that_would_wait_for_itself_is_refused() {
    const LOOP: Function<(), String> = Function::new("loop");
    let pair = Pair::new(Functions::new().serve_to(Policy::Anyone, LOOP, |call, ()| {
        let error = call.here().call(LOOP, ()).expect_err("the only worker is this one");
        error.to_string()
    }));
    let text = pair.child.with_timeout(SOON).call(LOOP, ()).expect("it is told");
    assert_eq!(
        text,
        "loop in child would wait for itself: its workers wait for this call; give it more `workers`"
    );
}

#[test]
fn a_nested_call_inherits_the_deadline() {
    const LEFT: Function<(), bool> = Function::new("left");
    const NEST: Function<(), bool> = Function::new("nest");
    let functions = Functions::new()
        .serve_to(Policy::Anyone, LEFT, |call, ()| {
            call.deadline().is_some_and(|at| at <= Instant::now() + 2 * SOON)
        })
        .serve_to(Policy::Anyone, NEST, |call, ()| call.here().call(LEFT, ()));
    let pair = Pair::with(functions, Limits::default(), 2);
    assert_eq!(pair.child.with_timeout(SOON).call(NEST, ()), Ok(true));
    assert_eq!(pair.child.call(NEST, ()), Ok(false));
}

#[test]
fn what_is_too_large_is_told_for_a_call_and_for_a_reply() {
    const ECHO: Function<(String, usize), String> = Function::new("echo");
    let limits = Limits { body: 4096, ..Limits::default() };
    let pair = Pair::with(Functions::new().serve(ECHO, |_call, (text, n)| text.repeat(n)), limits, 1);
    let error = pair.child.call(ECHO, ("x".repeat(5000), 1)).expect_err("it is too large to be sent");
    assert!(matches!(error, CallError::TooLarge { progress: Progress::NotSent, .. }), "{error:?}");
    let error = pair.child.call(ECHO, ("x".into(), 5000)).expect_err("the answer is too large");
    assert!(matches!(error, CallError::TooLarge { .. }), "{error:?}");
    assert_eq!(pair.child.call(ECHO, ("x".into(), 3)), Ok("xxx".into()));
}

#[test]
fn cancelling_a_call_cancels_the_one_that_its_handler_passed_it_on_to() {
    const WORK: Function<(), ()> = Function::new("work");
    const PASS: Function<Context, ()> = Function::new("pass");
    let (began, ended) = (Arc::new(Latch::new()), Arc::new(Latch::new()));
    let (begin, end) = (Arc::clone(&began), Arc::clone(&ended));
    let functions = Functions::new()
        .serve_to(Policy::Anyone, PASS, |_call, to: Context| to.call_async(WORK, ()))
        .serve_to(Policy::Anyone, WORK, move |call, ()| {
            begin.put(()).expect("the test waits");
            while !call.is_cancelled() {
                thread::yield_now();
            }
            end.put(()).expect("the test waits");
        });
    let pair = Pair::new(functions);
    let pending = pair.child.call_async(PASS, pair.root.clone());
    began.get_timeout(SOON).expect("the inner call runs");
    drop(pending);
    ended.get_timeout(SOON).expect("the inner call is cancelled with the outer one");
}
