//! A terminal of a child's own, for what is asked nowhere else; what the child is sent and says passes it by.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    },
};

use offshoot_wire::Secret;
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr},
};

/// Both ends. Whoever has it as the terminal of his session is told of a hang-up when this is dropped.
#[derive(Debug)]
pub(crate) struct Terminal {
    ours: File,
    /// Kept, so that ours is never at an end.
    theirs: OwnedFd,
}

impl Terminal {
    /// One on which nobody has typed.
    pub(crate) fn new() -> io::Result<Self> {
        let ours = open()?;
        fcntl_setfl(&ours, fcntl_getfl(&ours)? | OFlags::NONBLOCK)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let name = std::ffi::OsStr::from_bytes(name.as_bytes());
        // It must not become the terminal of this very session.
        let no_tty = i32::try_from(OFlags::NOCTTY.bits()).unwrap_or_default();
        let theirs = OpenOptions::new().read(true).write(true).custom_flags(no_tty).open(name)?;
        Ok(Self { ours: ours.into(), theirs: theirs.into() })
    }

    /// The end for the child.
    pub(crate) fn theirs(&self) -> io::Result<OwnedFd> {
        self.theirs.try_clone()
    }

    /// What was said on it; nothing if that is nothing.
    pub(crate) fn read(&self, piece: &mut [u8]) -> usize {
        (&self.ours).read(piece).unwrap_or_default()
    }

    /// Whether it shows what is typed now: whoever asks for what nobody may see turns that off before he does.
    pub(crate) fn echoes(&self) -> bool {
        tcgetattr(&self.theirs).is_ok_and(|modes| modes.local_modes.contains(LocalModes::ECHO))
    }

    /// Types an answer, which is a line: there is room for one. Nothing of it is shown.
    pub(crate) fn answer(&self, line: &Secret<Vec<u8>>) -> io::Result<()> {
        let mut modes = tcgetattr(&self.theirs)?;
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        tcsetattr(&self.theirs, OptionalActions::Now, &modes)?;
        (&self.ours).write_all(line.expose())
    }
}

/// Our end, which no process gets that another thread starts meanwhile, where the system can do that.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))]
fn open() -> io::Result<OwnedFd> {
    Ok(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd")))]
fn open() -> io::Result<OwnedFd> {
    use rustix::io::{FdFlags, fcntl_setfd};

    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    fcntl_setfd(&ours, FdFlags::CLOEXEC)?;
    Ok(ours)
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }
}
