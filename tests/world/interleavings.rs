//! T1 to T17.
