//! What callers may have waiting here, all together that come by one link, and what nobody will read.

use offshoot_wire::{
    Blob, CallHead, ContextId, Credit, Dead, DeadCode, DelRoute, Direction, Failed, Frame, Handle, Part,
    ReplyHead, ReplyTo, StreamHead, Window, codec,
};

use super::{
    super::{Action, DropKind, Limits, Progress, Routes},
    bed::{
        ABOVE, Bed, COUSIN, FIRST, ME, ROOT, THEIRS, call, call_from, dead, end_of, frame, head, item,
        pieces, reply, with_head,
    },
};

/// One of very many contexts on other branches of the tree.
fn other(n: u32) -> ContextId {
    ContextId::new(100 + n)
}

fn ping(src: ContextId, reply_to: u32) -> Frame {
    frame(src, ME, Handle::PING, reply_to, Vec::new())
}

/// The codes of the dead messages in what is said.
fn refusals(leaf: &mut Bed<impl Routes>) -> Vec<DeadCode> {
    leaf.says()
        .iter()
        .filter(|frame| frame.is_dead())
        .filter_map(|frame| Some(dead(std::slice::from_ref(frame))?.1))
        .collect()
}

// protocol 8.3; attack 45
#[test]
fn who_asks_and_takes_no_answers_is_refused_at_last_and_nobody_else() {
    let mut leaf = Bed::leaf_with(Limits { window_start: 600, downlink: 8000, ..Limits::default() });
    let mut said = Vec::new();
    for n in 0..100 {
        leaf.gets(ping(COUSIN, 4000 + n));
        said.extend(refusals(&mut leaf));
    }
    assert!(said.len() > 50 && said.iter().all(|code| *code == DeadCode::Congested), "{said:?}");
    let waits = leaf.machine.sizes().data_bytes;
    assert!((6000..10_000).contains(&waits), "{waits} bytes wait");
    for src in [ROOT, other(1)] {
        leaf.gets(ping(src, 4000));
        let answers = leaf.says().into_iter().filter(|frame| frame.dst == src && frame.handle == THEIRS);
        assert_eq!(answers.map(|frame| frame.is_dead()).collect::<Vec<_>>(), [false], "{src}");
    }
    // Once it takes them it may ask again.
    leaf.gets(frame(COUSIN, ME, Handle::CREDIT, 0, credit(100_000)));
    assert_eq!(
        leaf.says().iter().filter(|frame| frame.dst == COUSIN && frame.handle != Handle::CREDIT).count(),
        100 - said.len() - 4
    );
    leaf.gets(ping(COUSIN, 5000));
    assert_eq!(refusals(&mut leaf), []);
}

fn credit(bytes: u32) -> Vec<u8> {
    codec::encode(&Credit { window: Window::Replies, bytes }).unwrap()
}

/// Where very many answers wait for the same credit, each bit of it has some of them looked at, and enough of it all.
#[test]
fn however_many_answers_wait_for_credit_all_leave_that_it_suffices_for() {
    let mut leaf = Bed::leaf_with(Limits { window_start: 600, ..Limits::default() });
    for n in 0..300 {
        leaf.gets(ping(COUSIN, 4000 + n));
    }
    let answers =
        |leaf: &mut Bed<_>| leaf.says().iter().filter(|frame| frame.handle != Handle::CREDIT).count();
    let mut left = 300 - answers(&mut leaf);
    for _ in 0..10 {
        leaf.gets(frame(COUSIN, ME, Handle::CREDIT, 0, credit(135)));
        left -= answers(&mut leaf);
    }
    assert!(left <= 300 - 14, "each credit was enough for one");
    leaf.gets(frame(COUSIN, ME, Handle::CREDIT, 0, credit(100_000)));
    assert_eq!(answers(&mut leaf), left);
}

/// Who has gone takes no answers, however many of them wait for his credit.
// protocol 9.3
#[test]
fn very_many_answers_that_wait_for_credit_go_with_who_was_to_give_it_and_with_nobody_else() {
    const EACH: u32 = 5000;

    let mut leaf = Bed::leaf_with(Limits { window_start: 600, ..Limits::default() });
    let callers = [COUSIN, other(1), other(2)];
    let answers =
        |said: &[Frame]| said.iter().filter(|it| it.dst == other(2) && it.handle != Handle::CREDIT).count();
    let mut told = 0;
    for n in 0..EACH {
        callers.iter().for_each(|src| drop(leaf.gets(ping(*src, 4000 + n))));
        told += answers(&leaf.says());
    }
    let waits = leaf.machine.sizes().waiting;
    let gone =
        DelRoute { ids: callers[..2].to_vec(), top: COUSIN, name: "c".into(), reason: "killed".into() };
    leaf.gets(frame(ABOVE, ME, Handle::DEL_ROUTE, 0, codec::encode(&gone).unwrap()));
    assert_eq!((leaf.machine.sizes().waiting, leaf.says()), (waits / 3, vec![]));
    while told < EACH as usize {
        leaf.gets(frame(other(2), ME, Handle::CREDIT, 0, credit(400)));
        let said = leaf.says();
        assert!(!said.is_empty() && said.iter().all(|frame| frame.dst == other(2)), "{told}: {said:?}");
        told += answers(&said);
    }
    assert_eq!((leaf.machine.sizes().waiting, leaf.machine.sizes().data_bytes), (0, 0));
}

// attack 9
#[test]
fn calls_that_wait_for_a_worker_have_a_bound_for_all_who_come_by_one_link() {
    let mut leaf = Bed::leaf_with(Limits { calls_waiting: 6000, ..Limits::default() });
    let body = || call("open", &"x".repeat(1000));
    let mut accepted = 0;
    let mut accepts = |leaf: &mut Bed<_>, src, n: u32| {
        leaf.gets(call_from(src, 4000 + n, body()));
        match refusals(leaf)[..] {
            [] => accepted += 1,
            [DeadCode::Congested] => return false,
            ref other => panic!("{other:?}"),
        }
        true
    };
    let of_one = (0..10).take_while(|n| accepts(&mut leaf, COUSIN, *n)).count();
    assert!((3..=4).contains(&of_one), "{of_one} wait");
    let of_others = (0..20).filter(|n| accepts(&mut leaf, other(*n), 0)).count();
    assert!((3..=5).contains(&of_others), "{of_others} of those that have fewer");
    leaf.gets(call_from(ROOT, 4000, body()));
    assert_eq!(refusals(&mut leaf), [], "an ancestor's waits, however many do");
    for _ in 0..=accepted {
        assert_eq!(leaf.works().as_deref(), Some("open"));
    }
    leaf.says();
    leaf.gets(call_from(other(30), 4000, body()));
    assert_eq!((refusals(&mut leaf), leaf.works().as_deref()), (vec![], Some("open")));
}

/// A handler may answer later, and take the next call meanwhile.
// attack 47
#[test]
fn so_many_calls_that_came_by_one_link_are_open_at_once() {
    let mut leaf = Bed::leaf_with(Limits { calls_in_flight: 3, ..Limits::default() });
    let begins = |leaf: &mut Bed<_>, src, n: u32| {
        leaf.gets(call_from(src, 4000 + n, call("open", &0)));
        let taken = leaf.with(|machine, now, out| machine.take_call(now, 0, out));
        leaf.with(|machine, _, _| machine.release_worker(0));
        taken.map(|call| call.key)
    };
    let open: Vec<_> = (0..3).filter_map(|n| begins(&mut leaf, COUSIN, n)).collect();
    assert_eq!(begins(&mut leaf, COUSIN, 3), None);
    assert_eq!(refusals(&mut leaf), [DeadCode::Busy]);
    assert!(begins(&mut leaf, other(1), 0).is_some(), "it has fewer open");
    assert!(begins(&mut leaf, ROOT, 10).is_some(), "an ancestor has bounds of its own");
    for key in &open[..2] {
        leaf.with(|machine, now, out| machine.answer(now, *key, reply(&()).into(), &[], out));
    }
    assert!(begins(&mut leaf, COUSIN, 4).is_some());
}

/// Who gives up does so because he does not want the bytes either.
// protocol 9.2
#[test]
fn an_answer_that_nobody_waits_for_is_not_put_together_and_its_ends_are_refused() {
    let body = with_head(&ReplyHead::Value(vec![end_of(COUSIN, 4001, Direction::Sends)]), &"x".repeat(3000));
    let whole = frame(COUSIN, ME, FIRST, 0, body);
    for pieces_before in [0, 2] {
        let mut leaf = Bed::leaf();
        assert_eq!(leaf.calls(COUSIN), FIRST);
        leaf.says();
        let mut coming = pieces(&whole, 500).into_iter();
        coming.by_ref().take(pieces_before).for_each(|piece| drop(leaf.gets(piece)));
        leaf.with(|machine, now, out| machine.cancel(now, FIRST, out));
        let mut said = leaf.says();
        for piece in coming {
            assert_eq!((leaf.gets(piece), leaf.machine.sizes().parts), (vec![], 0));
        }
        said.extend(leaf.says());
        let refused = said.iter().filter(|frame| frame.is_dead() && frame.handle == Handle::new(4001));
        assert_eq!((refused.count(), leaf.machine.sizes().handles), (1, 0), "{pieces_before} pieces before");
        assert_eq!(leaf.dropped(DropKind::Fragment), 0, "its source did nothing wrong");
    }
}

// protocol 8.3
#[test]
fn windows_of_those_behind_one_link_leave_half_of_the_budget_to_others() {
    let mut leaf = Bed::leaf_with(Limits { receive_budget: 64 << 10, ..Limits::default() });
    let mut grows = |src| {
        for _ in 0..8 {
            leaf.gets(call_from(src, 4000, call("open", &"x".repeat(10_000))));
            let taken: Option<Action> = leaf.works().map(|_| Action::CallReady);
            assert!(taken.is_some());
        }
        leaf.machine.receiving().iter().find(|window| window.src == src).map_or(0, |window| window.size >> 10)
    };
    assert_eq!([0, 1, 2].map(|n| grows(other(n))), [48, 16, 16]);
    assert_eq!(grows(ROOT), 48);
}

/// What a refused call hands over is not lost with it, nor does what follows it in its chain run.
// protocol 6.1 and 7.1
#[test]
fn a_call_that_is_one_too_many_fails_its_chain_and_its_ends_are_refused() {
    let mut leaf = Bed::leaf_with(Limits { calls_waiting: 1000, ..Limits::default() });
    leaf.gets(call_from(COUSIN, 0, call("open", &"x".repeat(1000))));
    let chained = |ends| with_head(&CallHead { chain: Some(1), ends, ..head("open") }, &0);
    leaf.gets(call_from(COUSIN, 0, chained(vec![end_of(COUSIN, 4001, Direction::Sends)])));
    let said = leaf.says();
    let (refused, code) = dead(&said).unwrap();
    assert_eq!((refused.handle, code), (Handle::new(4001), DeadCode::Gone));
    assert_eq!(leaf.works().as_deref(), Some("open"));
    leaf.gets(call_from(COUSIN, 4000, chained(vec![])));
    assert_eq!(leaf.works(), None, "the call in front of it has failed");
}

/// Whoever reads what a long answer shares makes a copy of it: it weighs no more by that when it leaves.
#[test]
fn an_answer_weighs_when_it_leaves_what_it_weighed_when_it_came() {
    let mut leaf = Bed::leaf();
    leaf.gets(call_from(COUSIN, 4000, call("open", &0)));
    let call = leaf.with(|machine, now, out| machine.take_call(now, 0, out)).unwrap();
    let body = codec::encode_body(
        &Blob::from(vec![0; 200_000]),
        codec::encode(&ReplyHead::Value(Vec::new())).unwrap(),
    )
    .unwrap();
    leaf.with(|machine, now, out| machine.answer(now, call.key, body, &[], out));
    for _ in 0..20 {
        for frame in leaf.says() {
            assert_eq!(frame.body.to_vec().len(), frame.body.len());
        }
        // It goes through the books.
        let _books = leaf.machine.sizes();
        leaf.gets(frame(COUSIN, ME, Handle::CREDIT, 0, credit(30_000)));
    }
    assert_eq!((leaf.machine.sizes().waiting, leaf.machine.sizes().data_bytes), (0, 0));
}

/// What has lined up while nothing was owed is not run once much is.
#[test]
fn who_owes_credit_for_too_many_answers_has_no_more_of_his_calls_run() {
    let mut leaf = Bed::leaf_with(Limits { window_start: 2000, downlink: 3000, ..Limits::default() });
    for n in 0..12 {
        leaf.gets(call_from(COUSIN, 4000 + n, call("open", &0)));
    }
    let mut run = 0;
    while let Some(call) = leaf.with(|machine, now, out| machine.take_call(now, 0, out)) {
        let body = reply(&"x".repeat(400)).into();
        leaf.with(|machine, now, out| machine.answer(now, call.key, body, &[], out));
        leaf.with(|machine, _, _| machine.release_worker(0));
        let refused = refusals(&mut leaf);
        assert!(refused.iter().all(|code| *code == DeadCode::Congested), "{refused:?}");
        run += 1;
    }
    assert!((5..9).contains(&run), "{run} have run");
    assert_eq!(leaf.dropped(DropKind::Congested), 12 - run);
}

/// What nobody waits for adds nothing to what is owed.
// protocol 6.1 and 8.3
#[test]
fn who_owes_credit_for_too_many_answers_may_still_call_without_one() {
    let mut leaf = Bed::leaf_with(Limits { window_start: 600, downlink: 3000, ..Limits::default() });
    leaf.gets(call_from(COUSIN, 0, call("open", &0)));
    for n in 0..100 {
        leaf.gets(ping(COUSIN, 4000 + n));
        leaf.says();
    }
    let refused = leaf.dropped(DropKind::Congested);
    assert!(refused > 50);
    leaf.gets(call_from(COUSIN, 0, call("open", &0)));
    assert_eq!([leaf.works(), leaf.works()], [Some("open".into()), Some("open".into())]);
    assert_eq!(leaf.dropped(DropKind::Congested), refused);
}

// protocol 3.3
#[test]
fn a_frame_that_is_refused_takes_along_the_body_in_the_making_and_an_ancestor_has_room_for_his() {
    let mut leaf = Bed::leaf_with(Limits { partial_bodies: 1, calls_waiting: 1, ..Limits::default() });
    let body = |src, reply_to| pieces(&call_from(src, reply_to, call("open", &"x".repeat(1000))), 600);
    let [first, second] = &body(COUSIN, 4001)[..] else { panic!("two pieces") };
    for refused in [first.clone(), call_from(COUSIN, 4001, call("open", &0))] {
        leaf.gets(body(COUSIN, 4000)[0].clone());
        leaf.gets(call_from(other(1), 0, call("open", &0)));
        leaf.gets(refused);
        assert_eq!((refusals(&mut leaf), leaf.machine.sizes().parts), (vec![DeadCode::Congested], 0));
        leaf.gets(second.clone());
        assert_eq!(refusals(&mut leaf), [], "it was told of once");
        assert_eq!(leaf.works().as_deref(), Some("open"));
    }
    leaf.gets(body(COUSIN, 4002)[0].clone());
    body(ROOT, 4000).into_iter().for_each(|piece| drop(leaf.gets(piece)));
    assert_eq!((refusals(&mut leaf), leaf.works().as_deref()), (vec![], Some("open")));
}

// protocol 3.3
#[test]
fn a_body_that_begins_anew_has_the_room_of_the_one_before_it() {
    let mut leaf = Bed::leaf_with(Limits { partial_bodies: 1, ..Limits::default() });
    let body = |src, reply_to| pieces(&call_from(src, reply_to, call("open", &"x".repeat(1000))), 600);
    leaf.gets(body(COUSIN, 4000)[0].clone());
    leaf.gets(body(other(1), 4000)[0].clone());
    assert_eq!(refusals(&mut leaf), [DeadCode::Congested]);
    body(COUSIN, 4001).into_iter().for_each(|piece| drop(leaf.gets(piece)));
    assert_eq!((refusals(&mut leaf), leaf.works().as_deref()), (vec![], Some("open")));
}

/// Each of very many can fail some, and nothing runs behind a call that has failed for want of room to remember it.
// protocol 6.1
#[test]
fn where_no_more_failed_chains_are_remembered_all_of_their_caller_so_far_count_as_failed() {
    let mut leaf = Bed::leaf_with(Limits { failed_chains: 1, ..Limits::default() });
    let call = |leaf: &mut Bed<_>, src, chain, function| {
        leaf.gets(call_from(src, 0, with_head(&CallHead { chain: Some(chain), ..head(function) }, &0)));
        leaf.works().is_some()
    };
    for n in 0..64 {
        assert!(!call(&mut leaf, other(n), 7, "f"), "its policy does not let them call it");
    }
    assert!(!call(&mut leaf, COUSIN, 7, "f"));
    assert_eq!([6, 7, 8].map(|chain| call(&mut leaf, COUSIN, chain, "open")), [false, false, true]);
    assert_eq!([6, 7].map(|chain| call(&mut leaf, other(0), chain, "open")), [true, false]);
    assert!(call(&mut leaf, other(64), 1, "open"), "none of its has failed");
    // What is kept of each is short.
    let long = Box::leak("x".repeat(5000).into_boxed_str());
    leaf.gets(frame(other(0), ME, Handle::CHAIN_END, 0, codec::encode(&7_u32).unwrap()));
    leaf.gets(call_from(other(0), 0, with_head(&CallHead { chain: Some(8), ..head(long) }, &0)));
    leaf.with(|machine, now, out| {
        let call = machine.take_call(now, 0, out).expect("who runs it will see that there is none");
        machine.fail(now, call.key, Failed::Error, String::new(), out);
    });
    let gone = DelRoute { ids: vec![COUSIN], top: COUSIN, name: "c".into(), reason: "killed".into() };
    leaf.gets(frame(ABOVE, ME, Handle::DEL_ROUTE, 0, codec::encode(&gone).unwrap()));
    assert_eq!(leaf.machine.sizes().chains, 64);
    assert!(leaf.machine.desk.chains.values().all(|text| text.len() <= 1024));
}

/// The head of an answer may come in more than one piece.
#[test]
fn of_an_answer_that_nobody_waits_for_the_whole_head_is_heard() {
    let ends: Vec<_> = (0..200).map(|n| end_of(COUSIN, 4000 + n, Direction::Sends)).collect();
    let whole = frame(COUSIN, ME, FIRST, 0, with_head(&ReplyHead::Value(ends), &"x".repeat(20_000)));
    for pieces_before in [0, 1] {
        let mut leaf = Bed::leaf();
        assert_eq!(leaf.calls(COUSIN), FIRST);
        leaf.says();
        let (mut coming, mut said) = (pieces(&whole, 500).into_iter(), Vec::new());
        coming.by_ref().take(pieces_before).for_each(|piece| drop(leaf.gets(piece)));
        leaf.with(|machine, now, out| machine.cancel(now, FIRST, out));
        for piece in coming {
            leaf.gets(piece);
            let kept = leaf.machine.parts.begun(COUSIN, FIRST).unwrap_or_default();
            assert!(kept.len() <= 8 << 10, "what is far behind the head is not kept");
            said.extend(leaf.says());
        }
        let refused = said.iter().filter(|frame| frame.is_dead()).count();
        assert_eq!((refused, leaf.machine.sizes().handles), (200, 0), "{pieces_before} pieces before");
    }
}

/// A handle can be guessed, and what was ended so would leave all the same, and be taken for the next call of its handle.
// protocol 2.2 and 9.2
#[test]
fn what_has_not_left_cannot_be_answered_nor_refused() {
    let mut leaf = Bed::leaf();
    let handle = leaf.calls(COUSIN);
    let answer = frame(COUSIN, ME, handle, 0, reply(&"x".repeat(1000)));
    leaf.gets(pieces(&answer, 600)[0].clone());
    assert_eq!(leaf.machine.sizes().parts, 0);
    let refusal = codec::encode(&Dead::new(DeadCode::Policy, "no")).unwrap();
    let refused = frame(COUSIN, ME, handle, Handle::IS_DEAD, refusal);
    for early in [frame(COUSIN, ME, handle, 0, reply(&())), refused.clone()] {
        assert_eq!((leaf.gets(early), leaf.machine.progress(handle)), (vec![], Progress::NotSent));
    }
    assert_ne!(leaf.calls(other(1)), handle);
    leaf.says();
    assert!(matches!(leaf.gets(refused)[..], [Action::Answer { handle: ended, .. }] if ended == handle));
    // One in this context is there at once.
    let ours = leaf.calls(ME);
    assert_eq!(leaf.works().as_deref(), Some("f"));
    assert!(matches!(leaf.actions()[..], [.., Action::Answer { handle, .. }] if handle == ours));
}

/// The beginning of a long body whose head never ends.
fn endless(head: &impl serde::Serialize, at: u32) -> Frame {
    let mut body = codec::encode(head).unwrap();
    let list = body.iter().position(|byte| *byte == 0x80).unwrap();
    body.splice(list.., [0x9a, 0x7f, 0xff, 0xff, 0xff]);
    body.resize(1000, 0);
    let body = if at == 0 { body } else { vec![0; 1000] };
    let part = Some(Part { total: 100_000_000, offset: at });
    Frame { part, ..frame(COUSIN, ME, FIRST, 0, body) }
}

/// Who never answers to the end is not kept more for than for bodies that nobody asked for.
// attack 9
#[test]
fn heads_of_answers_that_nobody_waits_for_have_a_bound() {
    let mut leaf = Bed::leaf_with(Limits { partial_bodies: 2, ..Limits::default() });
    let calls: Vec<_> = (0..4).map(|_| leaf.calls(COUSIN)).collect();
    leaf.says();
    let answers = |leaf: &mut Bed<_>, handle, from| {
        for at in (from..20).map(|n| n * 1000) {
            leaf.gets(Frame { handle, ..endless(&ReplyHead::Value(vec![]), at) });
            leaf.says();
        }
    };
    // Of two of them a part has come before they are given up.
    for handle in &calls[..2] {
        leaf.gets(Frame { handle: *handle, ..endless(&ReplyHead::Value(vec![]), 0) });
    }
    for handle in &calls {
        leaf.with(|machine, now, out| machine.cancel(now, *handle, out));
    }
    let [_, begun @ .., last] = &calls[..] else { panic!("four calls") };
    begun.iter().for_each(|handle| answers(&mut leaf, *handle, u32::from(*handle == calls[1])));
    answers(&mut leaf, *last, 0);
    assert_eq!(leaf.machine.sizes().parts, 2);
    let kept = calls.iter().filter_map(|handle| leaf.machine.parts.begun(COUSIN, *handle)).map(<[u8]>::len);
    assert_eq!(kept.max(), Some(8 << 10));
    leaf.gets(pieces(&call_from(COUSIN, 4000, call("open", &"x".repeat(1000))), 600)[0].clone());
    assert_eq!(refusals(&mut leaf), [DeadCode::Congested], "they count as others do");
}

/// An end here of a stream with a cousin, who has its handle 4001.
fn receives(leaf: &mut Bed<impl Routes>) -> Handle {
    let home = leaf.machine.export(COUSIN, Direction::Receives);
    leaf.gets(frame(COUSIN, ME, home, 4001, codec::encode(&StreamHead::Open).unwrap()));
    home
}

// attack 9
#[test]
fn items_for_ends_that_were_let_go_of_are_not_put_together() {
    let mut leaf = Bed::leaf_with(Limits { partial_bodies: 2, ..Limits::default() });
    let plain = |handle| frame(COUSIN, ME, handle, 4001, item(&"x".repeat(30_000)));
    let ends: Vec<_> = (0..4).map(|_| receives(&mut leaf)).collect();
    leaf.gets(pieces(&plain(ends[0]), 10_000)[0].clone());
    assert_eq!(leaf.machine.sizes().parts, 1);
    for handle in &ends {
        leaf.with(|machine, _, out| machine.stream_close(*handle, None, out));
        leaf.gets(pieces(&plain(*handle), 10_000)[0].clone());
        leaf.says();
    }
    assert_eq!(leaf.machine.sizes().parts, 0, "they hand nothing over");
    for handle in &ends {
        for at in (0..20).map(|n| n * 1000) {
            let piece = endless(&StreamHead::Item(vec![]), at);
            leaf.gets(Frame { handle: *handle, reply_to: ReplyTo::Handle(Handle::new(4001)), ..piece });
            leaf.says();
        }
    }
    assert_eq!(leaf.machine.sizes().parts, 2);
    let kept = ends.iter().filter_map(|handle| leaf.machine.parts.begun(COUSIN, *handle)).map(<[u8]>::len);
    assert_eq!(kept.max(), Some(8 << 10));
}

/// Before that they are still those of its sender, who learns that nobody takes them.
// protocol 7.1
#[test]
fn ends_in_an_item_that_nobody_takes_are_refused_with_its_last_piece() {
    let ends = vec![end_of(COUSIN, 4002, Direction::Sends)];
    let whole =
        |to| frame(COUSIN, ME, to, 4001, with_head(&StreamHead::Item(ends.clone()), &"x".repeat(30_000)));
    for (before, close) in [(0, true), (0, false), (1, true), (1, false)] {
        let mut leaf = Bed::leaf();
        let home = receives(&mut leaf);
        let mut coming = pieces(&whole(home), 10_000);
        let last = coming.pop().unwrap();
        let mut coming = coming.into_iter();
        coming.by_ref().take(before).for_each(|piece| drop(leaf.gets(piece)));
        leaf.with(|machine, _, out| machine.stream_close(home, None, out));
        coming.for_each(|piece| drop(leaf.gets(piece)));
        assert_eq!(dead(&leaf.says()), None);
        if close {
            leaf.gets(frame(COUSIN, ME, home, 4001, codec::encode(&StreamHead::Close).unwrap()));
        } else {
            leaf.gets(last);
        }
        let said = leaf.says();
        let refused = dead(&said).map(|(told, code)| (told.handle, code));
        assert_eq!(refused, (!close).then_some((Handle::new(4002), DeadCode::Gone)));
        assert_eq!((leaf.machine.sizes().parts, leaf.dropped(DropKind::Fragment)), (0, 0));
    }
}

// attack 9
#[test]
fn a_long_body_in_the_making_keeps_no_short_one_away() {
    let mut leaf = Bed::leaf_with(Limits { partial_bodies: 4, partial_bytes: 4000, ..Limits::default() });
    let body = |src, long| pieces(&call_from(src, 4000, call("open", &"x".repeat(long))), 500)[0].clone();
    leaf.gets(body(other(0), 9000));
    for (src, long, parts) in [(1, 2000, 1), (2, 900, 2), (3, 900, 3), (4, 900, 4), (5, 900, 4)] {
        leaf.gets(body(other(src), long));
        assert_eq!(leaf.machine.sizes().parts, parts, "{src}");
    }
}
