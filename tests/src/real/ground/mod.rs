//! Where something hostile is met: a root with an honest leaf beside what is hostile, and what must hold whatever that
//! does, the general condition.
//!
//! That leaf, `eight`, calls the root all the time: `pace.rs` says how long that may take.

mod bystander;
mod pace;
mod told;
mod verdict;

use std::{cell::Cell, fs};

use offshoot_parent::{RouterBuilder, Sizes, prelude::*, table::TableSizes};

use self::pace::Pace;
pub use self::{
    pace::play,
    told::{assert_plain, shown},
    verdict::verdict,
};
use super::{PATIENCE, eventually, flows::TAKE, logs, rss_kib};

/// What the root may grow by for one that is hostile, in MiB.
pub const GROWTH: u64 = 16;

/// What a root holds: of links, calls, windows, routes, ids.
type Held = (Sizes, TableSizes);

/// The programs of an honest leaf and of a tree that is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Programs {
    /// `tests/src/bin/leaf.rs`.
    pub leaf: &'static str,
    /// `tests/src/bin/bystander.rs`.
    pub bystander: &'static str,
}

/// A root and its honest child `eight`.
#[must_use = "it says at its end whether others had to suffer"]
#[derive(Debug)]
pub struct Ground {
    router: Router,
    pace: Pace,
    mark: logs::Mark,
    /// What the root held, of `eight` alone.
    held: Held,
    /// The memory of the root before, in KiB.
    before: u64,
    /// What it may grow by, in MiB.
    growth: Cell<u64>,
}

impl Ground {
    /// With a root that is to be like this.
    ///
    /// # Panics
    /// If there can be no such root, or the programs do not run.
    pub fn new(root: RouterBuilder, programs: Programs) -> Self {
        let functions = Functions::new().serve_to(Policy::Anyone, TAKE, |_, number| number);
        let router = root.functions(functions).workers(4).build().expect("a router");
        let leaf = Payload::file(programs.leaf).expect("the leaf has been built");
        let eight = router.connect(Local::new(leaf).name("eight")).expect("an honest leaf");
        let pace = Pace::of(eight, programs);
        let held = held(&router);
        // From now on the kernel remembers the most that there was.
        fs::write("/proc/self/clear_refs", "5").expect("the kernel takes a new mark");
        let before = rss_kib(std::process::id());
        Self { router, pace, mark: logs::mark(), held, before, growth: Cell::new(0) }
    }

    /// The root.
    pub const fn router(&self) -> &Router {
        &self.router
    }

    /// The honest leaf.
    pub const fn eight(&self) -> &Context {
        self.pace.eight()
    }

    /// What was logged since it began.
    pub const fn log(&self) -> &logs::Mark {
        &self.mark
    }

    /// The root may grow by so many MiB more: the row says why.
    pub fn allow(&self, more: u64) {
        self.growth.set(self.growth.get() + more);
    }

    /// Does something while `eight` is watched; it calls before and after, too.
    pub fn under_attack<T>(&self, attack: impl FnOnce() -> T) -> T {
        self.pace.during(attack)
    }

    /// Ends the tree, these contexts first, and says whether anybody had to suffer; what was logged.
    ///
    /// # Panics
    /// If somebody had to, or something is left.
    #[track_caller]
    pub fn end<'a>(self, others: impl IntoIterator<Item = &'a Context>) -> Vec<String> {
        let Self { router, pace, mark, held: base, before, growth } = self;
        let peak = peak_kib();
        told::check(&router, &mark);
        for other in others {
            other.shutdown().wait_timeout(PATIENCE).expect("it ends");
        }
        let what = format!("nothing is held of who is gone: {base:?} again");
        eventually(&what, PATIENCE, || (held(&router) == base).then_some(()));
        pace.judge();
        // What the log of these tests keeps is theirs.
        let before = before + mark.bytes() / 1024;
        let most = before + (growth.get() << 10);
        assert!(peak <= most, "the root grew from {before} KiB to {peak} KiB");
        let back = before + (GROWTH << 10);
        let what = format!("of {peak} KiB all but {back} KiB has been given back");
        eventually(&what, PATIENCE, || (rss_kib(std::process::id()) <= back).then_some(()));
        drop(router);
        mark.lines()
    }
}

/// What is held of others, but for when something is due next.
fn held(router: &Router) -> Held {
    let (sizes, table) = router.sizes();
    (Sizes { timers: 0, ..sizes }, table)
}

/// The most memory that this process has had since the mark, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
}
