//! The root of a tree: a router of its own in this program, and everything that grows from it.

use std::{
    fmt, io,
    panic::{RefUnwindSafe, UnwindSafe},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use offshoot_bootstrap::{ConnectError, Method, Observer, Prompter};
use offshoot_core::{
    Call, Context, ContextId, Function, Functions, IntoReturn, Message, Policy, Receiver, Sender, Shutdown,
    internal::{self, Broker, Hooks, Shared, spawn_broker, spawn_workers},
    machine::{Config, DropKind, Limits, Sizes},
    wire::Role,
};

use crate::{
    ConnectAll, Connecting, ContextExt as _, Tree,
    launching::Company,
    nursery::{Inherited, Nursery},
    record::Recorder,
    run::is_forgotten,
    table::{Table, TableLimits, TableSizes},
};

/// How long a router that is dropped waits for the end of its tree beyond the graces of its children, before it goes
/// without.
const SLACK: Duration = Duration::from_secs(5);

/// What is told to whoever sees the end of a child that has entered its `main`.
const FORGOTTEN: &str = "this program was started as a child: put all of `main` into `offshoot_parent::run`";

/// The root of a tree of contexts, in this process. There can be several.
///
/// Not `Clone`: it owns the tree. Dropping it ends every context of the tree and waits until the processes that it
/// started are gone: a moment if they are well, some seconds if they must be killed. What is to be passed around is
/// a [`Context`], such as [`here`](Self::here).
///
/// ```no_run
/// use offshoot_parent::prelude::*;
///
/// const ADD: Function<(i64, i64), i64> = Function::new("add");
///
/// let router = Router::new()?;
/// let leaf = router.connect(Local::new(Payload::file("target/payloads/leaf")?).name("leaf"))?;
/// assert_eq!(leaf.call(ADD, (2, 3))?, 5);
/// println!("{}", router.tree());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping a router ends its tree"]
pub struct Router {
    here: Context,
    shared: Arc<Shared<Table>>,
    nursery: Arc<Nursery>,
    broker: Option<Broker>,
    grace: Duration,
}

impl Router {
    /// A root that serves no functions itself: who calls one there is told that there is none.
    ///
    /// # Errors
    /// The system has no descriptor or thread left; or this process was started as a child, by
    /// [`Payload::this_program`](crate::Payload::this_program), and [`run`](crate::run()) does not hold all of `main`.
    pub fn new() -> io::Result<Self> {
        Self::builder().build()
    }

    /// A root with settings.
    pub fn builder() -> RouterBuilder {
        RouterBuilder::default()
    }

    /// The root itself as a context.
    #[must_use]
    pub fn here(&self) -> Context {
        self.here.clone()
    }

    /// Makes a child of the root, and waits until it is up.
    ///
    /// Blocks for at most the time-out of the method, 30 s unless it was set.
    ///
    /// # Errors
    /// [`ConnectError`] says where, by which method, in which phase and why. No process is left then, but for one that may be
    /// taking its file away, for some seconds.
    pub fn connect(&self, method: impl Method) -> Result<Context, ConnectError> {
        self.here.connect(method)
    }

    /// As [`connect`](Self::connect) without waiting: many can be made at once.
    pub fn connect_async(&self, method: impl Method) -> Connecting {
        self.here.connect_async(method)
    }

    /// Makes many children of the root, some at a time; see [`ConnectAll`].
    pub fn connect_all<M: Method>(&self, methods: impl IntoIterator<Item = M>) -> ConnectAll {
        self.here.connect_all(methods)
    }

    /// A new channel of the root, whose ends can be sent in calls.
    #[must_use]
    pub fn channel<T: Message>(&self) -> (Sender<T>, Receiver<T>) {
        self.here.channel()
    }

    /// The tree as the root knows it at this moment.
    #[must_use]
    pub fn tree(&self) -> Tree {
        Tree::of(&self.shared, &self.nursery)
    }

    /// Frames that were dropped because they broke a rule, by the child by whose link they came and the rule; for
    /// links that are up.
    #[must_use]
    pub fn dropped(&self) -> Vec<(ContextId, DropKind, u64)> {
        self.shared.counters().into_iter().map(|(link, kind, count)| (link.peer, kind, count)).collect()
    }

    /// How much the root holds about others, for soak tests and for people: it is where it was before once those that
    /// it talked to are gone.
    #[must_use]
    pub fn sizes(&self) -> (Sizes, TableSizes) {
        (self.shared.sizes(), self.shared.routes(Table::sizes))
    }

    /// Ends the tree. Returns at once; the [`Shutdown`] ends when every process of it has. Dropping the router does
    /// the same and waits.
    pub fn shutdown(&self) -> Shutdown {
        self.here.shutdown()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.shared.begin_shutdown(self.grace);
        // The spawner stops everything when the last child is gone or has been killed.
        if !self.nursery.wait(self.grace * 2 + SLACK) {
            self.shared.stop();
        }
        if let Some(broker) = self.broker.take().filter(|broker| !broker.is_me()) {
            broker.join();
        }
        // Whoever still has a context keeps what writes it.
        self.nursery.end_recording();
    }
}

// Nothing of it is half done when a panic passes by: every lock inside is left whole.
impl UnwindSafe for Router {}
impl RefUnwindSafe for Router {}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("nursery", &self.nursery).finish_non_exhaustive()
    }
}

/// Settings of a [`Router`].
///
/// ```
/// use std::time::Duration;
/// use offshoot_parent::prelude::*;
///
/// const NOW: Function<(), u64> = Function::new("now");
///
/// let router = Router::builder()
///     .serve_to(Policy::Children, NOW, |_call, ()| 42_u64)
///     .workers(2)
///     .ping(Duration::from_secs(5))
///     .build()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "settings do nothing until `build` is called"]
pub struct RouterBuilder {
    functions: Functions,
    workers: Option<usize>,
    one_way: bool,
    limits: Limits,
    routes: TableLimits,
    record: Option<PathBuf>,
    pub(crate) company: Company,
}

impl RouterBuilder {
    /// Refuses whatever one context of the tree sends to another that is neither above nor below it.
    pub fn one_way(self) -> Self {
        Self { one_way: true, ..self }
    }

    /// How many calls to the root run side by side, each on a thread of its own: 1 unless set.
    pub fn workers(self, workers: usize) -> Self {
        Self { workers: Some(workers), ..self }
    }

    /// How long a link may be silent before its other end is asked for a sign of life: 10 s unless set. After three
    /// such times without any it counts as lost. Zero turns that off.
    pub fn ping(mut self, interval: Duration) -> Self {
        self.limits.ping_ms = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
        self
    }

    /// Other bounds than the usual; also sets what [`ping`](Self::ping) does.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Other bounds than the usual for what each child may announce to the root, and how many ids it may have.
    pub fn route_limits(self, routes: TableLimits) -> Self {
        Self { routes, ..self }
    }

    /// Serves a function to whom the root granted it.
    pub fn serve<A: Message, R: Message, O: IntoReturn<R>>(
        self,
        function: Function<A, R>,
        handler: impl Fn(&Call, A) -> O + Send + Sync + 'static,
    ) -> Self {
        Self { functions: self.functions.serve(function, handler), ..self }
    }

    /// Serves a function to whom `who` says.
    pub fn serve_to<A: Message, R: Message, O: IntoReturn<R>>(
        self,
        who: Policy,
        function: Function<A, R>,
        handler: impl Fn(&Call, A) -> O + Send + Sync + 'static,
    ) -> Self {
        Self { functions: self.functions.serve_to(who, function, handler), ..self }
    }

    /// Serves a table of functions, beside those served already.
    pub fn functions(self, functions: Functions) -> Self {
        Self { functions: self.functions.and(functions), ..self }
    }

    /// Writes every frame that passes on a link of the root to a file, to be read with
    /// [`Recording`](crate::record::Recording) or the example `show_record`. It holds whatever is sent, secrets too, and is
    /// whole when the router was dropped.
    pub fn record(self, path: impl AsRef<Path>) -> Self {
        Self { record: Some(path.as_ref().to_owned()), ..self }
    }

    /// Whom the connects that the root itself makes ask what they have no answer to, one question at a time; such as the
    /// password of an [`Ssh`](crate::Ssh) or a [`Sudo`](crate::Sudo) with `ask()`, or a code that PAM wants. Connects by other contexts have the answers that were given
    /// with the method, and no others.
    ///
    /// ```no_run
    /// use offshoot_parent::prelude::*;
    ///
    /// let router = Router::builder()
    ///     .prompter(|query: &Query| {
    ///         eprint!("{}: {} ", query.place, query.text);
    ///         let mut answer = String::new();
    ///         let read = std::io::stdin().read_line(&mut answer).ok()?;
    ///         // Where nobody is there it ends at once: an empty line would be an answer.
    ///         (read > 0).then(|| answer.trim_end().into())
    ///     })
    ///     .build()?;
    /// let host = router.connect(Ssh::new("web1").ask())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prompter(mut self, prompter: impl Prompter + 'static) -> Self {
        self.company.prompter = Some(Arc::new(prompter));
        self
    }

    /// Who is told of every step of the connects that the root itself makes by a way to another place: what is asked, what
    /// machine it is, how much of the program has left.
    ///
    /// ```no_run
    /// use offshoot_parent::prelude::*;
    ///
    /// let router = Router::builder().observer(|plan: &Plan, step: &Step| println!("{}: {step}", plan.place)).build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.company.observer = Some(Arc::new(observer));
        self
    }

    /// Starts the router.
    ///
    /// # Errors
    /// As [`Router::new`]; the file of the recording cannot be made, or a limit is too small to live by.
    pub fn build(self) -> io::Result<Router> {
        if is_forgotten() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, FORGOTTEN));
        }
        let bad = |text| io::Error::new(io::ErrorKind::InvalidInput, text);
        self.limits.check().map_err(bad)?;
        let recorder = self.record.as_deref().map(Recorder::create).transpose()?;
        let grace = Duration::from_millis(self.limits.grace_ms.into());
        let inherited = Inherited {
            ancestors: vec![ContextId::ROOT],
            one_way: self.one_way,
            body_limit: self.limits.body,
            ping_ms: self.limits.ping_ms,
            grace_ms: self.limits.grace_ms,
            log_level: log_level(),
        };
        let config = Config {
            me: ContextId::ROOT,
            ancestors: Vec::new(),
            role: Role::Parent,
            one_way: self.one_way,
            functions: internal::policies(&self.functions),
            build: self.functions.build_id(),
            limits: self.limits,
        };
        let nursery = Arc::new(Nursery::new(inherited, recorder, self.company));
        let hooks = Arc::clone(&nursery) as Arc<dyn Hooks<Table>>;
        let shared = Shared::new(config, "root".to_owned(), Table::root_with(self.routes, 0), hooks)?;
        let here = shared.context(ContextId::ROOT);
        let broker = Some(spawn_broker(&shared)?);
        // From here on dropping it cleans up.
        let router = Router { here, shared, nursery, broker, grace };
        // Also where nothing is served: who calls is told so by a worker.
        spawn_workers(&router.shared, &self.functions, 0, self.workers.unwrap_or(1).max(1))?;
        Ok(router)
    }
}

/// The most verbose records that this program's logger takes, as SETUP says it.
fn log_level() -> u8 {
    u8::try_from(log::max_level() as usize).unwrap_or(u8::MAX)
}
