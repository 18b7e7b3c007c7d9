//! Children written by hand, of frames alone. The name that the file is started by says which: `raw-SCRIPT`.
#![forbid(unsafe_code)]
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "what a script did not expect ends it, and is told on stderr"
)]

use std::{path::Path, process::ExitCode, time::Duration};

use offshoot_tests::real::{puppet, raw::Raw, table::NAME};
use offshoot_wire::{ContextId, Handle, Role};

/// How long a slow one thinks before it says its first word.
const SLOW: Duration = Duration::from_millis(1500);

fn main() -> ExitCode {
    let name = std::env::args_os().next().expect("a program has a name");
    let name = Path::new(&name).file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    match name.strip_prefix("raw-") {
        Some("puppet") => puppet::play(Role::Leaf),
        Some("puppet-parent") => puppet::play(Role::Parent),
        Some("eager") => eager(),
        Some("mute") => Raw::silent().drain(),
        Some("slow-mute") => {
            std::thread::park_timeout(SLOW);
            Raw::silent().drain();
        }
        Some("quitter") => {
            let raw = Raw::silent();
            eprintln!("no room for context {}", raw.me());
            return ExitCode::from(3);
        }
        _ => panic!("there is no script for {name:?}"),
    }
    ExitCode::SUCCESS
}

/// Calls the root before anybody has heard that it is there.
fn eager() {
    let mut raw = Raw::begin(Role::Leaf);
    raw.send(&raw.call(ContextId::ROOT, Handle::new(5000), NAME.name(), &()));
    raw.drain();
}
