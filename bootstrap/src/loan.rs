//! A program that is lent to a shell on this machine: it lies sealed in our memory, where the shell finds it by our
//! `/proc` entry, so that nothing is sent and nothing is written.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    process,
    sync::Arc,
};

use crate::{payload::Program, sys};

/// Lent while this lives, which must be until the shell has opened it.
#[derive(Debug)]
pub(crate) struct Loan {
    image: Arc<OwnedFd>,
    /// Holds what nobody else can know, so that the shell does not take another's memory for ours: where processes have
    /// other numbers, ours may be a stranger's.
    token: OwnedFd,
}

impl Loan {
    /// # Errors
    /// There are no images in memory here, or no descriptor or no memory is left for them.
    pub(crate) fn new(program: &Program, nonce: &str) -> io::Result<Self> {
        // A shell takes it for a script that does nothing: so it is tried whether what is in memory may be run at all.
        let (token, _) = sys::memory_image("token", format!(": {nonce}\n").as_bytes())?;
        Ok(Self { image: program.image()?, token })
    }

    /// Where another process finds the token and the program.
    pub(crate) fn paths(&self) -> [String; 2] {
        [&self.token, &*self.image].map(|fd| format!("/proc/{}/fd/{}", process::id(), fd.as_raw_fd()))
    }
}
