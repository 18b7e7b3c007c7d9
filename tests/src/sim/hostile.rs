//! What a hostile child writes to its parent: forged frames, and bytes that make none.

use offshoot_wire::ContextId;

use super::{faults::somebody_below, forest::Forest};
use crate::world::{Dice, forge, invariants::Whole};

/// A child, and all below it, is hostile from now on.
fn turn(forest: &mut Forest, id: ContextId) {
    let below: Vec<ContextId> = forest
        .contexts()
        .filter(|(other, context)| *other == id || context.ancestors().contains(&id))
        .map(|(id, _)| id)
        .collect();
    forest.history.hostile.extend(below);
}

/// A few contexts are hostile, and stay so.
fn somebody_hostile(forest: &mut Forest, dice: &mut Dice) -> Option<ContextId> {
    let known: Vec<ContextId> =
        forest.history.hostile.iter().filter(|id| forest.context(**id).is_some()).copied().collect();
    if known.len() < 3 || dice.once_in(8) {
        let id = somebody_below(forest, dice)?;
        turn(forest, id);
        return Some(id);
    }
    dice.one_of(&known)
}

/// A child repeats the last frame that it has sent.
pub(super) fn repeat(forest: &mut Forest, dice: &mut Dice) -> Option<()> {
    let id = somebody_hostile(forest, dice)?;
    let bytes = forest.said.get(&id)?.clone();
    forest.tell(|_| format!("{id} repeats itself"));
    forest.inject(id, &bytes);
    Some(())
}

/// A child sends a few frames that it should not.
pub(super) fn attack(forest: &mut Forest, dice: &mut Dice) -> Option<()> {
    let id = somebody_hostile(forest, dice)?;
    for _ in 0..=dice.below(6) {
        if dice.once_in(40) {
            forest.tell(|_| format!("{id} writes junk"));
            forest.inject(id, &dice.next().to_be_bytes());
            continue;
        }
        let frame = forge::frame(forest, dice, id);
        forest.tell(|_| format!("{id} forges {frame:?}"));
        let mut bytes = Vec::new();
        frame.encode_into(&mut bytes);
        let times = forge::times(dice, &frame);
        if times > 1 {
            forest.tell(|_| format!("{id} does so {times} times"));
        }
        for _ in 0..times {
            // What is too long for a frame is announced and sent all the same.
            forest.inject(id, &bytes);
        }
    }
    Some(())
}
