//! The decoder by its public face: any slicing gives the same frames, and nothing a stranger sends harms it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use offshoot_wire::{
    BadStream, Body, ContextId, Decoded, Decoder, FRAGMENT_MAGIC, Frame, Handle, Header, MAX_CONTROL,
    MAX_WHOLE, Part, ReplyTo,
};
use proptest::prelude::*;

fn frame(handle: Handle, len: usize) -> Frame {
    Frame {
        dst: ContextId::new(1),
        src: ContextId::ROOT,
        auth: ContextId::ROOT,
        handle,
        reply_to: ReplyTo::Nobody,
        part: None,
        body: Body::from((0..len).map(|at| at as u8).collect::<Vec<_>>()),
    }
}

fn stream(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| frame.encode_into(&mut bytes));
    bytes
}

/// Takes out what is complete; what comes before an error counts too.
fn drain_into(decoded: &mut Vec<Decoded>, decoder: &mut Decoder) -> Result<(), BadStream> {
    loop {
        let announced = decoder.has_complete_frame();
        let next = decoder.next_frame();
        assert_eq!(announced, !matches!(next, Ok(None)), "has_complete_frame tells what next_frame does");
        match next? {
            Some(next) => decoded.push(next),
            None => return Ok(()),
        }
    }
}

fn drain(decoder: &mut Decoder) -> Result<Vec<Decoded>, BadStream> {
    let mut decoded = Vec::new();
    drain_into(&mut decoded, decoder).map(|()| decoded)
}

/// Everything that `slices`, read one after the other, lead to.
fn decode<'a>(slices: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Decoded>, Option<BadStream>) {
    let mut decoder = Decoder::new();
    let mut all = Vec::new();
    for mut slice in slices {
        while !slice.is_empty() {
            let space = decoder.space();
            let len = space.len().min(slice.len());
            space[..len].copy_from_slice(&slice[..len]);
            decoder.filled(len);
            slice = &slice[len..];
            if let Err(bad) = drain_into(&mut all, &mut decoder) {
                return (all, Some(bad));
            }
        }
    }
    (all, None)
}

fn frames(frames: &[Frame]) -> Vec<Decoded> {
    frames.iter().cloned().map(Decoded::Frame).collect()
}

fn with_len(mut bytes: Vec<u8>, len: u32) -> Vec<u8> {
    bytes[22..26].copy_from_slice(&len.to_be_bytes());
    bytes
}

// protocol 2.1
#[test]
fn a_header_is_26_bytes_big_endian() {
    let frame = Frame {
        dst: ContextId::new(0x0102_0304),
        src: ContextId::new(5),
        auth: ContextId::new(6),
        handle: Handle::new(1007),
        reply_to: ReplyTo::Dead,
        part: None,
        body: Body::from(&[9][..]),
    };
    let expected = b"\x4d\x49\x01\x02\x03\x04\0\0\0\x05\0\0\0\x06\0\0\x03\xef\0\0\x03\xe7\0\0\0\x01\x09";
    assert_eq!(stream(&[frame]), expected);
}

// protocol 3.1
#[test]
fn a_fragment_has_its_own_magic_and_its_place_in_front() {
    let mut piece = frame(Handle::CALL_FUNCTION, 3);
    piece.part = Some(Part { total: 10, offset: 7 });
    let bytes = stream(&[piece.clone()]);
    assert_eq!(bytes[..2], FRAGMENT_MAGIC.to_be_bytes());
    assert_eq!(bytes[22..], *b"\0\0\0\x0b\0\0\0\x0a\0\0\0\x07\x00\x01\x02");
    assert_eq!(decode([&bytes[..]]), (frames(&[piece]), None));
}

#[test]
fn byte_by_byte_gives_the_same_frames_as_at_once() {
    let sent = [0, 1, 33, 4_000, 70_000, 0, MAX_WHOLE, 5].map(|len| frame(Handle::CALL_FUNCTION, len));
    let bytes = stream(&sent);
    assert_eq!(decode([&bytes[..]]), (frames(&sent), None));
    assert_eq!(decode(bytes.chunks(1)), (frames(&sent), None));
    let mut decoder = Decoder::new();
    decoder.push(&bytes);
    assert_eq!(drain(&mut decoder), Ok(frames(&sent)));
}

// protocol 2.5; attacks 3 and 5
#[test]
fn a_frame_over_the_limit_is_told_once_and_skipped() {
    let next = frame(Handle::CALL_FUNCTION, 4);
    for len in [MAX_WHOLE + 1, 1 << 20] {
        let head = with_len(stream(&[frame(Handle::CALL_FUNCTION, 0)]), len as u32);
        let bytes = [head, vec![0; len], stream(std::slice::from_ref(&next))].concat();
        for slice_len in [1000, 65_536, bytes.len()] {
            let (decoded, bad) = decode(bytes.chunks(slice_len));
            assert!(matches!(decoded[0], Decoded::Oversize(Header { len: told, .. }) if told == len as u32));
            assert_eq!((&decoded[1..], bad), (&frames(std::slice::from_ref(&next))[..], None));
        }
    }
}

#[test]
fn nothing_is_kept_for_a_body_that_is_too_long() {
    let mut decoder = Decoder::new();
    decoder.push(&with_len(stream(&[frame(Handle::CALL_FUNCTION, 0)]), u32::MAX));
    assert_eq!(drain(&mut decoder).unwrap().len(), 1);
    assert!(decoder.space().len() <= 16 * 1024);
    assert!(decoder.is_mid_frame());
}

// protocol 2.5; attack 30
#[test]
fn a_control_frame_over_4_kib_is_told_as_too_long() {
    let longest = frame(Handle::ADD_ROUTE, MAX_CONTROL);
    let longer = frame(Handle::ADD_ROUTE, MAX_CONTROL + 1);
    let (decoded, bad) = decode([&stream(&[longer, longest.clone()])[..]]);
    assert!(matches!(decoded[0], Decoded::Oversize(header) if header.handle == Handle::ADD_ROUTE));
    assert_eq!((&decoded[1..], bad), (&frames(&[longest])[..], None));
}

// protocol 2.4; attacks 1 and 2
#[test]
fn a_wrong_magic_ends_the_stream_after_the_frames_before_it() {
    let good = frame(Handle::CALL_FUNCTION, 4);
    let bytes = [&stream(std::slice::from_ref(&good))[..], b"\x4d\x4a", &[0x1b; 200]].concat();
    let mut decoder = Decoder::new();
    decoder.push(&bytes);
    assert_eq!(decoder.next_frame(), Ok(Some(Decoded::Frame(good.clone()))));
    let bad = decoder.next_frame().unwrap_err();
    let text = bad.to_string();
    assert!(text.contains("MJ\\x1b") && text.matches("\\x1b").count() == 62 && text.is_ascii(), "{text}");
    decoder.push(&stream(&[good]));
    assert_eq!(decoder.next_frame(), Err(bad));
}

// protocol 2.3 and 3.1
#[test]
fn a_header_that_means_nothing_ends_the_stream() {
    for number in [1_u32, 998] {
        let mut bytes = stream(&[frame(Handle::CALL_FUNCTION, 0)]);
        bytes[18..22].copy_from_slice(&number.to_be_bytes());
        assert_eq!(decode(bytes.chunks(1)), (Vec::new(), Some(BadStream::ReplyTo(number))));
    }
    let mut piece = frame(Handle::CALL_FUNCTION, 0);
    piece.part = Some(Part { total: 1, offset: 0 });
    let bytes = with_len(stream(&[piece]), 7);
    assert_eq!(decode(bytes.chunks(1)), (Vec::new(), Some(BadStream::Fragment(7))));
}

/// The space is the thread's, so that each of many links in turn has one that has grown with all of them.
#[cfg(feature = "std")]
#[test]
fn what_is_read_into_grows_with_what_comes_and_not_beyond_16_kib() {
    let mut space = 0;
    for _ in 0..5 {
        let mut decoder = Decoder::new();
        for chunk in stream(&vec![frame(Handle::CALL_FUNCTION, 1000); 300]).chunks(50_000) {
            decoder.push(chunk);
            drain(&mut decoder).unwrap();
        }
        assert!(!decoder.is_mid_frame());
        assert!((space..=16 * 1024).contains(&decoder.space().len()));
        space = decoder.space().len();
        decoder.filled(0);
    }
    assert!(space > 8 * 1024, "{space}");
}

#[test]
fn the_front_of_a_header_is_kept_for_each_link_by_itself() {
    let bytes = stream(&[frame(Handle::CALL_FUNCTION, 100)]);
    for cut in 1..bytes.len() {
        let mut links = [Decoder::new(), Decoder::new()];
        let mut take = |part: &[u8]| {
            links.each_mut().map(|link| {
                link.push(part);
                link.next_frame().unwrap()
            })
        };
        assert_eq!(take(&bytes[..cut]), [None, None]);
        let whole = Some(Decoded::Frame(frame(Handle::CALL_FUNCTION, 100)));
        assert_eq!(take(&bytes[cut..]), [whole.clone(), whole]);
    }
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let len = prop_oneof![3 => 0_usize..100, 2 => 4_000_usize..9_000, 1 => 60_000..=MAX_WHOLE];
    let reply_to = prop_oneof![
        Just(ReplyTo::Nobody),
        Just(ReplyTo::Dead),
        (1000..=u32::MAX).prop_map(|number| ReplyTo::Handle(Handle::new(number)))
    ];
    let part = prop::option::of(any::<(u32, u32)>().prop_map(|(total, offset)| Part { total, offset }));
    (any::<[u32; 3]>(), 1000_u32.., reply_to, part, len, any::<u8>()).prop_map(
        |([dst, src, auth], handle, reply_to, part, len, fill)| Frame {
            dst: ContextId::new(dst),
            src: ContextId::new(src),
            auth: ContextId::new(auth),
            handle: Handle::new(handle),
            reply_to,
            part,
            body: Body::from(vec![fill; len]),
        },
    )
}

fn split<'a>(mut bytes: &'a [u8], lens: &[usize]) -> Vec<&'a [u8]> {
    let mut slices = Vec::new();
    for len in lens.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (slice, rest) = bytes.split_at((*len).min(bytes.len()));
        slices.push(slice);
        bytes = rest;
    }
    slices
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_slicing_gives_the_frames_that_were_sent(
        sent in prop::collection::vec(any_frame(), 1..8),
        lens in prop::collection::vec(prop_oneof![1_usize..40, 1_usize..100_000], 1..10),
    ) {
        prop_assert_eq!(decode(split(&stream(&sent), &lens)), (frames(&sent), None));
    }

    #[test]
    fn a_damaged_stream_leads_to_the_same_by_any_slicing(
        sent in prop::collection::vec(any_frame(), 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        lens in prop::collection::vec(1_usize..5000, 1..10),
    ) {
        let mut bytes = stream(&sent);
        let front = bytes.len().min(200);
        for (at, byte) in damage {
            bytes[at.index(front)] = byte;
        }
        let (whole, whole_bad) = decode([&bytes[..]]);
        let (sliced, sliced_bad) = decode(split(&bytes, &lens));
        prop_assert_eq!(whole, sliced);
        prop_assert_eq!(whole_bad.is_some(), sliced_bad.is_some());
    }
}
