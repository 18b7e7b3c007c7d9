//! What the broker sleeps on: the descriptors that it watches, and a bell.
//!
//! To wait once, `polling` makes five system calls on Linux: it sets a timer, watches it, waits, looks after its notifier
//! and watches that. A frame that is passed on needs three in all. So there it only registers, and the waiting is ours.

use std::{io, os::fd::BorrowedFd, time::Duration};

use polling::{Event, PollMode};

/// Events taken at once.
const AT_ONCE: usize = 256;

/// Something that can be read or written, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) key: usize,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

/// Watches descriptors for one thread.
#[derive(Debug)]
pub(crate) struct Poller {
    registry: polling::Poller,
    #[cfg(target_os = "linux")]
    bell: linux::Bell,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let registry = polling::Poller::new()?;
        Ok(Self {
            #[cfg(target_os = "linux")]
            bell: linux::Bell::new(&registry)?,
            registry,
        })
    }

    /// Ends the present wait, or the next.
    pub(crate) fn ring(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        return self.bell.ring();
        #[cfg(not(target_os = "linux"))]
        self.registry.notify()
    }

    /// Waits until something is ready, the bell rings or `timeout` has passed, and at times for less.
    pub(crate) fn wait(&self, found: &mut Found, timeout: Option<Duration>) -> io::Result<()> {
        found.clear();
        #[cfg(target_os = "linux")]
        let waited = linux::wait(&self.registry, &mut found.events, timeout);
        #[cfg(not(target_os = "linux"))]
        let waited = self.registry.wait(&mut found.events, timeout).map(drop);
        match waited {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Where descriptors are added.
    pub(crate) const fn registry(&self) -> &polling::Poller {
        &self.registry
    }

    pub(crate) fn change(&self, fd: BorrowedFd<'_>, interest: Event, mode: PollMode) -> io::Result<()> {
        self.registry.modify_with_mode(fd, interest, mode)
    }

    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.registry.delete(fd)
    }
}

#[cfg(target_os = "linux")]
pub(crate) use linux::Found;
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::Found;

#[cfg(target_os = "linux")]
mod linux {
    use std::{io, os::fd::OwnedFd, time::Duration};

    use rustix::{
        buffer::spare_capacity,
        event::{
            EventfdFlags, Timespec,
            epoll::{self, EventData, EventFlags},
            eventfd,
        },
    };

    use super::{AT_ONCE, Ready};

    /// No link's key.
    const BELL: u64 = u64::MAX - 1;

    /// Each ring is an event of its own, so it need never be read.
    #[derive(Debug)]
    pub(super) struct Bell(OwnedFd);

    impl Bell {
        pub(super) fn new(registry: &polling::Poller) -> io::Result<Self> {
            let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            epoll::add(registry, &bell, EventData::new_u64(BELL), EventFlags::IN | EventFlags::ET)?;
            Ok(Self(bell))
        }

        #[expect(clippy::host_endian_bytes, reason = "a number for the kernel of this machine")]
        pub(super) fn ring(&self) -> io::Result<()> {
            // It counts further than there is time to ring.
            rustix::io::write(&self.0, &1_u64.to_ne_bytes())?;
            Ok(())
        }
    }

    pub(super) fn wait(
        registry: &polling::Poller,
        events: &mut Vec<epoll::Event>,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        epoll::wait(registry, spare_capacity(events), timeout.map(whole_millis).as_ref())?;
        Ok(())
    }

    /// Rounded up, so that nobody wakes early only to find nothing due; more than the system call takes is cut.
    fn whole_millis(timeout: Duration) -> Timespec {
        let millis = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        Timespec { tv_sec: (millis / 1000).into(), tv_nsec: (millis % 1000 * 1_000_000).into() }
    }

    /// What one wait has found.
    pub(crate) struct Found {
        pub(super) events: Vec<epoll::Event>,
    }

    impl Found {
        pub(crate) fn new() -> Self {
            Self { events: Vec::with_capacity(AT_ONCE) }
        }

        pub(super) fn clear(&mut self) {
            self.events.clear();
        }

        pub(crate) fn iter(&self) -> impl Iterator<Item = Ready> {
            const READABLE: EventFlags =
                EventFlags::IN.union(EventFlags::HUP).union(EventFlags::ERR).union(EventFlags::PRI);
            const WRITABLE: EventFlags = EventFlags::OUT.union(EventFlags::HUP).union(EventFlags::ERR);
            // A record of the kernel's is packed: it is copied before it is looked at.
            let events = self.events.iter().map(|event| (event.data.u64(), event.flags));
            events.filter(|(key, _)| *key != BELL).filter_map(|(key, flags)| {
                Some(Ready {
                    key: usize::try_from(key).ok()?,
                    readable: flags.intersects(READABLE),
                    writable: flags.intersects(WRITABLE),
                })
            })
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::num::NonZeroUsize;

    use super::{AT_ONCE, Ready};

    /// What one wait has found.
    pub(crate) struct Found {
        pub(super) events: polling::Events,
    }

    impl Found {
        pub(crate) fn new() -> Self {
            Self { events: polling::Events::with_capacity(NonZeroUsize::MIN.saturating_add(AT_ONCE - 1)) }
        }

        pub(super) fn clear(&mut self) {
            self.events.clear();
        }

        pub(crate) fn iter(&self) -> impl Iterator<Item = Ready> {
            let ready = |event: polling::Event| Ready {
                key: event.key,
                readable: event.readable,
                writable: event.writable,
            };
            self.events.iter().map(ready)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixStream, sync::Arc, thread};

    use super::*;
    use crate::link::Source;

    #[test]
    fn each_ring_ends_one_wait_whether_it_comes_before_or_during_it() {
        let poller = Poller::new().unwrap();
        let mut found = Found::new();
        for _ in 0..3 {
            poller.ring().unwrap();
            poller.wait(&mut found, None).unwrap();
            assert_eq!(found.iter().count(), 0);
        }
        thread::scope(|scope| {
            scope.spawn(|| poller.ring().unwrap());
            poller.wait(&mut found, None).unwrap();
        });
        poller.wait(&mut found, Some(Duration::from_millis(1))).unwrap();
        assert_eq!(found.iter().count(), 0);
    }

    #[test]
    fn what_is_watched_by_level_is_told_of_until_it_is_read() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let poller = Arc::new(Poller::new().unwrap());
        let ours = Source::new(ours.into(), &poller).unwrap();
        ours.watch(Event::readable(7)).unwrap();
        let mut found = Found::new();
        let mut wait = || {
            poller.wait(&mut found, Some(Duration::ZERO)).unwrap();
            found.iter().collect::<Vec<_>>()
        };
        assert_eq!(wait(), []);
        rustix::io::write(&theirs, b"x").unwrap();
        let ready = Ready { key: 7, readable: true, writable: false };
        assert_eq!((wait(), wait()), (vec![ready], vec![ready]));
        ours.read(&mut [0; 8]).unwrap();
        assert_eq!(wait(), []);
    }
}
