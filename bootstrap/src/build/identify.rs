//! Asks a payload who it is, by starting it as a parent would: its HELLO tells its role and what it serves.

use std::{
    io::{self, Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use offshoot_wire::{
    Body, ContextId, Decoded, Decoder, Frame, Handle, Hello, MarkerScan, Nonce, ReplyTo, Setup, VERSION,
    codec, opening,
};

use crate::{Machine, set::Identity};

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The id that it is given, below the root.
const ID: ContextId = ContextId::new(1);

/// Who the program says it is; nothing if it cannot be run here, or is no context.
pub(super) fn ask(program: &Path, machine: Machine) -> Option<Identity> {
    let (mut link, theirs) = UnixStream::pair().ok()?;
    let theirs = OwnedFd::from(theirs);
    let mut command = command(program, machine)?;
    command.stdin(theirs.try_clone().ok()?).stdout(theirs).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    // It holds copies of the other end, by which we would wait for ourselves.
    drop(command);
    let hello = talk(&mut link, Instant::now() + PATIENCE);
    drop(child.kill());
    drop(child.wait());
    hello.ok().map(|hello| Identity { role: hello.role, build: hello.build })
}

fn command(program: &Path, machine: Machine) -> Option<Command> {
    if Machine::here()?.may_run(machine) {
        return Some(Command::new(program));
    }
    let mut emulator = Command::new(format!("qemu-{}", machine.emulator()));
    emulator.arg(program);
    Some(emulator)
}

fn talk(link: &mut UnixStream, deadline: Instant) -> io::Result<Hello> {
    let nonce = Nonce::new([0x5a; 16]);
    link.write_all(&opening(&nonce))?;
    link.write_all(&setup()?)?;
    let (mut scan, mut decoder, mut is_up) = (MarkerScan::new(&nonce), Decoder::new(), false);
    loop {
        let mut bytes = [0; 4096];
        let left = deadline.saturating_duration_since(Instant::now());
        // Of one that never stops there is always something to read.
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        link.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let read = link.read(&mut bytes)?;
        let mut come =
            bytes.get(..read).filter(|come| !come.is_empty()).ok_or(io::ErrorKind::UnexpectedEof)?;
        if !is_up {
            let Some(end) = scan.push(come) else { continue };
            (is_up, come) = (true, come.get(end..).unwrap_or_default());
        }
        decoder.push(come);
        while let Some(decoded) = decoder.next_frame().map_err(io::Error::other)? {
            if let Decoded::Frame(Frame { handle: Handle::HELLO, body, .. }) = decoded {
                return codec::decode(&body, 4096).map_err(io::Error::other);
            }
        }
    }
}

fn setup() -> io::Result<Vec<u8>> {
    let setup = Setup {
        version: VERSION,
        features: 0,
        id: ID,
        ancestors: vec![ContextId::ROOT],
        name: "asked".to_owned(),
        one_way: false,
        body_limit: 1 << 20,
        ping_ms: 0,
        grace_ms: 1000,
        log_level: 0,
    };
    let body = codec::encode(&setup).map_err(io::Error::other)?;
    let frame = Frame {
        dst: ID,
        src: ContextId::ROOT,
        auth: ContextId::ROOT,
        handle: Handle::SETUP,
        reply_to: ReplyTo::Nobody,
        part: None,
        body: Body::from(body),
    };
    let mut bytes = Vec::new();
    frame.encode_into(&mut bytes);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_program_that_never_stops_talking_is_given_up() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let floods = thread::spawn(move || while theirs.write_all(&[b'y'; 4096]).is_ok() {});
        let since = Instant::now();
        talk(&mut ours, since + Duration::from_millis(50)).unwrap_err();
        assert!(since.elapsed() < PATIENCE, "{:?}", since.elapsed());
        drop(ours);
        floods.join().unwrap();
    }
}
