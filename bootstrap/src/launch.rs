//! Carries a plan out: starts the process, and where that only leads to a far side, puts the program there.

use std::{
    io::{self, Read as _},
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use crate::{
    CHILD_ARG, ConnectError, ConnectErrorKind, Observer, Phase, Plan, Prompter, Spawned, Step, Transport,
    askpass::Askpass,
    client, spawn,
    stage0::{Dialogue, Errand},
    sys,
    talk::Talk,
};

/// What stands for no deadline at all.
const FOREVER: Duration = Duration::from_secs(86_400 * 365);

/// Carries a plan out: [`spawn`](crate::spawn())s the process, and where it only leads to a far side, has the program received, placed
/// and started there. It returns as soon as the program runs; what it says is left to the caller.
///
/// Blocks, until `deadline` at the latest. `cancel` gives it up at once when it becomes readable or its other end is
/// closed. Whoever wants to be asked or to see it happen takes a [`Launch`].
///
/// ```no_run
/// use std::{io::{Read as _, Write as _}, time::{Duration, Instant}};
///
/// use offshoot_bootstrap::{Method as _, Payload, Ssh, launch};
///
/// // Any static program, on any host that ssh reaches, and its stdin and stdout here.
/// let plan = Ssh::new("web1").payload(Payload::file("target/static/wc")?).args(["-l"]).plan();
/// let there = launch(&plan, Instant::now() + Duration::from_secs(30), None)?;
/// let mut link = there.link;
/// link.write_all(b"one\ntwo\n")?;
/// link.close_stdin()?;
/// let mut lines = String::new();
/// link.read_to_string(&mut lines)?;
/// assert_eq!(lines.trim(), "2");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of [`spawn`](crate::spawn()), and whatever the way there or the far side has to say: no place for the program, another
/// machine, the deadline. No process is left here; none and no file there, as soon as the far side learns of it. That of a
/// [`tied`](Launch::tied) launch is left to a thread of its own where it may still have a file to take away there: it has
/// gone, or is killed, 5 seconds later.
pub fn launch(
    plan: &Plan,
    deadline: Instant,
    cancel: Option<BorrowedFd<'_>>,
) -> Result<Spawned, ConnectError> {
    Launch { cancel, ..Launch::new(plan).until(deadline) }.run()
}

/// A plan that is about to be carried out, with whom to ask and who looks on.
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is started before `run`"]
pub struct Launch<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) deadline: Instant,
    /// How long that was away at the beginning.
    pub(crate) limit: Duration,
    pub(crate) cancel: Option<BorrowedFd<'a>>,
    pub(crate) prompter: Option<&'a dyn Prompter>,
    pub(crate) observer: Option<&'a dyn Observer>,
    is_tied: bool,
}

/// What was started for a plan, and has not led anywhere yet. Dropping it kills the process.
#[derive(Debug)]
pub struct Started {
    spawned: Spawned,
    askpass: Option<Askpass>,
}

impl<'a> Launch<'a> {
    /// Of a plan, which has its own time-out from now on.
    pub fn new(plan: &'a Plan) -> Self {
        let now = Instant::now();
        // A time-out that no clock can hold is none.
        let deadline = now.checked_add(plan.timeout).unwrap_or(now + FOREVER);
        Self {
            plan,
            deadline,
            limit: plan.timeout,
            cancel: None,
            prompter: None,
            observer: None,
            is_tied: false,
        }
    }

    /// Until that time at the latest.
    pub fn until(self, deadline: Instant) -> Self {
        let limit = rounded(deadline.saturating_duration_since(Instant::now()));
        Self { deadline, limit, ..self }
    }

    /// Given up at once when that becomes readable, or its other end is closed.
    pub const fn unless(self, cancel: BorrowedFd<'a>) -> Self {
        Self { cancel: Some(cancel), ..self }
    }

    /// What the plan has no answer to is asked of that prompter. It is waited for, whatever the deadline.
    pub const fn asking(self, prompter: &'a dyn Prompter) -> Self {
        Self { prompter: Some(prompter), ..self }
    }

    /// That observer is told of every step.
    pub const fn seen_by(self, observer: &'a dyn Observer) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// What leads to the place is killed when the thread that starts it ends, where the system can do that: for a thread
    /// that lives as long as the child may, so that not even a client that looks at nothing outlives this program. If the
    /// launch fails while a file may be there, it is given 5 seconds more to take that away, seen to by a thread named
    /// `offshoot-tidy`, and killed then: nobody waits for that.
    pub const fn tied(self) -> Self {
        Self { is_tied: true, ..self }
    }

    /// Carries it out; see [`launch`].
    ///
    /// # Errors
    /// As [`launch`].
    pub fn run(self) -> Result<Spawned, ConnectError> {
        let started = self.start()?;
        self.finish(started)
    }

    /// The first half of [`run`](Self::run): starts the process, and does not wait for it.
    ///
    /// # Errors
    /// As [`spawn`](crate::spawn()).
    pub fn start(&self) -> Result<Started, ConnectError> {
        let plan = self.plan;
        plan.check()?;
        let fail = |kind| ConnectError::new(plan, Phase::Spawn, kind);
        let askpass = plan.transport.as_ref().map(helper).transpose().map_err(fail)?.flatten();
        let spawned = spawn::start(plan, askpass.as_ref(), self.is_tied).map_err(fail)?;
        self.saw(Step::Started { pid: spawned.process.pid() });
        Ok(Started { spawned, askpass })
    }

    /// The second half, in which it blocks: has the program received, placed and started there.
    ///
    /// # Errors
    /// As [`launch`].
    pub fn finish(self, started: Started) -> Result<Spawned, ConnectError> {
        let Started { spawned, askpass } = started;
        let plan = self.plan;
        let Some(transport) = plan.transport.as_ref().filter(|transport| !transport.is_whole) else {
            self.saw(Step::Running);
            return Ok(spawned);
        };
        let fail = |kind| ConnectError::new(plan, Phase::Spawn, kind);
        let offer = plan.payload.offer().map_err(fail)?;
        if offer.needs_loader() {
            return Err(fail(ConnectErrorKind::NotStatic { program: plan.payload.to_string().into() }));
        }
        if transport.is_packed() {
            offer.pack();
        }
        let errand = errand(plan, transport).map_err(|error| fail(ConnectErrorKind::from_system(&error)))?;
        let talk = Talk::new(spawned, Dialogue::new(offer, errand), transport, askpass);
        talk.hold(&self)
    }

    /// Why it is over, whatever else has gone wrong, if it is.
    pub(crate) fn over(&self) -> Option<ConnectErrorKind> {
        if self.cancel.is_some_and(|cancel| sys::is_ready(cancel)) {
            return Some(ConnectErrorKind::Cancelled);
        }
        let is_late = self.deadline <= Instant::now();
        is_late.then_some(ConnectErrorKind::NoAnswer { limit: self.limit })
    }

    /// Whether the client that is started may ask what there is no password for.
    pub(crate) fn lets_it_ask(&self) -> bool {
        self.plan.transport.as_ref().is_some_and(|transport| transport.asks)
    }

    pub(crate) fn saw(&self, step: Step) {
        if let Some(observer) = self.observer {
            observer.saw(self.plan, &step);
        }
    }
}

/// The helper of an ssh client, without which nothing can be asked of us. If nothing is to be asked it may be missing: a
/// prompter hears nothing then of the client of a jump host.
fn helper(transport: &Transport) -> Result<Option<Askpass>, ConnectErrorKind> {
    let Some(logins) = &transport.logins else { return Ok(None) };
    if !logins.is_empty() {
        client::takes_passwords(transport.leader.first().map_or("", String::as_str))?;
    }
    match Askpass::new(logins) {
        Ok(helper) => Ok(Some(helper)),
        Err(_) if logins.is_empty() && !transport.asks => Ok(None),
        Err(error) => Err(without_helper(ConnectErrorKind::from_system(&error))),
    }
}

fn without_helper(kind: ConnectErrorKind) -> ConnectErrorKind {
    let ConnectErrorKind::Spawn { error } = kind else { return kind };
    let error = format!(
        "there is no helper for the client to ask by (SSH_ASKPASS), which takes sealed memory of Linux: {error}; \
         log in by a key, without `.password(..)`, `.jump_password(..)` and `.ask()`"
    );
    ConnectErrorKind::Spawn { error: error.into() }
}

fn errand(plan: &Plan, transport: &Transport) -> io::Result<Errand> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let child = plan.payload.is_this_program().then(|| CHILD_ARG.to_owned());
    Ok(Errand {
        nonce: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        host: String::new(),
        hash: String::new(),
        name: plan.payload.name().into_owned(),
        args: child.into_iter().chain(transport.args.iter().cloned()).collect(),
        enter: transport.enter.clone(),
        folders: transport.folders.clone(),
        // Its name means nothing where it enters.
        keep: transport.keep && transport.enter.is_empty(),
        cache: transport.cache,
        memory: transport.memory,
        preplaced: transport.preplaced.clone(),
        is_lent: transport.is_lent(),
        is_near: transport.near,
        machine: transport.machine,
    })
}

/// What nobody has meant to the millisecond.
fn rounded(limit: Duration) -> Duration {
    let grain = Duration::from_millis(if limit < Duration::from_secs(1) { 10 } else { 100 });
    let grains = limit.saturating_add(grain / 2).as_millis() / grain.as_millis();
    u32::try_from(grains).map_or(limit, |grains| grain.saturating_mul(grains))
}
