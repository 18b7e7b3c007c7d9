//! Answers that are not of their type: 26 to 29.

use offshoot_core::Message;
use offshoot_parent::{Blob, prelude::*};
use offshoot_tests::real::{PATIENCE, ground::shown};
use serde::{Deserialize, Serialize};

use crate::{attacker::Attacker, stage::Stage};

crate::tests![
    attack_26_what_follows_a_value_or_is_too_much_of_it_is_an_error,
    attack_27_a_list_that_would_take_too_much_memory_is_an_error,
    attack_28_what_is_nested_or_tagged_without_end_is_an_error,
    attack_29_lengths_beyond_what_is_there_reserve_nothing,
];

/// The head of an answer with a value.
const VALUE: &str = "820080";

/// Calls a hostile one that answers with `front` and so many times `pattern`: what the caller sees.
fn answered<R: Message>(
    stage: &Stage,
    seven: &Attacker,
    (front, pattern, times): (&str, &str, u32),
) -> String {
    let call = seven.context().call_async(Function::<(), R>::new("answer"), ());
    let ended = stage.under_attack(|| {
        seven.act(&format!("reply {VALUE}{front} {pattern} {times}"));
        call.wait_timeout(PATIENCE)
    });
    match ended {
        Err(error @ CallError::DecodeResult { .. }) => shown(&error),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("it was read"),
    }
}

fn attack_26_what_follows_a_value_or_is_too_much_of_it_is_an_error() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    answered::<u8>(&stage, &seven, ("01ffffff", "-", 0));
    answered::<(u8, u8)>(&stage, &seven, ("83010203", "-", 0));
    stage.end();
}

fn attack_27_a_list_that_would_take_too_much_memory_is_an_error() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    // The body that the call asked for, and what may be made of it until it is too much.
    stage.allow(128 + 128);
    let error = answered::<Vec<String>>(&stage, &seven, ("9a07ffffe4", "60", 0x07ff_ffe4));
    assert!(error.contains("memory"), "{error}");
    stage.end();
}

/// What can be nested for ever.
#[derive(Debug, Serialize, Deserialize)]
struct Deep(Vec<Self>);

fn attack_28_what_is_nested_or_tagged_without_end_is_an_error() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let error = answered::<Deep>(&stage, &seven, ("", "81", 1_000_000));
    assert!(error.contains("64"), "{error}");
    answered::<u8>(&stage, &seven, ("", "c1", 1_000_000));
    answered::<String>(&stage, &seven, ("7f", "60", 1_000_000));
    stage.end();
}

fn attack_29_lengths_beyond_what_is_there_reserve_nothing() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let huge = |kind: &str| format!("{kind}8000000000000000");
    answered::<Blob>(&stage, &seven, (&huge("5b"), "00", 100));
    answered::<String>(&stage, &seven, (&huge("7b"), "00", 100));
    answered::<Vec<u8>>(&stage, &seven, (&huge("9b"), "00", 100));
    stage.end();
}
