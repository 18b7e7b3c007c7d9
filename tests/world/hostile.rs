//! A hostile child of the root: what it forges is dropped and counted, and hurts nobody else (threats.md, section 2).

use offshoot_core::machine::DropKind;
use offshoot_tests::world::{Call, CallEnd, End, Job, Op, Scenario, World};
use offshoot_wire::{
    AddRoute, AllocateId, Body, CallHead, CallId, ContextId, Credit, Dead, DeadCode, DelRoute,
    End as StreamEnd, Frame, Handle, Part, Rebind, ReplyTo, Setup, Shutdown, VERSION, Window, codec,
};
use serde::Serialize;

/// An honest hop 5 with leaves 1 and 2, the hostile 7 with its child 70, an honest leaf 8.
const TREE: &str = "0>5 5>1 5>2 0>7 7>70 0>8";

/// A frame of 7 to the root, to be altered.
fn frame(w: &World, handle: Handle) -> Frame {
    let me = w.id(7);
    Frame {
        dst: ContextId::ROOT,
        src: me,
        auth: me,
        handle,
        reply_to: ReplyTo::Nobody,
        part: None,
        body: Body::default(),
    }
}

fn body(value: &impl Serialize) -> Body {
    codec::encode(value).unwrap().into()
}

fn call_to(dst: ContextId, function: &'static str, w: &World) -> Frame {
    let head =
        CallHead { function: function.into(), left_ms: None, above: vec![], chain: None, ends: vec![] };
    Frame { dst, body: body(&head), ..frame(w, Handle::CALL_FUNCTION) }
}

/// Whether the root has dropped something for this reason.
fn dropped(kind: DropKind) -> impl Fn(&World) -> Result<(), String> {
    dropped_by(0, kind)
}

fn dropped_by(label: u32, kind: DropKind) -> impl Fn(&World) -> Result<(), String> {
    move |w| {
        let notes = &w.history.notes;
        if notes.contains(&(w.id(label), kind)) {
            Ok(())
        } else {
            Err(format!("{kind:?} is not in {notes:?}"))
        }
    }
}

/// 7 sends these at any step of an honest call from 8 to 1, which ends as ever.
fn attack(frames: impl Fn(&World) -> Vec<Frame>, check: impl Fn(&mut World)) {
    Scenario::on(TREE).in_flight(1).check(|w| {
        let honest = w.call(8, 1);
        w.expect(honest, &[End::Value]);
        let mut before = None;
        for frame in frames(w) {
            let op = Op::Inject(7, frame);
            before = Some(match before {
                None => w.will(op),
                Some(before) => w.then(before, op),
            });
        }
        w.at_rest(|w| match [0, 1, 2, 5, 8].into_iter().find(|label| !w.is_alive(*label)) {
            None => Ok(()),
            Some(label) => Err(format!("{label} is gone")),
        });
        check(w);
    });
}

fn is_cut(w: &World) -> Result<(), String> {
    if w.is_alive(7) { Err("7 lives on".into()) } else { Ok(()) }
}

#[test]
fn a_forged_source_is_dropped() {
    for src in [8, 5, 0] {
        attack(
            |w| {
                vec![Frame {
                    src: w.id(src),
                    reply_to: ReplyTo::Handle(Handle::new(1000)),
                    ..call_to(w.id(1), "anyone", w)
                }]
            },
            |w| w.at_rest(dropped(DropKind::Source)),
        );
    }
}

#[test]
fn a_forged_authority_is_dropped() {
    for auth in [0, 5, 8] {
        attack(
            |w| vec![Frame { auth: w.id(auth), ..call_to(w.id(8), "parents", w) }],
            |w| w.at_rest(dropped(DropKind::Authority)),
        );
    }
}

#[test]
fn a_source_that_was_never_announced_is_dropped() {
    attack(
        |w| vec![Frame { src: ContextId::new(w.id(70).number() + 1), ..call_to(w.id(8), "anyone", w) }],
        |w| w.at_rest(dropped(DropKind::Source)),
    );
}

#[test]
fn functions_of_ancestors_are_refused_to_it() {
    attack(|w| vec![call_to(ContextId::ROOT, "parents", w)], |w| w.at_rest(dropped(DropKind::Policy)));
    attack(|w| vec![call_to(w.id(8), "parents", w)], |w| w.at_rest(dropped_by(8, DropKind::Policy)));
}

#[test]
fn answers_to_calls_of_others_end_nothing() {
    // 8 has called 1: an answer and a dead message of 7 to the handle that waits.
    attack(
        |w| {
            let to = Frame { dst: w.id(8), ..frame(w, Handle::new(1000)) };
            let dead = body(&Dead { code: DeadCode::Gone, text: "gone".into() });
            vec![to.clone(), Frame { reply_to: ReplyTo::Dead, body: dead, ..to }]
        },
        |w| {
            w.sometimes("both came while the call was open", |w| {
                w.history.notes.contains(&(w.id(8), DropKind::Respondent))
            });
        },
    );
}

#[test]
fn a_neighbour_of_the_callee_cannot_answer_for_it() {
    // 70 lives behind the same link as 7: the root waits for 70, and 7 says that it is dead.
    Scenario::on(TREE).in_flight(1).check(|w| {
        let call = w.start(Call::new(0, 70).job(Job::Hold(0)));
        w.expect(call, &[End::Value]);
        let dead = body(&Dead { code: DeadCode::Gone, text: "gone".into() });
        let frame = Frame { reply_to: ReplyTo::Dead, body: dead, ..frame(w, Handle::new(1000)) };
        w.will(Op::Inject(7, frame));
        w.sometimes("it came in time", |w| w.history.notes.contains(&(w.id(0), DropKind::Respondent)));
    });
}

#[test]
fn dead_messages_to_reserved_handles_end_nothing() {
    attack(
        |w| {
            let dead = body(&Dead { code: DeadCode::Gone, text: "gone".into() });
            let to = |handle| Frame { reply_to: ReplyTo::Dead, body: dead.clone(), ..frame(w, handle) };
            vec![to(Handle::CALL_FUNCTION), to(Handle::SHUTDOWN), to(Handle::CREATE_CHILD)]
        },
        |w| w.at_rest(dropped(DropKind::Dead)),
    );
}

#[test]
fn two_answers_to_one_call_end_it_once() {
    Scenario::on(TREE).in_flight(1).check(|w| {
        let call = w.start(Call::new(0, 7).job(Job::Hold(0)));
        w.expect(call, &[End::Value, End::Failed, End::Dead]);
        let dead = body(&Dead { code: DeadCode::Gone, text: "gone".into() });
        let frame = Frame { reply_to: ReplyTo::Dead, body: dead, ..frame(w, Handle::new(1000)) };
        w.will(Op::Inject(7, frame.clone()));
        w.will(Op::Inject(7, frame));
    });
}

#[test]
fn an_end_of_a_stream_that_is_not_its_own_is_not_taken() {
    Scenario::on(TREE).in_flight(1).check(|w| {
        let ends = vec![
            StreamEnd {
                home: w.id(8),
                handle: Handle::new(1000),
                direction: offshoot_wire::Direction::Sends,
            },
            StreamEnd { home: w.id(7), handle: Handle::new(101), direction: offshoot_wire::Direction::Sends },
        ];
        for end in ends {
            let root = w.context(ContextId::ROOT).unwrap().router.clone();
            let (mut root, from) = (root, w.id(7));
            assert!(root.import(from, end).is_err(), "{end:?}");
        }
    });
}

#[test]
fn ids_that_were_not_granted_to_it_are_not_announced() {
    for (label, kind) in
        [(8, DropKind::Route), (0, DropKind::Route), (7, DropKind::Route), (5, DropKind::Route)]
    {
        attack(
            |w| {
                let add = AddRoute { id: w.id(label), parent: w.id(7), name: "x".into() };
                vec![Frame { body: body(&add), ..frame(w, Handle::ADD_ROUTE) }]
            },
            |w| w.at_rest(dropped(kind)),
        );
    }
    for id in [3_999_999, u32::MAX] {
        attack(
            |w| {
                let add = AddRoute { id: ContextId::new(id), parent: w.id(7), name: "x".into() };
                vec![Frame { body: body(&add), ..frame(w, Handle::ADD_ROUTE) }]
            },
            |w| {
                w.at_rest(|w| dropped(DropKind::Grant)(w).or_else(|_| dropped(DropKind::Route)(w)));
            },
        );
    }
}

#[test]
fn an_id_that_was_withdrawn_is_burnt() {
    attack(
        |w| {
            let id = ContextId::new(w.id(70).number() + 5);
            let add = AddRoute { id, parent: w.id(7), name: "x".into() };
            let del = DelRoute { ids: vec![id], top: id, name: "x".into(), reason: "gone".into() };
            let add = Frame { body: body(&add), ..frame(w, Handle::ADD_ROUTE) };
            vec![add.clone(), Frame { body: body(&del), ..frame(w, Handle::DEL_ROUTE) }, add]
        },
        |w| w.at_rest(dropped(DropKind::Grant)),
    );
}

#[test]
fn it_cannot_withdraw_another() {
    attack(
        |w| {
            let ids = vec![w.id(8)];
            let del = DelRoute { ids, top: w.id(8), name: "x".into(), reason: "gone".into() };
            vec![Frame { body: body(&del), ..frame(w, Handle::DEL_ROUTE) }]
        },
        |w| w.at_rest(dropped(DropKind::Route)),
    );
}

#[test]
fn ranges_without_end_are_refused() {
    attack(
        |w| vec![Frame { body: body(&AllocateId::Ask), ..frame(w, Handle::ALLOCATE_ID) }; 9],
        |w| w.at_rest(dropped(DropKind::Quota)),
    );
}

#[test]
fn a_leaf_has_nothing_to_say_about_routes() {
    Scenario::on(TREE).in_flight(1).check(|w| {
        let me = w.id(8);
        let add = AddRoute { id: ContextId::new(9), parent: me, name: "x".into() };
        for (handle, body) in [(Handle::ADD_ROUTE, body(&add)), (Handle::ALLOCATE_ID, body(&AllocateId::Ask))]
        {
            w.will(Op::Inject(8, Frame { src: me, auth: me, body, ..frame(w, handle) }));
        }
        w.at_rest(dropped(DropKind::Role));
    });
}

#[test]
fn it_can_end_neither_its_parent_nor_a_sibling() {
    attack(
        |w| {
            let end = |dst| Frame { dst, body: body(&Shutdown { left_ms: 0 }), ..frame(w, Handle::SHUTDOWN) };
            vec![end(ContextId::ROOT), end(w.id(8))]
        },
        |w| w.at_rest(dropped(DropKind::Policy)),
    );
}

#[test]
fn a_second_setup_cuts_its_link() {
    attack(
        |w| {
            let setup = Setup {
                version: VERSION,
                features: 0,
                id: ContextId::ROOT,
                ancestors: vec![],
                name: "x".into(),
                one_way: false,
                body_limit: 0,
                ping_ms: 0,
                grace_ms: 0,
                log_level: 0,
            };
            vec![Frame { body: body(&setup), ..frame(w, Handle::SETUP) }]
        },
        |w| w.at_rest(is_cut),
    );
}

#[test]
fn pings_without_end_have_one_pong_waiting() {
    attack(|w| vec![Frame { body: body(&()), ..frame(w, Handle::PING) }; 4], |_| {});
}

#[test]
fn credit_beyond_every_window_is_dropped() {
    Scenario::on(TREE).in_flight(1).check(|w| {
        // The root has an account with 7.
        let call = w.call(0, 7);
        w.settle();
        w.expect(call, &[End::Value]);
        let credit = |window| body(&Credit { window, bytes: u32::MAX });
        w.will(Op::Inject(7, Frame { body: credit(Window::Calls), ..frame(w, Handle::CREDIT) }));
        w.will(Op::Inject(
            7,
            Frame { body: credit(Window::Stream(Handle::new(1000))), ..frame(w, Handle::CREDIT) },
        ));
        w.at_rest(dropped(DropKind::Credit));
        w.at_rest(dropped(DropKind::Late));
    });
}

#[test]
fn what_it_sends_without_credit_is_refused() {
    attack(
        |w| {
            let large = Body::from(vec![0; 400]);
            vec![Frame { body: large, ..frame(w, Handle::new(100)) }; 1]
                .into_iter()
                .chain(std::iter::repeat_n(
                    Frame { body: Body::from(vec![0; 2000]), ..call_to(w.id(8), "anyone", w) },
                    1,
                ))
                .collect()
        },
        |w| w.at_rest(dropped_by(8, DropKind::Credit)),
    );
}

#[test]
fn a_flood_of_control_frames_through_the_root_cuts_its_sender() {
    Scenario::on(TREE).in_flight(1).with(|s| s.limits.control = 600).check(|w| {
        let honest = w.call(8, 1);
        w.expect(honest, &[End::Value]);
        w.now_do(&Op::Pause(8));
        for handle in 1000..1006 {
            let rebind = body(&Rebind { handle: Handle::new(handle), holder: w.id(7) });
            let frame = Frame { dst: w.id(8), body: rebind, ..frame(w, Handle::REBIND) };
            w.now_do(&Op::Inject(7, frame));
        }
        w.will(Op::Resume(8));
        w.at_rest(|w| if w.is_alive(8) && w.is_alive(0) { Ok(()) } else { Err("8 is gone".into()) });
        w.sometimes("7 was cut off", |w| !w.is_alive(7));
    });
}

#[test]
fn it_cannot_cancel_the_call_of_another() {
    attack(
        |w| {
            let id = CallId { context: w.id(8), handle: Handle::new(1000) };
            vec![Frame { dst: w.id(1), body: body(&id), ..frame(w, Handle::CANCEL) }]
        },
        |w| w.at_rest(dropped_by(1, DropKind::Source)),
    );
}

#[test]
fn pieces_that_continue_nothing_make_no_message() {
    attack(
        |w| {
            let piece = |offset, total| Frame {
                part: Some(Part { total, offset }),
                body: Body::from(vec![0; 10]),
                ..frame(w, Handle::CALL_FUNCTION)
            };
            vec![piece(10, 20), piece(0, 30), piece(20, 30)]
        },
        |w| w.at_rest(dropped(DropKind::Fragment)),
    );
}

#[test]
fn bodies_without_end_are_not_kept() {
    Scenario::on(TREE).in_flight(1).with(|s| s.limits.partial_bodies = 1).check(|w| {
        for (src, handle) in [(7, Handle::CALL_FUNCTION), (70, Handle::CALL_FUNCTION)] {
            let id = w.id(src);
            let part = Some(Part { total: 100, offset: 0 });
            let body = Body::from(vec![0; 10]);
            let reply_to = ReplyTo::Handle(Handle::new(4000));
            w.now_do(&Op::Inject(7, Frame { src: id, auth: id, part, body, reply_to, ..frame(w, handle) }));
        }
        w.will(Op::Crash(7));
        w.sometimes("the second was refused", |w| w.history.notes.contains(&(w.id(0), DropKind::Congested)));
    });
}

#[test]
fn what_a_hop_above_forges_is_dropped_below() {
    // 7 claims to 70 that its own child speaks; a hop has authority over its subtree, but not the child's name.
    Scenario::on(TREE).in_flight(1).check(|w| {
        let frame = Frame { dst: w.id(70), src: w.id(70), auth: w.id(70), ..frame(w, Handle::CALL_FUNCTION) };
        w.inject_down(7, 70, frame);
        w.at_rest(dropped_by(70, DropKind::Source));
        w.at_rest(|w| match w.history.calls.iter().find(|call| call.end == Some(CallEnd::Stopped)) {
            None => Ok(()),
            Some(call) => Err(format!("{call:?}")),
        });
    });
}
