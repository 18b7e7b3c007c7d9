//! Answers to nobody, to others, too many, too late; ends and contexts that are not its own: 19 to 25.

use std::time::Duration;

use offshoot_parent::{DropKind, prelude::*};
use offshoot_tests::real::{ground::shown, table::WORK};

use crate::stage::Stage;

crate::tests![
    attack_19_a_million_answers_at_random_end_no_call,
    attack_20_a_neighbour_of_the_callee_cannot_say_that_it_is_dead,
    attack_21_dead_messages_to_fixed_handles_stop_nothing,
    attack_22_a_call_is_answered_once,
    attack_23_a_late_answer_meets_nobody_else,
    attack_24_an_end_that_is_not_its_own_is_not_taken,
    attack_25_a_context_that_it_did_not_make_is_not_believed,
];

/// Longer than any attack.
const LONG_MS: u64 = 600_000;
/// A function that hostile ones are called by.
const ANSWER: Function<(), u8> = Function::new("answer");

fn attack_19_a_million_answers_at_random_end_no_call() {
    let stage = Stage::new();
    let nine = stage.leaf(&stage.router().here(), "nine");
    let calls: Vec<_> = (0..100).map(|_| nine.call_async(WORK, LONG_MS)).collect();
    let seven = stage.seven("leaf");
    stage.under_attack(|| seven.act("replies-at-random 1000000"));
    let [foreign, nowhere] =
        [DropKind::Respondent, DropKind::NoHandle].map(|kind| stage.dropped(seven.context(), kind));
    assert_eq!(foreign + nowhere, 1_000_000);
    assert!(foreign > 10_000, "{foreign} met a call of somebody else");
    assert!(calls.iter().all(|call| !call.is_ready()), "no call has ended");
    stage.end();
}

fn attack_20_a_neighbour_of_the_callee_cannot_say_that_it_is_dead() {
    let stage = Stage::new();
    let five = stage.hop("five");
    let six = stage.leaf(&five, "six");
    let call = six.call_async(WORK, LONG_MS);
    let seven = stage.attacker(&five, "leaf", "seven");
    stage.under_attack(|| seven.act("dead-to 1000 1100"));
    assert!(stage.dropped(&five, DropKind::Respondent) >= 1, "it came by the right link, and not from six");
    assert!(!call.is_ready());
    stage.end();
}

fn attack_21_dead_messages_to_fixed_handles_stop_nothing() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    stage.under_attack(|| {
        seven.act("dead-to 101 109");
        seven.act("dead-to 200 210");
    });
    assert_eq!(stage.dropped(seven.context(), DropKind::Dead), 20);
    stage.end();
}

fn attack_22_a_call_is_answered_once() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let call = seven.context().call_async(ANSWER, ());
    stage.under_attack(|| seven.act("answer-twice"));
    assert_eq!(call.wait(), Ok(1));
    // A call of somebody else may have the handle by then.
    let dropped = [DropKind::NoHandle, DropKind::Respondent].map(|kind| stage.dropped(seven.context(), kind));
    assert_eq!(dropped.iter().sum::<u64>(), 1, "{dropped:?}");
    stage.end();
}

fn attack_23_a_late_answer_meets_nobody_else() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let second = stage.under_attack(|| {
        seven.begin("answer-late");
        let error = seven.context().with_timeout(Duration::from_millis(50)).call(ANSWER, ()).unwrap_err();
        assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
        let first = seven.told();
        let second = seven.context().call_async(ANSWER, ());
        assert_ne!(seven.told(), first, "the handle of a call that was given up is kept until its answer");
        seven.done();
        second
    });
    assert_eq!(second.wait(), Ok(2));
    stage.end();
}

fn attack_24_an_end_that_is_not_its_own_is_not_taken() {
    let stage = Stage::new();
    let (seven, eight) = (stage.seven("leaf"), stage.eight().id());
    for (home, handle) in [(eight, 101), (eight, 1000), (seven.id(), 101)] {
        let told = stage.under_attack(|| seven.act(&format!("give-end {home} {handle}")));
        assert!(told.len() == 1 && told[0].starts_with("failed arguments: "), "{told:?}");
    }
    stage.end();
}

fn attack_25_a_context_that_it_did_not_make_is_not_believed() {
    let stage = Stage::new();
    let seven = stage.seven("parent");
    let own = 1000 * seven.act("ask-range")[0].parse::<u32>().unwrap();
    seven.act(&format!("announce {own}"));
    let claims = |id: u32| {
        let wish = seven.context().connect_async(Local::new(Payload::this_program()).name("x"));
        stage.under_attack(|| seven.act(&format!("claim-child {id}")));
        wish.wait().map_err(|error| (error.kind().code().to_owned(), shown(&error)))
    };
    assert_eq!(
        claims(own).map(|child| child.id().number()),
        Ok(own),
        "of those below it, it says who is new"
    );
    // A sibling, its parent, itself, one that was made before.
    let [eight, root, itself] = [stage.eight().id(), ContextId::ROOT, seven.id()].map(ContextId::number);
    for id in [eight, root, itself, own] {
        let (code, text) = claims(id).unwrap_err();
        assert_eq!(code, "asking", "{id}: {text}");
        assert!(text.contains("its answer names a context that it did not make"), "{id}: {text}");
    }
    let (code, text) = claims(own + 1).unwrap_err();
    assert_eq!(code, "lost", "what was never announced is not there: {text}");
    assert!(stage.eight().is_alive());
    stage.end();
}
