//! Who makes the contexts of a list: the one that was asked, and others that help it.

use offshoot_core::Context;

/// Whoever may make some. The first is the one that was asked.
#[derive(Debug)]
pub(crate) struct Makers {
    all: Vec<Maker>,
    /// How many a helper makes at a time.
    arity: usize,
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
        Self { all: vec![Maker { context: asked, running: 0, most: parallel }], arity }
    }

    /// This one helps from now on.
    pub(crate) fn add(&mut self, context: Context) {
        self.all.push(Maker { context, running: 0, most: self.arity });
    }

    /// Who takes another: the one that was asked as long as it can, then whoever has least to do. Without helpers for what
    /// a helper has failed at.
    pub(crate) fn free(&self, with_helpers: bool) -> Option<(MakerKey, &Context)> {
        let has_room = |maker: &Maker| maker.running < maker.most;
        let all = || self.all.iter().enumerate().filter(|(_, maker)| has_room(maker));
        let asked = all().next().filter(|(at, _)| *at == 0);
        let helper = || all().filter(|_| with_helpers).min_by_key(|(_, maker)| maker.running);
        asked.or_else(helper).map(|(at, maker)| (MakerKey(at), &maker.context))
    }

    pub(crate) fn begun(&mut self, key: MakerKey) {
        if let Some(maker) = self.all.get_mut(key.0) {
            maker.running = maker.running.saturating_add(1);
        }
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
