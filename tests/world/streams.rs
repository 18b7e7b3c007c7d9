//! Streams: both directions, through hops, closed at either end or both, slow readers, ends that are handed on.

use offshoot_tests::world::{Call, End, Job, Op, Plan, Report, Scenario, Taste, Then, World, check};

const fn plan(items: u8, bytes: u32, then: Then) -> Plan {
    Plan { items, bytes, then }
}

/// All items came, and both ends know that it ended cleanly.
fn expect_all(w: &mut World, items: u8) {
    w.at_rest(move |w| {
        let stream = &w.history.streams[0];
        if stream.received == items { Ok(()) } else { Err(format!("{stream:?}, not {items} items")) }
    });
}

#[test]
fn a_handler_streams_to_its_caller_through_hops() {
    check("0>1 1>2", |w| {
        let call = w.start(Call::new(0, 2).job(Job::Source(plan(3, 10, Then::Close))));
        w.expect(call, &[End::Value]);
        expect_all(w, 3);
    });
}

#[test]
fn a_caller_streams_to_a_handler() {
    check("0>1 1>2", |w| {
        let call = w.start(Call::new(0, 2).job(Job::Sink(Taste::default())).sending(3, 10, Then::Close));
        w.expect(call, &[End::Value]);
        expect_all(w, 3);
    });
}

#[test]
fn a_handler_feeds_the_end_that_it_was_given() {
    check("0>1 1>2", |w| {
        let call = w.start(Call::new(2, 0).job(Job::Feed(plan(3, 10, Then::Close))));
        w.expect(call, &[End::Value]);
        expect_all(w, 3);
    });
}

#[test]
fn a_slow_reader_holds_its_writer_and_gets_everything() {
    check("0>1", |w| {
        let slow = Taste { slow: true, enough: None };
        w.start(Call::new(0, 1).job(Job::Source(plan(6, 100, Then::Close))).receiving(slow));
        expect_all(w, 6);
    });
}

#[test]
fn items_longer_than_the_window_travel_in_pieces() {
    check("0>1", |w| {
        let slow = Taste { slow: true, enough: None };
        w.start(Call::new(0, 1).job(Job::Source(plan(2, 900, Then::Close))).receiving(slow));
        expect_all(w, 2);
    });
}

#[test]
fn a_context_streams_to_itself() {
    let slow = Taste { slow: true, enough: None };
    check("0>1", |w| {
        w.start(Call::new(1, 1).job(Job::Sink(slow)).sending(6, 200, Then::Close));
        expect_all(w, 6);
    });
}

#[test]
fn an_end_comes_back_to_its_home() {
    check("0>1", |w| {
        let home = w.id(1);
        let job = Job::HandOn(home, Box::new(Job::Sink(Taste::default())));
        w.start(Call::new(1, 0).job(job).sending(2, 10, Then::Close));
        expect_all(w, 2);
    });
}

#[test]
fn a_reader_that_has_enough_ends_its_writer() {
    check("0>1 1>2", |w| {
        let taste = Taste { slow: false, enough: Some(1) };
        w.start(Call::new(0, 2).job(Job::Source(plan(5, 100, Then::Keep))).receiving(taste));
    });
}

#[test]
fn a_sender_says_that_it_failed() {
    check("0>1", |w| {
        w.start(Call::new(0, 1).job(Job::Source(plan(1, 10, Then::Fail))));
        w.at_rest(|w| match &w.history.streams[0].receiver_ended {
            Some(offshoot_core::machine::Ended::Failed(_)) => Ok(()),
            other => Err(format!("the receiver was told {other:?}")),
        });
    });
}

#[test]
fn streams_in_both_directions_share_a_link() {
    check("0>1", |w| {
        w.start(Call::new(0, 1).job(Job::Source(plan(2, 10, Then::Close))));
        w.start(Call::new(0, 1).job(Job::Sink(Taste::default())).sending(2, 10, Then::Close));
    });
}

#[test]
fn an_end_in_a_call_that_was_refused_is_closed() {
    check("0>1 0>2", |w| {
        let refused = Call::new(1, 2).function("parents").job(Job::Sink(Taste::default()));
        w.start(refused.sending(2, 10, Then::Close));
    });
}

#[test]
fn an_end_in_a_call_that_is_given_up_is_closed() {
    check("0>1", |w| {
        let call = w.start(Call::new(0, 1).job(Job::Sink(Taste::default())).sending(2, 10, Then::Close));
        w.may(Op::Cancel(call));
    });
}

#[test]
fn the_root_hands_an_end_on_from_one_child_to_another() {
    check("0>1 0>2", |w| {
        let two = w.id(2);
        let job = Job::HandOn(two, Box::new(Job::Sink(Taste::default())));
        w.start(Call::new(1, 0).job(job).sending(2, 10, Then::Close));
        expect_all(w, 2);
    });
}

#[test]
fn an_end_that_was_handed_on_ends_when_its_holder_or_its_home_is_lost() {
    for lost in [1, 2] {
        let report: Report = check("0>1 0>2", |w| {
            let two = w.id(2);
            let job = Job::HandOn(two, Box::new(Job::Sink(Taste::default())));
            w.start(Call::new(1, 0).job(job).sending(1, 10, Then::Close));
            w.may(Op::Crash(lost));
        });
        assert!(report.at_rest > 1);
    }
}

#[test]
fn a_stream_is_lost_with_a_link_on_its_way() {
    check("0>1 1>2", |w| {
        let taste = Taste { slow: true, enough: None };
        w.start(Call::new(0, 2).job(Job::Source(plan(3, 100, Then::Close))).receiving(taste));
        w.may(Op::Cut(1, 2));
    });
}

#[test]
fn a_stream_and_calls_share_three_links() {
    Scenario::on("0>1 1>2 2>3").in_flight(1).check(|w| {
        w.start(Call::new(0, 3).job(Job::Source(plan(2, 10, Then::Close))));
        let call = w.call(0, 3);
        w.expect(call, &[End::Value]);
        expect_all(w, 2);
    });
}
