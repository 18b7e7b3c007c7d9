//! What the broker sleeps on: the descriptors that it watches, a bell, and an alarm that others set for it.
//!
//! On Linux by epoll itself: `polling` waits by five system calls (it sets a timer, watches it, waits, looks after its
//! notifier and watches that) where a frame that is passed on needs three in all, and has texts and errors of its own.

use std::time::Duration;

use rustix::io;

/// Events taken at once.
const AT_ONCE: usize = 256;

/// What is asked of a descriptor, and under which key it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) key: usize,
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Ask {
    pub(crate) const fn new(key: usize, read: bool, write: bool) -> Self {
        Self { key, read, write }
    }

    pub(crate) const fn readable(key: usize) -> Self {
        Self::new(key, true, false)
    }
}

/// How often it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Until it is asked for again.
    Once,
    WhileSo,
}

/// Something that can be read or written, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) key: usize,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

#[cfg(target_os = "linux")]
pub(crate) use linux::{Found, Poller};
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::{Found, Poller};

impl Poller {
    /// Waits until something is ready, the bell rings or `timeout` has passed, and at times for less.
    pub(crate) fn wait(&self, found: &mut Found, timeout: Option<Duration>) -> io::Result<()> {
        found.clear();
        match self.wait_once(found, timeout) {
            Err(error) if error != io::Errno::INTR => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        os::fd::{BorrowedFd, OwnedFd},
        time::Duration,
    };

    use rustix::{
        buffer::spare_capacity,
        event::{
            EventfdFlags, Timespec,
            epoll::{self, EventData, EventFlags},
            eventfd,
        },
        io,
        time::{
            Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
        },
    };

    use super::{AT_ONCE, Ask, Ready, Told};
    use crate::sync::whole_millis;

    /// No link's key: of the bell, and of the alarm.
    const CALL: u64 = u64::MAX;

    const READABLE: EventFlags =
        EventFlags::IN.union(EventFlags::HUP).union(EventFlags::ERR).union(EventFlags::PRI);
    const WRITABLE: EventFlags = EventFlags::OUT.union(EventFlags::HUP).union(EventFlags::ERR);

    /// Watches descriptors for one thread.
    #[derive(Debug)]
    pub(crate) struct Poller {
        epoll: OwnedFd,
        /// Each ring is an event of its own, so it need never be read.
        bell: OwnedFd,
        /// Goes off once each time it is set.
        alarm: OwnedFd,
    }

    impl Poller {
        pub(crate) fn new() -> io::Result<Self> {
            let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
            let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            let alarm =
                timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
            for call in [&bell, &alarm] {
                epoll::add(&epoll, call, EventData::new_u64(CALL), EventFlags::IN | EventFlags::ET)?;
            }
            Ok(Self { epoll, bell, alarm })
        }

        /// Ends the present wait, or the next.
        #[expect(clippy::host_endian_bytes, reason = "a number for the kernel of this machine")]
        pub(crate) fn ring(&self) -> io::Result<()> {
            // It counts further than there is time to ring.
            io::write(&self.bell, &1_u64.to_ne_bytes())?;
            Ok(())
        }

        /// Ends the wait that there will be by then, in place of the moment that was set before. Whoever sleeps sleeps on:
        /// where most alarms are for nothing, that is what they cost.
        pub(crate) fn ring_in(&self, time: Duration) -> io::Result<()> {
            const AT_ONCE: Duration = Duration::from_nanos(1);
            const NEVER_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

            let time = Timespec::try_from(time.max(AT_ONCE)).map_err(|_| io::Errno::OVERFLOW)?;
            let alarm = Itimerspec { it_interval: NEVER_AGAIN, it_value: time };
            timerfd_settime(&self.alarm, TimerfdTimerFlags::empty(), &alarm)?;
            Ok(())
        }

        pub(crate) fn add(&self, fd: BorrowedFd<'_>, ask: Ask, told: Told) -> io::Result<()> {
            epoll::add(&self.epoll, fd, key(ask), flags(ask, told))
        }

        pub(crate) fn change(&self, fd: BorrowedFd<'_>, ask: Ask, told: Told) -> io::Result<()> {
            epoll::modify(&self.epoll, fd, key(ask), flags(ask, told))
        }

        pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
            epoll::delete(&self.epoll, fd)
        }

        pub(super) fn wait_once(&self, found: &mut Found, timeout: Option<Duration>) -> io::Result<()> {
            epoll::wait(&self.epoll, spare_capacity(&mut found.events), timeout.map(rounded).as_ref())?;
            Ok(())
        }
    }

    fn key(ask: Ask) -> EventData {
        EventData::new_u64(ask.key as u64)
    }

    fn flags(ask: Ask, told: Told) -> EventFlags {
        let mut flags = if told == Told::Once { EventFlags::ONESHOT } else { EventFlags::empty() };
        if ask.read {
            flags |= READABLE;
        }
        if ask.write {
            flags |= WRITABLE;
        }
        flags
    }

    /// What a system call takes: more than it can is cut.
    fn rounded(timeout: Duration) -> Timespec {
        let millis = i32::try_from(whole_millis(timeout)).unwrap_or(i32::MAX);
        Timespec { tv_sec: (millis / 1000).into(), tv_nsec: (millis % 1000 * 1_000_000).into() }
    }

    /// What one wait has found.
    pub(crate) struct Found {
        events: Vec<epoll::Event>,
    }

    impl Found {
        pub(crate) fn new() -> Self {
            Self { events: Vec::with_capacity(AT_ONCE) }
        }

        pub(super) fn clear(&mut self) {
            self.events.clear();
        }

        pub(crate) fn iter(&self) -> impl Iterator<Item = Ready> {
            // A record of the kernel's is packed: it is copied before it is looked at.
            let events = self.events.iter().map(|event| (event.data.u64(), event.flags));
            events.filter(|(key, _)| *key != CALL).filter_map(|(key, flags)| {
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
pub(super) mod portable {
    use std::{num::NonZeroUsize, os::fd::BorrowedFd, time::Duration};

    use polling::{Event, PollMode};
    use rustix::io::{self, Errno};

    use super::{AT_ONCE, Ask, Ready, Told};

    /// Watches descriptors for one thread.
    #[derive(Debug)]
    pub(crate) struct Poller {
        registry: polling::Poller,
    }

    impl Poller {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self { registry: polling::Poller::new().map_err(errno)? })
        }

        /// Ends the present wait, or the next.
        pub(crate) fn ring(&self) -> io::Result<()> {
            self.registry.notify().map_err(errno)
        }

        /// Ends the present wait, or the next: the next takes the time into account.
        pub(crate) fn ring_in(&self, _: Duration) -> io::Result<()> {
            self.ring()
        }

        /// Where descriptors are added.
        pub(crate) const fn registry(&self) -> &polling::Poller {
            &self.registry
        }

        pub(crate) fn change(&self, fd: BorrowedFd<'_>, ask: Ask, told: Told) -> io::Result<()> {
            self.registry.modify_with_mode(fd, event(ask), mode(told)).map_err(errno)
        }

        pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
            self.registry.delete(fd).map_err(errno)
        }

        pub(super) fn wait_once(&self, found: &mut Found, timeout: Option<Duration>) -> io::Result<()> {
            self.registry.wait(&mut found.events, timeout).map(drop).map_err(errno)
        }
    }

    pub(crate) const fn event(ask: Ask) -> Event {
        Event::new(ask.key, ask.read, ask.write)
    }

    pub(crate) const fn mode(told: Told) -> PollMode {
        match told {
            Told::Once => PollMode::Oneshot,
            Told::WhileSo => PollMode::Level,
        }
    }

    pub(crate) fn errno(error: std::io::Error) -> Errno {
        Errno::from_io_error(&error).unwrap_or(Errno::INVAL)
    }

    /// What one wait has found.
    pub(crate) struct Found {
        events: polling::Events,
    }

    impl Found {
        pub(crate) fn new() -> Self {
            Self { events: polling::Events::with_capacity(NonZeroUsize::MIN.saturating_add(AT_ONCE - 1)) }
        }

        pub(super) fn clear(&mut self) {
            self.events.clear();
        }

        pub(crate) fn iter(&self) -> impl Iterator<Item = Ready> {
            let ready =
                |event: Event| Ready { key: event.key, readable: event.readable, writable: event.writable };
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
    fn an_alarm_ends_the_wait_that_there_is_by_then_and_only_the_last_that_was_set() {
        let (soon, late) = (Duration::from_millis(1), Duration::from_secs(3600));
        let poller = Poller::new().unwrap();
        let mut found = Found::new();
        for before in [late, soon] {
            poller.ring_in(before).unwrap();
            poller.ring_in(soon).unwrap();
            poller.wait(&mut found, None).unwrap();
            assert_eq!(found.iter().count(), 0);
        }
        poller.ring_in(Duration::ZERO).unwrap();
        poller.wait(&mut found, None).unwrap();
    }

    #[test]
    fn what_is_watched_by_level_is_told_of_until_it_is_read() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let poller = Arc::new(Poller::new().unwrap());
        let ours = Source::new(ours.into(), &poller).unwrap();
        ours.watch(Ask::readable(7)).unwrap();
        let mut found = Found::new();
        let mut wait = || {
            poller.wait(&mut found, Some(Duration::ZERO)).unwrap();
            found.iter().collect::<Vec<_>>()
        };
        assert_eq!(wait(), []);
        io::write(&theirs, b"x").unwrap();
        let ready = Ready { key: 7, readable: true, writable: false };
        assert_eq!((wait(), wait()), (vec![ready], vec![ready]));
        ours.read(&mut [0; 8]).unwrap();
        assert_eq!(wait(), []);
    }
}
