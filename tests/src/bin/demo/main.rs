//! `cargo xtask demo`: grows a tree of real processes, works in it, kills a part of it, and shows what happens.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::indexing_slicing, reason = "a program that shows something")]

mod grow;
mod host;
mod say;
mod stages;

#[path = "../../../../core/examples/demo/functions.rs"]
mod functions;

use std::{path::PathBuf, process::ExitCode};

use host::Host;
use say::Say;

/// Where the payloads are, and how to talk.
struct Options {
    leaf: PathBuf,
    hop: PathBuf,
    json: bool,
    host: Option<Host>,
    /// Whether the way to the host is to be tried, and nothing else.
    doctor: bool,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(text) => {
            println!(
                "{text}\nusage: demo --leaf FILE --hop FILE [--json] [--ssh HOST [--via HOST] [--ssh-config FILE] [--doctor]]; \
                 `cargo xtask demo` builds both files"
            );
            return ExitCode::from(2);
        }
    };
    let mut say = Say::new(options.json);
    let shown = match &options.host {
        Some(host) if options.doctor => host::examine(host, &options, &mut say),
        _ => stages::run(&options, &mut say),
    };
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say.failure(&error);
            ExitCode::FAILURE
        }
    }
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let (mut leaf, mut hop, mut json) = (None, None, false);
    let (mut ssh, mut via, mut config, mut doctor) = (None, None, None, false);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--leaf" => leaf = args.next(),
            "--hop" => hop = args.next(),
            "--json" => json = true,
            "--ssh" => ssh = args.next(),
            "--via" => via = args.next(),
            "--ssh-config" => config = args.next(),
            "--doctor" => doctor = true,
            other => return Err(format!("unknown argument {other}")),
        }
    }
    let host = ssh.map(|name| Host { name, via, config });
    if doctor && host.is_none() {
        return Err("--doctor needs a host".into());
    }
    match (leaf, hop) {
        (Some(leaf), Some(hop)) => Ok(Options { leaf: leaf.into(), hop: hop.into(), json, host, doctor }),
        _ => Err("both payloads must be named".into()),
    }
}
