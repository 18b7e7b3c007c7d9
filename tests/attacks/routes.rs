//! Contexts that it announces or withdraws, and ids that it asks for: 30 to 38.
//!
//! Row 39, the end of all ids, needs four billion of them: `the_counter_stops_at_the_last_range_and_does_not_wrap` in
//! `parent/src/table/tests.rs`.

use std::time::Duration;

use offshoot_parent::{DropKind, prelude::*, table::TableLimits};
use offshoot_tests::real::{
    PATIENCE, Signal, eventually,
    ground::{assert_plain, shown},
    kill,
    table::{NAME, WAIT_FOR, WORK},
};

use crate::stage::Stage;

crate::tests![
    attack_30_a_long_name_is_dropped_before_it_is_read,
    attack_31_what_is_not_its_own_cannot_be_announced,
    attack_32_what_was_not_granted_to_it_cannot_be_announced,
    attack_33_an_id_lives_once,
    attack_34_a_sibling_cannot_be_withdrawn,
    attack_35_a_name_is_one_harmless_part,
    attack_36_ranges_of_ids_have_a_quota,
    attack_36_who_asks_faster_than_it_listens_is_cut_off,
    attack_37_a_leaf_has_no_say_in_routes,
    attack_38_whoever_names_many_takes_no_news_from_its_neighbours,
    attack_38_whoever_names_many_at_once_is_cut_off_alone,
];

/// The first id of a range that it is granted.
fn granted(seven: &crate::attacker::Attacker) -> u32 {
    1000 * seven.act("ask-range")[0].parse::<u32>().expect("a range")
}

fn attack_30_a_long_name_is_dropped_before_it_is_read() {
    let stage = Stage::new();
    let seven = stage.seven("parent");
    let id = granted(&seven);
    for length in [5000, 1 << 20] {
        stage.under_attack(|| seven.act(&format!("announce-long {id} {length}")));
    }
    assert_eq!(stage.dropped(seven.context(), DropKind::Oversize), 2);
    assert_eq!(stage.router().tree().get(ContextId::new(id)), None);
    stage.end();
}

fn attack_31_what_is_not_its_own_cannot_be_announced() {
    let stage = Stage::new();
    let seven = stage.seven("parent");
    let (tree, eight) = (stage.router().tree(), stage.eight().id());
    let told = stage.under_attack(|| seven.act(&format!("announce {eight} 0 {} {}", seven.id(), u32::MAX)));
    assert_eq!(told, [""; 0], "to withdraw what lives would take it from those who talk to it");
    assert_eq!(stage.dropped(seven.context(), DropKind::Route), 4);
    assert_eq!(stage.router().tree(), tree);
    stage.end();
}

fn attack_32_what_was_not_granted_to_it_cannot_be_announced() {
    let stage = Stage::new();
    let five = stage.hop("five");
    let six = stage.leaf(&five, "six").id().number();
    let seven = stage.seven("parent");
    let tree = stage.router().tree();
    let told = stage.under_attack(|| seven.act(&format!("announce 555000 {}", six + 1)));
    let why = "its id was not granted to the context that made it";
    assert_eq!(told, [format!("refused [555000]: {why}"), format!("refused [{}]: {why}", six + 1)]);
    assert_eq!(stage.dropped(seven.context(), DropKind::Grant), 2);
    assert_eq!(stage.router().tree(), tree);
    stage.end();
}

fn attack_33_an_id_lives_once() {
    let stage = Stage::new();
    let seven = stage.seven("parent");
    let id = granted(&seven);
    let told = stage.under_attack(|| {
        seven.act(&format!("announce {id}"));
        seven.act(&format!("withdraw {id}"));
        seven.act(&format!("announce {id}"))
    });
    assert_eq!(told, [format!("refused [{id}]: its id was used before, and ids are never used again")]);
    assert_eq!(stage.dropped(seven.context(), DropKind::Grant), 1);
    stage.end();
}

fn attack_34_a_sibling_cannot_be_withdrawn() {
    let stage = Stage::new();
    let seven = stage.seven("parent");
    let tree = stage.router().tree();
    stage.under_attack(|| seven.act(&format!("withdraw {} 0 {}", stage.eight().id(), seven.id())));
    assert_eq!(stage.dropped(seven.context(), DropKind::Route), 3);
    assert_eq!(stage.router().tree(), tree);
    stage.end();
}

fn attack_35_a_name_is_one_harmless_part() {
    let stage = Stage::new();
    let seven = stage.seven("parent");
    let first = granted(&seven);
    let names: [&[u8]; 9] = [
        b"\x1b]0;x\x07",
        b"\0",
        b"..",
        b"a/b",
        b"ssh.prod",
        "\u{202e}abc".as_bytes(),
        "a\u{9b}b".as_bytes(),
        &[b'n'; 65],
        b"\xff\xfe",
    ];
    stage.under_attack(|| {
        for (id, name) in (first..).zip(names) {
            let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
            seven.act(&format!("announce-as {id} {name}"));
        }
    });
    // What is no text is no announcement either (protocol 4.4).
    assert_eq!(stage.dropped(seven.context(), DropKind::Control), 1);
    let tree = stage.router().tree();
    let played: Vec<_> =
        tree.iter().filter(|node| node.id().number() >= first).map(|node| node.name()).collect();
    assert_eq!(played.len(), names.len() - 1);
    for name in played {
        assert!(name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) && name.len() <= 64, "{name:?}");
    }
    tree.to_string().lines().for_each(assert_plain);
    stage.end();
}

fn attack_36_ranges_of_ids_have_a_quota() {
    let stage = Stage::new();
    let seven = stage.seven("parent");
    let told = stage.under_attack(|| seven.act("ask-ranges 10000 100"));
    assert_eq!(told, ["4 granted, 9996 refused"]);
    assert_eq!(stage.dropped(seven.context(), DropKind::Quota), 9996);
    stage.end();
}

fn attack_36_who_asks_faster_than_it_listens_is_cut_off() {
    let stage = Stage::new();
    let seven = stage.seven("parent");
    let lost = seven.context().lost();
    stage.under_attack(|| {
        seven.begin("ask-ranges 1000000 1000000");
        lost.wait_timeout(PATIENCE).expect("it is cut off")
    });
    stage.until_cut(&seven, "bytes of control frames");
    stage.end();
}

fn attack_37_a_leaf_has_no_say_in_routes() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let tree = stage.router().tree();
    stage.under_attack(|| {
        seven.act("wish");
        seven.act("announce 5000")
    });
    assert_eq!(stage.dropped(seven.context(), DropKind::Role), 2);
    assert_eq!(stage.router().tree(), tree);
    stage.end();
}

fn attack_38_whoever_names_many_takes_no_news_from_its_neighbours() {
    let mut limits = TableLimits::default();
    limits.heard = 8;
    let stage = Stage::with(|root| root.route_limits(limits));
    let five = stage.hop("five");
    let nine = stage.leaf(&stage.router().here(), "nine");
    let six = stage.leaf(&five, "six");
    nine.grant(WORK, &six).unwrap();
    let call = six.call_async(WAIT_FOR, (nine.clone(), 600_000));
    let far = stage.attacker(&stage.router().here(), "parent", "far");
    let many: u32 = far.act("announce-many 100")[0].parse().unwrap();
    let seven = stage.attacker(&five, "leaf", "seven");
    // Its only worker is busy then.
    let asked = || nine.with_timeout(Duration::from_millis(20)).call(NAME, ()).err().map(drop);
    eventually("six waits for nine", PATIENCE, asked);
    stage.under_attack(|| {
        seven.act(&format!("name-many {many} 100 100"));
        seven.act("name-many 2000000 1000000 200");
        kill(stage.router().tree().pid(nine.id()).unwrap(), Signal::KILL);
        let error = call.wait_timeout(PATIENCE).unwrap_err();
        let text = shown(&error);
        assert!(text.contains("nine is lost: "), "{text}");
    });
    let (_, sizes) = stage.router().sizes();
    assert!(sizes.heard <= 3 * 8, "{sizes:?}");
    stage.end();
}

fn attack_38_whoever_names_many_at_once_is_cut_off_alone() {
    let stage = Stage::new();
    let five = stage.hop("five");
    let six = stage.leaf(&five, "six");
    let seven = stage.attacker(&five, "leaf", "seven");
    let lost = seven.context().lost();
    let reason = stage.under_attack(|| {
        seven.begin("name-many 2000000 1000000 1000000");
        lost.wait_timeout(PATIENCE).expect("it is cut off")
    });
    assert!(shown(&reason).contains("bytes of control frames"), "{reason}");
    stage.until_cut(&seven, "bytes of control frames");
    assert!(five.ping().is_ok() && six.ping().is_ok(), "the hop lives on, and what is beside it");
    stage.end();
}
