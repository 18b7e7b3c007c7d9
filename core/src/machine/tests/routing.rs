//! Chapter 9 of the protocol: what of the rules of routing every context keeps.

use offshoot_wire::{Dead, DeadCode, DelRoute, Frame, Handle, ReplyTo, Role, StreamHead};

use super::{
    super::{Action, DropKind, Event, Limits, Outcome, Progress},
    bed::{
        ABOVE, Bed, COUSIN, ME, ROOT, THEIRS, call, call_from, caller, dead, decode, encode, frame, handles,
        item, reply,
    },
};

fn lost(ids: &[offshoot_wire::ContextId]) -> Frame {
    let del = DelRoute { ids: ids.to_vec(), top: ids[0], name: "x".into(), reason: "killed".into() };
    frame(ABOVE, ME, Handle::DEL_ROUTE, 0, encode(&del))
}

// protocol 9.1
#[test]
fn a_leaf_takes_what_is_for_itself_and_refuses_the_rest() {
    let mut leaf = Bed::leaf();
    leaf.gets(frame(ROOT, COUSIN, Handle::CALL_FUNCTION, 4000, call("f", &())));
    let said = leaf.says();
    let (told, code) = dead(&said).unwrap();
    assert_eq!((told.src, told.auth, code), (COUSIN, ME, DeadCode::NoRoute));
    assert_eq!(leaf.works(), None);
}

// protocol 9.1
#[test]
fn what_a_context_sends_bears_its_own_id_and_a_parent_drops_what_does_not() {
    let mut leaf = Bed::leaf();
    leaf.calls(COUSIN);
    let said = leaf.says();
    assert_eq!((said[0].src, said[0].auth), (ME, ME));

    let mut hop = Bed::hop();
    let child = hop.child(Role::Leaf);
    let other = hop.child(Role::Leaf);
    let honest = frame(child.peer, ROOT, Handle::CALL_FUNCTION, 4000, call("f", &()));
    for forged in [ROOT, ME, other.peer, COUSIN] {
        hop.hears(child, Frame { src: forged, auth: forged, ..honest.clone() });
        hop.hears(child, Frame { auth: forged, ..honest.clone() });
    }
    assert_eq!(hop.says(), []);
    assert_eq!((hop.dropped(DropKind::Source), hop.dropped(DropKind::Authority)), (4, 4));
}

// protocol 9.2
#[test]
fn a_reply_is_taken_from_the_context_that_was_called_alone() {
    let mut leaf = Bed::leaf();
    let handle = leaf.calls(COUSIN);
    leaf.says();
    assert_eq!(leaf.gets(frame(ROOT, ME, handle, 0, reply(&1))), []);
    assert_eq!(leaf.dropped(DropKind::Respondent), 1);
    let actions = leaf.gets(frame(COUSIN, ME, handle, 0, reply(&2)));
    assert_eq!(actions, [Action::Answer { handle, outcome: Outcome::Reply(reply(&2).into()) }]);
}

// protocol 9.2 and 9.3
#[test]
fn the_handle_of_a_call_that_was_given_up_is_free_when_the_called_context_has_gone() {
    let mut leaf = Bed::leaf();
    let handle = leaf.calls(COUSIN);
    leaf.says();
    leaf.with(|machine, now, out| machine.cancel(now, handle, out));
    assert_eq!(leaf.machine.sizes().handles, 1);
    leaf.gets(lost(&[COUSIN]));
    assert_eq!(leaf.machine.sizes().handles, 0);
}

// protocol 9.3
#[test]
fn the_loss_of_a_context_ends_what_waits_for_it_and_cancels_what_it_asked_for() {
    let mut leaf = Bed::leaf();
    let handle = leaf.calls(COUSIN);
    leaf.says();
    leaf.gets(call_from(COUSIN, 4000, call("open", &())));
    let taken = leaf.with(|machine, now, out| machine.take_call(now, 0, out)).unwrap();
    leaf.gets(call_from(COUSIN, 4001, call("open", &())));
    let actions = leaf.gets(lost(&[COUSIN]));
    let outcome = Outcome::Lost {
        id: COUSIN,
        name: "x".to_owned(),
        reason: "killed".to_owned(),
        progress: Progress::Unknown,
    };
    assert!(actions.contains(&Action::Answer { handle, outcome }), "{actions:?}");
    assert!(actions.contains(&Action::Cancelled(taken.key)), "{actions:?}");
    leaf.with(|machine, now, out| machine.answer(now, taken.key, reply(&()).into(), &[], out));
    leaf.with(|machine, _, _| machine.release_worker(0));
    assert_eq!((leaf.works(), leaf.says(), leaf.machine.sizes().accounts), (None, vec![], 0));
}

// protocol 9.3
#[test]
fn the_loss_of_a_context_cancels_all_of_its_calls_though_they_have_one_handle() {
    let mut leaf = Bed::leaf();
    let keys: Vec<_> = (0..3)
        .map(|_| {
            leaf.gets(call_from(COUSIN, 4000, call("open", &())));
            let taken = leaf.with(|machine, now, out| machine.take_call(now, 0, out)).unwrap();
            leaf.with(|machine, _, _| machine.release_worker(0));
            taken.key
        })
        .collect();
    // One of them is answered, which is not the end of the others.
    leaf.with(|machine, now, out| machine.answer(now, keys[0], reply(&()).into(), &[], out));
    let actions = leaf.gets(lost(&[COUSIN]));
    let cancelled = |key| actions.contains(&Action::Cancelled(key));
    assert!(!cancelled(keys[0]) && cancelled(keys[1]) && cancelled(keys[2]), "{actions:?}");
}

// protocol 9.4
#[test]
fn a_flow_keeps_its_order_and_flows_take_turns() {
    let mut leaf = Bed::leaf();
    let sent: Vec<_> = [ROOT, ROOT, ROOT, COUSIN].map(|dst| (dst, leaf.calls(dst))).into();
    let said: Vec<_> =
        leaf.says().iter().map(|frame| (frame.dst, frame.reply_to.handle().unwrap())).collect();
    let to = |all: &[_], dst| all.iter().filter(|(to, _)| *to == dst).copied().collect::<Vec<_>>();
    assert_eq!(to(&said, ROOT), to(&sent, ROOT));
    let turn = said.iter().position(|(dst, _)| *dst == COUSIN).unwrap();
    assert!(turn <= 2, "the cousin waits for two frames of the root's at most: {said:?}");
}

// protocol 9.4 and 5.5
#[test]
fn the_news_of_a_loss_leaves_behind_what_the_lost_had_sent() {
    let mut hop = Bed::hop();
    let child = hop.child(Role::Leaf);
    let last = frame(child.peer, ROOT, Handle::new(4000), 0, reply(&1));
    hop.hears(child, last.clone());
    let event = Event::LinkDown { link: child, reason: "killed".to_owned() };
    hop.with(|machine, now, out| machine.handle(now, event, out));
    let said = hop.says();
    assert_eq!(handles(&said), [last.handle, Handle::DEL_ROUTE]);
}

// protocol 6.4 and 5.5
#[test]
fn calls_that_wait_for_a_lost_context_are_answered_and_what_else_waits_is_not() {
    let mut hop = Bed::hop();
    let child = hop.child(Role::Leaf);
    hop.gets(frame(ROOT, child.peer, Handle::CALL_FUNCTION, 4000, call("f", &())));
    hop.gets(frame(ROOT, child.peer, Handle::new(4711), 4001, encode(&())));
    let event = Event::LinkDown { link: child, reason: "killed".to_owned() };
    hop.with(|machine, now, out| machine.handle(now, event, out));
    let said = hop.says();
    let (told, code) = dead(&said).unwrap();
    assert_eq!((told.src, told.handle, code), (child.peer, Handle::new(4000), DeadCode::Gone));
}

// protocol 9.5
#[test]
fn a_function_is_run_for_ancestors_unless_its_policy_says_otherwise() {
    let mut leaf = Bed::leaf();
    let mut asked = |src, function| {
        leaf.gets(call_from(src, 4000, call(function, &())));
        leaf.works();
        dead(&leaf.says()).map(|(_, code)| code)
    };
    assert_eq!((asked(ROOT, "f"), asked(ABOVE, "f")), (None, None));
    assert_eq!((asked(COUSIN, "f"), asked(COUSIN, "open")), (Some(DeadCode::Policy), None));
    // It is the authority that counts: an ancestor has stamped this one.
    leaf.gets(Frame { auth: ROOT, ..call_from(COUSIN, 4000, call("f", &())) });
    assert_eq!(leaf.works().as_deref(), Some("f"));
}

// protocol 9.6 and 5.7
#[test]
fn a_parent_is_patient_for_three_pings_and_a_child_for_nine() {
    let mut hop = Bed::hop();
    let child = hop.child(Role::Leaf);
    let pings = |said: &[Frame]| handles(said).iter().filter(|handle| **handle == Handle::PING).count();
    let up = hop.up;
    // It hears from above all the time.
    for _ in 0..3 {
        assert_eq!(hop.pass(10_000), []);
        hop.with(|machine, now, _| machine.heard(now, up));
    }
    assert_eq!(pings(&hop.says_to(child)), 3);
    let actions = hop.pass(10_000);
    assert!(matches!(&actions[..], [Action::Cut(link, _)] if *link == child), "{actions:?}");

    let mut leaf = Bed::leaf();
    assert_eq!(leaf.pass(99_999), []);
    assert_eq!(pings(&leaf.says()), 9);
    let actions = leaf.pass(1);
    assert!(matches!(&actions[..], [Action::Cut(link, _)] if *link == leaf.up), "{actions:?}");
}

// protocol 9.6
#[test]
fn a_context_that_has_lost_its_parent_is_told_and_everything_above_is_lost_with_it() {
    let mut leaf = Bed::leaf();
    let handle = leaf.calls(COUSIN);
    leaf.says();
    let event = Event::LinkDown { link: leaf.up, reason: "closed".to_owned() };
    leaf.with(|machine, now, out| machine.handle(now, event, out));
    let actions = leaf.actions();
    assert!(
        matches!(&actions[..], [Action::Answer { handle: ended, outcome: Outcome::Lost { .. } }, Action::ParentLost(_)] if *ended == handle),
        "{actions:?}"
    );
}

// protocol 5.5
#[test]
fn news_of_losses_leave_in_the_order_of_the_losses() {
    let mut hop = Bed::hop();
    let (first, second) = (hop.child(Role::Leaf), hop.child(Role::Leaf));
    hop.hears(first, frame(first.peer, ROOT, THEIRS, 0, reply(&())));
    for link in [first, second] {
        hop.with(|machine, now, out| {
            machine.handle(now, Event::LinkDown { link, reason: "lost".to_owned() }, out);
        });
    }
    let said = hop.says();
    assert_eq!(handles(&said), [THEIRS, Handle::DEL_ROUTE, Handle::DEL_ROUTE]);
    assert_eq!(decode::<DelRoute>(&said[1]).top, first.peer);
}

// protocol 6.4
#[test]
fn an_answer_that_cannot_be_passed_on_does_not_look_like_a_call_that_did_not_run() {
    let mut hop = Bed::hop_with(Limits { downlink: 200, ..Limits::default() });
    let child = hop.child(Role::Leaf);
    for _ in 0..2 {
        hop.gets(frame(ROOT, child.peer, THEIRS, 0, reply(&"x".repeat(100))));
    }
    let said = hop.says_to(child);
    let (told, code) = dead(&said).unwrap();
    assert_eq!((told.src, told.handle, code), (ROOT, THEIRS, DeadCode::Unanswered));
    let mut leaf = Bed::leaf();
    let waits = leaf.calls(COUSIN);
    leaf.says();
    let unanswered = Dead { code: DeadCode::Unanswered, text: "too much waits".to_owned() };
    let told =
        Frame { auth: ABOVE, reply_to: ReplyTo::Dead, ..frame(COUSIN, ME, waits, 0, encode(&unanswered)) };
    match &leaf.gets(told)[..] {
        [Action::Answer { outcome: Outcome::Dead { progress, .. }, .. }] => {
            assert_eq!(*progress, Progress::Unknown);
        }
        other => panic!("{other:?}"),
    }
}

// protocol 8.2
#[test]
fn what_takes_no_credit_passes_where_too_much_waits() {
    let mut hop = Bed::hop_with(Limits { downlink: 4000, ..Limits::default() });
    let child = hop.child(Role::Leaf);
    hop.gets(frame(ROOT, child.peer, THEIRS, 0, reply(&"x".repeat(4000))));
    let refusal = Dead { code: DeadCode::Policy, text: "no".to_owned() };
    let to_child = |handle, reply_to, body: Vec<u8>| frame(COUSIN, child.peer, handle, reply_to, body);
    let told = Frame { reply_to: ReplyTo::Dead, ..to_child(THEIRS, 0, encode(&refusal)) };
    let words = [
        told.clone(),
        to_child(Handle::CANCEL, 0, encode(&caller(COUSIN, THEIRS))),
        to_child(THEIRS, 4000, encode(&StreamHead::Close)),
    ];
    for word in &words {
        hop.gets(word.clone());
    }
    hop.gets(to_child(THEIRS, 4000, item(&1)));
    let said = hop.says_to(child);
    assert!(words.iter().all(|word| said.contains(word)), "{said:?}");
    assert_eq!(hop.dropped(DropKind::Congested), 1);
    hop.gets(frame(ROOT, child.peer, THEIRS, 0, reply(&"x".repeat(4000))));
    // But not so many that they cost the child its link.
    for _ in 0..20 {
        assert_eq!(hop.gets(told.clone()), []);
    }
    assert!(hop.dropped(DropKind::Congested) > 1);
}

// protocol 6.4
#[test]
fn answers_that_nobody_asked_for_do_not_cost_their_destination_its_link() {
    let mut hop = Bed::hop_with(Limits { downlink: 1000, ..Limits::default() });
    let (hostile, victim) = (hop.child(Role::Leaf), hop.child(Role::Leaf));
    for _ in 0..50 {
        assert_eq!(hop.hears(hostile, frame(hostile.peer, victim.peer, THEIRS, 0, reply(&()))), []);
    }
}

// protocol 7.3
#[test]
fn a_stream_does_not_end_cleanly_behind_an_item_that_was_dropped_on_its_way() {
    let mut hop = Bed::hop_with(Limits { downlink: 4000, ..Limits::default() });
    let child = hop.child(Role::Leaf);
    hop.gets(frame(ROOT, child.peer, Handle::new(4001), 0, reply(&"x".repeat(4000))));
    let close = frame(COUSIN, child.peer, THEIRS, 4000, encode(&StreamHead::Close));
    hop.gets(frame(COUSIN, child.peer, THEIRS, 4000, item(&1)));
    hop.gets(close.clone());
    let said: Vec<Frame> = hop.says_to(child).into_iter().filter(|frame| frame.handle == THEIRS).collect();
    let (told, code) = dead(&said).unwrap();
    assert_eq!((told.src, code), (COUSIN, DeadCode::Congested));
    assert_eq!(said, [told.clone(), close]);
    assert_eq!(dead(&hop.says()).map(|(told, _)| told.dst), Some(COUSIN));
}
