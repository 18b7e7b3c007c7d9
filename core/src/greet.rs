//! How a process that was started to be a child meets its parent, or why it does not: then it ends.

use std::{io, os::fd::OwnedFd};

use offshoot_wire::{ContextId, Decoded, Decoder, Handle, Nonce, OPENING_LEN, Setup, VERSION, codec};
use rustix::{
    io::{Errno, read, retry_on_intr, write},
    stdio::stderr,
};

use crate::{
    close::{Code, exit},
    fault::Fault,
    stdio,
};

/// What decoding a SETUP may take, in bytes: the ids of a very deep tree.
const SETUP_BUDGET: usize = 64 * 1024;

/// Why a process did not become a child.
pub(crate) enum Refusal {
    /// Whatever started it is no parent.
    ByHand,
    /// A parent did, but it cannot go on.
    Broken(String),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        // It is one of the system: this crate makes no others.
        Errno::from_io_error(&error).unwrap_or(Errno::INVAL).into()
    }
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        Self::Broken(Fault(error).to_string())
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        Self::Broken(reason.to_owned())
    }
}

/// What a child cannot begin without: it is had, or the process ends here, where nothing has to be put away.
pub(crate) trait Must<T> {
    fn must(self) -> T;
}

impl<T, E: Into<Refusal>> Must<T> for Result<T, E> {
    fn must(self) -> T {
        self.unwrap_or_else(|error| refuse(&error.into()))
    }
}

/// Reads the opening line and SETUP, which nothing may come before; what follows stays in the decoder.
pub(crate) fn greet(from: &OwnedFd) -> (Nonce, Setup, Decoder) {
    let mut opening = [0; OPENING_LEN];
    // Whatever else writes here, or nobody: no parent has started this.
    stdio::read_exact(from, &mut opening).map_err(|_| Refusal::ByHand).must();
    let nonce = Nonce::parse_opening(&opening).map_err(|_| Refusal::ByHand).must();
    let mut decoder = Decoder::new();
    let frame = loop {
        match decoder.next_frame().map_err(|bad| Refusal::Broken(bad.to_string())).must() {
            Some(Decoded::Frame(frame)) if frame.handle == Handle::SETUP => break frame,
            Some(_) => refuse(&"the parent did not begin with SETUP".into()),
            None => {}
        }
        match retry_on_intr(|| read(from, decoder.space())).must() {
            0 => refuse(&"the parent went before it had sent SETUP".into()),
            read => decoder.filled(read),
        }
    };
    let setup: Setup = codec::decode(&frame.body, SETUP_BUDGET)
        .map_err(|error| Refusal::Broken(format!("SETUP cannot be read: {error}; build both sides anew")))
        .must();
    if setup.version != VERSION || setup.id == ContextId::ROOT {
        let theirs = setup.version;
        refuse(&Refusal::Broken(format!(
            "the parent speaks version {theirs} of the protocol, this payload version {VERSION}: build both anew"
        )));
    }
    (nonce, setup, decoder)
}

/// Writes the few bytes that go before frames; nothing else is under way yet.
pub(crate) fn say(to: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let written = retry_on_intr(|| write(to, bytes))?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Says why on stderr, and ends the process.
#[cold]
pub(crate) fn refuse(refusal: &Refusal) -> ! {
    let (code, text) = match refusal {
        Refusal::ByHand => (
            Code::Misused,
            "this program is a payload of offshoot: it is started by a parent with `connect`, not by hand\n"
                .to_owned(),
        ),
        Refusal::Broken(reason) => (Code::Broken, format!("offshoot: this context cannot start: {reason}\n")),
    };
    // There is nobody left to tell if this fails.
    let _ = write(stderr(), text.as_bytes());
    exit(code)
}
