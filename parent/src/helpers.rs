//! Who makes the contexts of a list: the one that was asked, and others that help it.

use std::time::Duration;

use offshoot_core::Context;

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
        Self { all: vec![Maker { context: asked, running: 0, most: parallel }], arity, usual: None }
    }

    /// This one helps from now on.
    pub(crate) fn add(&mut self, context: Context) {
        self.all.push(Maker { context, running: 0, most: self.arity });
    }

    /// Who takes another: the one that was asked as long as it can, then the first helper that can: it may have been
    /// sent the program already. Without helpers for what a helper has failed at.
    pub(crate) fn free(&self, with_helpers: bool) -> Option<(MakerKey, &Context)> {
        let has_room = |(_, maker): &(usize, &Maker)| maker.running < maker.most;
        let (at, maker) =
            self.all.iter().enumerate().take(if with_helpers { usize::MAX } else { 1 }).find(has_room)?;
        Some((MakerKey(at), &maker.context))
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
