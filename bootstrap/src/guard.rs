//! Ends what an ssh client has started on its way, where this program ends without having done so itself.
//!
//! What ties the client to us is not handed on to its proxies, and one that waits for a silent bastion does not look at its
//! own line. The client starts them by the shell of the user, `SHELL`, and finds there a script in sealed memory, as it finds
//! the helper by which it asks: before that becomes the shell, it leaves a guard in the group of the client.
//!
//! The guard reads a pipe which we alone write. A line there says that the program runs, from when on a proxy looks at its own line,
//! or that the client has ended by itself: what it has left, such as a connection that is shared, may stay. The end of the pipe
//! says that we are gone, and then the guard kills its group, itself with it. A client that goes straight to its server starts no
//! shell, and has no guard.

use std::{
    env,
    ffi::OsStr,
    io::{self, PipeReader, PipeWriter},
    os::fd::{AsFd as _, OwnedFd},
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crate::{ExitReport, Process, quote::quoted, sys};

/// A line for each guard: there is one for each proxy that the client has started, and it has no cause for so many.
const LINES: [u8; 64] = [b'\n'; 64];

/// How long a script that does nothing may take.
const LIMIT: Duration = Duration::from_secs(2);

/// What the guards of one client are started and dismissed by.
#[derive(Debug)]
pub(crate) struct Guard {
    script: OwnedFd,
    /// The end of the pipe that the script opens.
    _heard: PipeReader,
    line: PipeWriter,
}

impl Guard {
    /// None where there is no sealed memory, or none that a child of ours can run: then there is no guard.
    pub(crate) fn new() -> Option<Self> {
        let shell = env::var_os("SHELL").filter(|shell| !shell.is_empty());
        let shell = shell.as_deref().unwrap_or_else(|| OsStr::new("/bin/sh")).to_str()?;
        let guard = Self::with(shell).ok()?;
        guard.runs().then_some(guard)
    }

    fn with(shell: &str) -> io::Result<Self> {
        let (heard, line) = io::pipe()?;
        // What the client asks its configuration for by that shell (`Match exec`) is over when it has answered. The guard is nobody's
        // child, and holds no end of what its proxy has.
        let script = format!(
            "#!/bin/sh\n[ $# = 0 ] && exit\ncase $2 in 'exec '*)\n\
             exec 3<{pipe}\n( (read -r _ || kill -KILL 0) <&3 3<&- >/dev/null 2>&1 & )\nexec 3<&- ;;\n\
             esac\nexport SHELL={shell}\nexec {shell} \"$@\"\n",
            pipe = sys::path_from_outside(heard.as_fd()),
            shell = quoted(shell),
        );
        let (script, _) = sys::memory_image("shell", script.as_bytes())?;
        Ok(Self { script, _heard: heard, line })
    }

    /// Whether the script can be run by others than us: the client does not go on without its shell. Once it could it is
    /// not tried again.
    fn runs(&self) -> bool {
        static RAN: AtomicBool = AtomicBool::new(false);

        RAN.load(Ordering::Relaxed) || {
            let runs = self.tried().is_some_and(|report| report.success());
            RAN.fetch_or(runs, Ordering::Relaxed);
            runs
        }
    }

    fn tried(&self) -> Option<ExitReport> {
        let mut command = Command::new(self.shell());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Process::new(command.spawn().ok()?, None, false).wait(LIMIT)
    }

    fn shell(&self) -> String {
        sys::path_from_outside(self.script.as_fd())
    }

    /// What the client must have in its environment. What it starts has the shell of the user there.
    pub(crate) fn env(&self) -> (&'static str, String) {
        ("SHELL", self.shell())
    }

    /// Whoever guards the client is to go.
    pub(crate) fn dismiss(self) {
        // That nobody reads any more is no error, and the pipe has never held anything else.
        let _ = sys::quietly(|| rustix::io::write(&self.line, &LINES));
    }
}
