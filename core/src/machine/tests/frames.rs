//! Chapters 1 to 3 of the protocol: first frames, handles, frames that are too long, bodies in pieces.

use offshoot_wire::{AddRoute, Credit, DeadCode, Frame, Handle, Hello, MAX_CHUNK, Part, Role, Setup, Window};

use super::{
    super::{Action, DropKind, Event, Limits, Outcome, Progress},
    bed::{
        ABOVE, Bed, COUSIN, ME, ROOT, THEIRS, call, call_from, dead, decode, encode, frame, handles, hello,
        pieces, reply,
    },
};

// protocol 1.3, 5.2 and 5.3
#[test]
fn the_first_frame_downward_is_setup_and_upward_hello_and_calls_follow_without_waiting() {
    let mut hop = Bed::hop();
    let child = hop.silent_child();
    hop.calls(child.peer);
    let said = hop.says_to(child);
    assert_eq!(handles(&said), [Handle::SETUP, Handle::CALL_FUNCTION]);
    let setup: Setup = decode(&said[0]);
    assert_eq!((setup.id, setup.ancestors), (child.peer, vec![ME, ABOVE, ROOT]));
    let actions = hop.hears(child, frame(child.peer, ME, Handle::HELLO, 0, hello(Role::Leaf)));
    assert!(matches!(&actions[..], [Action::Up(link, _)] if *link == child), "{actions:?}");
}

// protocol 1.3
#[test]
fn any_other_first_frame_and_a_second_setup_or_hello_end_the_link() {
    let mut hop = Bed::hop();
    let first = [
        frame(ME, ME, Handle::PING, 0, encode(&())),
        frame(ME, ROOT, Handle::CALL_FUNCTION, 1000, call("f", &())),
    ];
    for frame in first {
        let child = hop.silent_child();
        let actions = hop.hears(child, Frame { src: child.peer, auth: child.peer, ..frame });
        assert!(matches!(&actions[..], [Action::Cut(link, _)] if *link == child), "{actions:?}");
    }
    let child = hop.child(Role::Leaf);
    let actions = hop.hears(child, frame(child.peer, ME, Handle::HELLO, 0, hello(Role::Leaf)));
    assert!(matches!(&actions[..], [Action::Cut(..)]), "{actions:?}");
    let actions = hop.gets(frame(ABOVE, ME, Handle::SETUP, 0, encode(&())));
    assert!(matches!(&actions[..], [Action::Cut(link, _)] if *link == hop.up), "{actions:?}");
}

// protocol 1.3
#[test]
fn hello_from_above_ends_the_link_of_a_leaf() {
    let mut leaf = Bed::leaf();
    let actions = leaf.gets(frame(ABOVE, ME, Handle::HELLO, 0, hello(Role::Parent)));
    assert!(matches!(&actions[..], [Action::Cut(link, _)] if *link == leaf.up), "{actions:?}");
}

// protocol 5.3
#[test]
fn a_child_that_speaks_another_version_is_cut() {
    let mut hop = Bed::hop();
    for version in [0, 2] {
        let child = hop.silent_child();
        let hello = Hello { version, features: 0, role: Role::Leaf, pid: 1, build: 0 };
        let actions = hop.hears(child, frame(child.peer, ME, Handle::HELLO, 0, encode(&hello)));
        let [Action::Cut(_, reason)] = &actions[..] else { panic!("{actions:?}") };
        assert!(reason.contains(&format!("version {version}")), "{reason}");
    }
}

// protocol 5.3
#[test]
fn features_that_are_not_known_here_do_not_matter() {
    let mut hop = Bed::hop();
    let child = hop.silent_child();
    let hello = Hello { version: 1, features: u32::MAX, role: Role::Leaf, pid: 1, build: 0 };
    let actions = hop.hears(child, frame(child.peer, ME, Handle::HELLO, 0, encode(&hello)));
    assert!(matches!(&actions[..], [Action::Up(..)]), "{actions:?}");
}

// protocol 5.4
#[test]
fn the_news_of_a_child_leaves_before_anything_that_the_child_sends() {
    let mut hop = Bed::hop();
    hop.calls(ROOT);
    let child = hop.silent_child();
    hop.hears(child, frame(child.peer, ME, Handle::HELLO, 0, hello(Role::Leaf)));
    hop.hears(child, frame(child.peer, ROOT, Handle::CALL_FUNCTION, 1000, call("f", &())));
    let said = hop.says();
    assert_eq!(said[0].handle, Handle::ADD_ROUTE);
    assert_eq!(
        decode::<AddRoute>(&said[0]),
        AddRoute { id: child.peer, parent: ME, name: "child".to_owned() }
    );
    assert_eq!(said[1..].iter().filter(|frame| frame.src == child.peer).count(), 1);
}

// protocol 2.2 and 9.2
#[test]
fn the_handle_of_a_call_that_was_given_up_is_kept_until_its_answer() {
    let mut leaf = Bed::leaf();
    let given_up = leaf.calls(ROOT);
    leaf.says();
    leaf.with(|machine, now, out| machine.cancel(now, given_up, out));
    assert_ne!(leaf.calls(ROOT), given_up);
    assert_eq!(leaf.gets(frame(ROOT, ME, given_up, 0, reply(&1))), []);
    assert_eq!(leaf.calls(ROOT), given_up);
}

// protocol 2.2 and 9.4
#[test]
fn control_frames_leave_in_front_of_everything_else() {
    let mut leaf = Bed::leaf();
    leaf.calls(ROOT);
    leaf.calls(COUSIN);
    leaf.gets(frame(ABOVE, ME, Handle::PING, 0, encode(&())));
    assert_eq!(handles(&leaf.says()), [Handle::PONG, Handle::CALL_FUNCTION, Handle::CALL_FUNCTION]);
}

// protocol 2.5 and 6.4
#[test]
fn a_frame_over_the_limit_is_refused_if_somebody_waits_for_an_answer() {
    let mut leaf = Bed::leaf();
    let mut oversize = |reply_to| {
        let frame = frame(ROOT, ME, Handle::CALL_FUNCTION, reply_to, Vec::new());
        let link = leaf.up;
        leaf.with(|machine, now, out| machine.handle(now, Event::Oversize { link, frame }, out));
        leaf.says()
    };
    let said = oversize(THEIRS.number());
    let (told, code) = dead(&said).unwrap();
    assert_eq!((told.dst, told.handle, code), (ROOT, THEIRS, DeadCode::TooLarge));
    assert_eq!(oversize(0), []);
}

// protocol 3.1 and 3.2
#[test]
fn a_long_body_leaves_in_pieces_that_follow_one_another() {
    let limits = Limits { window_start: 1 << 20, ..Limits::default() };
    let mut leaf = Bed::leaf_with(limits);
    let body = call("f", &"x".repeat(300_000));
    leaf.calls_with(ROOT, body.clone(), None).unwrap();
    leaf.calls(ROOT);
    let said = leaf.says();
    let (first, pieces) = (&said[0], &said[..3]);
    let mut sent = Vec::new();
    for piece in pieces {
        let part = piece.part.unwrap();
        assert_eq!((part.total as usize, part.offset as usize), (body.len(), sent.len()));
        assert!(!piece.body.is_empty() && piece.body.len() <= MAX_CHUNK);
        assert_eq!(
            Frame { part: None, body: first.body.clone(), ..piece.clone() },
            Frame { part: None, ..first.clone() }
        );
        sent.extend_from_slice(&piece.body);
    }
    assert_eq!(sent, body);
    // The next body of the flow, behind all of the first.
    assert_eq!((said.len(), said[3].part), (4, None));
}

/// Who is told of the first piece alone should find the head in it.
// protocol 3.2
#[test]
fn the_first_piece_of_a_body_is_not_short() {
    let mut leaf = Bed::leaf();
    leaf.calls_with(ROOT, call("f", &"x".repeat(13_000)), None).unwrap();
    leaf.calls_with(ROOT, call("f", &"x".repeat(30_000)), None).unwrap();
    assert_eq!(handles(&leaf.says()).len(), 1, "3,000 bytes of credit are left");
    let credit = |bytes| frame(ROOT, ME, Handle::CREDIT, 0, encode(&Credit { window: Window::Calls, bytes }));
    leaf.gets(credit(1500));
    let said = leaf.says();
    assert_eq!(said.len(), 1);
    assert!(said[0].part.is_some() && said[0].body.len() >= 4096, "{}", said[0].body.len());
    leaf.gets(credit(1500));
    assert_eq!(leaf.says().len(), 1, "the others may be short");
}

// protocol 3.2
#[test]
fn a_context_that_is_passed_forwards_each_piece_as_it_is() {
    let mut hop = Bed::hop();
    let child = hop.child(Role::Leaf);
    let whole = Frame { dst: child.peer, ..call_from(ROOT, 4000, call("f", &"x".repeat(9000))) };
    for piece in pieces(&whole, 4000) {
        hop.gets(piece.clone());
        assert_eq!(hop.says_to(child), [piece]);
    }
}

// protocol 3.3
#[test]
fn only_the_destination_puts_pieces_together_and_a_new_first_piece_begins_anew() {
    let mut leaf = Bed::leaf();
    let wanted = call_from(ROOT, 4000, call("f", &"x".repeat(9000)));
    let other = call_from(ROOT, 4000, call("f", &"y".repeat(9000)));
    leaf.gets(pieces(&other, 4000)[0].clone());
    let actions: Vec<_> = pieces(&wanted, 4000).into_iter().flat_map(|piece| leaf.gets(piece)).collect();
    assert_eq!(actions, [Action::CallReady]);
    let taken = leaf.with(|machine, now, out| machine.take_call(now, 0, out)).unwrap();
    assert_eq!(taken.body, wanted.body);
}

// protocol 3.3
#[test]
fn a_piece_that_does_not_continue_breaks_the_body_and_its_source_is_told() {
    let whole = call_from(ROOT, 4000, call("f", &"x".repeat(9000)));
    let [first, second, _] = &pieces(&whole, 4000)[..] else { panic!("three pieces") };
    let with_part = |total, offset| Frame { part: Some(Part { total, offset }), ..second.clone() };
    let total = first.part.unwrap().total;
    let empty = Frame { body: Vec::new().into(), ..second.clone() };
    for wrong in [with_part(total + 1, 4000), with_part(total, 3999), with_part(total, total - 1), empty] {
        let mut leaf = Bed::leaf();
        leaf.gets(first.clone());
        leaf.gets(wrong);
        let said = leaf.says();
        let (told, code) = dead(&said).unwrap();
        assert_eq!((told.handle, code), (THEIRS, DeadCode::Malformed));
        leaf.gets(second.clone());
        assert_eq!((leaf.machine.sizes().parts, leaf.works()), (0, None));
    }
}

// protocol 3.3
#[test]
fn a_total_over_the_limit_is_refused_with_its_first_piece() {
    let mut leaf = Bed::leaf_with(Limits { body: 5000, ..Limits::default() });
    let whole = call_from(ROOT, 4000, call("f", &"x".repeat(6000)));
    leaf.gets(pieces(&whole, 4000)[0].clone());
    let said = leaf.says();
    assert_eq!(dead(&said).map(|(_, code)| code), Some(DeadCode::TooLarge));
    assert_eq!(leaf.machine.sizes().parts, 0);
}

// protocol 3.3 and 6.4
#[test]
fn a_broken_reply_ends_the_call_that_waits_for_it() {
    let mut leaf = Bed::leaf();
    let handle = leaf.calls(ROOT);
    leaf.says();
    let whole = frame(ROOT, ME, handle, 0, reply(&"x".repeat(9000)));
    let pieces = pieces(&whole, 4000);
    leaf.gets(pieces[0].clone());
    let actions = leaf.gets(pieces[2].clone());
    let [Action::Answer { handle: ended, outcome: Outcome::Dead { dead, progress, .. } }] = &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!((*ended, dead.code, *progress), (handle, DeadCode::Malformed, Progress::Unknown));
    assert_eq!(leaf.dropped(DropKind::Fragment), 1);
}
