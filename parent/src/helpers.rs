//! Who makes the contexts of a list: the one that was asked, and others that help it.

use std::{collections::BTreeMap, time::Duration};

use offshoot_core::Context;

use crate::gateway::{Door, Passage};

/// Whoever may make some. The first is the one that was asked.
#[derive(Debug)]
pub(crate) struct Makers {
    all: Vec<Maker>,
    /// How many a helper makes at a time.
    arity: usize,
    /// How long one takes the one that was asked, once it is known.
    usual: Option<Duration>,
}

#[derive(Debug)]
struct Maker {
    context: Context,
    running: usize,
    most: usize,
    /// The places of the list at the gateways of its ways.
    doors: BTreeMap<WayKey, Door>,
}

/// One of the ways that the connects of a list go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WayKey(pub(crate) usize);

impl Maker {
    const fn new(context: Context, most: usize) -> Self {
        Self { context, running: 0, most, doors: BTreeMap::new() }
    }

    const fn has_room(&self) -> bool {
        self.running < self.most
    }
}

/// One of them, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MakerKey(usize);

impl MakerKey {
    /// The one that was asked.
    pub(crate) const ASKED: Self = Self(0);

    pub(crate) fn is_helper(self) -> bool {
        self != Self::ASKED
    }
}

impl Makers {
    pub(crate) fn new(asked: Context, parallel: usize, arity: usize) -> Self {
        Self { all: vec![Maker::new(asked, parallel)], arity, usual: None }
    }

    /// This one helps from now on.
    pub(crate) fn add(&mut self, context: Context) {
        self.all.push(Maker::new(context, self.arity));
    }

    /// Whether one of them could make another, if its way has room.
    pub(crate) fn has_room(&self, key: MakerKey) -> bool {
        self.all.get(key.0).is_some_and(Maker::has_room)
    }

    /// Whether any of them could.
    pub(crate) fn have_room(&self) -> bool {
        self.all.iter().any(Maker::has_room)
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Has this one make one more by a way, if it may and the way has room; `door` is the place of the list there.
    pub(crate) fn enter(
        &mut self,
        at: usize,
        way: WayKey,
        door: impl FnOnce(&Context) -> Door,
    ) -> Option<(MakerKey, Passage)> {
        let Maker { context, doors, .. } = self.all.get_mut(at).filter(|maker| maker.has_room())?;
        let passage = doors.entry(way).or_insert_with(|| door(context)).enter()?;
        Some((MakerKey(at), passage))
    }

    /// One of them.
    pub(crate) fn context(&self, key: MakerKey) -> Option<&Context> {
        self.all.get(key.0).map(|maker| &maker.context)
    }

    pub(crate) fn begun(&mut self, key: MakerKey) {
        if let Some(maker) = self.all.get_mut(key.0) {
            maker.running = maker.running.saturating_add(1);
        }
    }

    /// One has come up, so long after it was begun.
    pub(crate) fn took(&mut self, key: MakerKey, time: Duration) {
        if !key.is_helper() {
            let before = self.usual.unwrap_or(time);
            self.usual = Some((before.saturating_mul(3).saturating_add(time)) / 4);
        }
    }

    /// How long after it was begun the end of one that the asked makes can be counted upon. As long as none has come up
    /// there, on none.
    pub(crate) fn patience(&self) -> Duration {
        self.usual.unwrap_or_default().saturating_mul(2)
    }

    pub(crate) fn ended(&mut self, key: MakerKey) {
        if let Some(maker) = self.all.get_mut(key.0) {
            maker.running = maker.running.saturating_sub(1);
            // What was lost makes nothing any more.
            if key.is_helper() && !maker.context.is_alive() {
                maker.most = 0;
            }
        }
    }
}
