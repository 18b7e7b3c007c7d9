//! The codec by its public face: against ciborium, and against what it must refuse.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use ciborium::value::Value;
use offshoot_wire::codec::{self, DecodeErrorKind, EncodeError};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const BUDGET: usize = 1 << 24;

#[track_caller]
fn is_written_as<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T, hex: &str) {
    let bytes = codec::encode(&value).unwrap();
    assert_eq!(to_hex(&bytes), hex, "{value:?}");
    assert_eq!(codec::decode::<T>(&bytes, BUDGET).unwrap(), value);
    for len in 0..bytes.len() {
        assert!(codec::decode::<T>(&bytes[..len], BUDGET).is_err(), "{value:?} cut to {len} bytes");
    }
    let more = [&bytes[..], &[0]].concat();
    assert_eq!(codec::decode::<T>(&more, BUDGET).unwrap_err().kind, DecodeErrorKind::Trailing);
    assert_eq!(codec::decode_prefix::<T>(&more, BUDGET).unwrap(), (value, bytes.len()));
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[track_caller]
fn is_refused<T: DeserializeOwned + Debug>(hex: &str, kind: DecodeErrorKind) {
    assert_eq!(codec::decode::<T>(&from_hex(hex), BUDGET).unwrap_err().kind, kind, "{hex}");
}

#[derive(Debug, PartialEq, Clone, Serialize, Deserialize)]
struct Empty {}

#[derive(Debug, PartialEq, Clone, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Clone, Serialize, Deserialize)]
struct Newtype(u8);

#[derive(Debug, PartialEq, Clone, Serialize, Deserialize)]
struct Pair {
    #[serde(alias = "former")]
    left: u8,
    right: String,
}

#[derive(Debug, PartialEq, Clone, Serialize, Deserialize)]
enum Shape {
    Dot,
    Circle(u32),
    Box(u8, u8),
    Named { text: String, inner: Option<Box<Self>> },
    Nothing(),
}

#[derive(Debug, PartialEq, Clone, Serialize, Deserialize)]
struct SelfOption(Option<Box<Self>>);

// protocol 4.2 to 4.5 and 4.8
#[test]
fn every_type_has_its_form() {
    is_written_as(0_u8, "00");
    is_written_as(23_u8, "17");
    is_written_as(24_u8, "1818");
    is_written_as(u64::MAX, "1bffffffffffffffff");
    is_written_as(i64::MIN, "3b7fffffffffffffff");
    is_written_as(-1_i8, "20");
    is_written_as(true, "f5");
    is_written_as((), "f6");
    is_written_as(Unit, "f6");
    is_written_as(1.5_f32, "fa3fc00000");
    is_written_as(1.5_f64, "fb3ff8000000000000");
    is_written_as('ß', "62c39f");
    is_written_as(String::from("web1"), "6477656231");
    is_written_as(vec![1_u16, 300], "820119012c");
    is_written_as([1_u8; 0], "80");
    is_written_as(Empty {}, "80");
    is_written_as(Newtype(7), "07");
    is_written_as(Pair { left: 1, right: "x".into() }, "82016178");
    is_written_as(BTreeMap::from([(1_u8, true)]), "a101f5");
}

// protocol 4.7
#[test]
fn an_enum_is_its_index_or_an_array_that_begins_with_it() {
    is_written_as(Shape::Dot, "00");
    is_written_as(Shape::Circle(500), "82011901f4");
    is_written_as(Shape::Box(1, 2), "83020102");
    is_written_as(
        Shape::Named { text: "a".into(), inner: Some(Box::new(Shape::Circle(1))) },
        "83036161820101",
    );
    is_written_as(Shape::Nothing(), "8104");
    is_refused::<Shape>("05", DecodeErrorKind::Variant);
    is_refused::<Shape>("820500", DecodeErrorKind::Variant);
    is_refused::<Shape>("8100", DecodeErrorKind::Arity);
    is_refused::<Shape>("01", DecodeErrorKind::Arity);
    is_refused::<Shape>("83010101", DecodeErrorKind::Arity);
    is_refused::<Shape>("80", DecodeErrorKind::Arity);
    is_refused::<Shape>("63446f74", DecodeErrorKind::Type);
    is_refused::<Shape>("8163446f74", DecodeErrorKind::Type);
}

// protocol 4.6
#[test]
fn no_level_of_an_option_is_lost() {
    is_written_as(None::<u8>, "f6");
    is_written_as(Some(7_u8), "07");
    is_written_as(Some(()), "c6f6");
    is_written_as(None::<Option<u8>>, "f6");
    is_written_as(Some(None::<u8>), "c6f6");
    is_written_as(Some(Some(7_u8)), "07");
    is_written_as(Some(Some(None::<u8>)), "c6c6f6");
    is_written_as(Some(vec![None::<u8>]), "81f6");
    is_refused::<Option<u8>>("c607", DecodeErrorKind::Form);
    is_refused::<Option<u8>>("c6f6", DecodeErrorKind::Type);
}

// protocol 4.5 and 4.8; attack 26
#[test]
fn another_arity_is_refused() {
    is_refused::<(u8, u8)>("83010203", DecodeErrorKind::Arity);
    is_refused::<(u8, u8)>("8101", DecodeErrorKind::Arity);
    is_refused::<Pair>("83016178f6", DecodeErrorKind::Arity);
    is_refused::<Pair>("8101", DecodeErrorKind::Arity);
    is_refused::<u8>("01ffffff", DecodeErrorKind::Trailing);
}

// protocol 4.1 to 4.5
#[test]
fn only_one_form_of_a_value_is_taken() {
    is_refused::<u8>("1817", DecodeErrorKind::Form);
    is_refused::<u64>("1900ff", DecodeErrorKind::Form);
    is_refused::<u64>("1a0000ffff", DecodeErrorKind::Form);
    is_refused::<u64>("1b00000000ffffffff", DecodeErrorKind::Form);
    is_refused::<u64>("1c", DecodeErrorKind::Form);
    is_refused::<Vec<u8>>("9fff", DecodeErrorKind::Form);
    is_refused::<Vec<u8>>("4101", DecodeErrorKind::Type);
    is_refused::<String>("7fff", DecodeErrorKind::Form);
    is_refused::<String>("61ff", DecodeErrorKind::Utf8);
    is_refused::<BTreeMap<u8, u8>>("bfff", DecodeErrorKind::Form);
    is_refused::<f64>("fa3fc00000", DecodeErrorKind::Type);
    is_refused::<f64>("f93e00", DecodeErrorKind::Type);
    is_refused::<f64>("01", DecodeErrorKind::Type);
    is_refused::<bool>("01", DecodeErrorKind::Type);
    is_refused::<bool>("f7", DecodeErrorKind::Type);
    is_refused::<u8>("c101", DecodeErrorKind::Type);
    is_refused::<u8>("190100", DecodeErrorKind::Range);
    is_refused::<u8>("20", DecodeErrorKind::Range);
    is_refused::<i64>("3bffffffffffffffff", DecodeErrorKind::Range);
    is_refused::<char>("626161", DecodeErrorKind::Range);
    is_refused::<Pair>("a2646c65667401657269676874617a", DecodeErrorKind::Type);
}

/// Reads whatever comes, by `deserialize_any`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "only what decoding does is of interest")]
enum Untyped {
    Bool(bool),
    Text(String),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
}

// protocol 4.8; attacks 28 and 29
#[test]
fn nesting_and_lengths_are_bounded_before_anything_is_done_for_them() {
    let deep = |byte: u8| vec![byte; 1_000_000];
    for byte in [0x81, 0xc1, 0xc6, 0x7f, 0xa1] {
        assert!(codec::decode::<Untyped>(&deep(byte), BUDGET).is_err(), "{byte:02x}");
    }
    let nested = codec::decode::<Untyped>(&deep(0x81), BUDGET).unwrap_err();
    assert_eq!((nested.kind, nested.at), (DecodeErrorKind::Depth, 65));
    for head in ["5b8000000000000000", "9b8000000000000000", "7b8000000000000000", "bb8000000000000000"] {
        is_refused::<Untyped>(head, DecodeErrorKind::End);
    }
    is_refused::<SelfOption>("00", DecodeErrorKind::Depth);
}

// protocol 4.8
#[test]
fn what_is_nested_too_deep_is_refused_where_it_is_written() {
    #[derive(Serialize)]
    struct List(Vec<Self>);
    let nested = |depth: usize| (1..depth).fold(List(Vec::new()), |inner, _| List(vec![inner]));
    assert_eq!(codec::encode(&nested(64)).unwrap().len(), 64);
    assert_eq!(codec::encode(&nested(65)), Err(EncodeError::Depth));
}

#[test]
fn what_has_no_form_is_an_error_that_says_what_to_do_and_leaves_nothing() {
    #[derive(Serialize)]
    struct Skips {
        before: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        maybe: Option<u8>,
    }
    let mut out = vec![9];
    let refused = codec::encode_into(&Skips { before: 1, maybe: None }, &mut out).unwrap_err();
    assert_eq!(refused, EncodeError::Skipped);
    assert!(refused.to_string().contains("remove `skip_serializing_if`"));
    assert_eq!(out, [9]);
    assert_eq!(codec::encode(&1_u128), Err(EncodeError::Wide));
    assert_eq!(codec::encode(&1_i128), Err(EncodeError::Wide));
    is_refused::<u128>("01", DecodeErrorKind::Wide);
}

#[test]
fn a_length_that_was_not_announced_is_put_in_front_afterwards() {
    struct Unsized(u32);
    impl Serialize for Unsized {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let even = |number: &u32| number.is_multiple_of(2);
            serializer.collect_seq((0..self.0 * 2).filter(even).map(|number| vec![number]))
        }
    }
    for len in [0, 1, 23, 24, 300] {
        let expected: Vec<_> = (0..len).map(|number| vec![number * 2]).collect();
        assert_eq!(codec::encode(&Unsized(len)), codec::encode(&expected));
    }
}

#[test]
fn a_wrong_announcement_is_an_error() {
    struct Lies;
    impl Serialize for Lies {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq;
            let mut seq = serializer.serialize_seq(Some(2))?;
            seq.serialize_element(&1)?;
            seq.end()
        }
    }
    assert_eq!(codec::encode(&Lies), Err(EncodeError::Length));
}

#[test]
fn what_serde_buffers_can_be_read_too() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(i64),
        Pair(Pair, Option<u8>),
        List(Vec<Option<bool>>),
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Circle { radius: u8 },
        Pair(Pair),
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        id: u8,
        #[serde(flatten)]
        rest: HashMap<String, String>,
    }
    is_written_as(Either::Number(-5), "24");
    is_written_as(Either::Pair(Pair { left: 1, right: "a".into() }, None), "8282016161f6");
    is_written_as(Either::List(vec![Some(true), None]), "82f5f6");
    is_written_as(Tagged::Circle { radius: 2 }, "8266436972636c6502");
    is_written_as(
        Tagged::Pair(Pair { left: 1, right: "z".into() }),
        "8364506169720161 7a".replace(' ', "").as_str(),
    );
    is_written_as(
        Flat { id: 1, rest: HashMap::from([("a".into(), "b".into())]) },
        "a2626964016161 6162".replace(' ', "").as_str(),
    );
}

#[test]
fn fields_with_a_default_may_be_missing_at_the_end() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Grown {
        first: u8,
        #[serde(default)]
        second: u8,
    }
    assert_eq!(codec::decode(&[0x81, 1], BUDGET), Ok(Grown { first: 1, second: 0 }));
    is_refused::<Grown>("83010203", DecodeErrorKind::Arity);
}

#[test]
fn errors_say_where() {
    let error = codec::decode::<(u8, String)>(&from_hex("820161ff"), BUDGET).unwrap_err();
    assert_eq!(error.to_string(), "byte 4: a text is not UTF-8");
}

/// Values that both codecs write alike: no floats (ciborium shortens them), no tags.
fn common() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0_u64..300).prop_map(Value::from),
        any::<Vec<u8>>().prop_map(Value::Bytes),
        any::<String>().prop_map(Value::Text),
    ];
    leaf.prop_recursive(5, 64, 30, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..30).prop_map(Value::Array),
            prop::collection::vec((inner.clone(), inner), 0..30).prop_map(Value::Map),
        ]
    })
}

fn shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        Just(Shape::Dot),
        Just(Shape::Nothing()),
        any::<u32>().prop_map(Shape::Circle),
        any::<(u8, u8)>().prop_map(|(a, b)| Shape::Box(a, b)),
    ];
    leaf.prop_recursive(20, 20, 1, |inner| {
        (any::<String>(), prop::option::of(inner))
            .prop_map(|(text, inner)| Shape::Named { text, inner: inner.map(Box::new) })
    })
}

type Everything = (Vec<Shape>, Option<Option<i32>>, BTreeMap<String, (f32, f64)>, [char; 2]);

fn everything() -> impl Strategy<Value = Everything> {
    let maps = prop::collection::btree_map(any::<String>(), any::<(f32, f64)>(), 0..5);
    let options = prop_oneof![Just(None), Just(Some(None)), any::<i32>().prop_map(|n| Some(Some(n)))];
    (prop::collection::vec(shape(), 0..5), options, maps, any::<[char; 2]>())
}

type Plain = (u8, i64, String, Vec<(bool, Option<u32>)>, BTreeMap<String, u16>);

proptest! {
    #[test]
    fn ciborium_writes_the_same(value in common()) {
        let mut theirs = Vec::new();
        ciborium::into_writer(&value, &mut theirs).unwrap();
        prop_assert_eq!(&codec::encode(&value).unwrap(), &theirs);
        prop_assert_eq!(codec::decode::<Value>(&theirs, 1 << 30).unwrap(), value);
    }

    #[test]
    fn ciborium_reads_the_same(value: Plain) {
        let ours = codec::encode(&value).unwrap();
        prop_assert_eq!(&ciborium::from_reader::<Plain, _>(&ours[..]).unwrap(), &value);
        prop_assert_eq!(&codec::decode::<Value>(&ours, BUDGET).unwrap(), &Value::serialized(&value).unwrap());
    }

    #[test]
    fn a_value_comes_back_and_no_part_of_it_does(value in everything()) {
        let bytes = codec::encode(&value).unwrap();
        prop_assert_eq!(codec::decode::<Everything>(&bytes, BUDGET).unwrap(), value);
        for len in 0..bytes.len() {
            prop_assert!(codec::decode::<Everything>(&bytes[..len], BUDGET).is_err());
        }
    }

    #[test]
    fn what_is_read_is_written_back_as_it_came(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(value) = codec::decode::<Value>(&bytes, BUDGET) {
            prop_assert_eq!(&codec::encode(&value).unwrap(), &bytes);
        }
        if let Ok(value) = codec::decode::<Shape>(&bytes, BUDGET) {
            prop_assert_eq!(&codec::encode(&value).unwrap(), &bytes);
        }
    }

    #[test]
    fn a_damaged_value_is_an_error_or_another_value(value in everything(), at: prop::sample::Index, byte: u8) {
        let mut bytes = codec::encode(&value).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = codec::decode::<Everything>(&bytes, BUDGET) {
            prop_assert!(codec::encode(&read).unwrap().len() <= bytes.len());
        }
    }
}
