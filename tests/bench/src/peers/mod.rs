//! What others have made for the same purpose.

pub(crate) mod python;
pub(crate) mod remoc;
pub(crate) mod tarpc;
