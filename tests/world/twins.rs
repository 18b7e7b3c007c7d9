//! Broken twins: what no link does, done on purpose, is seen by the checks.

use offshoot_tests::world::{Call, Failure, Job, Op, Plan, Sabotage, Scenario, Taste, Then, World};
use offshoot_wire::Handle;

fn caught(sabotage: Sabotage, tree: &str, script: impl Fn(&mut World)) -> Failure {
    let scenario = Scenario::on(tree).with(|s| s.sabotage = Some(sabotage));
    scenario.explore(script).expect_err("nobody has noticed")
}

#[test]
fn a_lost_withdrawal_is_seen() {
    let failure = caught(Sabotage::Lose(Handle::DEL_ROUTE), "0>1 1>2", |w| {
        w.start(Call::new(0, 2).job(Job::Hold(0)));
        w.may(Op::Crash(2));
    });
    assert_eq!(failure.violation.invariant, "I19", "{failure}");
}

#[test]
fn a_doubled_call_is_seen() {
    let failure = caught(Sabotage::Double(Handle::CALL_FUNCTION), "0>1", |w| {
        w.call(0, 1);
    });
    assert_eq!(failure.violation.invariant, "I1", "{failure}");
}

#[test]
fn a_call_that_overtakes_is_seen() {
    let failure = caught(Sabotage::Overtake(Handle::CALL_FUNCTION), "0>1", |w| {
        w.call(0, 1);
        w.call(0, 1);
    });
    assert_eq!(failure.violation.invariant, "I4", "{failure}");
}

#[test]
fn a_lost_answer_is_seen() {
    let failure = caught(Sabotage::LoseAnswers, "0>1", |w| {
        w.call(0, 1);
    });
    assert_eq!(failure.violation.invariant, "I19", "{failure}");
}

#[test]
fn lost_credit_is_seen() {
    let failure = caught(Sabotage::Lose(Handle::CREDIT), "0>1", |w| {
        let plan = Plan { items: 6, bytes: 100, then: Then::Close };
        w.start(Call::new(0, 1).job(Job::Source(plan)).receiving(Taste::default()));
    });
    assert!(["I22", "I21", "I13"].contains(&failure.violation.invariant), "{failure}");
}

#[test]
fn doubled_credit_is_seen() {
    let failure = caught(Sabotage::Double(Handle::CREDIT), "0>1", |w| {
        w.start(Call::new(0, 1).bytes(900));
    });
    assert_eq!(failure.violation.invariant, "I13", "{failure}");
}

#[test]
fn a_doubled_announcement_is_seen() {
    let failure = caught(Sabotage::Double(Handle::ADD_ROUTE), "0>1p", |w| {
        w.will(Op::Create(1, 2, false));
    });
    assert_eq!(failure.violation.invariant, "I2", "{failure}");
}

#[test]
fn the_story_of_a_failure_is_the_shortest() {
    let failure = caught(Sabotage::Double(Handle::CALL_FUNCTION), "0>1 1>2", |w| {
        w.call(0, 2);
    });
    assert_eq!(failure.trace.len(), 3, "{failure}");
    assert!(failure.to_string().contains("deliver 0>1 CALL_FUNCTION `anyone` (0 to 2"), "{failure}");
}
