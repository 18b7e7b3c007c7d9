//! What only some systems have, each with its substitute: images in memory, process descriptors, our own program. And writing
//! without a signal.

use std::{
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd as _, BorrowedFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    path::PathBuf,
    process::{self, Command},
    ptr, thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, Resource, WaitId, WaitIdOptions, getrlimit, ioctl_tiocsctty, setsid, waitid},
};

/// How often a process without a descriptor of its own is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// The program that runs this code, in a form that the kernel can start again.
///
/// On Linux that is a link to the very image, which works after the file was replaced or removed.
pub(crate) fn this_program() -> io::Result<PathBuf> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if rustix::fs::access("/proc/self/exe", rustix::fs::Access::EXISTS).is_ok() {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe()
}

/// Puts a program into memory, sealed so that nobody who runs it can change it, and gives the path to start it by.
///
/// The path holds while the descriptor is open, in this process and in a child that has not yet started its program.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn memory_image(name: &str, bytes: &[u8]) -> io::Result<(OwnedFd, PathBuf)> {
    use std::{fs::File, io::Write as _};

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Before Linux 6.3 there is no such flag, and every image may be executed.
    let fd = match memfd_create(name, flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create(name, flags)?,
        other => other?,
    };
    // The child puts its own 0 to 2 in place before it starts the program: the image must not be there.
    let fd = rustix::io::fcntl_dupfd_cloexec(fd, 3)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    Ok((file.into(), path))
}

/// The path by which other programs of this user find a descriptor of ours, while it is open.
pub(crate) fn path_from_outside(fd: BorrowedFd<'_>) -> String {
    format!("/proc/{}/fd/{}", process::id(), fd.as_raw_fd())
}

/// There are no images in memory here: the caller takes a file.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn memory_image(_name: &str, _bytes: &[u8]) -> io::Result<(OwnedFd, PathBuf)> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A descriptor that becomes readable when the process ends. None where there is none to be had (not Linux, a
/// kernel before 5.3, a seccomp filter, no descriptor left): then the process is looked at now and then.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn watch(pid: Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn watch(_pid: Pid) -> Option<OwnedFd> {
    None
}

/// Whether a signal has ended a child of ours that still is to be reaped. Never blocks.
pub(crate) fn was_killed(pid: Pid) -> bool {
    let looks = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let ended = waitid(WaitId::Pid(pid), looks).ok().flatten();
    ended.is_some_and(|status| status.killed() || status.dumped())
}

/// Whether a descriptor can be read, or its other end is closed. Never blocks.
pub(crate) fn is_ready(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
}

/// Sleeps until one of the descriptors is ready or the deadline has come, and says which are ready, in order.
/// `blind` says that something without a descriptor is waited for too, so that the sleep is a short one.
pub(crate) fn sleep<'a>(
    fds: impl Iterator<Item = &'a OwnedFd>,
    deadline: Option<Instant>,
    blind: bool,
) -> Vec<bool> {
    let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
    let left = if blind { Some(left.map_or(LOOK, |left| left.min(LOOK))) } else { left };
    // A duration beyond what the kernel takes is as good as none.
    let timeout = left.and_then(|left| Timespec::try_from(left).ok());
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) => fds.iter().map(|fd| !fd.revents().is_empty()).collect(),
        // Nothing is known, so everything is to be looked at.
        Err(Errno::INTR) => vec![true; fds.len()],
        // No memory, or a limit that was lowered: looking must do.
        #[expect(clippy::disallowed_methods, reason = "there is nothing to wait on")]
        Err(_) => {
            thread::sleep(LOOK);
            vec![true; fds.len()]
        }
    }
}

/// Where a process that leads to a place runs; it leads a group of its own everywhere.
pub(crate) enum Session {
    /// In ours: it has our terminal, if there is one.
    Ours,
    /// In its own, which has this terminal or none.
    Own(Option<OwnedFd>),
}

/// Has this process end by the signals by which a session is ended. Whoever has started us may have us ignore them, as nohup
/// does and a shell without job control; what leads a session of its own would hand that on to proxies, which are ended so,
/// and to shells, which then cannot trap them.
#[allow(unsafe_code)]
fn heed() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
        // SAFETY: the default action is no code of ours, and to set it is a system call. It cannot fail for these signals.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Has the program of a command lead a process group of its own, in that session. If it `is_tied` it is killed when the
/// thread that starts it ends, which only some systems can do.
#[allow(unsafe_code)]
pub(crate) fn set_apart(command: &mut Command, session: Session, is_tied: bool) {
    let starter = rustix::process::getpid();
    if matches!(session, Session::Ours) {
        command.process_group(0);
        if !is_tied {
            return;
        }
    }
    let begin = move || {
        if let Session::Own(terminal) = &session {
            // Who leads a session leads a group.
            setsid()?;
            heed();
            terminal.as_ref().map_or(Ok(()), ioctl_tiocsctty)?;
        }
        if is_tied { tie_to(starter) } else { Ok(()) }
    };
    // SAFETY: what runs between fork and exec makes system calls, and no more: it allocates nothing and takes no lock.
    unsafe { command.pre_exec(begin) };
}

/// Whether a process can be tied to the thread that starts it.
pub(crate) const TIES: bool = cfg!(any(target_os = "linux", target_os = "android"));

#[cfg(any(target_os = "linux", target_os = "android"))]
fn tie_to(starter: Pid) -> io::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before this was set.
    if getppid() == Some(starter) { Ok(()) } else { Err(Errno::SRCH.into()) }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn tie_to(_starter: Pid) -> io::Result<()> {
    Ok(())
}

/// Writes where nobody may read any more, without the signal that a pipe sends then: whoever has SIGPIPE at its default would
/// end of it. One of his own that waits in this thread, blocked, is gone with it.
#[allow(unsafe_code)]
pub(crate) fn quietly<T>(write: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    let (mut pipe, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: it initialises the set that it is given.
    unsafe { libc::sigemptyset(pipe.as_mut_ptr()) };
    // SAFETY: the set was initialised just now.
    unsafe { libc::sigaddset(pipe.as_mut_ptr(), libc::SIGPIPE) };
    // SAFETY: as above; what was blocked before is written to where there is room for it.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, pipe.as_ptr(), before.as_mut_ptr()) };
    let written = write();
    if matches!(written, Err(Errno::PIPE)) {
        let mut pending = MaybeUninit::uninit();
        // SAFETY: it initialises the set that it is given.
        unsafe { libc::sigpending(pending.as_mut_ptr()) };
        // SAFETY: the set was initialised just now.
        if unsafe { libc::sigismember(pending.as_ptr(), libc::SIGPIPE) } == 1 {
            // SAFETY: the set was initialised above. It does not wait: one is there, sent to this thread.
            unsafe { libc::sigwait(pipe.as_ptr(), &mut 0) };
        }
    }
    // SAFETY: the kernel has initialised the set above, since to block a signal does not fail.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    written
}

/// How many descriptors this process may have open; `None` is without limit.
pub(crate) fn descriptor_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}
