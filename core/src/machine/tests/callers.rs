//! What callers may have waiting here, all together that come by one link, and what nobody will read.

use offshoot_wire::{
    ContextId, Credit, DeadCode, Direction, Frame, Handle, ReplyHead, StreamHead, Window, codec,
};

use super::{
    super::{Action, DropKind, Limits, Routes},
    bed::{
        Bed, COUSIN, FIRST, ME, ROOT, THEIRS, call, call_from, dead, end_of, frame, item, pieces, reply,
        with_head,
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
    leaf.gets(ping(ROOT, 4000));
    assert_eq!(leaf.says().iter().filter(|frame| frame.dst == ROOT && frame.handle == THEIRS).count(), 1);
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

// attack 9
#[test]
fn calls_that_wait_for_a_worker_have_a_bound_for_all_who_come_by_one_link() {
    let mut leaf = Bed::leaf_with(Limits { calls_waiting: 6000, ..Limits::default() });
    let body = || call("open", &"x".repeat(1000));
    let mut accepted = 0;
    for n in 0..20 {
        leaf.gets(call_from(other(n), 4000, body()));
        match refusals(&mut leaf)[..] {
            [] => accepted += 1,
            [DeadCode::Congested] => {}
            ref other => panic!("{other:?}"),
        }
    }
    assert!((3..=5).contains(&accepted), "{accepted} wait");
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
    let begins = |leaf: &mut Bed<_>, src, n| {
        leaf.gets(call_from(src, 4000 + n, call("open", &0)));
        let taken = leaf.with(|machine, now, out| machine.take_call(now, 0, out));
        leaf.with(|machine, _, _| machine.release_worker(0));
        taken.map(|call| call.key)
    };
    let open: Vec<_> = (0..3).filter_map(|n| begins(&mut leaf, other(n), n)).collect();
    assert_eq!(begins(&mut leaf, other(9), 9), None);
    assert_eq!(refusals(&mut leaf), [DeadCode::Busy]);
    assert!(begins(&mut leaf, ROOT, 10).is_some(), "an ancestor has bounds of its own");
    leaf.with(|machine, now, out| machine.answer(now, open[0], reply(&()).into(), &[], out));
    assert!(begins(&mut leaf, other(9), 9).is_some());
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

// protocol 7.3
#[test]
fn an_item_that_nobody_will_take_is_not_put_together() {
    for pieces_before in [0, 2] {
        let mut leaf = Bed::leaf();
        let home = leaf.machine.export(COUSIN, Direction::Receives);
        leaf.gets(frame(COUSIN, ME, home, THEIRS.number(), codec::encode(&StreamHead::Open).unwrap()));
        let whole = frame(COUSIN, ME, home, THEIRS.number(), item(&"x".repeat(3000)));
        let mut coming = pieces(&whole, 500).into_iter();
        coming.by_ref().take(pieces_before).for_each(|piece| drop(leaf.gets(piece)));
        leaf.with(|machine, _, out| machine.stream_close(home, None, out));
        for piece in coming {
            assert_eq!((leaf.gets(piece), leaf.machine.sizes().parts), (vec![], 0));
        }
        assert_eq!(leaf.dropped(DropKind::Fragment), 0);
        leaf.gets(frame(COUSIN, ME, home, THEIRS.number(), codec::encode(&StreamHead::Close).unwrap()));
        assert_eq!(leaf.machine.sizes().handles, 0);
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
