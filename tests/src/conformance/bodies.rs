//! Bodies: chapter 4 of the document. Each value that is none is told as arguments that do not decode.

use offshoot_wire::{DeadCode, Failed, Handle, ReplyTo, codec};

use super::{
    Claim, Fault, Peer,
    peer::{call_body, head},
};

// protocol 4.1 to 4.8 and 6.2
pub(super) const CLAIMS: &[Claim] = &[
    Claim::up("a_number_is_as_short_as_can_be", &["4.1", "6.2"], |peer| {
        bad(
            peer,
            "add",
            &[&[0x82, 0x18, 2, 3], &[0x82, 0x19, 0, 24, 3], &[0x82, 0x1b, 0, 0, 0, 0, 0, 0, 0, 2, 3]],
        )
    }),
    Claim::up("a_length_is_definite", &["4.1"], |peer| {
        bad(peer, "add", &[&[0x9f, 2, 3, 0xff]])?;
        bad(peer, "echo", &[&[0x7f, 0x61, b'a', 0xff], &[0x78, 1, b'a']])
    }),
    Claim::up("a_number_is_of_its_type_and_in_its_range", &["4.2", "4.3"], |peer| {
        let below = [0x82, 0x3b, 0x80, 0, 0, 0, 0, 0, 0, 0, 3];
        bad(peer, "add", &[&below, &[0x82, 0xf9, 0x3c, 0, 3], &[0x82, 0xf5, 3], &[0x82, 0xf6, 3], &[0xf6]])?;
        bad(peer, "count", &[&[0x20]])
    }),
    Claim::up("text_is_utf8_and_bytes_are_bytes", &["4.4"], |peer| {
        bad(peer, "echo", &[&[0x62, 0xff, 0xfe], &[0x41, b'a']])?;
        bad(peer, "echo_bytes", &[&[0x61, b'a'], &[0x81, 1]])
    }),
    Claim::up("a_tuple_has_exactly_its_fields", &["4.5"], |peer| {
        bad(peer, "add", &[&[0x83, 1, 2, 3], &[0x81, 1], &[0xa2, 0, 2, 1, 3]])
    }),
    Claim::up("a_tag_means_nothing_where_no_option_is", &["4.6"], |peer| {
        bad(peer, "add", &[&[0x82, 0xc6, 2, 3], &[0x82, 0xc1, 2, 3]])
    }),
    Claim::up("a_value_fills_its_body", &["4.8"], |peer| {
        bad(peer, "add", &[&[0x82, 2, 3, 0], &[0x82, 2], &[]])?;
        bad(peer, "echo", &[&[0x62, b'a'], &[0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]])
    }),
    Claim::up("a_head_that_does_not_decode_is_malformed", &["4.7", "4.8", "6.1", "6.4"], bad_heads),
    Claim::up("the_longest_numbers_go_and_come", &["4.2"], longest),
];

/// Each of these is no argument of `function`, and the child goes on.
fn bad(peer: &mut Peer, function: &str, arguments: &[&[u8]]) -> Result<(), Fault> {
    for bytes in arguments {
        let mut body = codec::encode(&head(function)).expect("a head");
        body.extend_from_slice(bytes);
        let handle = peer.handle();
        let frame = peer.frame(Handle::CALL_FUNCTION, ReplyTo::Handle(handle), body);
        peer.spend(&frame)?;
        let (how, _) = peer.failure(handle)?;
        if how != Failed::Arguments {
            return Err(format!("the failure `arguments` was awaited, and {how:?} came"));
        }
    }
    peer.is_quiet()
}

fn bad_heads(peer: &mut Peer) -> Result<(), Fault> {
    let good = call_body(&head("add"), &(2, 3));
    let fields: [&[u8]; 5] = [
        &[],
        &[0x84, 0x63, b'a', b'd', b'd', 0xf6, 0x80, 0xf6],
        &[0x85, 0x63, b'a', b'd', b'd', 0xf6, 0x9f, 0xff, 0xf6, 0x80, 0x82, 2, 3],
        &[
            0x85, 0x63, b'a', b'd', b'd', 0xf6, 0x80, 0xf6, 0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff,
        ],
        &[0x85, 0x63, b'a', b'd', b'd', 0xf6, 0x80, 0xf6, 0x81, 0x83, 0, 0x19, 3, 0xf0, 0x81, 0, 0x82, 2, 3],
    ];
    for body in fields.into_iter().chain([&good[..5]]) {
        let handle = peer.handle();
        let frame = peer.frame(Handle::CALL_FUNCTION, ReplyTo::Handle(handle), body.to_vec());
        peer.spend(&frame)?;
        peer.dead(handle, DeadCode::Malformed)?;
    }
    peer.is_quiet()
}

fn longest(peer: &mut Peer) -> Result<(), Fault> {
    for (one, other) in [(i64::MIN, 0), (i64::MAX, 0), (i64::MIN, i64::MAX), (-24, -1), (255, 1), (65_535, 1)]
    {
        let call = peer.call("add", &(one, other))?;
        let sum = peer.value::<i64>(call)?;
        if sum != one + other {
            return Err(format!("{one} and {other} are {sum}"));
        }
    }
    Ok(())
}
