//! Chapter 5 of the protocol: control frames.

use offshoot_wire::{
    AddRoute, AllocateId, Credit, DeadCode, DelRoute, Direction, Frame, Handle, Rebind, ReplyTo, Role,
    Shutdown, Window,
};

use super::{
    super::{Action, BadEnd, DropKind, Ended, Limits, Tick},
    bed::{
        ABOVE, Bed, COUSIN, FIRST, ME, ROOT, THEIRS, call, call_from, dead, decode, encode, end_of, frame,
        handles, hello, item, pieces, reply,
    },
};

// protocol 5.1
#[test]
fn a_control_frame_that_makes_no_sense_is_dropped_and_counted_and_nothing_else_happens() {
    let mut leaf = Bed::leaf();
    let neighbours = AddRoute { id: COUSIN, parent: ROOT, name: "x".to_owned() };
    let wrong = [
        // None of them is what its handle takes.
        frame(ABOVE, ME, Handle::CREDIT, 0, b"\xf6".as_slice()),
        frame(ABOVE, ME, Handle::DEL_ROUTE, 0, Vec::new()),
        frame(ABOVE, ME, Handle::SHUTDOWN, 0, encode(&(1, 2))),
        // Between neighbours, but from farther away, or on its way to somebody else.
        frame(ROOT, ME, Handle::ADD_ROUTE, 0, encode(&neighbours)),
        frame(ABOVE, COUSIN, Handle::PING, 0, encode(&())),
    ];
    let count = wrong.len() as u64;
    for frame in wrong {
        assert_eq!(leaf.gets(frame.clone()), [], "{frame:?}");
        assert_eq!(leaf.says(), [], "{frame:?}");
    }
    assert_eq!(leaf.dropped(DropKind::Control), count);
}

// protocol 5.1
#[test]
fn a_frame_with_a_reply_to_is_no_control_frame() {
    let mut leaf = Bed::leaf();
    let shutdown = encode(&Shutdown { left_ms: 5000 });
    assert_eq!(leaf.gets(frame(ROOT, ME, Handle::SHUTDOWN, THEIRS.number(), shutdown)), []);
    assert_eq!(dead(&leaf.says()).map(|(_, code)| code), Some(DeadCode::NoHandle));
}

// protocol 5.1
#[test]
fn control_frames_between_any_two_contexts_are_routed_like_data() {
    let mut hop = Bed::hop();
    let child = hop.child(Role::Leaf);
    let credit = Credit { window: Window::Calls, bytes: 1 };
    let passing = frame(ROOT, child.peer, Handle::CREDIT, 0, encode(&credit));
    hop.gets(passing.clone());
    assert_eq!(hop.says_to(child), [passing]);
}

// protocol 5.5
#[test]
fn news_of_a_loss_end_what_waits_for_the_lost_and_leave_upward_by_the_top_alone() {
    let mut hop = Bed::hop();
    let child = hop.child(Role::Leaf);
    hop.calls(child.peer);
    hop.says_to(child);
    hop.with(|machine, now, out| {
        let event = super::super::Event::LinkDown { link: child, reason: "killed".to_owned() };
        machine.handle(now, event, out);
    });
    let said = hop.says();
    let del: DelRoute = decode(&said[0]);
    assert_eq!((handles(&said), del.ids, del.top), (vec![Handle::DEL_ROUTE], vec![child.peer], child.peer));
    let del = DelRoute { ids: vec![ROOT, COUSIN], top: ROOT, name: "x".into(), reason: "gone".into() };
    let call = hop.calls(COUSIN);
    hop.says();
    hop.actions();
    let actions = hop.gets(frame(ABOVE, ME, Handle::DEL_ROUTE, 0, encode(&del)));
    assert!(matches!(&actions[0], Action::Answer { handle, .. } if *handle == call), "{actions:?}");
}

// protocol 5.5
#[test]
fn news_of_many_losses_at_once_cut_no_link_and_leave_room_for_all_else() {
    let mut hop = Bed::hop();
    let up = hop.up;
    let children: Vec<_> = (0..2000).map(|_| hop.child(Role::Leaf)).collect();
    hop.says();
    // The parent does not read for a while.
    for child in children {
        hop.with(|machine, now, out| {
            let event = super::super::Event::LinkDown { link: child, reason: "x".repeat(200) };
            machine.handle(now, event, out);
        });
    }
    let credit = Credit { window: Window::Calls, bytes: 1 };
    hop.with(|machine, _, out| machine.send_control(up, Handle::CREDIT, &credit, out));
    assert!(!hop.actions().iter().any(|action| matches!(action, Action::Cut(..))));
    assert_eq!(hop.says().len(), 2001);
}

// protocol 5.6
#[test]
fn a_hop_asks_for_ids_in_its_own_name() {
    let mut hop = Bed::hop();
    let child = hop.child(Role::Parent);
    hop.hears(child, frame(child.peer, ME, Handle::ALLOCATE_ID, 0, encode(&AllocateId::Ask)));
    let said = hop.says();
    assert_eq!((said[0].src, said[0].dst, decode(&said[0])), (ME, ABOVE, AllocateId::Ask));
}

// protocol 5.7
#[test]
fn a_neighbour_is_answered_with_a_pong_and_anybody_else_as_a_call_is() {
    let mut leaf = Bed::leaf();
    leaf.gets(frame(ABOVE, ME, Handle::PING, 0, encode(&())));
    let said = leaf.says();
    assert_eq!((said[0].dst, said[0].handle, &said[0].body[..]), (ABOVE, Handle::PONG, &b"\xf6"[..]));
    leaf.gets(frame(COUSIN, ME, Handle::PING, THEIRS.number(), call("", &())));
    let said = leaf.says();
    let expected = frame(ME, COUSIN, THEIRS, 0, reply(&()));
    assert_eq!(said, [expected]);
}

// protocol 5.8 and 8.1
#[test]
fn credit_lets_more_leave_from_the_window_that_it_names_and_from_no_other() {
    let mut leaf = Bed::leaf();
    leaf.calls_with(ROOT, call("f", &"x".repeat(20_000)), None).unwrap();
    let sent: usize = leaf.says().iter().map(|piece| piece.body.len()).sum();
    let credit = |window| frame(ROOT, ME, Handle::CREDIT, 0, encode(&Credit { window, bytes: 8192 }));
    leaf.gets(credit(Window::Replies));
    leaf.gets(credit(Window::Stream(FIRST)));
    leaf.gets(Frame { src: COUSIN, auth: COUSIN, ..credit(Window::Calls) });
    assert_eq!(leaf.says(), []);
    leaf.gets(credit(Window::Calls));
    let rest: usize = leaf.says().iter().map(|piece| piece.body.len()).sum();
    assert_eq!(sent + rest, call("f", &"x".repeat(20_000)).len());
}

// protocol 5.9
#[test]
fn the_home_of_a_stream_believes_its_ancestors_about_who_holds_the_other_end() {
    let mut leaf = Bed::leaf();
    let home = leaf.machine.export(ROOT, Direction::Receives);
    let rebind = |src| frame(src, ME, Handle::REBIND, 0, encode(&Rebind { handle: home, holder: COUSIN }));
    let from_holder = frame(COUSIN, ME, home, THEIRS.number(), item(&1));
    leaf.gets(rebind(COUSIN));
    assert_eq!(leaf.gets(from_holder.clone()), []);
    leaf.gets(rebind(ROOT));
    assert!(matches!(&leaf.gets(from_holder)[..], [Action::StreamRoom(_), Action::Item { .. }]));
}

// protocol 5.9 and 7.1
#[test]
fn who_hands_an_end_on_tells_its_home_first() {
    let mut hop = Bed::hop();
    let (home, holder) = (hop.child(Role::Leaf), hop.child(Role::Leaf));
    let end = end_of(home.peer, 1234, Direction::Sends);
    let handle = hop.machine.import(home.peer, end).unwrap();
    assert_eq!(hop.with(|machine, _, out| machine.hand_on(handle, holder.peer, out)), Ok(end));
    let said = hop.says_to(home);
    assert_eq!((said[0].handle, said[0].src, said[0].dst), (Handle::REBIND, ME, home.peer));
    assert_eq!(decode::<Rebind>(&said[0]), Rebind { handle: end.handle, holder: holder.peer });

    // Not even back to its home, which takes no word for it from one below.
    let above = end_of(COUSIN, 1234, Direction::Sends);
    for to in [holder.peer, COUSIN] {
        let handle = hop.machine.import(COUSIN, above).unwrap();
        let refused = hop.with(|machine, _, out| machine.hand_on(handle, to, out));
        assert_eq!(refused, Err(BadEnd::NotAncestor));
    }
    let opened = hop.machine.import(home.peer, end).unwrap();
    hop.with(|machine, _, out| machine.stream_open(opened, out));
    let refused = hop.with(|machine, _, out| machine.hand_on(opened, holder.peer, out));
    assert_eq!(refused, Err(BadEnd::Opened));
}

// protocol 5.10
#[test]
fn an_ancestor_ends_a_context_which_tells_its_children_at_once() {
    let mut hop = Bed::hop();
    let child = hop.child(Role::Leaf);
    let shutdown = |src| frame(src, ME, Handle::SHUTDOWN, 0, encode(&Shutdown { left_ms: 5000 }));
    assert_eq!(hop.gets(shutdown(COUSIN)), []);
    assert_eq!((hop.dropped(DropKind::Policy), hop.says_to(child)), (1, vec![]));
    assert_eq!(hop.gets(shutdown(ROOT)), [Action::Shutdown(5000)]);
    let said = hop.says_to(child);
    assert_eq!(handles(&said), [Handle::SHUTDOWN]);
    assert!(decode::<Shutdown>(&said[0]).left_ms < 5000);
    assert_eq!(said[0].reply_to, ReplyTo::Nobody);
}

// protocol 5.10
#[test]
fn of_several_orders_to_end_the_shortest_counts_and_is_passed_on() {
    let mut hop = Bed::hop();
    let child = hop.child(Role::Leaf);
    let mut told = |after: u64, left_ms| {
        hop.now = hop.now.after(after);
        let order = frame(ROOT, ME, Handle::SHUTDOWN, 0, encode(&Shutdown { left_ms }));
        let actions = hop.gets(order);
        let below: Vec<_> = hop.says_to(child).iter().map(|said| decode::<Shutdown>(said).left_ms).collect();
        (actions, below)
    };
    let passed_on = |left_ms| (vec![Action::Shutdown(left_ms)], vec![left_ms - left_ms / 4]);
    assert_eq!(told(0, 60_000), passed_on(60_000));
    assert_eq!(told(1000, 60_000), (vec![], vec![]));
    assert_eq!(told(0, 59_000), (vec![], vec![]));
    assert_eq!(told(0, 1000), passed_on(1000));
    assert_eq!(told(0, 60_000), (vec![], vec![]));
}

// protocol 5.10
#[test]
fn a_call_that_is_whole_only_after_the_order_to_end_is_refused() {
    let mut leaf = Bed::leaf();
    let call = call_from(ROOT, THEIRS.number(), call("f", &vec![1_u8; 5000]));
    let [first, last] = &pieces(&call, 4000)[..] else { panic!("two pieces") };
    leaf.gets(first.clone());
    leaf.gets(frame(ROOT, ME, Handle::SHUTDOWN, 0, encode(&Shutdown { left_ms: 5000 })));
    assert_eq!(leaf.gets(last.clone()), []);
    assert_eq!(dead(&leaf.says()).map(|(_, code)| code), Some(DeadCode::ShuttingDown));
    assert_eq!((leaf.works(), leaf.machine.sizes().calls), (None, 0));
}

// protocol 7.3
#[test]
fn a_stream_ends_when_the_other_context_is_gone() {
    let mut leaf = Bed::leaf();
    let handle = leaf.machine.import(COUSIN, end_of(COUSIN, 1234, Direction::Receives)).unwrap();
    let del = DelRoute { ids: vec![COUSIN], top: COUSIN, name: "c".into(), reason: "killed".into() };
    let actions = leaf.gets(frame(ABOVE, ME, Handle::DEL_ROUTE, 0, encode(&del)));
    let Action::Ended { handle: ended, how: Ended::Lost(why) } = &actions[0] else { panic!("{actions:?}") };
    assert!(*ended == handle && why.contains("killed"), "{actions:?}");
    leaf.with(|machine, _, out| machine.stream_close(handle, None, out));
    assert_eq!(leaf.machine.sizes().handles, 0);
}

#[test]
fn whoever_has_said_hello_leaves_no_moment_behind_at_which_it_had_to() {
    let mut hop = Bed::hop_with(Limits { ping_ms: 0, ..Limits::default() });
    let silent = hop.silent_child();
    assert_eq!(hop.machine.next_due(), Some(Tick(hop.now.0 + 60_000)));
    hop.hears(silent, frame(silent.peer, ME, Handle::HELLO, 0, hello(Role::Leaf)));
    assert_eq!(hop.machine.next_due(), None);
}
