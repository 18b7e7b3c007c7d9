//! What can go wrong in a forest.

use std::{fmt, str::FromStr};

use offshoot_wire::ContextId;

use super::{
    forest::{Forest, Happening, Undo},
    hostile,
    link::Way,
};
use crate::world::Dice;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Links clog one after the other, and flow again in another order (the swizzle of FoundationDB's simulator).
    Clog,
    /// One end of a link is not read for a while.
    Stall,
    /// A link breaks at some byte.
    Cut,
    /// A context ends at once.
    Crash,
    /// A context stands still for a while.
    Pause,
    /// A link becomes slow and narrow for a while.
    Slow,
    /// A child repeats what it has sent.
    Duplicate,
    /// A child sends what no machine would.
    Hostile,
    /// Ids run out.
    Range,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Clog,
        Self::Stall,
        Self::Cut,
        Self::Crash,
        Self::Pause,
        Self::Slow,
        Self::Duplicate,
        Self::Hostile,
        Self::Range,
    ];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clog => "clog",
            Self::Stall => "stall",
            Self::Cut => "cut",
            Self::Crash => "crash",
            Self::Pause => "pause",
            Self::Slow => "slow",
            Self::Duplicate => "duplicate",
            Self::Hostile => "hostile",
            Self::Range => "range",
        }
    }

    /// Lets it happen somewhere; ids run out by how the forest was made.
    pub fn happen(self, forest: &mut Forest, dice: &mut Dice) {
        let happened = match self {
            Self::Clog => clog(forest, dice),
            Self::Stall => stall(forest, dice),
            Self::Cut => cut(forest, dice),
            Self::Crash => somebody_below(forest, dice).map(|id| {
                forest.tell(|_| format!("{id} crashes"));
                forest.kill(id);
            }),
            Self::Pause => pause(forest, dice),
            Self::Slow => slow(forest, dice),
            Self::Duplicate => hostile::repeat(forest, dice),
            Self::Hostile => hostile::attack(forest, dice),
            Self::Range => None,
        };
        if happened.is_some() {
            forest.counts.fault(self.name());
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|fault| fault.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|fault| fault.name()).collect();
            format!("there is no fault `{text}`; there are {}", names.join(", "))
        })
    }
}

/// Some context that is not the root.
pub(super) fn somebody_below(forest: &Forest, dice: &mut Dice) -> Option<ContextId> {
    forest.some(dice).filter(|id| *id != ContextId::ROOT)
}

/// How long a fault lasts, in microseconds.
fn a_while(dice: &mut Dice) -> u64 {
    let most = [30, 300, 6000][dice.below(3) as usize];
    1000 * (1 + dice.below(most))
}

fn mend_later(forest: &mut Forest, after: u64, undo: Undo) {
    if forest.undos.insert(undo) {
        forest.plan(after, Happening::Undo(undo));
    }
}

fn clog(forest: &mut Forest, dice: &mut Dice) -> Option<()> {
    for _ in 0..=dice.below(8) {
        let child = forest.some_link(dice)?;
        forest.tell(|_| format!("the link to {child} clogs"));
        forest.set_clogged(child, &Way::BOTH, true);
        let after = a_while(dice);
        mend_later(forest, after, Undo::Unclog(child));
    }
    Some(())
}

fn stall(forest: &mut Forest, dice: &mut Dice) -> Option<()> {
    let child = forest.some_link(dice)?;
    let way = if dice.once_in(2) { Way::Down } else { Way::Up };
    forest.tell(|_| format!("the link to {child} is not read {way:?}"));
    forest.set_clogged(child, &[way], true);
    let after = a_while(dice);
    mend_later(forest, after, Undo::Unclog(child));
    Some(())
}

fn cut(forest: &mut Forest, dice: &mut Dice) -> Option<()> {
    let child = forest.some_link(dice)?;
    forest.tell(|_| format!("the link to {child} breaks"));
    forest.cut(child, child);
    Some(())
}

fn pause(forest: &mut Forest, dice: &mut Dice) -> Option<()> {
    let id = forest.some(dice).filter(|id| forest.is_awake(*id))?;
    forest.tell(|_| format!("{id} stands still"));
    forest.pause(id);
    let after = a_while(dice);
    mend_later(forest, after, Undo::Resume(id));
    Some(())
}

fn slow(forest: &mut Forest, dice: &mut Dice) -> Option<()> {
    let child = forest.some_link(dice)?;
    forest.tell(|_| format!("the link to {child} becomes slow"));
    forest.slow_down(child);
    let after = a_while(dice);
    mend_later(forest, after, Undo::SpeedUp(child));
    Some(())
}
