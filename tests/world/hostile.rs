//! Attacks of a child.
