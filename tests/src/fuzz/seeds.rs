//! Inputs made of the examples of the protocol.

use offshoot_wire::{Body, ContextId, Frame, Handle, ReplyTo};

use super::{bodies, sliced::cut};

const DOCUMENT: &str = include_str!("../../../docs/protocol.md");

/// The bytes of the blocks that begin with ```` ```hex NAME ````, by name; `;` begins a comment.
fn examples() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    DOCUMENT.split("```hex ").skip(1).map(|block| {
        let (block, _) = block.split_once("```").expect("a block ends");
        let (name, lines) = block.split_once('\n').expect("a block has lines");
        let words = lines.lines().filter_map(|line| line.split(';').next()).flat_map(str::split_whitespace);
        (name.trim(), words.map(|byte| u8::from_str_radix(byte, 16).expect("hexadecimal")).collect())
    })
}

/// The body of the example of that name.
pub(super) fn example(name: &str) -> Vec<u8> {
    examples().find(|(is, _)| *is == name).expect("the protocol has this example").1
}

/// Frames with the bodies of all examples.
pub(super) fn streams() -> Vec<Vec<u8>> {
    let mut stream = [example("frame"), example("fragment")].concat();
    for (at, (_, body)) in examples().enumerate() {
        let frame = Frame {
            dst: ContextId::new(1005),
            src: ContextId::ROOT,
            auth: ContextId::ROOT,
            handle: Handle::new(100 + at as u32),
            reply_to: ReplyTo::Nobody,
            part: None,
            body: Body::from(body),
        };
        frame.encode_into(&mut stream);
    }
    // What is announced is too long, and skipped.
    let mut oversize = example("frame");
    oversize[22..26].copy_from_slice(&[0, 2, 0, 9]);
    let skipped = [&oversize[..], &vec![0; 0x2_0008], &example("frame")].concat();
    cut(&stream).chain([cut(&skipped).next().unwrap_or_default()]).collect()
}

/// Each example as each kind of body.
pub(super) fn bodies() -> Vec<Vec<u8>> {
    let kinds = 0..bodies::KINDS;
    examples().flat_map(|(_, body)| kinds.clone().map(move |kind| [&[kind], &body[..]].concat())).collect()
}
