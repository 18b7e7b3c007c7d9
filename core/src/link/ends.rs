//! The descriptors by which a link is read and written: one socket, or two pipes.

/// What a link is read and written by.
#[derive(Debug)]
pub struct Ends<F> {
    /// Where what comes is read.
    pub input: F,
    /// Where what goes is written; `None`: the input is a socket that does both.
    pub output: Option<F>,
}

impl<F> Ends<F> {
    /// Where what goes is written.
    pub(crate) fn output(&self) -> &F {
        self.output.as_ref().unwrap_or(&self.input)
    }

    pub(crate) fn try_map<G, E>(self, mut make: impl FnMut(F) -> Result<G, E>) -> Result<Ends<G>, E> {
        let Self { input, output } = self;
        Ok(Ends { input: make(input)?, output: output.map(make).transpose()? })
    }
}
