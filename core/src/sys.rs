//! What a child inherits from whoever started it, put back to what a program expects: signals, descriptors, whose end is
//! its own. And what no safe call does: writing without a signal, the threads of a program in which nothing unwinds.
#![allow(unsafe_code)]

use std::{mem::MaybeUninit, ptr};

use rustix::io::Errno;

#[cfg(not(panic = "unwind"))]
pub(crate) use thread::Thread;

/// The first descriptor that is nobody's standard one.
const FIRST_FREE: libc::c_int = 3;
/// How far descriptors are looked for where they cannot be closed all at once.
const FAR: libc::c_int = 4096;

/// Lets every signal through and undoes that one is ignored, SIGPIPE excepted, which the start of a Rust program has
/// ignored; closes the descriptors from 3 on.
///
/// To be called before this process has opened anything, and while it has one thread.
pub(crate) fn shed() {
    untie();
    restore_signals();
    close_others();
}

/// What leads here may have been tied to the life of who started it, and a program that it has become still is. A child
/// goes by its link, and has things to do when that ends.
fn untie() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // SAFETY: the call takes numbers, and changes a setting of this process alone.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, 0, 0, 0, 0)
    };
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

/// Writes where nobody may read any more, without the signal that a pipe sends then: whoever has SIGPIPE at its default would
/// end of it. One of his own that waits in this thread, blocked, is gone with it.
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

/// Threads without those of std, which bring 11 KB for what they do at a panic or where a stack ends: in a program that
/// aborts at the first panic nobody would see it.
#[cfg(any(test, not(panic = "unwind")))]
mod thread {
    use std::{
        ffi::{CString, c_void},
        io,
        mem::{self, MaybeUninit},
        ptr,
    };

    /// The stack that std gives to a thread, in bytes.
    const STACK: usize = 2 << 20;

    /// What a thread begins with.
    struct Start {
        name: CString,
        body: Box<dyn FnOnce() + Send>,
    }

    /// A running thread; dropped, it goes on by itself.
    #[derive(Debug)]
    pub(crate) struct Thread(libc::pthread_t);

    // SAFETY: it is a name of the thread, which any other may use.
    unsafe impl Send for Thread {}
    // SAFETY: as above.
    unsafe impl Sync for Thread {}

    impl Thread {
        pub(crate) fn spawn(name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<Self> {
            let start = Box::into_raw(Box::new(Start { name: CString::new(name).unwrap_or_default(), body }));
            let mut thread = MaybeUninit::uninit();
            let mut attributes = MaybeUninit::uninit();
            // SAFETY: it initialises what it is given.
            unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) };
            // SAFETY: the attributes were initialised just now. Where the size is refused, the usual one is taken.
            unsafe { libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK) };
            // SAFETY: `begin` takes what it is given here, and nobody else does.
            let failed = unsafe {
                libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), begin, start.cast())
            };
            // SAFETY: they were initialised above, and nobody uses them any more.
            unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
            if failed != 0 {
                // SAFETY: no thread was started that would take it.
                drop(unsafe { Box::from_raw(start) });
                return Err(io::Error::from_raw_os_error(failed));
            }
            // SAFETY: the thread was started, and with that this was written.
            Ok(Self(unsafe { thread.assume_init() }))
        }

        /// Waits until it has ended.
        pub(crate) fn join(self) {
            // SAFETY: it is neither joined nor detached before: both take this value.
            unsafe { libc::pthread_join(self.0, ptr::null_mut()) };
            mem::forget(self);
        }

        /// Whether it is the calling thread.
        pub(crate) fn is_current(&self) -> bool {
            // SAFETY: it takes nothing and cannot fail.
            self.0 == unsafe { libc::pthread_self() }
        }
    }

    impl Drop for Thread {
        fn drop(&mut self) {
            // SAFETY: as in `join`, which does not come here.
            unsafe { libc::pthread_detach(self.0) };
        }
    }

    extern "C" fn begin(start: *mut c_void) -> *mut c_void {
        // SAFETY: it is what `spawn` made for this thread alone.
        let start = unsafe { Box::from_raw(start.cast::<Start>()) };
        #[cfg(any(target_os = "linux", target_os = "android"))]
        // SAFETY: the text lives until after the call.
        unsafe {
            libc::prctl(libc::PR_SET_NAME, start.name.as_ptr())
        };
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        drop(start.name);
        (start.body)();
        ptr::null_mut()
    }

    #[cfg(test)]
    mod tests {
        use std::{
            fs,
            sync::mpsc::{Sender, channel},
        };

        use super::*;

        fn spawn(body: impl FnOnce(&Sender<bool>) + Send + 'static, to: &Sender<bool>) -> Thread {
            let to = to.clone();
            Thread::spawn("offshoot-test", Box::new(move || body(&to))).unwrap()
        }

        #[test]
        fn a_thread_has_its_name_and_the_room_that_a_thread_of_rust_has() {
            let (sender, seen) = channel();
            let body = |to: &Sender<bool>| {
                let room = std::hint::black_box([1_u8; STACK / 2]);
                let name = fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
                to.send(
                    room.iter().all(|byte| *byte == 1) && (name.is_empty() || name.trim() == "offshoot-test"),
                )
                .unwrap();
            };
            spawn(body, &sender).join();
            assert_eq!(seen.try_recv(), Ok(true));
        }

        #[test]
        fn a_thread_that_is_let_go_runs_to_its_end_and_each_knows_itself() {
            let (sender, seen) = channel();
            let thread = spawn(|to| to.send(true).unwrap(), &sender);
            assert!(!thread.is_current());
            drop(thread);
            assert_eq!(seen.recv(), Ok(true));
        }
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_not_killed_with_who_started_it() {
        let mut signal: libc::c_int = 0;
        // SAFETY: the call takes numbers.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGURG, 0, 0, 0) };
        untie();
        // SAFETY: the kernel writes a number to where one is.
        unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut signal, 0, 0, 0) };
        assert_eq!(signal, 0);
    }
}
