//! The assembler against one that keeps pieces in a list: a body is whole, in order, and never longer than announced.

use offshoot_wire::{Assembler, Broken, Part};

use super::Peak;
use crate::world::Dice;

pub(super) fn run(input: &[u8], peak: Peak) {
    let held = peak(&mut || assemble(input));
    assert!(held <= 64 * 1024 + 8 * input.len(), "{held} bytes are held for pieces of {}", input.len());
}

fn assemble(input: &[u8]) {
    let mut dice = Dice::spelt(input);
    let mut body = None::<Model>;
    while !dice.is_spent() {
        let begun = body.as_ref().map_or((0, 0), |(body, _)| (body.total(), body.received() as u32));
        let total = match dice.below(6) {
            0 => dice.next() as u32,
            1 => dice.below(64) as u32,
            _ if begun.0 == 0 => 40,
            _ => begun.0,
        };
        let offset = match dice.below(6) {
            0 => dice.next() as u32,
            1 => 0,
            _ => begun.1,
        };
        let piece: Vec<u8> = (0..dice.below(40)).map(|_| dice.below(256) as u8).collect();
        add(&mut body, Part { total, offset }, &piece);
    }
}

/// A body in the making, and the pieces of it. Of a body that began anew the list keeps its room, too.
type Model = (Assembler, Vec<u8>);

/// Adds a piece to both.
fn add(body: &mut Option<Model>, part: Part, piece: &[u8]) {
    // As a destination does: what was begun with another total goes with a piece that begins anew.
    let begun = body.take().filter(|(body, _)| part.offset != 0 || body.total() == part.total);
    let (mut assembler, mut list) = begun.unwrap_or_else(|| (Assembler::new(part.total), Vec::new()));
    let total = assembler.total() as usize;
    if part.offset == 0 {
        list.clear();
    }
    let expected = if part.total as usize != total {
        Err(Broken::Total)
    } else if part.offset as usize != list.len() {
        Err(Broken::Gap)
    } else if list.len() + piece.len() > total {
        Err(Broken::Beyond)
    } else if piece.is_empty() && list.len() < total {
        Err(Broken::Empty)
    } else {
        list.extend_from_slice(piece);
        Ok((list.len() == total).then_some(&list[..]))
    };
    let added = assembler.add(part, piece);
    assert_eq!(added.as_ref().map(Option::as_deref).map_err(|broken| *broken), expected);
    if added == Ok(None) {
        assert_eq!(assembler.received(), list.len());
        assert!(assembler.capacity() <= (2 * list.capacity()).min(total), "more is reserved than has come");
        *body = Some((assembler, list));
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    // Pieces of 20 bytes: in order, then one that begins anew.
    let piece = [&[2, 2, 20][..], &[7; 20]].concat();
    vec![piece.repeat(2), [&piece[..], &[2, 1, 3, 1, 2, 3], &piece, &[0, 0]].concat()]
}
