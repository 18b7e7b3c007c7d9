//! The trees of a soak: what lives, what can have children, and how more of it is made.

use std::{
    env,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use offshoot_parent::{ConnectError, Connecting, Context, ContextExt as _, Local, Method, Payload, Router};

use crate::{real::behind::Behind, world::Dice};

/// How many contexts a round has at most.
const MOST: usize = 24;
/// What a connect may take.
const CONNECT: Duration = Duration::from_secs(10);

/// What leads to a shell and stays, as a client does: it is killed with whoever started it, while the shell sees the end of
/// its stream and puts away what it has begun.
const CLIENT: [&str; 4] = ["sh", "-c", "\"$@\"; exit $?", "sh"];

/// The contexts of a round, and the hop that lives longer than any.
#[derive(Debug)]
pub(super) struct Stand {
    pub(super) router: Router,
    pub(super) elder: Context,
    leaf: PathBuf,
    trees: Mutex<Trees>,
}

#[derive(Debug, Default)]
struct Trees {
    living: Vec<Context>,
    parents: Vec<Context>,
}

impl Stand {
    /// A root and its hop.
    pub(super) fn new(router: Router) -> Result<Self, String> {
        let leaf = env::current_exe().map_err(|error| error.to_string())?.with_file_name("leaf");
        let elder = router.connect(Local::new(Payload::this_program()).name("elder"));
        let elder = elder.map_err(|error| error.to_string())?;
        Ok(Self { router, elder, leaf, trees: Mutex::default() })
    }

    /// One of all that live, the elder among them.
    pub(super) fn any(&self, dice: &mut Dice) -> Option<Context> {
        let living = &mut self.trees().living;
        living.retain(Context::is_alive);
        let at = dice.below(living.len() as u64 + 1) as usize;
        Some(living.get(at).unwrap_or(&self.elder).clone())
    }

    /// One of those that may be lost.
    pub(super) fn mortal(&self, dice: &mut Dice) -> Option<Context> {
        self.any(dice).filter(|context| context.id() != self.elder.id())
    }

    /// Begins a child somewhere; `None` if there are enough.
    pub(super) fn begin(&self, dice: &mut Dice) -> Option<(Connecting, bool)> {
        let parents = {
            let mut trees = self.trees();
            trees.living.retain(Context::is_alive);
            trees.parents.retain(Context::is_alive);
            if trees.living.len() >= MOST {
                return None;
            }
            trees.parents.clone()
        };
        let at = dice.below(parents.len() as u64 + 2) as usize;
        let root = self.router.here();
        let parent = parents.get(at).unwrap_or_else(|| if dice.once_in(2) { &root } else { &self.elder });
        let is_hop = dice.once_in(3);
        Some((parent.connect_async(self.method(is_hop, dice)), is_hop))
    }

    /// A child is up.
    pub(super) fn add(&self, child: &Context, is_hop: bool) {
        let mut trees = self.trees();
        trees.living.push(child.clone());
        if is_hop {
            trees.parents.push(child.clone());
        }
    }

    /// Waits for a child that was begun.
    pub(super) fn finish(&self, (connecting, is_hop): (Connecting, bool)) -> Result<(), ConnectError> {
        let child = connecting.wait_timeout(CONNECT)?;
        self.add(&child, is_hop);
        Ok(())
    }

    /// All that live but the elder; they are forgotten.
    pub(super) fn take_all(&self) -> Vec<Context> {
        let mut trees = self.trees();
        trees.parents.clear();
        let mut living = std::mem::take(&mut trees.living);
        living.retain(Context::is_alive);
        living
    }

    /// Directly or behind a shell; a leaf or one that can have children.
    fn method(&self, is_hop: bool, dice: &mut Dice) -> Box<dyn Method> {
        let this = || env::current_exe().map(|file| file.display().to_string()).unwrap_or_default();
        let name = format!("c{}", dice.below(1000));
        match (is_hop, dice.once_in(3)) {
            (true, false) => Box::new(Local::new(Payload::this_program()).name(name)),
            (true, true) => Box::new(Behind::new(CLIENT, [this(), "--offshoot-child".to_owned()]).name(name)),
            (false, false) => match Payload::file(&self.leaf) {
                Ok(leaf) => Box::new(Local::new(leaf).name(name)),
                Err(error) => panic!("{error}; `cargo build -p offshoot-tests --bin leaf` builds it"),
            },
            (false, true) => Box::new(Behind::new(CLIENT, [self.leaf.display().to_string()]).name(name)),
        }
    }

    fn trees(&self) -> MutexGuard<'_, Trees> {
        self.trees.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
