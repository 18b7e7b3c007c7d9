//! Bodies that are begun and not ended, and pieces that do not fit: 9 to 12.

use offshoot_parent::DropKind;
use offshoot_tests::real::{PATIENCE, eventually, flows::PROBE};

use crate::stage::Stage;

crate::tests![
    attack_09_of_a_thousand_bodies_that_nobody_ends_sixty_four_are_held,
    attack_09_bodies_in_the_making_have_a_bound_in_bytes,
    attack_10_the_last_piece_alone_is_no_message,
    attack_11_pieces_beyond_what_was_announced_or_allowed_are_eaten,
    attack_12_who_dies_within_a_piece_leaves_the_uplink_in_step,
];

fn attack_09_of_a_thousand_bodies_that_nobody_ends_sixty_four_are_held() {
    let stage = Stage::new();
    let seven = stage.seven("parent");
    let told = stage.under_attack(|| seven.act("begin-bodies 1000 101 20000"));
    assert_eq!(told, ["936", "dead congested by 0: too many bodies are in the making"]);
    assert_eq!(stage.parts(), 64);
    assert_eq!(stage.dropped(seven.context(), DropKind::Congested), 936);
    // Whatever they are for.
    let told = seven.act("begin-bodies 10 102 20000");
    assert_eq!(told, ["10", "dead congested by 0: too many bodies are in the making"]);
    // What nobody would take is not even begun.
    let told = seven.act("begin-bodies 10 900000 20000");
    assert_eq!(told, ["10", "dead no-handle by 0: context 0 has no handle 900000"]);
    assert_eq!(stage.parts(), 64);
    seven.begin("die");
    eventually("they go with their sender", PATIENCE, || (stage.parts() == 0).then_some(()));
    stage.end();
}

fn attack_09_bodies_in_the_making_have_a_bound_in_bytes() {
    let stage = Stage::new();
    let seven = stage.seven("parent");
    let told = stage.under_attack(|| seven.act("begin-bodies 3 101 5242880"));
    assert_eq!(told, ["2", "dead congested by 0: too many bodies are in the making"]);
    assert_eq!(stage.parts(), 1);
    stage.end();
}

fn attack_10_the_last_piece_alone_is_no_message() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let told = stage.under_attack(|| seven.act("pieces 20 10 10"));
    assert_eq!(told, [""; 0], "the first piece would have been answered");
    assert_eq!(stage.dropped(seven.context(), DropKind::Fragment), 1);
    stage.end();
}

fn attack_11_pieces_beyond_what_was_announced_or_allowed_are_eaten() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let told = stage.under_attack(|| {
        let mut told = seven.act("pieces 134217729 0 1000 1000 1000");
        told.extend(seven.act("pieces 30 0 10 10 30"));
        told
    });
    assert_eq!(
        told,
        [
            "dead too-large by 0: the body is over the limit of 134217728 bytes",
            "dead malformed by 0: a piece of the body does not continue it",
        ]
    );
    assert_eq!(stage.dropped(seven.context(), DropKind::Oversize), 1);
    // The piece behind the one that was too large, and the one that was too long.
    assert_eq!(stage.dropped(seven.context(), DropKind::Fragment), 2);
    assert_eq!(stage.parts(), 0);
    stage.end();
}

fn attack_12_who_dies_within_a_piece_leaves_the_uplink_in_step() {
    let stage = Stage::new();
    let five = stage.hop("five");
    let six = stage.leaf(&five, "six");
    let seven = stage.attacker(&five, "leaf", "seven");
    let lost = seven.context().lost();
    let goes_on = || drop(six.with_timeout(PATIENCE).call(PROBE, 20).expect("six goes on"));
    stage.under_attack(|| {
        seven.act("half-a-piece");
        eventually("the whole piece is there", PATIENCE, || (stage.parts() == 1).then_some(()));
        goes_on();
        seven.begin("die");
        lost.wait_timeout(PATIENCE).expect("it dies");
        goes_on();
    });
    assert_eq!(stage.parts(), 0, "what was begun goes with the news of the loss");
    assert_eq!(stage.dropped(&five, DropKind::Fragment), 0);
    stage.end();
}
