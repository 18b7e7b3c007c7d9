//! For tests: a root and a child in one process, two machines back to back.

mod place;
mod two;
mod world;

use std::{sync::Arc, thread};

use offshoot_wire::ContextId;

use self::{place::Place, world::World};
use crate::{Context, Functions, here::Running, machine::Limits};

const ROOT: ContextId = ContextId::ROOT;
const CHILD: ContextId = ContextId::new(1);

/// A root and a child in this process; both end with it.
pub(crate) struct Pair {
    pub(crate) root: Context,
    /// The child as the root sees it.
    pub(crate) child: Context,
    /// The root as the child sees it.
    pub(crate) root_from_child: Context,
    world: Arc<World>,
}

impl Pair {
    /// A root and a child that both serve `functions`, on one worker each.
    pub(crate) fn new(functions: Functions) -> Self {
        Self::with(functions, Limits::default(), 1)
    }

    pub(crate) fn with(functions: Functions, limits: Limits, workers: usize) -> Self {
        let world = Arc::new(World::new(&functions, &limits, workers));
        let [root, leaf]: [Arc<Running>; 2] = [Arc::new(Place::root(&world)), Arc::new(Place::child(&world))];
        for (at, node) in [(0, &root), (1, &leaf)] {
            for worker in 0..workers {
                let (world, node, functions) = (Arc::clone(&world), Arc::clone(node), functions.clone());
                thread::spawn(move || world.work(at, &node, worker, &functions));
            }
        }
        let timed = Arc::downgrade(&world);
        thread::spawn(move || world::keep_time(&timed));
        world.with(0, |_, _| ());
        Self {
            child: Context::new(&root, CHILD),
            root: Context::new(&root, ROOT),
            root_from_child: Context::new(&leaf, ROOT),
            world,
        }
    }

    /// Cuts the link; both learn it.
    pub(crate) fn cut(&self, reason: &str) {
        self.world.cut(reason);
    }

    /// The root's broker ends.
    pub(crate) fn stop(&self) {
        self.world.with(0, |party, _| party.machine.stop(&mut party.out));
    }

    /// Sinks that a context still holds: calls and streams that have not ended.
    pub(crate) fn sinks(&self) -> [usize; 2] {
        [0, 1].map(|at| self.world.with(at, |party, _| party.sinks.len()))
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.world.cut("the test is over");
        self.world.end();
    }
}
