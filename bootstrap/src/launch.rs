//! Carries a plan out: starts the process, and where that only leads to a far side, puts the program there.

use std::{
    io::{self, Read as _},
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use crate::{
    CHILD_ARG, ConnectError, ConnectErrorKind, Phase, Plan, Prompter, Spawned, Transport,
    askpass::Askpass,
    spawn::{self, spawn},
    stage0::{Dialogue, Errand},
    talk::{Rules, Talk},
};

/// Carries a plan out: [`spawn`]s the process, and where it only leads to a far side, has the program received, placed
/// and started there. It returns as soon as the program runs; what it says is left to the caller.
///
/// Blocks, until `deadline` at the latest. `cancel` gives it up at once when it becomes readable or its other end is
/// closed.
///
/// ```no_run
/// use std::{io::{Read as _, Write as _}, net::Shutdown, os::unix::net::UnixStream, time::{Duration, Instant}};
///
/// use offshoot_bootstrap::{Method as _, Payload, Ssh, launch};
///
/// // Any static program, on any host that ssh reaches, and its stdin and stdout here.
/// let plan = Ssh::new("web1").payload(Payload::file("target/static/wc")?).args(["-l"]).plan();
/// let there = launch(&plan, Instant::now() + Duration::from_secs(30), None)?;
/// let mut link = UnixStream::from(there.link);
/// link.write_all(b"one\ntwo\n")?;
/// link.shutdown(Shutdown::Write)?;
/// let mut lines = String::new();
/// link.read_to_string(&mut lines)?;
/// assert_eq!(lines.trim(), "2");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of [`spawn`], and whatever the way there or the far side has to say: no place for the program, another
/// machine, the deadline. No process is left here; none and no file there, as soon as the far side learns of it.
pub fn launch(
    plan: &Plan,
    deadline: Instant,
    cancel: Option<BorrowedFd<'_>>,
) -> Result<Spawned, ConnectError> {
    launch_asking(plan, deadline, cancel, None)
}

/// As [`launch`], and what the plan has no answer to is asked of the prompter. It is waited for, whatever the deadline.
///
/// # Errors
/// As [`launch`].
pub fn launch_asking(
    plan: &Plan,
    deadline: Instant,
    cancel: Option<BorrowedFd<'_>>,
    prompter: Option<&dyn Prompter>,
) -> Result<Spawned, ConnectError> {
    let Some(transport) = &plan.transport else { return spawn(plan) };
    let limit = rounded(deadline.saturating_duration_since(Instant::now()));
    plan.check()?;
    let fail = |kind| ConnectError::new(plan, Phase::Spawn, kind);
    let from_system = |error: io::Error| fail(ConnectErrorKind::from_system(&error));
    let offer = plan.payload.offer().map_err(fail)?;
    if offer.needs_loader() {
        return Err(fail(ConnectErrorKind::NotStatic { program: plan.payload.to_string().into() }));
    }
    let errand = errand(plan, transport).map_err(from_system)?;
    let askpass = askpass(transport, prompter).map_err(from_system)?;
    let env = askpass.as_ref().map(Askpass::env).unwrap_or_default();
    let spawned = spawn::start(plan, &env).map_err(fail)?;
    let talk = Talk::new(spawned, Dialogue::new(offer, errand), transport, askpass);
    talk.hold(&Rules { plan, deadline, limit, cancel, prompter })
}

/// The helper of an ssh client, without which nothing can be asked of us. If nothing is to be asked it may be missing.
fn askpass(transport: &Transport, prompter: Option<&dyn Prompter>) -> io::Result<Option<Askpass>> {
    let Some(logins) = &transport.logins else { return Ok(None) };
    match Askpass::new(logins) {
        Err(_) if logins.is_empty() && prompter.is_none() => Ok(None),
        made => made.map(Some),
    }
}

fn errand(plan: &Plan, transport: &Transport) -> io::Result<Errand> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let child = plan.payload.is_this_program().then(|| CHILD_ARG.to_owned());
    Ok(Errand {
        nonce: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        host: String::new(),
        hash: String::new(),
        args: child.into_iter().chain(transport.args.iter().cloned()).collect(),
        folders: transport.folders.clone(),
        keep: transport.keep,
        cache: transport.cache,
    })
}

/// What nobody has meant to the millisecond.
fn rounded(limit: Duration) -> Duration {
    let grain = Duration::from_millis(if limit < Duration::from_secs(1) { 10 } else { 100 });
    let grains = limit.saturating_add(grain / 2).as_millis() / grain.as_millis();
    u32::try_from(grains).map_or(limit, |grains| grain.saturating_mul(grains))
}
