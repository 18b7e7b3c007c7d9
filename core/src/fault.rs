//! What the system refused, as people read it.

use std::fmt;

use rustix::io::Errno;

/// An error of the system. Where nothing unwinds it is told by its number: the texts of all errors are 8 KB of a leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault(pub(crate) Errno);

impl fmt::Display for Fault {
    #[cfg(panic = "unwind")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }

    #[cfg(not(panic = "unwind"))]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {} of the system", self.0.raw_os_error())
    }
}
