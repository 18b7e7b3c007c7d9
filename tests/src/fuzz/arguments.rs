//! Typed arguments: what a stranger's bytes become takes no more memory than the budget, however few they are.

use std::collections::{BTreeMap, HashMap};

use offshoot_wire::{Blob, Body, ContextId, codec};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::Peak;

/// Something that holds all that serde knows.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Any {
    Nothing,
    Truth(bool),
    Number(i64),
    Large([u64; 16]),
    Real(f64),
    Text(String),
    Letter(char),
    Bytes(Blob),
    Several(Vec<Self>),
    Perhaps(Option<Option<Box<Self>>>),
    Pair(Box<(Self, Self)>),
    Named { name: String, of: Vec<Option<String>> },
    Context(ContextId),
}

pub(super) fn run(input: &[u8], peak: Peak) {
    let Some((choice, bytes)) = input.split_first() else { return };
    let budget = 256 << (choice >> 4);
    match choice & 15 {
        0 | 1 => one_form::<Any>(bytes, budget, peak),
        2 => one_form::<Vec<Any>>(bytes, budget, peak),
        3 => one_form::<Vec<String>>(bytes, budget, peak),
        4 => one_form::<Vec<Vec<u8>>>(bytes, budget, peak),
        5 => one_form::<(String, Blob, Option<u32>)>(bytes, budget, peak),
        6 => one_form::<Vec<Option<Box<Option<i8>>>>>(bytes, budget, peak),
        7 => one_form::<Vec<()>>(bytes, budget, peak),
        8 => one_form::<Vec<(u8, f32, char)>>(bytes, budget, peak),
        9 => one_form::<Vec<[u64; 32]>>(bytes, budget, peak),
        10 => one_form::<Result<Vec<Blob>, String>>(bytes, budget, peak),
        11 => drop(in_budget::<BTreeMap<String, Any>>(bytes, budget, peak)),
        12 => drop(in_budget::<HashMap<u64, Vec<u16>>>(bytes, budget, peak)),
        13 => drop(in_budget::<Vec<BTreeMap<u8, u8>>>(bytes, budget, peak)),
        _ => shared(bytes, budget),
    }
}

fn in_budget<T: DeserializeOwned>(bytes: &[u8], budget: usize, peak: Peak) -> Option<T> {
    let mut value = None;
    let held = peak(&mut || value = codec::decode::<T>(bytes, budget).ok());
    assert!(held <= budget, "{held} bytes were held within a budget of {budget}");
    value
}

fn one_form<T: Serialize + DeserializeOwned>(bytes: &[u8], budget: usize, peak: Peak) {
    if let Some(value) = in_budget::<T>(bytes, budget, peak) {
        assert_eq!(codec::encode(&value).expect("what was decoded can be encoded"), bytes);
    }
}

/// A long byte string shares the memory of the body that it came in, and is the same as one that was copied.
fn shared(bytes: &[u8], budget: usize) {
    let copied = codec::decode::<(String, Blob)>(bytes, budget);
    let shared = codec::decode_body::<(String, Blob)>(&Body::from(bytes), budget);
    assert_eq!(shared, copied);
}
