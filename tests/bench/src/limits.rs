//! What the machine itself allows: bare programs of the same shape as ours, without any protocol.
//!
//! Each is two or more processes, as ours are; the other ends are this same program in a [`Role`].

use std::{
    env,
    io::{Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    process::{Child, Command},
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use crate::{
    harness::{micros_each, seconds},
    role::{self, Poller, Role},
    round_trip::frame_sizes,
};

/// Messages of a fixed size each way over a socket pair, with any number of relays between; both ends wait in epoll.
pub(crate) struct PingPong {
    socket: UnixStream,
    poller: Poller,
    call: Vec<u8>,
    reply: Vec<u8>,
    _processes: Processes,
}

impl PingPong {
    /// The sizes are those of one call and one reply of ours, in bytes.
    pub(crate) fn new(relays: usize, call: usize, reply: usize) -> Result<Self> {
        let (socket, processes) = chain(relays, &Role::Relay, &Role::Echo { call, reply })?;
        let poller = Poller::new([&socket])?;
        Ok(Self { socket, poller, call: vec![7; call], reply: vec![0; reply], _processes: processes })
    }

    /// Microseconds a round trip.
    pub(crate) fn round_trips(&mut self, n: usize) -> Result<f64> {
        micros_each(n, || {
            self.socket.write_all(&self.call)?;
            self.poller.wait()?;
            self.socket.read_exact(&mut self.reply)?;
            Ok(())
        })
    }
}

/// Many processes that each wait in epoll for a message of a fixed size, and answer it.
pub(crate) struct Crowd {
    sockets: Vec<UnixStream>,
    call: Vec<u8>,
    reply: Vec<u8>,
    _processes: Processes,
}

impl Crowd {
    fn new(n: usize) -> Result<Self> {
        let (call, reply) = frame_sizes()?;
        let mut processes = Processes(Vec::new());
        let mut sockets = Vec::new();
        for _ in 0..n {
            let (ours, theirs) = UnixStream::pair()?;
            processes.0.push(start(&Role::Echo { call, reply }, theirs, None)?);
            sockets.push(ours);
        }
        Ok(Self { sockets, call: vec![7; call], reply: vec![0; reply], _processes: processes })
    }

    /// Writes to all, then waits for all.
    fn broadcast(&mut self) -> Result<()> {
        self.sockets.iter().try_for_each(|mut socket| socket.write_all(&self.call))?;
        Ok(self.sockets.iter().try_for_each(|mut socket| socket.read_exact(&mut self.reply))?)
    }

    /// Microseconds each of so many, once they have answered before.
    pub(crate) fn broadcast_once(n: usize) -> Result<f64> {
        let mut crowd = Self::new(n)?;
        crowd.broadcast()?;
        Ok(1e6 / n as f64 * seconds(|| crowd.broadcast())?)
    }
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the child to us.
    Up,
    /// From us to the child.
    Down,
}

impl Way {
    pub(crate) const BOTH: [Self; 2] = [Self::Up, Self::Down];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// Bytes in one direction over a socket pair, in blocking reads and writes of one size, with any number of relays.
pub(crate) struct OneWay {
    socket: UnixStream,
    way: Way,
    buffer: Vec<u8>,
    _processes: Processes,
}

impl OneWay {
    pub(crate) fn new(relays: usize, way: Way, chunk: usize) -> Result<Self> {
        let (relay, end) = match way {
            Way::Up => (Role::PassUp { chunk }, Role::Source { chunk }),
            Way::Down => (Role::PassDown { chunk }, Role::Sink { chunk }),
        };
        let (socket, processes) = chain(relays, &relay, &end)?;
        Ok(Self { socket, way, buffer: vec![7; chunk], _processes: processes })
    }

    /// Megabytes (of 10^6) a second. Ends when the receiver has them all.
    pub(crate) fn megabytes(&mut self, bytes: usize) -> Result<f64> {
        let start = Instant::now();
        role::announce(&mut self.socket, bytes)?;
        match self.way {
            Way::Up => role::take(&mut self.socket, bytes, &mut self.buffer)?,
            Way::Down => {
                role::give(&mut self.socket, bytes, &self.buffer)?;
                self.socket.read_exact(&mut [0])?;
            }
        }
        Ok(bytes as f64 / 1e6 / start.elapsed().as_secs_f64())
    }
}

/// A program that was started the plain way, and has written its first byte.
pub(crate) struct Started {
    socket: UnixStream,
    process: Child,
}

impl Started {
    /// Starts `program` by posix_spawn, with a socket as both of its standard descriptors.
    pub(crate) fn spawn(program: &Path) -> Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let theirs = OwnedFd::from(theirs);
        // The standard library calls posix_spawn unless it is asked for what that cannot do.
        let process = Command::new(program)
            .arg(offshoot_bench::FIRST_BYTE)
            .stdin(theirs.try_clone()?)
            .stdout(theirs)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { socket, process })
    }

    pub(crate) fn first_byte(&mut self) -> Result<()> {
        Ok(self.socket.read_exact(&mut [0])?)
    }

    /// Closes its input, and waits until it is gone.
    pub(crate) fn end(mut self) -> Result<()> {
        drop(self.socket);
        ensure!(self.process.wait()?.success(), "it should have ended well");
        Ok(())
    }
}

/// Starts this program in a role, with `lower` as standard input and, for relays, `upper` as standard output.
pub(crate) fn start(role: &Role, input: UnixStream, output: Option<UnixStream>) -> Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(role::FLAG).args(role.words()).stdin(OwnedFd::from(input));
    if let Some(output) = output {
        command.stdout(OwnedFd::from(output));
    }
    command.spawn().context("cannot start this program once more")
}

/// Processes that end when their socket is closed.
struct Processes(Vec<Child>);

/// Starts a chain of processes, and gives the socket at its upper end.
fn chain(relays: usize, relay: &Role, end: &Role) -> Result<(UnixStream, Processes)> {
    let (ours, mut next) = UnixStream::pair()?;
    let mut processes = Processes(Vec::new());
    for _ in 0..relays {
        let (down, up) = UnixStream::pair()?;
        processes.0.push(start(relay, next, Some(down))?);
        next = up;
    }
    processes.0.push(start(end, next, None)?);
    Ok((ours, processes))
}

impl Drop for Processes {
    fn drop(&mut self) {
        for process in &mut self.0 {
            // Whether it had ended by itself makes no difference.
            let _killed = process.kill();
        }
        for process in &mut self.0 {
            let _status = process.wait();
        }
    }
}
