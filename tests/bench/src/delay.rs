//! A line that holds each packet for some milliseconds: a tun device in a network namespace of its own, and a mirror at its
//! other end.
//!
//! Whoever is in the namespace, and connects to [`FAR`], connects to the namespace itself, by way of the line: the mirror
//! exchanges source and destination of each packet, which leaves its checksums as they are. So all that are there are
//! equally far from each other, however many they are.

use std::{
    collections::VecDeque,
    env,
    fs::File,
    io::{self, Read as _, Write as _},
    net::Ipv4Addr,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use tappers::{AddAddressV4, Interface, Tun};

use crate::role::{self, Role};

/// How long a packet is on its way, each way.
pub(crate) const EACH_WAY: Duration = Duration::from_millis(5);
/// Where the namespace is to be found by way of the line.
pub(crate) const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 9);
/// Its own address.
const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const NETMASK: u8 = 24;
/// The largest packet.
const MTU: usize = 1500;
/// What may be on its way at once; what comes beyond that is lost, as by a router.
const MOST: usize = 100_000;

/// A line, while the value lives. It is a process, and the namespace ends with the last that is in it.
pub(crate) struct Line {
    _end: UnixStream,
    process: Child,
}

impl Line {
    /// Makes one, and has the calling thread in its namespace, with whatever it starts from now on.
    pub(crate) fn entered() -> Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "not root here");
        let (mut ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new("unshare");
        command.args(["--net", "--"]).arg(env::current_exe()?).arg(role::FLAG).args(Role::Line.words());
        let process = command.stdin(OwnedFd::from(theirs)).spawn().context("there is no unshare")?;
        // With it the other end of its input, so that what fails there is heard here.
        drop(command);
        ours.read_exact(&mut [0]).context("there is no tun device here")?;
        let namespace = File::open(format!("/proc/{}/ns/net", process.id()))?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(Self { _end: ours, process })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Whether it had ended by itself makes no difference.
        let _killed = self.process.kill();
        let _status = self.process.wait();
    }
}

/// A packet on its way.
struct Held {
    due: Instant,
    packet: Vec<u8>,
}

/// Is the line, until the input ends.
pub(crate) fn hold(mut upper: UnixStream) -> Result<()> {
    // It is no faster than the turns that it gets of the CPU. Without the right to this it still is a line.
    let _priority = rustix::process::nice(-15);
    let tun = device()?;
    upper.write_all(b"!")?;
    let mut held: VecDeque<Held> = VecDeque::new();
    loop {
        if wait(&upper, &tun, held.front().map(|held| held.due))? {
            return Ok(());
        }
        receive(&tun, &mut held)?;
        let now = Instant::now();
        while held.front().is_some_and(|held| held.due <= now)
            && let Some(Held { packet, .. }) = held.pop_front()
        {
            // What cannot be delivered is lost, as anywhere.
            let _sent = tun.send(&packet);
        }
    }
}

fn device() -> Result<Tun> {
    let mut tun = Tun::new_named(Interface::new("line")?)?;
    let mut address = AddAddressV4::new(NEAR);
    address.set_netmask(NETMASK);
    tun.add_addr(address)?;
    tun.set_up()?;
    tun.set_nonblocking(true)?;
    Ok(tun)
}

/// Until a packet comes or is due; whether the input has ended.
fn wait(upper: &UnixStream, tun: &Tun, due: Option<Instant>) -> Result<bool> {
    let limit = due.map(|due| due.saturating_duration_since(Instant::now())).map(Timespec::try_from);
    let mut either = [PollFd::new(upper, PollFlags::IN), PollFd::new(tun, PollFlags::IN)];
    poll(&mut either, limit.transpose()?.as_ref())?;
    let [upper, _] = either;
    Ok(!upper.revents().is_empty())
}

/// Takes all that has come.
fn receive(tun: &Tun, held: &mut VecDeque<Held>) -> Result<()> {
    let mut buffer = [0; MTU];
    loop {
        let packet = match tun.recv(&mut buffer) {
            Ok(n) => buffer.get(..n).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let due = Instant::now() + EACH_WAY;
        if let Some(packet) = mirrored(packet).filter(|_| held.len() < MOST) {
            held.push_back(Held { due, packet });
        }
    }
}

/// The packet, from where it should go and to where it came from; nothing of it if it is not for [`FAR`].
fn mirrored(packet: &[u8]) -> Option<Vec<u8>> {
    let (before, rest) = packet.split_at_checked(12)?;
    let (source, rest) = rest.split_first_chunk::<4>()?;
    let (destination, rest) = rest.split_first_chunk::<4>()?;
    (*destination == FAR.octets()).then(|| [before, destination, source, rest].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_comes_back_from_where_it_should_have_gone() {
        let packet =
            |from: Ipv4Addr, to: Ipv4Addr| [&[0x45; 12][..], &from.octets(), &to.octets(), b"tcp"].concat();
        assert_eq!(mirrored(&packet(NEAR, FAR)), Some(packet(FAR, NEAR)));
        assert_eq!(mirrored(&packet(NEAR, Ipv4Addr::BROADCAST)), None);
        assert_eq!(mirrored(&[0x45; 19]), None);
    }
}
