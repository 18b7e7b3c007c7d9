//! Every body that the protocol knows: what is taken has one form, and is written in it again.

use std::fmt::Debug;

use offshoot_wire::{
    AddRoute, AllocateId, CallHead, CallId, Credit, Dead, DelRoute, Hello, Rebind, ReplyHead, Setup,
    Shutdown, StreamHead,
    codec::{self, DecodeErrorKind},
};
use serde::{Deserialize, Serialize};

use super::Peak;

/// How many kinds there are: the first byte of an input names one.
pub(super) const KINDS: u8 = 14;
/// What a control body may take, in bytes.
const BUDGET: usize = 64 * 1024;

pub(super) fn run(input: &[u8], peak: Peak) {
    let Some((kind, body)) = input.split_first() else { return };
    match kind % KINDS {
        0 => one_form::<Setup>(body, peak),
        1 => one_form::<Hello>(body, peak),
        2 => one_form::<AddRoute>(body, peak),
        3 => one_form::<DelRoute>(body, peak),
        4 => one_form::<AllocateId>(body, peak),
        5 => one_form::<()>(body, peak),
        6 => one_form::<Credit>(body, peak),
        7 => one_form::<Rebind>(body, peak),
        8 => one_form::<Shutdown>(body, peak),
        9 => one_form::<CallHead>(body, peak),
        10 => one_form::<ReplyHead>(body, peak),
        11 => one_form::<StreamHead>(body, peak),
        12 => one_form::<Dead>(body, peak),
        _ => one_form::<CallId>(body, peak),
    }
}

/// What decodes is written as it came, at the front of something longer too, and cut short it is an error.
fn one_form<'de, T: Serialize + Deserialize<'de> + Debug>(bytes: &'de [u8], peak: Peak) {
    let mut front = None;
    let held = peak(&mut || front = Some(codec::decode_prefix::<T>(bytes, BUDGET)));
    assert!(held <= BUDGET, "{held} bytes were held within a budget of {BUDGET}");
    let whole = codec::decode::<T>(bytes, BUDGET);
    let Some(Ok((value, length))) = front else {
        assert!(whole.is_err(), "what has no front is whole: {whole:?}");
        return;
    };
    let (taken, rest) = bytes.split_at(length);
    assert_eq!(codec::encode(&value).expect("what was decoded can be encoded"), taken, "{value:?}");
    match whole {
        Ok(_) => assert!(rest.is_empty()),
        Err(error) => assert!(!rest.is_empty() && error.kind == DecodeErrorKind::Trailing, "{error}"),
    }
    if let Some((_, short)) = taken.split_last() {
        let short = &bytes[..short.len()];
        assert!(codec::decode::<T>(short, BUDGET).is_err(), "{value:?} may be cut short");
    }
}
