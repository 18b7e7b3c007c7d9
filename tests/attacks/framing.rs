//! Bytes that are no frames, frames that are too long, frames that do not come: 1 to 8.

use std::time::Duration;

use offshoot_parent::DropKind;
use offshoot_tests::real::{PATIENCE, ground::shown, ticks_of};

use crate::stage::{Stage, note_junk};

crate::tests![
    attack_01_random_bytes_cut_the_link_and_are_shown_escaped,
    attack_01_random_bytes_before_the_first_word_end_the_connect,
    attack_02_what_came_before_a_wrong_magic_is_delivered,
    attack_03_four_gibibytes_are_skipped_and_the_next_frame_works,
    attack_04_a_long_frame_in_the_name_of_another_is_skipped_in_silence,
    attack_05_a_frame_is_no_longer_than_a_fragment,
    attack_06_a_frame_that_drips_holds_up_nobody_else,
    attack_07_frames_in_single_bytes_are_the_same_frames,
    attack_08_a_million_empty_frames_have_their_turn_and_no_more,
];

fn attack_01_random_bytes_cut_the_link_and_are_shown_escaped() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let lost = seven.context().lost();
    let reason = stage.under_attack(|| {
        seven.begin("babble");
        lost.wait_timeout(PATIENCE).expect("its link is cut")
    });
    assert!(reason.starts_with("no frame begins with `\\x1b"), "{reason}");
    let (bytes, _) = reason.split_once('`').unwrap().1.split_once('`').unwrap();
    assert!(bytes.len() <= 64 * "\\xff".len(), "{bytes}");
    shown(&reason);
    stage.until_cut(&seven, "no frame begins with");
    stage.end();
}

fn attack_01_random_bytes_before_the_first_word_end_the_connect() {
    let stage = Stage::new();
    let error = stage.under_attack(|| stage.refused("babbler"));
    assert_eq!(error.kind().code(), "bad_stream", "{error}");
    let text = shown(&error);
    assert!(text.starts_with("babbler: local, ") && text.contains("no frame begins with `\\x1b"), "{text}");
    assert!(text.len() < 600, "{text}");
    stage.end();
}

fn attack_02_what_came_before_a_wrong_magic_is_delivered() {
    for magic in ["4d4a", "0000"] {
        let stage = Stage::new();
        let seven = stage.seven("leaf");
        let lost = seven.context().lost();
        let reason = stage.under_attack(|| {
            seven.begin(&format!("word-then {magic}"));
            lost.wait_timeout(PATIENCE).expect("its link is cut")
        });
        assert!(reason.starts_with("no frame begins with "), "{reason}");
        stage.log().until(&["INFO hostile: seven: a good word"]);
        stage.until_cut(&seven, "no frame begins with");
        stage.end();
    }
}

/// What a frame is answered that is too long, once it has come whole.
const TOO_LONG: &str = "dead too-large by 0: a frame is longer than any frame may be";

fn attack_03_four_gibibytes_are_skipped_and_the_next_frame_works() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let before = ticks();
    // Whoever is asked behind it has answered.
    let told = stage.under_attack(|| seven.act(&format!("oversize {} 101 {}", seven.id(), u32::MAX)));
    note_junk("a body that is skipped", ms_since(before) / 4295.0);
    assert_eq!(told, [TOO_LONG]);
    assert_eq!(stage.dropped(seven.context(), DropKind::Oversize), 1);
    stage.end();
}

fn attack_04_a_long_frame_in_the_name_of_another_is_skipped_in_silence() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let told = stage.under_attack(|| seven.act(&format!("oversize {} 101 {}", stage.eight().id(), 64 << 20)));
    assert_eq!(told, [""; 0]);
    assert_eq!(stage.dropped(seven.context(), DropKind::Source), 1);
    assert_eq!(stage.dropped(seven.context(), DropKind::Oversize), 0);
    stage.end();
}

fn attack_05_a_frame_is_no_longer_than_a_fragment() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    for length in [131_081, 1 << 20] {
        let told = stage.under_attack(|| seven.act(&format!("oversize {} 101 {length}", seven.id())));
        assert_eq!(told, [TOO_LONG]);
    }
    assert_eq!(stage.dropped(seven.context(), DropKind::Oversize), 2);
    stage.end();
}

fn attack_06_a_frame_that_drips_holds_up_nobody_else() {
    // Any byte is a sign of life, and the only one that it gives.
    let stage = Stage::with(|root| root.ping(Duration::from_millis(100)));
    let seven = stage.seven("leaf");
    let told = stage.under_attack(|| seven.act("drip 60 20"));
    // It comes whole in the end, and is more than a window that was never used can take.
    assert_eq!(told, ["dead congested by 0: it was sent without credit"]);
    stage.end();
}

fn attack_07_frames_in_single_bytes_are_the_same_frames() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    stage.under_attack(|| seven.act("byte-by-byte 50"));
    stage.log().until(&["number 49"]);
    let lines = stage.end();
    let numbers = lines.into_iter().filter(|line| line.contains(": number "));
    let expected: Vec<_> = (0..50).map(|n| format!("INFO hostile: seven: number {n}")).collect();
    assert_eq!(numbers.collect::<Vec<_>>(), expected);
}

fn attack_08_a_million_empty_frames_have_their_turn_and_no_more() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let before = ticks();
    stage.under_attack(|| seven.act("empty-frames 1000000"));
    note_junk("junk in empty frames", ms_since(before) / 26.0);
    assert_eq!(stage.dropped(seven.context(), DropKind::NoHandle), 1_000_000);
    stage.end();
}

/// The processor time of this process, in clock ticks of 10 ms.
fn ticks() -> u64 {
    ticks_of(std::process::id())
}

/// The processor time that this process has had since, in milliseconds.
fn ms_since(before: u64) -> f64 {
    (ticks() - before) as f64 * 10.0
}
