//! What runs in every offshoot context: the router machine, the broker, calls and streams.

pub mod machine;

pub use offshoot_wire as wire;
