//! Children written by hand, of frames alone. The name that the file is started by says which: `raw-SCRIPT`.
#![forbid(unsafe_code)]
#![allow(
    clippy::panic,
    clippy::expect_used,
    reason = "what a script did not expect ends it, and is told on stderr"
)]

use offshoot_tests::real::{puppet, raw::Raw, table::NAME};
use offshoot_wire::{ContextId, Handle, Role};

fn main() {
    let name = std::env::args_os().next().expect("a program has a name");
    let name =
        std::path::Path::new(&name).file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    match name.strip_prefix("raw-") {
        Some("puppet") => puppet::play(Role::Leaf),
        Some("puppet-parent") => puppet::play(Role::Parent),
        Some("eager") => eager(),
        Some("mute") => Raw::silent().drain(),
        _ => panic!("there is no script for {name:?}"),
    }
}

/// Calls the root before anybody has heard that it is there.
fn eager() {
    let mut raw = Raw::begin(Role::Leaf);
    raw.send(&raw.call(ContextId::ROOT, Handle::new(5000), NAME.name(), &()));
    raw.drain();
}
