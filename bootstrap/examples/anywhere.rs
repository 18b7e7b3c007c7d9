//! Puts any static program on a host, and joins its stdin and stdout with those of this one:
//!
//! `cargo run -p offshoot-bootstrap --example anywhere -- web1 target/static/server --stdio`
//!
//! Before the host there may be `--config FILE` for ssh, `--cache` so that the program stays there for the next time, and
//! `--keep`, by which it runs under its own name, as a busybox must.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::{
    env,
    error::Error,
    io::{self, Write as _},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use offshoot_bootstrap::{ConnectError, Launch, Method as _, Payload, Plan, Reaper, Spawned, Ssh, Step};

fn main() -> ExitCode {
    let done = method(env::args().skip(1)).and_then(|method| {
        let there = start(&method.plan())?;
        join(there)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.downcast_ref::<ConnectError>().map_or("failed", ConnectError::code);
            eprintln!("{code}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn method(mut args: impl Iterator<Item = String>) -> Result<Ssh, Box<dyn Error>> {
    let (mut config, mut cache, mut keep) = (None, false, false);
    let host = loop {
        match args.next().as_deref() {
            Some("--config") => config = args.next(),
            Some("--cache") => cache = true,
            Some("--keep") => keep = true,
            Some(host) => break host.to_owned(),
            None => {
                return Err(
                    "usage: anywhere [--config FILE] [--cache] [--keep] HOST PROGRAM [ARGUMENT..]".into()
                );
            }
        }
    };
    let program = args.next().ok_or("which program?")?;
    let method = Ssh::new(host).payload(Payload::file(program)?).args(args).cache(cache);
    let method = config.into_iter().fold(method, Ssh::config);
    Ok(if keep { method.keep_file() } else { method })
}

/// Has it put there and started, and tells what happens.
fn start(plan: &Plan) -> Result<Spawned, ConnectError> {
    let since = Instant::now();
    let tell = |_: &Plan, step: &Step| eprintln!("{:>6} ms  {step}", since.elapsed().as_millis());
    Launch::new(plan).seen_by(&tell).run()
}

/// Until both have said all that they have to say.
fn join(there: Spawned) -> Result<(), Box<dyn Error>> {
    let mut link = there.link;
    io::stderr().write_all(&there.stderr_said)?;
    io::stdout().write_all(&there.said)?;
    let mut to = link.take_writer()?;
    // It ends with this program, whatever is still to come on stdin; with it ends the stdin of the other.
    thread::spawn(move || io::copy(&mut io::stdin(), &mut to));
    let mut errors = io::PipeReader::from(there.stderr);
    thread::spawn(move || io::copy(&mut errors, &mut io::stderr()));
    io::copy(&mut link, &mut io::stdout())?;
    // It is kept until it has reported: one that is dropped gives no grace.
    let reaper = Reaper::new()?;
    let (ended, end) = mpsc::channel();
    reaper.end(there.process, Duration::from_secs(5), move |exit| drop(ended.send(exit)));
    let exit = end.recv()?;
    if exit.report.success() { Ok(()) } else { Err(exit.to_string().into()) }
}
