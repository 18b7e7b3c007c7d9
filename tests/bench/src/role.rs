//! The other ends of the bare programs: what this program does when it is started as one of them.
//!
//! A role ends when its input does.

use std::{
    io::{Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use anyhow::{Context, Result, bail};
use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, CreateFlags, EventData, EventFlags},
};

/// The argument by which this program knows that it is started in a role.
pub(crate) const FLAG: &str = "--role";
/// What a relay reads at once: as much as one of ours.
const RELAY_BUFFER: usize = 64 * 1024;

/// What the process at the other end does.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// Reads `call` bytes and writes `reply` bytes.
    Echo { call: usize, reply: usize },
    /// Waits in epoll for both neighbours, and passes on what comes.
    Relay,
    /// Writes as many bytes as it is told, in chunks.
    Source { chunk: usize },
    /// Reads as many bytes as it is told, then says so.
    Sink { chunk: usize },
    /// A relay that copies upward.
    PassUp { chunk: usize },
    /// A relay that copies downward.
    PassDown { chunk: usize },
    /// A peer's server.
    Tarpc,
    /// A peer's server.
    Remoc,
    /// A line that holds each packet for a while.
    Line,
}

impl Role {
    /// How it is written on a command line.
    pub(crate) fn words(&self) -> Vec<String> {
        let (name, numbers) = match self {
            Self::Echo { call, reply } => ("echo", vec![call, reply]),
            Self::Relay => ("relay", vec![]),
            Self::Source { chunk } => ("source", vec![chunk]),
            Self::Sink { chunk } => ("sink", vec![chunk]),
            Self::PassUp { chunk } => ("pass-up", vec![chunk]),
            Self::PassDown { chunk } => ("pass-down", vec![chunk]),
            Self::Tarpc => ("tarpc", vec![]),
            Self::Remoc => ("remoc", vec![]),
            Self::Line => ("line", vec![]),
        };
        std::iter::once(name.to_owned()).chain(numbers.into_iter().map(usize::to_string)).collect()
    }

    fn parse(words: &[String]) -> Result<Self> {
        let numbers: Vec<usize> =
            words.iter().skip(1).map(|word| word.parse()).collect::<Result<_, _>>().context("a number")?;
        Ok(match (words.first().map(String::as_str), numbers.as_slice()) {
            (Some("echo"), &[call, reply]) => Self::Echo { call, reply },
            (Some("relay"), []) => Self::Relay,
            (Some("source"), &[chunk]) => Self::Source { chunk },
            (Some("sink"), &[chunk]) => Self::Sink { chunk },
            (Some("pass-up"), &[chunk]) => Self::PassUp { chunk },
            (Some("pass-down"), &[chunk]) => Self::PassDown { chunk },
            (Some("tarpc"), []) => Self::Tarpc,
            (Some("remoc"), []) => Self::Remoc,
            (Some("line"), []) => Self::Line,
            _ => bail!("no role: {words:?}"),
        })
    }
}

/// Plays the role that the command line names.
pub(crate) fn play(words: &[String]) -> Result<()> {
    let role = Role::parse(words)?;
    let mut upper = socket(std::io::stdin())?;
    match role {
        Role::Echo { call, reply } => echo(&mut upper, call, reply),
        Role::Relay => relay(&mut upper, &mut socket(std::io::stdout())?),
        Role::Source { chunk } => {
            let buffer = vec![3; chunk];
            while let Some(bytes) = told(&mut upper)? {
                give(&mut upper, bytes, &buffer)?;
            }
            Ok(())
        }
        Role::Sink { chunk } => {
            let mut buffer = vec![0; chunk];
            while let Some(bytes) = told(&mut upper)? {
                take(&mut upper, bytes, &mut buffer)?;
                upper.write_all(b"!")?;
            }
            Ok(())
        }
        Role::PassUp { chunk } => {
            let (mut lower, mut buffer) = (socket(std::io::stdout())?, vec![0; chunk]);
            while let Some(bytes) = told(&mut upper)? {
                announce(&mut lower, bytes)?;
                pass(&mut lower, &mut upper, bytes, &mut buffer)?;
            }
            Ok(())
        }
        Role::PassDown { chunk } => {
            let (mut lower, mut buffer) = (socket(std::io::stdout())?, vec![0; chunk]);
            while let Some(bytes) = told(&mut upper)? {
                announce(&mut lower, bytes)?;
                pass(&mut upper, &mut lower, bytes, &mut buffer)?;
                pass(&mut lower, &mut upper, 1, &mut buffer)?;
            }
            Ok(())
        }
        Role::Tarpc => crate::peers::tarpc::serve(upper),
        Role::Remoc => crate::peers::remoc::serve(upper),
        Role::Line => crate::delay::hold(upper),
    }
}

fn socket(stream: impl AsFd) -> Result<UnixStream> {
    let own: OwnedFd = stream.as_fd().try_clone_to_owned()?;
    Ok(UnixStream::from(own))
}

fn echo(upper: &mut UnixStream, call: usize, reply: usize) -> Result<()> {
    let poller = Poller::new([&*upper])?;
    let (mut call, reply) = (vec![0; call], vec![7; reply]);
    loop {
        poller.wait()?;
        if !filled(upper, &mut call)? {
            return Ok(());
        }
        upper.write_all(&reply)?;
    }
}

fn relay(upper: &mut UnixStream, lower: &mut UnixStream) -> Result<()> {
    let poller = Poller::new([&*upper, &*lower])?;
    let mut buffer = vec![0; RELAY_BUFFER];
    loop {
        let (from, to) = match poller.wait()? {
            0 => (&mut *upper, &mut *lower),
            _ => (&mut *lower, &mut *upper),
        };
        let n = from.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        to.write_all(buffer.get(..n).unwrap_or_default())?;
    }
}

/// Says how many bytes are to go.
pub(crate) fn announce(to: &mut impl Write, bytes: usize) -> Result<()> {
    Ok(to.write_all(format!("{bytes:16}").as_bytes())?)
}

/// How many bytes are to go; nothing at the end of the input.
fn told(from: &mut UnixStream) -> Result<Option<usize>> {
    let mut number = [0; 16];
    if !filled(from, &mut number)? {
        return Ok(None);
    }
    Ok(Some(std::str::from_utf8(&number)?.trim().parse()?))
}

/// Reads until the buffer is full; false at the end of the input.
fn filled(from: &mut impl Read, buffer: &mut [u8]) -> Result<bool> {
    let mut rest = buffer;
    while !rest.is_empty() {
        let n = from.read(rest)?;
        if n == 0 {
            return Ok(false);
        }
        rest = rest.get_mut(n..).unwrap_or_default();
    }
    Ok(true)
}

/// Writes so many bytes, a buffer at a time.
pub(crate) fn give(to: &mut impl Write, bytes: usize, buffer: &[u8]) -> Result<()> {
    let mut left = bytes;
    while left > 0 {
        let piece = buffer.get(..left).unwrap_or(buffer);
        to.write_all(piece)?;
        left -= piece.len();
    }
    Ok(())
}

/// Reads so many bytes, at most a buffer at a time.
pub(crate) fn take(from: &mut impl Read, bytes: usize, buffer: &mut [u8]) -> Result<()> {
    pass(from, &mut std::io::sink(), bytes, buffer)
}

fn pass(from: &mut impl Read, to: &mut impl Write, bytes: usize, buffer: &mut [u8]) -> Result<()> {
    let mut left = bytes;
    while left > 0 {
        let most = left.min(buffer.len());
        let n = from.read(buffer.get_mut(..most).unwrap_or_default())?;
        if n == 0 {
            bail!("the stream ended {left} bytes early");
        }
        to.write_all(buffer.get(..n).unwrap_or_default())?;
        left -= n;
    }
    Ok(())
}

/// Waits in epoll for one of some sockets to be readable.
pub(crate) struct Poller(OwnedFd);

impl Poller {
    pub(crate) fn new<const N: usize>(sockets: [&UnixStream; N]) -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        for (number, socket) in (0..).zip(sockets) {
            epoll::add(&epoll, socket, EventData::new_u64(number), EventFlags::IN)?;
        }
        Ok(Self(epoll))
    }

    /// Which of them is.
    pub(crate) fn wait(&self) -> Result<u64> {
        let mut events = Vec::with_capacity(1);
        while epoll::wait(&self.0, spare_capacity(&mut events), None)? == 0 {}
        Ok(events.first().map_or(0, |event| event.data.u64()))
    }
}
