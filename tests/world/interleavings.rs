//! The interleavings T1 to T17 of threats.md: every order around each is tried, of T14 the one that is meant; where an order
//! might turn out impossible, it is seen to occur.

use offshoot_core::machine::{Ended, Progress};
use offshoot_tests::world::{
    Call, CallEnd, End, Job, Op, Plan, Scenario, Settings, Taste, Then, World, check,
};
use offshoot_wire::{DeadCode, Handle};

fn ended(w: &World, call: u32) -> Option<&CallEnd> {
    w.history.calls.get(call as usize)?.end.as_ref()
}

fn value_of_call(no: u32) -> impl Fn(&World) -> Result<(), String> {
    move |w| match ended(w, no) {
        Some(CallEnd::Value) => Ok(()),
        other => Err(format!("call {no} ended as {other:?}")),
    }
}

#[test]
fn t01_a_loss_goes_down_while_a_new_sibling_goes_up() {
    check("0>1 0>2p", |w| {
        w.call(2, 1);
        w.will(Op::Crash(1));
        let create = w.will(Op::Create(2, 3, false));
        w.then(create, Op::Start(Call::new(2, 3)));
        w.at_rest(value_of_call(1));
    });
}

#[test]
fn t02_a_reply_that_a_hop_holds_arrives_before_the_news_that_its_sender_is_gone() {
    check("0>1 1>2 2>3", |w| {
        let call = w.call(0, 3);
        // It ends in order once it has answered: what it wrote arrives.
        w.will(Op::Shutdown(0, 3));
        w.expect(call, &[End::Value]);
    });
}

#[test]
fn t02_a_reply_behind_a_paused_hop_arrives_before_the_news_that_its_sender_is_gone() {
    check("0>1 1>2", |w| {
        let call = w.call(0, 2);
        let other = w.start(Call::new(1, 2).job(Job::Answer(300)));
        w.now_do(&Op::Shutdown(0, 2));
        let pause = w.will(Op::Pause(0));
        w.then(pause, Op::Resume(0));
        w.expect(call, &[End::Value]);
        w.expect(other, &[End::Value, End::Lost, End::Dead]);
    });
}

#[test]
fn t03_cancel_stays_behind_the_pieces_of_its_call_and_crosses_the_answer() {
    check("0>1 1>2", |w| {
        let call = w.start(Call::new(0, 2).bytes(600));
        w.will(Op::Cancel(call));
        w.expect(call, &[End::Value, End::Cancelled]);
        w.sometimes("it is given up and never runs", |w| w.history.calls[0].runs == 0);
        w.sometimes("it is given up and has run", |w| {
            w.history.calls[0].runs == 1 && matches!(ended(w, 0), Some(CallEnd::Cancelled(_)))
        });
    });
}

#[test]
fn t03_the_call_behind_one_that_was_given_up_between_its_pieces_arrives() {
    check("0>1", |w| {
        let large = w.start(Call::new(0, 1).bytes(900));
        let small = w.call(0, 1);
        w.will(Op::Cancel(large));
        w.expect(large, &[End::Value, End::Cancelled]);
        w.expect(small, &[End::Value]);
    });
}

#[test]
fn t03_a_child_that_is_no_longer_wanted_is_called_off_in_order() {
    check("0>1 1>2p", |w| {
        let call = w.start(Call::new(0, 2).mailbox(Handle::CREATE_CHILD).job(Job::Answer(7)));
        w.will(Op::Cancel(call));
        w.at_rest(|w| match (ended(w, 0), w.is_alive(7)) {
            // Whoever makes a child for nobody is told, while it can be.
            (Some(CallEnd::Cancelled(Progress::NotSent)), true) => Err("it was not sent, and lives".into()),
            _ => Ok(()),
        });
    });
}

#[test]
fn t04_credit_for_a_closed_stream_does_not_count_for_the_next_in_its_slot() {
    let taste = Taste { slow: false, enough: Some(2) };
    check("0>1 1>2", |w| {
        let plan = Plan { items: 4, bytes: 120, then: Then::Close };
        let first = w.will(Op::Start(Call::new(0, 2).job(Job::Source(plan)).receiving(taste)));
        w.then(first, Op::Start(Call::new(0, 2).job(Job::Source(plan)).receiving(taste)));
    });
}

#[test]
fn t05_both_ends_close_at_once_with_items_under_way() {
    check("0>1 1>2", |w| {
        let taste = Taste { slow: false, enough: Some(1) };
        let plan = Plan { items: 2, bytes: 20, then: Then::Close };
        w.start(Call::new(0, 2).job(Job::Source(plan)).receiving(taste));
        w.sometimes("both have closed", |w| {
            w.history.streams[0].sender_closed.is_some() && w.history.streams[0].receiver_closed
        });
    });
}

#[test]
fn t06_a_hop_is_told_to_end_while_it_makes_a_child() {
    check("0>1 1>2p", |w| {
        let call = w.start(Call::new(0, 2).mailbox(Handle::CREATE_CHILD).job(Job::Answer(7)));
        w.will(Op::Shutdown(0, 2));
        w.expect(call, &[End::Value, End::Lost, End::Dead]);
        w.at_rest(|w| if w.is_alive(7) { Err("the child lives on".into()) } else { Ok(()) });
    });
}

#[test]
fn t07_two_askers_share_one_question_while_a_link_is_lost() {
    check("0>1 1>2p 1>3p", |w| {
        w.will(Op::Create(2, 4, false));
        w.will(Op::Create(3, 5, false));
        w.may(Op::Cut(1, 2));
        w.at_rest(|w| if w.is_alive(5) { Ok(()) } else { Err("5 was never made".into()) });
    });
}

#[test]
fn t07_one_context_wants_two_children_with_one_question() {
    check("0>1p", |w| {
        w.will(Op::Create(1, 2, false));
        w.will(Op::Create(1, 3, false));
        w.at_rest(|w| if w.is_alive(2) && w.is_alive(3) { Ok(()) } else { Err("not both live".into()) });
    });
}

#[test]
fn t08_a_siblings_call_meets_its_grant() {
    check("0>1 0>2", |w| {
        let call = w.start(Call::new(1, 2).function("parents"));
        let grant = w.grant(0, 2, 1, "parents");
        w.will(Op::Start(grant));
        w.expect(call, &[End::Value, End::Code(DeadCode::Policy)]);
        w.sometimes_ends(call, End::Value);
        w.sometimes_ends(call, End::Code(DeadCode::Policy));
    });
}

#[test]
fn t08_a_grant_goes_with_the_context_that_had_it() {
    check("0>1 0>2", |w| {
        let grant = w.grant(0, 2, 1, "parents");
        w.start(grant);
        w.settle();
        let call = w.start(Call::new(1, 2).function("parents"));
        w.will(Op::Crash(1));
        w.expect(call, &[End::Value, End::CallerGone]);
        w.at_rest(|w| match w.context(w.id(2)).unwrap().router.sizes().grants {
            0 => Ok(()),
            n => Err(format!("{n} grants are left")),
        });
    });
}

#[test]
fn t09_the_answer_to_a_call_given_up_does_not_end_the_next_call_of_its_slot() {
    check("0>1", |w| {
        let first = w.start(Call::new(0, 1).job(Job::Hold(0)));
        let cancel = w.will(Op::Cancel(first));
        let again = w.then(cancel, Op::Start(Call::new(0, 1).job(Job::Hold(0))));
        w.then(again, Op::Start(Call::new(0, 1)));
        w.at_rest(value_of_call(1));
        w.at_rest(value_of_call(2));
    });
}

#[test]
fn t10_a_caller_is_lost_with_half_a_body_and_its_successor_sends_to_the_same_handle() {
    check("0>1p 0>2", |w| {
        let large = w.start(Call::new(1, 2).bytes(900));
        w.will(Op::Crash(1));
        let next = w.start(Call::new(0, 2).bytes(900));
        w.expect(large, &[End::Value, End::CallerGone]);
        w.expect(next, &[End::Value]);
    });
}

#[test]
fn t11_the_parent_is_lost_under_a_waiting_caller() {
    check("0>1 1>2", |w| {
        let call = w.start(Call::new(2, 0).job(Job::Hold(0)));
        w.will(Op::Crash(0));
        w.expect(call, &[End::Value, End::Lost, End::CallerGone, End::Dead]);
        w.sometimes("it was seen lost", |w| w.contexts().count() == 0);
    });
}

#[test]
fn t12_a_call_meets_the_withdrawal_of_its_target_half_way() {
    check("0>1 1>2 2>3", |w| {
        let call = w.call(0, 3);
        w.will(Op::Cut(2, 3));
        w.expect(call, &[End::Value, End::Lost, End::Dead]);
        w.sometimes_ends(call, End::Lost);
    });
}

#[test]
fn t13_a_context_is_withdrawn_twice() {
    // The grandchild first and then the branch that it was on; and the root withdraws what its hop has withdrawn.
    check("0>1 1>2 0>3", |w| {
        let call = w.call(3, 2);
        w.will(Op::Crash(2));
        w.will(Op::Cut(0, 1));
        w.expect(call, &[End::Value, End::Lost, End::Dead]);
    });
}

#[test]
fn t14_an_answer_in_the_buffer_is_read_before_the_silence_is_judged() {
    let pinging = Settings::default().pinging(100, 1);
    let mut w = World::grown("0>1", pinging);
    w.advance(0, 100);
    assert!(w.wires_hold(0, 1, Handle::PING), "a silent link is asked");
    let mut unread = w.clone();
    // The answer is on the wire, and is read before the timer is judged, as the shell does it.
    w.settle();
    w.advance(0, 200);
    assert!(!w.is_cut(0, 1), "what was heard in time counts");
    unread.advance(0, 200);
    assert!(unread.is_cut(0, 1), "a link that stays silent is lost");
}

#[test]
fn t15_large_bodies_fill_both_directions_of_one_link() {
    let small = |s: &mut Settings| {
        s.limits.uplink_child = 300;
        (s.limits.window_start, s.limits.window_max) = (2048, 2048);
    };
    Scenario::on("0>1 1>2").with(small).in_flight(1).check(|w| {
        for _ in 0..2 {
            for call in [Call::new(0, 2), Call::new(2, 0)] {
                let call = w.start(call.bytes(600));
                w.expect(call, &[End::Value]);
            }
        }
        w.meets("more waits in both directions than the link takes, and 2 is not read for that", |w| {
            w.wires_are_full(0, 1) && w.wires_are_full(1, 0) && w.is_unread(1, 2)
        });
    });
}

#[test]
fn t16_a_dead_reply_and_the_news_of_the_loss_end_a_call_once() {
    check("0>1 1>2 0>3", |w| {
        for call in [w.call(0, 2), w.call(3, 2)] {
            w.expect(call, &[End::Value, End::Lost, End::Dead]);
            w.sometimes_ends(call, End::Lost);
        }
        w.will(Op::Cut(1, 2));
    });
}

#[test]
fn t17_a_deadline_fires_while_the_answer_is_delivered() {
    Scenario::on("0>1 1>2").with_timers().check(|w| {
        let call = w.start(Call::new(0, 2).within(5));
        w.expect(call, &[End::Value, End::TimedOut]);
        w.sometimes_ends(call, End::Value);
        w.sometimes("it has run, and its caller was told that its time was up", |w| {
            w.history.calls[0].runs == 1 && matches!(ended(w, 0), Some(CallEnd::TimedOut(_)))
        });
    });
}

#[test]
fn a_stream_told_lost_is_never_told_closed() {
    check("0>1 1>2", |w| {
        let plan = Plan { items: 2, bytes: 10, then: Then::Close };
        w.start(Call::new(0, 2).job(Job::Source(plan)));
        w.may(Op::Crash(2));
        w.sometimes("the stream was lost", |w| {
            let lost =
                |s: &offshoot_tests::world::StreamRecord| matches!(s.receiver_ended, Some(Ended::Lost(_)));
            w.history.streams.iter().any(lost)
        });
    });
}
