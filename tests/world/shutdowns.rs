//! Contexts that are told to end: children first, nothing taken that cannot be answered, nobody left over.

use offshoot_tests::world::{Call, End, Job, Op, World, check};

const ENDING: [End; 5] = [End::Value, End::Lost, End::Dead, End::Refused, End::CallerGone];

fn expect_an_end(w: &mut World, src: u32, dst: u32) {
    let call = w.call(src, dst);
    w.expect(call, &ENDING);
}

#[test]
fn a_child_told_to_end_takes_its_children_along() {
    check("0>1 1>2 1>3", |w| {
        w.now_do(&Op::Shutdown(0, 1));
        w.at_rest(|w| match [1, 2, 3].into_iter().find(|label| w.is_alive(*label)) {
            None => Ok(()),
            Some(label) => Err(format!("{label} lives on")),
        });
    });
}

#[test]
fn a_tree_ends_while_calls_are_under_way() {
    check("0>1 1>2", |w| {
        expect_an_end(w, 0, 2);
        expect_an_end(w, 2, 0);
        w.will(Op::Shutdown(0, 0));
    });
}

#[test]
fn a_call_queued_before_the_order_to_end_arrives_before_it() {
    check("0>1 1>2", |w| {
        let call = w.call(0, 2);
        w.now_do(&Op::Shutdown(0, 2));
        w.expect(call, &[End::Value]);
    });
}

#[test]
fn what_waits_for_credit_when_a_context_is_told_to_end_is_not_sent() {
    check("0>1", |w| {
        let first = w.start(Call::new(0, 1).bytes(200).job(Job::Hold(0)));
        let second = w.start(Call::new(0, 1).bytes(200));
        w.now_do(&Op::Shutdown(0, 1));
        for call in [first, second] {
            w.expect(call, &[End::Value, End::Lost, End::Dead]);
        }
        w.at_rest(|w| if w.is_alive(1) { Err("1 lives on".into()) } else { Ok(()) });
    });
}

#[test]
fn an_order_to_end_passes_a_context_that_takes_no_calls() {
    check("0>1", |w| {
        for _ in 0..3 {
            let call = w.start(Call::new(0, 1).bytes(200).job(Job::Hold(0)));
            w.expect(call, &[End::Value, End::Lost, End::Dead]);
        }
        w.will(Op::Shutdown(0, 1));
        w.at_rest(|w| if w.is_alive(1) { Err("1 lives on".into()) } else { Ok(()) });
    });
}

#[test]
fn a_grandchild_is_told_to_end_through_its_parent() {
    check("0>1 1>2", |w| {
        expect_an_end(w, 1, 2);
        w.will(Op::Shutdown(0, 2));
        w.at_rest(|w| match (w.is_alive(1), w.is_alive(2)) {
            (true, false) => Ok(()),
            other => Err(format!("1 and 2 live: {other:?}")),
        });
    });
}

#[test]
fn a_sibling_cannot_end_a_sibling() {
    check("0>1 0>2", |w| {
        w.now_do(&Op::Shutdown(1, 2));
        w.at_rest(|w| if w.is_alive(2) { Ok(()) } else { Err("2 has ended".into()) });
    });
}

#[test]
fn a_context_is_told_to_end_twice() {
    check("0>1 1>2", |w| {
        w.will(Op::Shutdown(0, 1));
        w.will(Op::Shutdown(0, 2));
        expect_an_end(w, 2, 0);
    });
}

#[test]
fn a_tree_ends_while_a_link_breaks() {
    check("0>1 1>2", |w| {
        expect_an_end(w, 0, 2);
        w.will(Op::Shutdown(0, 0));
        w.may(Op::Cut(1, 2));
    });
}
