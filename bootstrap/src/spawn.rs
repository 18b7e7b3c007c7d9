//! Starts the process of a plan, with nothing of ours in it but its link and its stderr.

use std::{
    env,
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    path::Path,
    process::{Child, Command},
    thread,
    time::Duration,
};

use crate::{
    ConnectError, ConnectErrorKind, Dialect, Link, Machine, Phase, Plan, Process, Stdio, Told, Transport,
    askpass::Askpass, client, guard::Guard, locale, payload::Source, place, sys, sys::Session,
    terminal::Terminal,
};

/// The first argument of a program that was started by [`Payload::this_program`](crate::Payload::this_program): it
/// tells the child not to be a second root.
pub const CHILD_ARG: &str = "--offshoot-child";

/// A process that was just started, and the two ways to hear of it.
#[derive(Debug)]
#[must_use = "dropping it kills the process"]
#[non_exhaustive]
pub struct Spawned {
    /// What the child has as its descriptors 0 and 1: a socket, or the pipes of a transport that wants them.
    pub link: Link,
    /// The read end of a pipe; the child writes it as its descriptor 2.
    pub stderr: OwnedFd,
    /// The process.
    pub process: Process,
    /// What the program has said on its link already.
    pub said: Vec<u8>,
    /// What has come on stderr already, the last 64 KiB of it: of the program, or of the way to it.
    pub stderr_said: Vec<u8>,
    /// What has become of each of the [`secrets`](Plan::secrets) of the plan, in their order.
    pub passwords: Vec<Told>,
}

/// Starts the process of a plan, the one that only leads to the far side if it has a transport (see
/// [`launch`](crate::launch)): directly, without a shell, in a process group of its own, so that a Ctrl-C at the
/// terminal reaches the root alone. What has a transport is in a session of its own too, without our terminal, unless its
/// [`shares_session`](Transport::shares_session).
///
/// The child has its [`Link`] as descriptors 0 and 1 and a pipe as 2; everything that this program opened through `std`
/// or with close-on-exec stays here. Environment and working directory are inherited. Does not wait for the child to
/// say anything; blocks until the kernel has taken the program.
///
/// Some things cannot be done to a child from here without unsafe code, and are left to its start-up (`offshoot-core`
/// does them): it inherits which signals are blocked; which are ignored, but for SIGPIPE and, where it leads a session of its
/// own, those by which one ends; and any descriptor that was left open on exec, by whoever started this program.
///
/// # Errors
///
/// A bad name; the program cannot be found or run; descriptors, processes or memory have run out. No process and no
/// file is left then.
pub fn spawn(plan: &Plan) -> Result<Spawned, ConnectError> {
    plan.check()?;
    start(plan, None, false).map_err(|kind| ConnectError::new(plan, Phase::Spawn, kind))
}

/// As [`spawn`], of a plan that was checked; with that helper for a transport, which is killed when this thread ends if it
/// `is_tied`.
pub(crate) fn start(
    plan: &Plan,
    helper: Option<&Askpass>,
    is_tied: bool,
) -> Result<Spawned, ConnectErrorKind> {
    let no_descriptor = |error| ConnectErrorKind::from_system(&error);
    let stdio = plan.transport.as_ref().map_or(Stdio::Socket, |transport| transport.stdio);
    let (link, [stdin, stdout]) = Link::new(stdio).map_err(no_descriptor)?;
    let (stderr, their_stderr) = io::pipe().map_err(no_descriptor)?;
    let theirs = ChildEnd { stdin, stdout, stderr: their_stderr.into() };
    let shown = format!("offshoot:{}", plan.name);
    let has_terminal = plan.transport.as_ref().is_some_and(|transport| transport.terminal);
    let terminal = has_terminal.then(Terminal::new).transpose().map_err(no_descriptor)?;
    let is_ssh = plan.transport.as_ref().is_some_and(|transport| transport.dialect == Dialect::Ssh);
    let guard = if is_tied && is_ssh { Guard::new() } else { None };

    let child = match (&plan.transport, &plan.payload.0) {
        (Some(transport), _) => {
            let argv = understood(transport, helper);
            let (program, args) = argv.split_first().ok_or(ConnectErrorKind::NoShell)?;
            let program = Path::new(program);
            let theirs_of_it = terminal.as_ref().map(Terminal::theirs).transpose().map_err(no_descriptor)?;
            let mut command = theirs.command(program).map_err(no_descriptor)?;
            command
                .args(args)
                .envs(transport.env.iter().cloned())
                .envs(helper.iter().flat_map(|it| it.env()))
                .envs(guard.iter().map(Guard::env))
                .envs(room_in(transport));
            let session = match theirs_of_it {
                None if transport.shares_session => Session::Ours,
                terminal => Session::Own(terminal),
            };
            sys::set_apart(&mut command, session, is_tied);
            run(command).map_err(|error| ConnectErrorKind::from_search(&error, program))?
        }
        (None, Source::ThisProgram) => {
            let program = sys::this_program().map_err(no_descriptor)?;
            theirs
                .run(&program, |command| command.arg0(&shown).arg(CHILD_ARG))
                .map_err(|error| ConnectErrorKind::from_exec(&error, &program))?
        }
        // Its own path stays its first word: a program may go by it, and people know it.
        (None, Source::File(path)) => {
            theirs.run(path, |command| command).map_err(|error| ConnectErrorKind::from_exec(&error, path))?
        }
        (None, Source::Sent { .. }) => return Err(plan.payload.not_here()),
        (None, Source::Bytes(program)) => {
            place::run(program, |path| theirs.run(path, |command| command.arg0(&shown)))?
        }
        (None, Source::Set(set)) => {
            let program = set.choose("this machine", Machine::here())?;
            place::run(program, |path| theirs.run(path, |command| command.arg0(&shown)))?
        }
    };
    let process = Process::new(child, terminal, is_tied).guarded(guard);
    Ok(Spawned {
        link,
        stderr: stderr.into(),
        process,
        said: Vec::new(),
        stderr_said: Vec::new(),
        passwords: Vec::new(),
    })
}

/// What lets the language hold that a transport is to speak, whatever this process speaks.
fn room_in(transport: &Transport) -> Vec<(OsString, OsString)> {
    let has_language = transport.env.iter().any(|(name, _)| name == locale::MESSAGES);
    let ours = || env::vars_os().collect::<Vec<_>>();
    if has_language { locale::made_room(&ours()) } else { Vec::new() }
}

/// The words of a transport, and those that not every client of the user's knows. One without a helper is to ask nobody: it
/// would find a screen.
fn understood(transport: &Transport, helper: Option<&Askpass>) -> Vec<String> {
    let mut argv = transport.argv();
    let is_ssh = transport.dialect == Dialect::Ssh;
    if transport.logins.is_some() && helper.is_none() {
        argv.splice(1..1, ["-o", client::SILENT].map(str::to_owned));
    }
    if is_ssh && argv.first().is_some_and(|program| client::is_since_8_7(program)) {
        let more = client::SINCE_8_7.into_iter().flat_map(|option| ["-o", option]);
        argv.splice(1..1, more.map(str::to_owned));
    }
    argv
}

/// The child's ends of its link and its stderr, close-on-exec until they become its descriptors 0 to 2.
struct ChildEnd {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl ChildEnd {
    /// Runs it in a process group of its own.
    fn run(&self, program: &Path, refine: impl Fn(&mut Command) -> &mut Command) -> io::Result<Child> {
        let mut command = self.command(program)?;
        refine(command.process_group(0));
        run(command)
    }

    fn command(&self, program: &Path) -> io::Result<Command> {
        let mut command = Command::new(program);
        command.stdin(self.stdin.try_clone()?).stdout(self.stdout.try_clone()?);
        command.stderr(self.stderr.try_clone()?);
        Ok(command)
    }
}

fn run(mut command: Command) -> io::Result<Child> {
    /// How often a file that is being written is tried again, and after how long: 100 ms in all.
    const TRIES: u32 = 50;
    const REST: Duration = Duration::from_millis(2);

    for _ in 1..TRIES {
        match command.spawn() {
            // A file that we have written and closed may still be open for writing in a process that another
            // thread is just starting, until that one loads its program.
            #[expect(clippy::disallowed_methods, reason = "nobody tells when")]
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => thread::sleep(REST),
            settled => return settled,
        }
    }
    command.spawn()
}
