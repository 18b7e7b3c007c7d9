//! What distance adds: hosts to which each packet takes 5 ms, one by one and many at a time, with helpers and without.

use std::{cell::RefCell, fs, net::TcpStream, time::Instant};

use anyhow::Result;
use offshoot_parent::prelude::*;

use crate::{
    bench::Bench,
    delay::{self, EACH_WAY, FAR},
    far::{Listening, PATIENCE, PORT, Sshd, run as ran},
    fleet::{FEW_ROUNDS, launched},
    harness::{Samples, Turns},
    proc::Load,
    report::Line,
};

pub(crate) const ROWS: &[&str] = &[
    "line.round_trip",
    "line.login",
    "line.login.cpu",
    "line.tree.1",
    "line.tree.8",
    "line.tree.64",
    "line.tree.65",
    "line.tree.72",
    "line.tree.130",
    "line.tree.256",
];

/// From how many hosts on a turn takes long, and few rounds are enough.
const MANY: usize = 64;

pub(crate) fn run(bench: &Bench) -> Result<()> {
    match far() {
        Ok((sshd, _line, _listening)) => {
            if ["line.round_trip", "line.login"].into_iter().any(|row| bench.wants(row)) {
                single(bench, &sshd)?;
            }
            trees(bench, &sshd)
        }
        Err(why) => bench.emit(Line::new("line.round_trip", "ms", &Samples::absent(format!("{why:#}")))),
    }
}

/// An sshd at the other end of a line. It goes first of all.
fn far() -> Result<(Sshd, delay::Line, Listening)> {
    let sshd = Sshd::new()?;
    let line = delay::Line::entered()?;
    let listening = Listening::new(&sshd, FAR)?;
    Ok((sshd, line, listening))
}

/// The line by itself, and one login by it.
fn single(bench: &Bench, sshd: &Sshd) -> Result<()> {
    let used = RefCell::new(Vec::new());
    let mut turns = Turns::default();
    let packet = turns.add(|| {
        let start = Instant::now();
        TcpStream::connect((FAR, PORT))?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    });
    let login = turns.add(|| {
        let before = Load::now()?;
        let took = ran(&mut sshd.plain("line", "true"))?;
        used.borrow_mut().push(before.since()?.busy_ms);
        Ok(took)
    });
    let mut measured = turns.run(bench.rounds)?;
    let note = format!("of a TCP connect; {} ms each way are the line", EACH_WAY.as_millis());
    bench.emit(Line::new("line.round_trip", "ms", &measured.take(packet)).noting(note))?;
    bench.emit(Line::new("line.login", "ms", &measured.take(login)).noting("`ssh host true`"))?;
    let cpu = Samples::of(used.take().into_iter().skip(1));
    bench.emit(Line::new("line.login.cpu", "ms", &cpu).noting("of all CPUs meanwhile, client and server"))
}

/// Many hosts, flat and with those helping that are up.
fn trees(bench: &Bench, sshd: &Sshd) -> Result<()> {
    let hop = Payload::bytes("hop", fs::read(&bench.programs.hop)?)?;
    let config = sshd.file("line");
    let sizes = [1, 8, 64, 65, 72, 130, 256];
    for n in sizes.into_iter().filter(|n| bench.wants(&format!("line.tree.{n}"))) {
        let hosts = || {
            let host = || Ssh::new("far").config(&config).timeout(PATIENCE).payload(hop.clone());
            (0..n).map(move |n| host().name(format!("h{n}")))
        };
        let busy = RefCell::new(Vec::new());
        let mut turns = Turns::default();
        let grown = turns.add(|| {
            let before = Load::now()?;
            let took = launched(hosts(), true)?;
            busy.borrow_mut().push(before.since()?.busy_share());
            Ok(took)
        });
        let flat = turns.add(|| launched(hosts(), false));
        let rounds = if n < MANY { bench.rounds } else { bench.rounds.min(FEW_ROUNDS) };
        let mut measured = turns.run_cold(rounds)?;
        let line = Line::new(format!("line.tree.{n}"), "ms", &measured.take(grown));
        let busy = Samples::of(busy.take()).median().unwrap_or_default();
        let note = format!("{rounds} rounds; the CPUs were busy for {:.0} % of it", busy * 100.0);
        bench.emit(line.against("the same, flat", &measured.take(flat)).at_most_times(1.1).noting(note))?;
    }
    Ok(())
}
