//! What hostile bytes may cost: memory is counted by the allocator of this test program.
#![allow(clippy::unwrap_used, missing_docs)]

mod sys;

use std::collections::{BTreeMap, BTreeSet, HashMap, LinkedList};

use offshoot_wire::codec::{self, DecodeErrorKind};
use offshoot_wire::{Body, ContextId, Decoder, Frame, Handle, ReplyTo};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sys::{held, peak};

const BUDGET: usize = 1 << 20;

/// An array with `items` as often as 4 MiB take.
fn many(item: &[u8]) -> Vec<u8> {
    let count = (4 << 20) / item.len();
    let mut bytes = vec![0x9a];
    bytes.extend_from_slice(&(count as u32).to_be_bytes());
    bytes.extend(item.repeat(count));
    bytes
}

#[track_caller]
fn stays_in_budget<T: DeserializeOwned>(bytes: &[u8]) {
    let mut refused = None;
    let peak = peak(|| refused = codec::decode::<T>(bytes, BUDGET).err());
    assert_eq!(refused.map(|error| error.kind), Some(DecodeErrorKind::Budget));
    assert!(peak <= BUDGET, "{peak} bytes were held with a budget of {BUDGET}");
}

#[derive(Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "only what decoding costs is of interest")]
enum Untagged {
    Number(u64),
    List(Vec<Self>),
}

#[derive(Deserialize)]
#[expect(dead_code, clippy::large_enum_variant, reason = "only what decoding costs is of interest")]
enum Large {
    Small,
    Large([u64; 32]),
}

// attack 27
#[test]
fn a_few_bytes_cannot_become_much_memory() {
    stays_in_budget::<Vec<String>>(&many(b"\x60"));
    stays_in_budget::<Vec<String>>(&many(b"\x61a"));
    stays_in_budget::<Vec<Vec<u8>>>(&many(b"\x80"));
    stays_in_budget::<Vec<Vec<u8>>>(&many(b"\x81\x00"));
    stays_in_budget::<Vec<u8>>(&many(b"\x00"));
    stays_in_budget::<Vec<()>>(&many(b"\xf6"));
    stays_in_budget::<Vec<Option<Box<u8>>>>(&many(b"\x01"));
    stays_in_budget::<Vec<Option<[u64; 32]>>>(&many(b"\xf6"));
    stays_in_budget::<Vec<Large>>(&many(b"\x00"));
    stays_in_budget::<Vec<Box<Large>>>(&many(b"\x00"));
    stays_in_budget::<LinkedList<u8>>(&many(b"\x00"));
    stays_in_budget::<Vec<BTreeMap<u64, u64>>>(&many(b"\xa1\x00\x00"));
    stays_in_budget::<Vec<HashMap<u64, u64>>>(&many(b"\xa1\x00\x00"));
    stays_in_budget::<Vec<Untagged>>(&many(b"\x81\x80"));
}

/// The head of a list says how many there are, and its bytes not how large each becomes.
#[test]
fn large_elements_are_reserved_as_they_come_and_not_as_announced() {
    let bytes = [&[0x99, 0x0f, 0xff][..], &[0xf6; 0xfff]].concat();
    let budget = 128 * 1024;
    let list = peak(|| assert!(codec::decode::<Vec<Option<[u64; 32]>>>(&bytes, budget).is_err()));
    assert!(list <= budget, "{list} bytes were held with a budget of {budget}");
    let bytes = [&[0xb9, 0x0f, 0xff][..], &[0x00, 0xf6].repeat(0xfff)].concat();
    let map = peak(|| assert!(codec::decode::<HashMap<u8, Option<[u64; 32]>>>(&bytes, budget).is_err()));
    assert!(map <= budget, "{map} bytes were held with a budget of {budget}");
}

/// A `BTreeSet` reserves eleven places for its first element, and looks like a list in the bytes.
#[test]
fn sets_may_take_some_times_the_budget() {
    let bytes = many(b"\x81\x00");
    let peak = peak(|| assert!(codec::decode::<Vec<BTreeSet<u64>>>(&bytes, BUDGET).is_err()));
    assert!(peak <= 4 * BUDGET, "{peak}");
}

// attack 29
#[test]
fn an_announced_length_reserves_nothing() {
    for head in [0x5b, 0x7b, 0x9b, 0xbb_u8] {
        let bytes = [&[head, 0x80][..], &[0; 7]].concat();
        let peak = peak(|| {
            codec::decode::<Vec<u64>>(&bytes, usize::MAX).unwrap_err();
            codec::decode::<String>(&bytes, usize::MAX).unwrap_err();
            codec::decode::<BTreeMap<u64, u64>>(&bytes, usize::MAX).unwrap_err();
        });
        assert_eq!(peak, 0);
    }
}

#[test]
fn an_honest_value_needs_a_few_times_its_size() {
    let names: Vec<String> = (0..10_000).map(|number| format!("host-{number:05}")).collect();
    let bytes = codec::encode(&names).unwrap();
    let size = names.len() * (size_of::<String>() + 10);
    assert_eq!(codec::decode::<Vec<String>>(&bytes, 4 * size), Ok(names));
}

// attacks 3 and 6
#[test]
fn a_decoder_holds_one_body_at_most_and_nothing_of_one_that_is_too_long() {
    let frame = |len: usize| {
        let mut bytes = Vec::new();
        let (dst, src) = (ContextId::ROOT, ContextId::new(7));
        let (handle, body) = (Handle::CALL_FUNCTION, Body::from(vec![0; len]));
        Frame { dst, src, auth: src, handle, reply_to: ReplyTo::Nobody, part: None, body }
            .encode_into(&mut bytes);
        bytes
    };
    let read = |bytes: &[u8]| {
        let mut decoder = Decoder::new();
        for slice in bytes.chunks(1500) {
            decoder.push(slice);
            while decoder.next_frame().unwrap().is_some() {}
        }
        decoder
    };
    let too_long = frame(4 << 20);
    assert!(peak(|| read(&too_long)) <= 72 * 1024);
    let slow = frame(128 * 1024);
    assert!(peak(|| read(&slow[..100])) <= 132 * 1024);
    let calls = frame(100).repeat(1000);
    drop(read(&calls));
    let before = held();
    let idle: Vec<Decoder> = (0..10).map(|_| read(&calls)).collect();
    assert!(held() - before <= 8 * 1024, "ten idle decoders");
    drop(idle);
}
