//! Chapter 7 of the protocol: streams.

use offshoot_wire::{
    CallHead, ContextId, Dead, DeadCode, Direction, End, Handle, Rebind, ReplyTo, Role, StreamHead, codec,
};

use super::{
    super::{Action, BadEnd, DropKind, Ended, Event, Limits, Outgoing, StreamUnsent},
    bed::{
        ABOVE, Bed, COUSIN, ME, ROOT, THEIRS, call, call_from, dead, encode, end_of, frame, head, item,
        with_head,
    },
};

fn stream_head(frame: &offshoot_wire::Frame) -> StreamHead {
    codec::decode_prefix(&frame.body, 4096).unwrap().0
}

// protocol 7.1
#[test]
fn an_end_is_taken_only_from_whom_it_can_belong_to() {
    let mut hop = Bed::hop();
    let child = hop.child(Role::Leaf);
    let mut import = |giver, home, handle| hop.machine.import(giver, end_of(home, handle, Direction::Sends));
    assert!(import(child.peer, child.peer, 1000).is_ok());
    assert!(import(ROOT, COUSIN, 1000).is_ok(), "handed on by an ancestor of its home");
    for (giver, home, handle) in [
        (child.peer, child.peer, 999),
        (child.peer, child.peer, Handle::CALL_FUNCTION.number()),
        (child.peer, COUSIN, 1000),
        (child.peer, ME, 1000),
    ] {
        assert_eq!(import(giver, home, handle), Err(BadEnd::Foreign), "{giver} {home} {handle}");
    }
}

// protocol 7.1 and 5.9
#[test]
fn an_end_can_come_home_if_its_home_was_told() {
    let mut leaf = Bed::leaf();
    let home = leaf.machine.export(ROOT, Direction::Receives);
    let end = end_of(ME, home.number(), Direction::Sends);
    assert_eq!(leaf.machine.import(ROOT, end), Err(BadEnd::Foreign));
    leaf.gets(frame(ROOT, ME, Handle::REBIND, 0, encode(&Rebind { handle: home, holder: ME })));
    assert!(leaf.machine.import(ROOT, end).is_ok());
}

// protocol 7.1
#[test]
fn an_end_that_nobody_takes_is_refused_to_its_home() {
    let mut leaf = Bed::leaf();
    let end = end_of(COUSIN, THEIRS.number(), Direction::Sends);
    let bad = with_head(&CallHead { ends: vec![end], ..head("f") }, &0);
    leaf.gets(call_from(COUSIN, 0, bad.clone()));
    assert_eq!(leaf.works(), None, "its policy does not let a cousin call it");
    let said = leaf.says();
    let (told, code) = dead(&said).unwrap();
    assert_eq!((told.dst, told.src, told.handle, code), (COUSIN, ME, THEIRS, DeadCode::Gone));
    // Who learns that the call was refused closes what it carried.
    leaf.gets(call_from(COUSIN, 4001, bad));
    leaf.works();
    let said = leaf.says();
    assert_eq!(
        dead(&said).map(|(told, code)| (told.handle, code)),
        Some((Handle::new(4001), DeadCode::Policy))
    );
}

/// Somebody beside us lists ends that are not his, for us to refuse them in our name. attack 24
#[test]
fn nobody_has_an_end_refused_that_is_held_here_or_whose_home_is_above() {
    const OTHER: ContextId = ContextId::new(11);
    let mut leaf = Bed::leaf();
    let held = end_of(OTHER, 4001, Direction::Receives);
    leaf.machine.import(OTHER, held).unwrap();
    let lists = |ends: &[End]| {
        let body = with_head(&CallHead { ends: ends.to_vec(), ..head("f") }, &0);
        call_from(COUSIN, 0, body)
    };
    leaf.gets(lists(&[held, end_of(ROOT, 4000, Direction::Sends), end_of(OTHER, 4002, Direction::Sends)]));
    assert_eq!(leaf.works(), None, "its policy does not let a cousin call it");
    let said = leaf.says();
    let (told, code) = dead(&said).unwrap();
    let unheld = Handle::new(4002);
    assert_eq!(
        (told.dst, told.handle, code),
        (OTHER, unheld, DeadCode::Gone),
        "as far as we can tell it is his"
    );
}

/// What its holder opened he cannot say he has not taken: with that items would be lost that nobody misses.
#[test]
fn an_end_that_was_opened_is_not_refused_any_more() {
    let mut leaf = Bed::leaf();
    let home = leaf.machine.export(COUSIN, Direction::Sends);
    leaf.gets(frame(COUSIN, ME, home, THEIRS.number(), encode(&StreamHead::Open)));
    leaf.with(|machine, now, out| machine.stream_send(now, home, item(&7).into(), out)).unwrap();
    let gone = Dead { code: DeadCode::Gone, text: "nobody took this end of the channel".to_owned() };
    leaf.gets(frame(COUSIN, ME, home, 999, encode(&gone)));
    assert_eq!(leaf.dropped(DropKind::Late), 1);
    assert_eq!(leaf.says(), [frame(ME, COUSIN, THEIRS, home.number(), item(&7))]);
}

// protocol 7.1
#[test]
fn a_home_takes_frames_from_the_holder_alone() {
    let mut leaf = Bed::leaf();
    let home = leaf.machine.export(ROOT, Direction::Receives);
    leaf.gets(frame(COUSIN, ME, home, THEIRS.number(), encode(&StreamHead::Open)));
    let said = leaf.says();
    assert_eq!(said.len(), 1);
    assert!(said[0].is_dead() && leaf.dropped(DropKind::NoHandle) == 1);
    let open = frame(ROOT, ME, home, THEIRS.number(), encode(&StreamHead::Open));
    assert_eq!(leaf.gets(open), [Action::StreamRoom(home)]);
}

// protocol 7.2
#[test]
fn a_holder_speaks_to_the_handle_of_the_end_and_names_its_own() {
    let mut leaf = Bed::leaf();
    let end = end_of(ROOT, 4000, Direction::Sends);
    let handle = leaf.machine.import(ROOT, end).unwrap();
    assert_eq!(leaf.says(), [], "nothing is said before the first use");
    leaf.with(|machine, now, out| machine.stream_send(now, handle, item(&7).into(), out)).unwrap();
    leaf.with(|machine, _, out| machine.stream_close(handle, Some("disk full".to_owned()), out));
    let said = leaf.says();
    assert!(said.iter().all(|frame| frame.handle == THEIRS && frame.reply_to.handle() == Some(handle)));
    let heads: Vec<_> = said.iter().map(stream_head).collect();
    let fail = StreamHead::Fail("disk full".to_owned());
    assert_eq!(heads, [StreamHead::Open, StreamHead::Item(Vec::new()), fail]);
}

// protocol 7.2
#[test]
fn a_home_learns_the_handle_of_the_holder_from_its_first_frame() {
    let mut leaf = Bed::leaf();
    let home = leaf.machine.export(ROOT, Direction::Sends);
    let send = |leaf: &mut Bed<_>| {
        leaf.with(|machine, now, out| machine.stream_send(now, home, item(&7).into(), out))
    };
    assert_eq!(send(&mut leaf), Err(StreamUnsent::Full(item(&7).into())));
    leaf.gets(frame(ROOT, ME, home, THEIRS.number(), encode(&StreamHead::Open)));
    assert_eq!(send(&mut leaf), Ok(()));
    assert_eq!(leaf.says(), [frame(ME, ROOT, THEIRS, home.number(), item(&7))]);
}

// protocol 7.2
#[test]
fn an_item_may_be_the_first_frame_and_a_close_the_only_one() {
    let mut leaf = Bed::leaf();
    let home = leaf.machine.export(ROOT, Direction::Receives);
    let actions = leaf.gets(frame(ROOT, ME, home, THEIRS.number(), item(&7)));
    assert!(matches!(&actions[..], [Action::StreamRoom(_), Action::Item { handle, .. }] if *handle == home));
    let home = leaf.machine.export(ROOT, Direction::Receives);
    let actions = leaf.gets(frame(ROOT, ME, home, THEIRS.number(), encode(&StreamHead::Close)));
    assert!(actions.contains(&Action::Ended { handle: home, how: Ended::Closed }), "{actions:?}");
}

// protocol 7.3
#[test]
fn a_handle_is_given_up_when_both_sides_have_closed() {
    let mut leaf = Bed::leaf();
    let home = leaf.machine.export(ROOT, Direction::Receives);
    leaf.gets(frame(ROOT, ME, home, THEIRS.number(), encode(&StreamHead::Open)));
    leaf.with(|machine, _, out| machine.stream_close(home, None, out));
    assert_eq!(leaf.says(), [frame(ME, ROOT, THEIRS, home.number(), encode(&StreamHead::Close))]);
    assert_eq!(leaf.machine.sizes().handles, 1);
    leaf.gets(frame(ROOT, ME, home, THEIRS.number(), encode(&StreamHead::Close)));
    assert_eq!(leaf.machine.sizes().handles, 0);
}

// protocol 7.3
#[test]
fn a_stream_that_failed_over_there_says_why_and_is_closed_here() {
    let mut leaf = Bed::leaf();
    let handle = leaf.machine.import(ROOT, end_of(ROOT, 4000, Direction::Receives)).unwrap();
    leaf.with(|machine, _, out| machine.stream_open(handle, out));
    leaf.says();
    let fail = encode(&StreamHead::Fail("disk full".to_owned()));
    let actions = leaf.gets(frame(ROOT, ME, handle, THEIRS.number(), fail));
    assert_eq!(actions, [Action::Ended { handle, how: Ended::Failed("disk full".to_owned()) }]);
    assert_eq!(stream_head(&leaf.says()[0]), StreamHead::Close);
}

// protocol 7.3
#[test]
fn a_dead_message_to_its_handle_ends_a_stream() {
    let mut leaf = Bed::leaf();
    let handle = leaf.machine.import(ROOT, end_of(ROOT, 4000, Direction::Receives)).unwrap();
    leaf.with(|machine, _, out| machine.stream_open(handle, out));
    let dead = encode(&Dead::new(DeadCode::NoHandle, "no such handle"));
    assert_eq!(leaf.gets(frame(ABOVE, ME, handle, 999, dead.clone())), [], "not from the other side");
    let actions = leaf.gets(frame(ROOT, ME, handle, 999, dead));
    assert!(matches!(&actions[..], [Action::Ended { how: Ended::Lost(why), .. }] if why == "no such handle"));
}

// protocol 7.2
#[test]
fn an_end_whose_home_is_gone_ends_at_its_first_use() {
    let mut hop = Bed::hop();
    let child = hop.child(Role::Leaf);
    let end = end_of(child.peer, THEIRS.number(), Direction::Receives);
    let taken = hop.machine.import(child.peer, end).unwrap();
    let late = hop.with(|machine, now, out| {
        machine.handle(now, Event::LinkDown { link: child, reason: "lost".to_owned() }, out);
        machine.import(child.peer, end).unwrap()
    });
    assert!(
        hop.actions().iter().any(|action| matches!(action, Action::Ended { handle, .. } if *handle == taken))
    );
    hop.with(|machine, _, out| machine.stream_open(late, out));
    assert!(matches!(hop.actions()[..], [Action::Ended { handle, .. }] if handle == late));
    for handle in [taken, late] {
        hop.with(|machine, _, out| machine.stream_close(handle, None, out));
    }
    assert_eq!(hop.machine.sizes().handles, 0);
}

// protocol 7.1
#[test]
fn in_a_one_way_tree_an_end_is_not_handed_to_whom_its_home_cannot_reach() {
    let mut hop = Bed::one_way_hop();
    let (home, sibling) = (hop.child(Role::Leaf), hop.child(Role::Leaf));
    let end = end_of(home.peer, THEIRS.number(), Direction::Receives);
    let mut hand = |to| {
        hop.with(|machine, _, out| {
            let taken = machine.import(home.peer, end).unwrap();
            machine.hand_on(taken, to, out)
        })
    };
    assert_eq!(hand(sibling.peer), Err(BadEnd::OneWay));
    assert_eq!(hand(COUSIN), Err(BadEnd::OneWay));
    assert_eq!(hand(ROOT), Ok(end));
}

// protocol 7.3
#[test]
fn an_answer_to_the_next_user_of_a_handle_is_not_taken_for_an_item_of_the_last() {
    let mut leaf = Bed::leaf();
    let ours = leaf.machine.import(COUSIN, end_of(COUSIN, THEIRS.number(), Direction::Sends)).unwrap();
    leaf.with(|machine, _, out| machine.stream_open(ours, out));
    leaf.says();
    leaf.gets(call_from(COUSIN, THEIRS.number(), call("open", &())));
    leaf.works();
    let close = encode(&StreamHead::Close);
    leaf.gets(frame(COUSIN, ME, ours, THEIRS.number(), close));
    assert!(leaf.says().iter().any(|frame| frame.handle == THEIRS && frame.reply_to == ReplyTo::Nobody));
}

// protocol 7.1
#[test]
fn an_end_that_came_home_in_vain_is_closed() {
    let mut leaf = Bed::leaf_with(Limits { calls_in_flight: 0, ..Limits::default() });
    let home = leaf.machine.export(ME, Direction::Sends);
    let end = end_of(ME, home.number(), Direction::Receives);
    leaf.with(|machine, now, out| {
        let taken = machine.import(ME, end).unwrap();
        let ends = vec![machine.hand_on(taken, ME, out).unwrap()];
        let body = call("f", &()).into();
        let call = Outgoing { dst: ME, handle: Handle::CALL_FUNCTION, body, deadline: None, ends };
        machine.call(now, call, out).unwrap_err();
    });
    assert!(matches!(leaf.actions()[..], [Action::Ended { handle, .. }] if handle == home));
}

// protocol 5.9
#[test]
fn a_home_learns_that_its_end_was_handed_to_one_who_is_gone() {
    let mut hop = Bed::hop();
    let (home, holder) = (hop.child(Role::Leaf), hop.child(Role::Leaf));
    hop.with(|machine, now, out| {
        machine.handle(now, Event::LinkDown { link: holder, reason: "lost".to_owned() }, out);
    });
    let rebind = encode(&Rebind { handle: THEIRS, holder: holder.peer });
    let told = frame(ROOT, home.peer, Handle::REBIND, 0, rebind);
    hop.gets(told.clone());
    let said = hop.says_to(home);
    assert_eq!(said[0], told);
    let (dead, code) = dead(&said).unwrap();
    assert_eq!((dead.src, dead.handle, code), (holder.peer, THEIRS, DeadCode::Gone));

    // The home itself can be the one who knows.
    let ours = hop.machine.export(ROOT, Direction::Sends);
    let rebind = encode(&Rebind { handle: ours, holder: holder.peer });
    hop.actions();
    let actions = hop.gets(frame(ROOT, ME, Handle::REBIND, 0, rebind));
    assert!(matches!(actions[..], [Action::Ended { handle, .. }] if handle == ours), "{actions:?}");
}
