//! Chapter 6 of the protocol: calls, replies, dead messages.

use offshoot_wire::{
    CallHead, CallId, ContextId, Credit, Dead, DeadCode, DelRoute, Direction, Failed, Frame, Handle,
    ReplyHead, ReplyTo, Role, StreamHead, Window, codec,
};

use super::{
    super::{Action, DropKind, Event, Limits, Outcome, Outgoing, Progress, Tick},
    bed::{
        ABOVE, Bed, COUSIN, ME, ROOT, THEIRS, call, call_from, caller, dead, decode, encode, end_of, frame,
        handles, head, pieces, reply, with_head,
    },
};

fn reply_head(frame: &Frame) -> ReplyHead {
    codec::decode_prefix(&frame.body, 4096).unwrap().0
}

// protocol 6.1
#[test]
fn a_call_is_what_its_head_says_and_its_argument_follows_directly() {
    let mut leaf = Bed::leaf();
    let outer = caller(COUSIN, THEIRS);
    let head = CallHead { left_ms: Some(5000), above: vec![outer], ..head("f") };
    assert_eq!(leaf.gets(call_from(ROOT, 4001, with_head(&head, &(2, 3)))), [Action::CallReady]);
    let taken = leaf.with(|machine, now, out| machine.take_call(now, 0, out)).unwrap();
    assert_eq!((taken.name.as_str(), taken.src, taken.wants_reply), ("f", ROOT, true));
    assert_eq!(codec::decode::<(u8, u8)>(&taken.body[taken.args_at..], 64), Ok((2, 3)));
    assert_eq!(taken.deadline, Some(Tick(5000)));
    assert_eq!(taken.above, [outer, caller(ROOT, Handle::new(4001))]);
}

// protocol 6.1 and 6.2
#[test]
fn nobody_is_answered_where_nobody_waits() {
    let mut leaf = Bed::leaf();
    leaf.gets(call_from(ROOT, 0, call("f", &())));
    assert_eq!(leaf.works().as_deref(), Some("f"));
    assert_eq!(leaf.says(), []);
}

// protocol 6.1
#[test]
fn a_call_whose_deadline_has_passed_is_not_run() {
    let mut leaf = Bed::leaf();
    leaf.gets(call_from(ROOT, 4000, with_head(&CallHead { left_ms: Some(50), ..head("f") }, &())));
    leaf.pass(50);
    assert_eq!(leaf.works(), None);
    assert_eq!(dead(&leaf.says()).map(|(_, code)| code), Some(DeadCode::TooLate));
}

// protocol 6.1
#[test]
fn a_call_that_would_wait_for_a_worker_that_waits_for_it_is_refused() {
    let mut leaf = Bed::leaf();
    leaf.gets(call_from(ROOT, 4000, call("f", &())));
    leaf.with(|machine, now, out| machine.take_call(now, 0, out)).unwrap();
    let below = |outer: u32| CallHead { above: vec![caller(ROOT, Handle::new(outer))], ..head("open") };
    leaf.gets(call_from(COUSIN, 4000, with_head(&below(4000), &())));
    let said = leaf.says();
    let (told, code) = dead(&said).unwrap();
    assert_eq!((told.dst, code), (COUSIN, DeadCode::WouldWait));
    // One that hangs on another call only waits.
    assert_eq!(leaf.gets(call_from(COUSIN, 4001, with_head(&below(4711), &()))), [Action::CallReady]);
}

// protocol 6.1 and 6.5
#[test]
fn calls_of_a_chain_behind_one_that_failed_fail_too_until_the_chain_ends() {
    let mut leaf = Bed::leaf();
    let chained =
        |reply_to| call_from(ROOT, reply_to, with_head(&CallHead { chain: Some(3), ..head("f") }, &()));
    leaf.gets(chained(4000));
    let first = leaf.with(|machine, now, out| machine.take_call(now, 0, out)).unwrap();
    leaf.with(|machine, now, out| machine.fail(now, first.key, Failed::Error, "no".to_owned(), out));
    leaf.with(|machine, _, _| machine.release_worker(0));
    leaf.says();
    leaf.gets(chained(4001));
    assert_eq!(leaf.works(), None);
    let said = leaf.says();
    assert!(matches!(reply_head(&said[0]), ReplyHead::Failed(Failed::Chain, _)), "{said:?}");
    leaf.gets(frame(ROOT, ME, Handle::CHAIN_END, 0, encode(&3_u32)));
    leaf.gets(chained(4002));
    assert_eq!(leaf.works().as_deref(), Some("f"));
}

/// In its place one leaves whose time is over.
// protocol 6.5
#[test]
fn what_is_behind_a_call_of_a_chain_that_is_taken_back_before_it_leaves_is_not_run() {
    let mut leaf = Bed::leaf_with(Limits { window_start: 150, ..Limits::default() });
    let chained = |text: &str| with_head(&CallHead { chain: Some(3), ..head("f") }, &text);
    // Its window is full.
    leaf.calls(ROOT);
    leaf.says();
    let long = "x".repeat(200);
    let [_, second, third] = [1, 2, 3].map(|_| leaf.calls_with(ROOT, chained(&long), None).unwrap());
    leaf.with(|machine, now, out| assert_eq!(machine.cancel(now, second, out), Progress::NotSent));
    leaf.is_counted();
    let credit = Credit { window: Window::Calls, bytes: 16_384 };
    leaf.gets(frame(ROOT, ME, Handle::CREDIT, 0, encode(&credit)));
    let said = leaf.says();
    let [first, mark, last] = &said[..] else { panic!("{said:?}") };
    assert_eq!((first.body.len(), last.body.len()), (chained(&long).len(), chained(&long).len()));
    assert_eq!((mark.reply_to, last.reply_to), (ReplyTo::Nobody, ReplyTo::Handle(third)));
    let (head, at) = codec::decode_prefix::<CallHead>(&mark.body, 4096).unwrap();
    assert_eq!((head.left_ms, head.chain, &mark.body[at..]), (Some(0), Some(3), &[0xf6][..]));

    let mut callee = Bed::leaf();
    callee.gets(call_from(ROOT, 0, mark.body.to_vec()));
    callee.gets(call_from(ROOT, 4000, chained("")));
    assert_eq!(callee.works(), None);
    assert!(matches!(reply_head(&callee.says()[0]), ReplyHead::Failed(Failed::Chain, _)));
}

/// It is short, and may leave where what it stands for could not.
// protocol 6.5
#[test]
fn what_leaves_in_the_place_of_a_call_that_waits_for_credit_needs_no_more_than_its_own() {
    let mut leaf = Bed::leaf_with(Limits { window_start: 300, ..Limits::default() });
    let chained = with_head(&CallHead { chain: Some(3), ..head("f") }, &"x".repeat(200));
    leaf.calls(ROOT);
    let first = leaf.calls_with(ROOT, chained.clone(), None).unwrap();
    leaf.calls_with(ROOT, chained, None).unwrap();
    assert_eq!(leaf.says().len(), 1, "there is credit for one");
    leaf.with(|machine, now, out| assert_eq!(machine.cancel(now, first, out), Progress::NotSent));
    leaf.is_counted();
    let [mark] = &leaf.says()[..] else { panic!("it waits") };
    assert_eq!(mark.reply_to, ReplyTo::Nobody);
}

// protocol 6.5
#[test]
fn one_frame_stands_for_all_calls_of_a_chain_that_are_taken_back() {
    let mut leaf = Bed::leaf();
    let chained = |chain| with_head(&CallHead { chain: Some(chain), ..head("f") }, &());
    let calls = [3, 4, 3, 3].map(|chain| leaf.calls_with(ROOT, chained(chain), None).unwrap());
    for call in calls {
        leaf.with(|machine, now, out| assert_eq!(machine.cancel(now, call, out), Progress::NotSent));
    }
    leaf.is_counted();
    let said = leaf.says();
    let chain = |mark: &Frame| codec::decode_prefix::<CallHead>(&mark.body, 4096).unwrap().0.chain;
    assert_eq!(said.iter().map(chain).collect::<Vec<_>>(), [Some(3), Some(4)]);
}

// protocol 6.5
#[test]
fn who_is_ending_leaves_nothing_in_the_place_of_a_call_with_none_behind_it() {
    let mut leaf = Bed::leaf();
    let chained = with_head(&CallHead { chain: Some(3), ..head("f") }, &());
    let [first, second, third] = [1, 2, 3].map(|_| leaf.calls_with(ROOT, chained.clone(), None).unwrap());
    leaf.with(|machine, now, out| machine.shutdown(now, 1000, out));
    for call in [first, third] {
        leaf.with(|machine, now, out| assert_eq!(machine.cancel(now, call, out), Progress::NotSent));
    }
    let said = leaf.says();
    let calls = said.iter().filter(|frame| frame.handle == Handle::CALL_FUNCTION).map(|call| call.reply_to);
    assert_eq!(calls.collect::<Vec<_>>(), [ReplyTo::Nobody, ReplyTo::Handle(second)]);
}

/// CHAIN_END comes behind the calls of a chain, and these may wait and run for long.
// protocol 6.5
#[test]
fn what_became_of_a_chain_is_known_until_the_last_call_of_it_has_ended() {
    let mut leaf = Bed::leaf();
    let chained = || call_from(ROOT, 0, with_head(&CallHead { chain: Some(3), ..head("f") }, &()));
    let over = frame(ROOT, ME, Handle::CHAIN_END, 0, encode(&3_u32));
    let takes = |leaf: &mut Bed<_>| leaf.with(|machine, now, out| machine.take_call(now, 0, out));
    let fails = |leaf: &mut Bed<_>, key| {
        leaf.with(|machine, now, out| machine.fail(now, key, Failed::Error, "no".to_owned(), out));
        leaf.with(|machine, _, _| machine.release_worker(0));
    };
    // It ends while its only call runs.
    leaf.gets(chained());
    let only = takes(&mut leaf).unwrap();
    leaf.gets(over.clone());
    fails(&mut leaf, only.key);
    assert_eq!(leaf.machine.sizes().chains, 0);
    // It ends while a call of it waits behind one that has failed.
    leaf.gets(chained());
    leaf.gets(chained());
    let first = takes(&mut leaf).unwrap();
    leaf.gets(over);
    fails(&mut leaf, first.key);
    assert_eq!(leaf.works(), None, "the call in front of it has failed");
    assert_eq!(leaf.machine.sizes().chains, 0);
    // Its caller is lost while a call of it runs.
    leaf.gets(call_from(COUSIN, 0, with_head(&CallHead { chain: Some(3), ..head("open") }, &0)));
    let last = takes(&mut leaf).unwrap();
    let del = DelRoute { ids: vec![COUSIN], top: COUSIN, name: "c".into(), reason: "killed".into() };
    leaf.gets(frame(ABOVE, ME, Handle::DEL_ROUTE, 0, encode(&del)));
    fails(&mut leaf, last.key);
    assert_eq!(leaf.machine.sizes().chains, 0);
}

/// What is refused before it is charged may come in the name of one who was lost below.
#[test]
fn no_chain_of_the_lost_is_remembered() {
    let mut hop = Bed::hop();
    let child = hop.child(Role::Leaf);
    let down = Event::LinkDown { link: child, reason: "lost".to_owned() };
    hop.with(|machine, now, out| machine.handle(now, down, out));
    hop.with(|machine, _, _| machine.fail_chain(child.peer, Some(1), "refused"));
    assert_eq!(hop.machine.sizes().chains, 0);
}

// protocol 6.2
#[test]
fn a_call_is_answered_once_to_the_handle_that_waits_cancelled_or_not() {
    let mut leaf = Bed::leaf();
    leaf.gets(call_from(ROOT, 4000, call("f", &())));
    let taken = leaf.with(|machine, now, out| machine.take_call(now, 0, out)).unwrap();
    let cancel = frame(ROOT, ME, Handle::CANCEL, 0, encode(&caller(ROOT, THEIRS)));
    assert_eq!(leaf.gets(cancel.clone()), [Action::Cancelled(taken.key)]);
    assert_eq!(leaf.gets(cancel), []);
    for _ in 0..2 {
        leaf.with(|machine, now, out| machine.answer(now, taken.key, reply(&5).into(), &[], out));
    }
    assert_eq!(leaf.says(), [frame(ME, ROOT, THEIRS, 0, reply(&5))]);
}

// protocol 6.3
#[test]
fn the_news_that_a_call_runs_is_sent_once_and_only_for_one_that_takes_long() {
    let mut leaf = Bed::leaf();
    leaf.gets(call_from(ROOT, 4000, call("f", &())));
    leaf.with(|machine, now, out| machine.take_call(now, 0, out)).unwrap();
    leaf.pass(19);
    assert_eq!(leaf.says(), []);
    leaf.pass(1);
    assert_eq!(leaf.says(), [frame(ME, ROOT, THEIRS, 0, encode(&ReplyHead::Started))]);
    leaf.pass(60_000);
    assert_eq!(handles(&leaf.says()).iter().filter(|handle| **handle == THEIRS).count(), 0);
}

// protocol 6.3
#[test]
fn the_news_that_a_call_runs_is_no_answer() {
    let mut leaf = Bed::leaf();
    let handle = leaf.calls(ROOT);
    leaf.says();
    assert_eq!(leaf.gets(frame(ROOT, ME, handle, 0, encode(&ReplyHead::Started))), []);
    assert_eq!(leaf.machine.progress(handle), Progress::Started);
    let actions = leaf.gets(frame(ROOT, ME, handle, 0, reply(&5)));
    assert_eq!(actions, [Action::Answer { handle, outcome: Outcome::Reply(reply(&5).into()) }]);
}

// protocol 6.4
#[test]
fn who_finds_out_answers_in_the_name_of_the_destination() {
    let mut hop = Bed::hop();
    let nobody = ContextId::new(1999);
    let to = |dst, handle, reply_to| frame(ROOT, dst, handle, reply_to, call("f", &()));
    for (frame, expected) in [
        (to(nobody, Handle::CALL_FUNCTION, 4000), DeadCode::NoRoute),
        (to(ME, Handle::new(4711), 4000), DeadCode::NoHandle),
    ] {
        hop.gets(frame.clone());
        let said = hop.says();
        let (told, code) = dead(&said).unwrap();
        assert_eq!((told.dst, told.src, told.auth), (frame.src, frame.dst, ME));
        assert_eq!((told.handle, told.reply_to, code), (THEIRS, ReplyTo::Dead, expected));
    }
    hop.gets(to(nobody, Handle::CALL_FUNCTION, 0));
    assert_eq!(dead(&hop.says()), None, "nobody waits for an answer");
}

// protocol 6.4
#[test]
fn a_dead_message_causes_no_other_and_is_taken_from_the_respondent_alone() {
    let mut leaf = Bed::leaf();
    let handle = leaf.calls(ROOT);
    leaf.says();
    let body = encode(&Dead::new(DeadCode::Policy, "no"));
    let dead = |src, dst, handle| frame(src, dst, handle, 999, body.clone());
    for lost in [
        dead(ROOT, ContextId::new(77), THEIRS),
        dead(ROOT, ME, THEIRS),
        dead(ROOT, ME, Handle::CALL_FUNCTION),
        dead(COUSIN, ME, handle),
    ] {
        assert_eq!((leaf.gets(lost), leaf.says()), (vec![], vec![]));
    }
    // Whoever made it, it speaks as the one that was called.
    let actions = leaf.gets(Frame { auth: COUSIN, ..dead(ROOT, ME, handle) });
    let [Action::Answer { outcome: Outcome::Dead { dead, by, progress }, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!((dead.code, *by, *progress), (DeadCode::Policy, COUSIN, Progress::Undelivered));
}

// protocol 6.4
#[test]
fn of_a_body_in_pieces_one_is_answered() {
    let mut leaf = Bed::leaf();
    let lost = frame(ROOT, ME, Handle::new(4711), 4000, vec![0; 9000]);
    for piece in pieces(&lost, 1000) {
        leaf.gets(piece);
    }
    assert_eq!(dead(&leaf.says()).map(|(_, code)| code), Some(DeadCode::NoHandle));
}

// protocol 6.5
#[test]
fn a_cancel_names_its_call_and_follows_it() {
    let mut leaf = Bed::leaf();
    let handle = leaf.calls(ROOT);
    leaf.says();
    leaf.with(|machine, now, out| machine.cancel(now, handle, out));
    let said = leaf.says();
    assert_eq!((handles(&said), said[0].reply_to), (vec![Handle::CANCEL], ReplyTo::Nobody));
    assert_eq!(decode::<CallId>(&said[0]), caller(ME, handle));
    // Of a call that has not left there is nothing to cancel.
    let unsent = leaf.calls(ROOT);
    assert_eq!(leaf.with(|machine, now, out| machine.cancel(now, unsent, out)), Progress::NotSent);
    assert_eq!(leaf.says(), []);
}

// protocol 6.5 and 6.2
#[test]
fn a_call_that_is_cancelled_before_it_runs_is_answered_as_cancelled() {
    let mut leaf = Bed::leaf();
    leaf.gets(call_from(ROOT, 4000, call("f", &())));
    let cancel = |src| frame(src, ME, Handle::CANCEL, 0, encode(&caller(ROOT, THEIRS)));
    leaf.gets(cancel(COUSIN));
    assert_eq!((leaf.says(), leaf.dropped(DropKind::Source)), (vec![], 1));
    leaf.gets(cancel(ROOT));
    assert_eq!(dead(&leaf.says()).map(|(_, code)| code), Some(DeadCode::Cancelled));
    assert_eq!(leaf.works(), None);
}

/// Nobody whose calls have an end each does that.
// protocol 6.2 and 6.5
#[test]
fn calls_with_one_reply_handle_are_each_answered_and_a_cancel_means_the_last() {
    let cancel = frame(COUSIN, ME, Handle::CANCEL, 0, encode(&caller(COUSIN, THEIRS)));
    let called = |times| {
        let mut leaf = Bed::leaf();
        for _ in 0..times {
            leaf.gets(call_from(COUSIN, 4000, call("open", &())));
        }
        assert_eq!(leaf.machine.sizes().calls, times);
        leaf
    };
    let mut leaf = called(3);
    leaf.gets(cancel.clone());
    assert_eq!(dead(&leaf.says()).map(|(_, code)| code), Some(DeadCode::Cancelled));
    // Nobody can name the earlier ones any more, and they run.
    leaf.gets(cancel.clone());
    assert_eq!(leaf.says(), []);
    assert_eq!([leaf.works(), leaf.works(), leaf.works()], [Some("open".into()), Some("open".into()), None]);
    assert_eq!((handles(&leaf.says()), leaf.machine.sizes().calls), (vec![THEIRS, THEIRS], 0));
    // The first one is answered, and the last one still has its name.
    let mut leaf = called(2);
    assert_eq!(leaf.works().as_deref(), Some("open"));
    leaf.says();
    leaf.gets(cancel);
    assert_eq!(dead(&leaf.says()).map(|(_, code)| code), Some(DeadCode::Cancelled));
    assert_eq!((leaf.works(), leaf.machine.sizes().calls), (None, 0));
    // All go with their caller, and nobody else's.
    let mut leaf = called(2);
    leaf.gets(call_from(ROOT, 4000, call("f", &())));
    let del = DelRoute { ids: vec![COUSIN], top: COUSIN, name: "c".into(), reason: "killed".into() };
    leaf.gets(frame(ABOVE, ME, Handle::DEL_ROUTE, 0, encode(&del)));
    assert_eq!((leaf.machine.sizes().calls, leaf.works().as_deref()), (1, Some("f")));
}

// protocol 6.5
#[test]
fn a_call_that_is_cancelled_while_it_still_arrives_is_answered_too() {
    let mut leaf = Bed::leaf();
    let long = call_from(ROOT, 4000, call("f", &"x".repeat(9000)));
    leaf.gets(pieces(&long, 4000)[0].clone());
    leaf.gets(frame(ROOT, ME, Handle::CANCEL, 0, encode(&caller(ROOT, THEIRS))));
    assert_eq!(dead(&leaf.says()).map(|(_, code)| code), Some(DeadCode::Cancelled));
}

/// The root hands on an end that was made elsewhere, in a call of a chain.
// protocol 6.1, 6.5 and 7.1
#[test]
fn a_call_that_is_cancelled_while_it_still_arrives_fails_its_chain_and_its_ends_are_refused() {
    let ends = vec![end_of(COUSIN, 4001, Direction::Sends), end_of(ROOT, 4002, Direction::Sends)];
    let chained = |ends| CallHead { chain: Some(7), ends, ..head("f") };
    let whole = call_from(ROOT, 4000, with_head(&chained(ends), &"x".repeat(9000)));
    let mut leaf = Bed::leaf();
    leaf.gets(pieces(&whole, 4000)[0].clone());
    leaf.gets(frame(ROOT, ME, Handle::CANCEL, 0, encode(&caller(ROOT, THEIRS))));
    let said = leaf.says();
    let told = said.iter().filter(|frame| frame.is_dead());
    let told: Vec<_> = told.map(|frame| (frame.dst, frame.handle, decode::<Dead>(frame).code)).collect();
    // The root closes its own when it learns that the call was cancelled.
    let refused = (COUSIN, Handle::new(4001), DeadCode::Gone);
    assert_eq!(told, [refused, (ROOT, THEIRS, DeadCode::Cancelled)]);
    leaf.gets(call_from(ROOT, 4003, with_head(&chained(vec![]), &())));
    assert_eq!(leaf.works(), None, "the call in front of it was cancelled");
}

// protocol 6.6 and 9.5
#[test]
fn a_grant_of_an_ancestor_lets_a_context_call_a_function() {
    let mut leaf = Bed::leaf();
    let cousin_calls = |leaf: &mut Bed<_>| {
        leaf.gets(call_from(COUSIN, 4000, call("f", &())));
        leaf.works();
        dead(&leaf.says()).map(|(_, code)| code)
    };
    let grant = |src| frame(src, ME, Handle::GRANT, 4000, call("whatever", &("f", COUSIN)));
    leaf.gets(grant(COUSIN));
    assert_eq!(dead(&leaf.says()).map(|(_, code)| code), Some(DeadCode::Policy));
    assert_eq!(cousin_calls(&mut leaf), Some(DeadCode::Policy));
    leaf.gets(grant(ROOT));
    assert_eq!(leaf.says(), [frame(ME, ROOT, THEIRS, 0, reply(&()))]);
    assert_eq!(cousin_calls(&mut leaf), None);
}

// protocol 6.6
#[test]
fn ancestors_have_children_made_by_contexts_that_can_have_some() {
    let create = |src| frame(src, ME, Handle::CREATE_CHILD, 4000, call("", &()));
    let mut hop = Bed::hop();
    hop.gets(create(COUSIN));
    assert_eq!(dead(&hop.says()).map(|(_, code)| code), Some(DeadCode::Policy));
    assert!(matches!(&hop.gets(create(ROOT))[..], [Action::Service(_)]));
    let mut leaf = Bed::leaf();
    leaf.gets(create(ABOVE));
    let said = leaf.says();
    let (told, code) = dead(&said).unwrap();
    let text = decode::<Dead>(told).text;
    assert!(code == DeadCode::NoHandle && text.contains("parent payload"), "{code:?}: {text}");
}

// protocol 6.7
#[test]
fn records_go_to_the_root_and_to_no_other_context() {
    let mut hop = Bed::hop();
    let child = hop.child(Role::Leaf);
    let record = |dst| frame(child.peer, dst, Handle::FORWARD_LOG, 0, encode(&(3, "app", "ready")));
    hop.hears(child, record(ROOT));
    assert_eq!(hop.says(), [record(ROOT)]);
    assert_eq!(hop.hears(child, record(ME)), []);
    assert_eq!(hop.dropped(DropKind::NoHandle), 1);
}

// protocol 6.2
#[test]
fn a_call_to_a_mailbox_is_answered_as_one_to_a_function_is() {
    let mut leaf = Bed::leaf();
    let ping = Outgoing {
        dst: ROOT,
        handle: Handle::PING,
        body: call("", &()).into(),
        deadline: None,
        ends: Vec::new(),
    };
    let handle = leaf.with(|machine, now, out| machine.call(now, ping, out)).unwrap();
    leaf.says();
    let actions = leaf.gets(frame(ROOT, ME, handle, 0, reply(&())));
    assert_eq!(actions, [Action::Answer { handle, outcome: Outcome::Reply(reply(&()).into()) }]);
}

// protocol 6.1
#[test]
fn calls_run_once_each_in_the_order_of_their_arrival_though_one_before_them_was_cancelled() {
    let mut leaf = Bed::leaf();
    for reply_to in [4000, 4001] {
        leaf.gets(call_from(ROOT, reply_to, call("f", &())));
    }
    let cancelled = encode(&caller(ROOT, Handle::new(4000)));
    leaf.gets(frame(ROOT, ME, Handle::CANCEL, 0, cancelled));
    leaf.gets(call_from(ROOT, 4002, call("open", &())));
    let ran: Vec<String> = std::iter::from_fn(|| leaf.works()).collect();
    assert_eq!(ran, ["f", "open"]);
}

// protocol 6.4
#[test]
fn what_has_not_left_of_a_call_that_was_refused_never_leaves() {
    let mut leaf = Bed::leaf();
    let waits = leaf.calls_with(ROOT, call("f", &"x".repeat(100_000)), None).unwrap();
    leaf.says();
    let refusal = Dead { code: DeadCode::Policy, text: "no".to_owned() };
    let refused = Frame { reply_to: ReplyTo::Dead, ..frame(ROOT, ME, waits, 0, encode(&refusal)) };
    assert!(matches!(leaf.gets(refused)[..], [Action::Answer { .. }]));
    let credit = Credit { window: Window::Calls, bytes: 16_384 };
    leaf.gets(frame(ROOT, ME, Handle::CREDIT, 0, encode(&credit)));
    assert_eq!(leaf.says(), []);
}

// protocol 6.5
#[test]
fn a_call_that_has_not_left_is_taken_back_though_its_handle_was_that_of_a_stream() {
    let mut leaf = Bed::leaf_with(Limits { window_start: 150, ..Limits::default() });
    // Its window is full.
    leaf.calls(ROOT);
    leaf.calls_with(ROOT, call("f", &"x".repeat(200)), None).unwrap();
    leaf.says();
    let stream = leaf.machine.export(COUSIN, Direction::Receives);
    leaf.gets(frame(COUSIN, ME, stream, THEIRS.number(), encode(&StreamHead::Close)));
    leaf.with(|machine, _, out| machine.stream_close(stream, None, out));
    let waits = leaf.calls(ROOT);
    assert_eq!(waits, stream);
    assert_eq!(handles(&leaf.says()), [THEIRS], "the close of the stream, and no call");
    assert_eq!(leaf.with(|machine, now, out| machine.cancel(now, waits, out)), Progress::NotSent);
}
