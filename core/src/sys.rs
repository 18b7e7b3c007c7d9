//! What a child inherits from whoever started it, put back to what a program expects: signals and descriptors.
#![allow(unsafe_code)]

use std::{mem::MaybeUninit, ptr};

/// The first descriptor that is nobody's standard one.
const FIRST_FREE: libc::c_int = 3;
/// How far descriptors are looked for where they cannot be closed all at once.
const FAR: libc::c_int = 4096;

/// Lets every signal through and undoes that one is ignored, SIGPIPE excepted, which the start of a Rust program has
/// ignored; closes the descriptors from 3 on.
///
/// To be called before this process has opened anything, and while it has one thread.
pub(crate) fn shed() {
    restore_signals();
    close_others();
}

fn restore_signals() {
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` initializes the set that it is given.
    unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    // SAFETY: the set was initialized just now, and the old one is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()) };
    for signal in (1..=last_signal()).filter(|signal| *signal != libc::SIGPIPE) {
        if is_ignored(signal) {
            // SAFETY: SIG_DFL is no function of ours, and so nothing of ours runs in a handler.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: nothing is set. A number that is no signal, or the C library's own, is refused.
    let asked = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: all zero is an action too, and else the kernel has written it.
    asked == 0 && unsafe { action.assume_init_ref() }.sa_sigaction == libc::SIG_IGN
}

fn close_others() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // SAFETY: no descriptor from 3 on is this program's: it has opened none yet. The call takes three numbers.
        let closed = unsafe { libc::syscall(libc::SYS_close_range, FIRST_FREE, libc::c_uint::MAX, 0) };
        if closed == 0 {
            return;
        }
    }
    for fd in FIRST_FREE..FAR {
        // SAFETY: as above; a number that is no descriptor is refused.
        unsafe { libc::close(fd) };
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn last_signal() -> libc::c_int {
    libc::SIGRTMAX()
}

/// The systems without real-time signals have 31 others.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const fn last_signal() -> libc::c_int {
    31
}
