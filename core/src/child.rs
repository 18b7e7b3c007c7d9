//! The life of a process that was started to be a child: from its first byte to its exit.

use std::{fmt, mem, os::fd::OwnedFd, sync::Arc, time::Duration};

use offshoot_wire::{Hello, Role, Setup, VERSION, marker};
use rustix::{stdio::stdin, termios::isatty};

use crate::{
    Call, Function, Functions, IntoReturn, Message, Policy, broker,
    close::{self, Hook, Life},
    ever::Ever,
    forward,
    greet::{Must as _, Refusal, greet, refuse, say},
    here::Here,
    internal,
    link::{Ends, Source},
    machine::{Config, Limits, UpOnly},
    shared::{Hooks, Shared},
    stdio,
    sync::lock,
    sys, worker,
};

/// A program that is started by a parent, and runs the functions that it serves until it is told to end.
///
/// It takes the descriptors 0 and 1: from then on user code reads nothing from stdin, and what it and its own child
/// processes write to stdout and stderr goes to the root as log records, line by line, under the targets `stdout` and
/// `stderr`. So do the records of the `log` crate, unless the program installs a logger of its own.
///
/// ```no_run
/// use offshoot_core::{Child, Function};
///
/// pub const LENGTH: Function<String, u64> = Function::new("length");
///
/// fn main() -> ! {
///     Child::new().serve(LENGTH, |_call, text: String| text.len() as u64).run()
/// }
/// ```
#[must_use = "a child does nothing until `run` is called"]
#[derive(Debug)]
pub struct Child {
    boot: Boot,
}

impl Child {
    /// Takes the descriptors of the link. Call it first in `main`, before anything is opened, read or written and any
    /// thread is started: descriptors from 3 on are closed, and signals that were blocked or ignored by whoever started
    /// the process are so no more.
    ///
    /// Ends the process, with status 2 and a sentence on stderr, if it was started by hand.
    pub fn new() -> Self {
        Self { boot: Boot::take(Role::Leaf) }
    }

    /// Serves `function` to this context's ancestors, and to whom they grant it.
    ///
    /// Calls run on the main thread, one after the other in the order in which they came, unless
    /// [`workers`](Self::workers) is set.
    pub fn serve<A: Message, R: Message, O: IntoReturn<R>>(
        self,
        function: Function<A, R>,
        handler: impl Fn(&Call, A) -> O + Send + Sync + 'static,
    ) -> Self {
        self.map(|functions| functions.serve(function, handler))
    }

    /// As [`serve`](Self::serve), for those that `who` names.
    pub fn serve_to<A: Message, R: Message, O: IntoReturn<R>>(
        self,
        who: Policy,
        function: Function<A, R>,
        handler: impl Fn(&Call, A) -> O + Send + Sync + 'static,
    ) -> Self {
        self.map(|functions| functions.serve_to(who, function, handler))
    }

    /// Serves a table of functions, beside those served already.
    pub fn functions(self, functions: Functions) -> Self {
        self.map(|served| served.and(functions))
    }

    /// How many calls run side by side: the main thread is the first worker. 1 unless set.
    pub fn workers(mut self, workers: usize) -> Self {
        self.boot.workers(workers);
        self
    }

    /// Other bounds for this context than the usual. The longest body, the silence of a link and the grace are those of
    /// the whole tree: its root says them.
    ///
    /// Ends the process, with status 70 and a sentence on stderr, if one is too small to live by.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.boot.limits(limits);
        self
    }

    /// What is to be done when the parent is lost, and how long it may take: `undo` runs once, on a thread of its own
    /// and without the link, and then the process ends. After `grace` it is made to.
    ///
    /// It does not run when the process is told to end.
    pub fn on_parent_lost(mut self, grace: Duration, undo: impl FnOnce() + Send + 'static) -> Self {
        self.boot.on_parent_lost(grace, undo);
        self
    }

    /// Serves until the process is told to end, or its parent is lost.
    ///
    /// Exits with 0 when it was told to end, 1 when the parent is lost, 2 when no parent has started it, and 70 when it
    /// cannot start or go on, with the reason on stderr.
    pub fn run(self) -> ! {
        self.boot.run(|setup: &Setup| (UpOnly::new(setup.id), Arc::new(()) as Arc<dyn Hooks<UpOnly>>))
    }

    fn map(mut self, change: impl FnOnce(Functions) -> Functions) -> Self {
        self.boot.functions = change(self.boot.functions);
        self
    }
}

impl Default for Child {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the link of this process was taken.
static TAKEN: Ever = Ever::new();

/// Whether this program has bounds of its own: most have not, and carry no code for it.
static OWN_LIMITS: Ever = Ever::new();

/// Whether it has more workers than its main thread.
static MORE_WORKERS: Ever = Ever::new();

/// What a process needs to become a child, leaf or parent.
pub struct Boot {
    taken: Ends<OwnedFd>,
    role: Role,
    /// What it serves.
    pub functions: Functions,
    /// How many calls run side by side.
    workers: usize,
    /// Its own bounds, if it has any.
    limits: Option<Box<Limits>>,
    hook: Option<Hook>,
}

impl fmt::Debug for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Boot")
            .field("role", &self.role)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

impl Boot {
    /// Takes the descriptors 0 and 1 of this process for the link.
    pub fn take(role: Role) -> Self {
        if isatty(stdin()) {
            refuse(&Refusal::ByHand);
        }
        TAKEN.begin();
        sys::shed();
        let taken = stdio::take().must();
        Self { taken, role, functions: Functions::new(), workers: 1, limits: None, hook: None }
    }

    /// How many calls run side by side; see [`Child::workers`].
    pub fn workers(&mut self, workers: usize) {
        MORE_WORKERS.begin();
        self.workers = workers.max(1);
    }

    /// Whether this process has taken its link: it is a child then, and knows it.
    pub fn was_taken() -> bool {
        TAKEN.began()
    }

    /// Other bounds than the usual; see [`Child::limits`].
    pub fn limits(&mut self, limits: Limits) {
        limits.check().map_err(Refusal::Broken).must();
        OWN_LIMITS.begin();
        self.limits = Some(Box::new(limits));
    }

    /// What is to be done when the parent is lost; see [`Child::on_parent_lost`].
    pub fn on_parent_lost(&mut self, grace: Duration, undo: impl FnOnce() + Send + 'static) {
        self.hook = Some(Hook::new(grace, Box::new(undo)));
    }

    /// Learns who this context is, and lives as it until the end. `make` gives the routing table and what happens
    /// beside it.
    pub fn run<R: Here>(self, make: impl FnOnce(&Setup) -> (R, Arc<dyn Hooks<R>>)) -> ! {
        let (nonce, setup, decoder) = greet(&self.taken.input);
        let life = Life::new(Duration::from_millis(setup.grace_ms.into()), self.hook);
        let (routes, hooks) = make(&setup);
        let entries = internal::policies(&self.functions);
        let hello = Hello {
            version: VERSION,
            features: 0,
            role: self.role,
            pid: std::process::id(),
            build: self.functions.build_id(),
        };
        let own = self.limits.filter(|_| OWN_LIMITS.began()).map_or_else(Limits::default, |own| *own);
        let config = Config {
            me: setup.id,
            ancestors: setup.ancestors,
            role: self.role,
            one_way: setup.one_way,
            functions: entries,
            build: self.functions.build_id(),
            limits: Limits {
                body: setup.body_limit,
                ping_ms: setup.ping_ms,
                grace_ms: setup.grace_ms,
                ..own
            },
        };
        let shared = Shared::with_life(config, setup.name, routes, hooks, Arc::clone(&life)).must();
        // Both live as long as the process.
        mem::forget(Arc::clone(&shared));
        drop(broker::spawn(&shared).must());
        if MORE_WORKERS.began() {
            worker::spawn(&shared, &self.functions, 1, self.workers).must();
        } else {
            shared.set_workers(1);
        }

        say(self.taken.output(), &marker(&nonce)).must();
        let ends = self.taken.try_map(|fd| Source::new(fd, &shared.poller)).must();
        *lock(&shared.stdio) = stdio::capture(&shared.poller, setup.log_level).must();
        shared.watch_stdio();
        forward::install(&shared.sink, setup.log_level);
        let link = shared.attach_parent(&hello, ends, decoder);
        shared.begin_reading(&link.ok_or("SETUP names no parent").must());
        worker::serve(&shared, &self.functions, 0);
        close::finish(&shared, &life)
    }
}
