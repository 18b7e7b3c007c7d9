//! Frames in the name of others, and to what it may not use: 13 to 18.
//!
//! Row 16, a hop that forges the name of its own child, is played from above: `t17_a_forged_announcement_from_above_is_dropped_and_counted`
//! in `tests/real` and `what_a_hop_above_forges_is_dropped_below` in `tests/world`.

use offshoot_parent::{DropKind, prelude::*};
use offshoot_tests::real::{PATIENCE, eventually};

use crate::stage::Stage;

crate::tests![
    attack_13_nobody_speaks_as_a_sibling,
    attack_14_nobody_uses_the_authority_of_another,
    attack_15_nobody_speaks_as_a_child_that_was_not_announced,
    attack_17_functions_of_ancestors_are_refused_to_it,
    attack_18_in_a_one_way_tree_a_sibling_is_out_of_reach,
];

fn attack_13_nobody_speaks_as_a_sibling() {
    let stage = Stage::new();
    let (seven, eight) = (stage.seven("leaf"), stage.eight().id());
    let told = stage.under_attack(|| {
        let mut told = seven.act(&format!("speak {eight} {} 0 name", seven.id()));
        told.extend(seven.act(&format!("speak {eight} {eight} 0 name")));
        told
    });
    assert_eq!(told, [""; 0]);
    assert_eq!(stage.dropped(seven.context(), DropKind::Source), 2);
    stage.end();
}

fn attack_14_nobody_uses_the_authority_of_another() {
    let stage = Stage::new();
    let five = stage.hop("five");
    let seven = stage.seven("leaf");
    let told = stage.under_attack(|| {
        let mut told = seven.act(&format!("speak {} 0 {} secret", seven.id(), stage.eight().id()));
        told.extend(seven.act(&format!("speak {} {} 0 name", seven.id(), five.id())));
        told
    });
    assert_eq!(told, [""; 0]);
    assert_eq!(stage.dropped(seven.context(), DropKind::Authority), 2);
    stage.end();
}

fn attack_15_nobody_speaks_as_a_child_that_was_not_announced() {
    let stage = Stage::new();
    let seven = stage.seven("parent");
    let range: u32 = seven.act("ask-range")[0].parse().unwrap();
    let child = range * 1000 + 1;
    let speak = format!("speak {child} {child} 0 name");
    assert_eq!(stage.under_attack(|| seven.act(&speak)), [""; 0]);
    assert_eq!(stage.dropped(seven.context(), DropKind::Source), 1);
    // Once it is announced it may.
    seven.act(&format!("announce {child}"));
    // What works there may be later than whoever answers PING.
    let is_root = |told: &[String]| told.iter().any(|line| line == "value 64726f6f74");
    eventually("it is told the text `root`", PATIENCE, || is_root(&seven.act(&speak)).then_some(()));
    stage.end();
}

fn attack_17_functions_of_ancestors_are_refused_to_it() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    for dst in [stage.eight().id(), ContextId::ROOT] {
        let told = stage.under_attack(|| seven.act(&format!("call {dst} secret")));
        let (seven, ancestor) = (seven.id(), "an ancestor can grant it");
        assert_eq!(
            told,
            [format!(
                "dead policy by {dst}: context {seven} may not call secret in context {dst}; {ancestor}"
            )]
        );
    }
    assert_eq!(stage.dropped(seven.context(), DropKind::Policy), 1, "eight counts what comes to eight");
    stage.end();
}

fn attack_18_in_a_one_way_tree_a_sibling_is_out_of_reach() {
    let stage = Stage::with(|root| root.one_way());
    let five = stage.hop("five");
    let seven = stage.seven("leaf");
    // Of a function that is for everybody.
    let told = stage.under_attack(|| seven.act(&format!("speak {0} {0} {1} name", seven.id(), five.id())));
    assert_eq!(
        told,
        ["dead one-way by 0: this tree is one-way: context 0 passes nothing between its children"]
    );
    assert!(stage.dropped(seven.context(), DropKind::OneWay) >= 1);
    stage.end();
}
