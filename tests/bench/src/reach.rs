//! What it takes to reach other places: by ssh, by sudo, through a shell, into a container.

use std::{
    cell::RefCell,
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use offshoot_bench::table::NOOP;
use offshoot_parent::prelude::*;
use offshoot_tests::far::{Docker, busybox_root};

use crate::{
    bench::Bench,
    bulk::{MESSAGE, megabytes},
    far::{Cat, Sshd, run as ran},
    harness::{Samples, Turns, micros_each, seconds},
    limits::Way,
    report::Line,
    wire::Wire,
};

pub(crate) const ROWS: &[&str] = &[
    "reach.shell",
    "reach.sudo",
    "reach.sudo.bytes",
    "reach.docker.sent",
    "reach.docker.cached",
    "reach.docker.sent.bytes",
    "reach.docker.cached.bytes",
    "reach.ssh.sent",
    "reach.ssh.cached",
    "reach.ssh.sent.bytes",
    "reach.ssh.cached.bytes",
    "reach.ssh.whole.mitogen",
    "reach.ssh.whole.execnet",
    "reach.ssh.call",
    "reach.ssh.up",
    "reach.ssh.down",
];

/// What a count of bytes is of.
const BOTH_WAYS: &str = "both ways, on stdin and stdout of its client";

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let (few, leaf) = (bench.starts(12), bench.programs.leaf.as_path());
    if bench.wants("reach.shell") {
        let mut turns = Turns::default();
        let shell = turns
            .add(|| median_of(few, || connected(Wrapped::new::<&str>([]).payload(Payload::file(leaf)?))));
        let mut measured = turns.run(bench.rounds)?;
        bench.emit(Line::new("reach.shell", "ms", &measured.take(shell)).at_most(8.0))?;
    }
    if bench.wants("reach.sudo") {
        sudo(bench, few)?;
    }
    if bench.wants("reach.docker") {
        docker(bench, few)?;
    }
    match Sshd::new() {
        Ok(sshd) => ssh(bench, few, &sshd),
        Err(why) => bench.emit(Line::new("reach.ssh.sent", "ms", &Samples::absent(format!("{why:#}")))),
    }
}

/// Milliseconds from asking for a child to the end of its first call.
fn connected(method: impl Method) -> Result<f64> {
    let router = Router::new()?;
    let start = Instant::now();
    router.connect(method)?.call(NOOP, ())?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// What passes both ways by a way, from asking for a child to the end of its first call.
fn bytes(wire: &Wire, method: impl Method) -> Result<f64> {
    wire.passed()?;
    connected(method)?;
    Ok(wire.passed()? as f64)
}

fn median_of(n: usize, mut one: impl FnMut() -> Result<f64>) -> Result<f64> {
    let all: Vec<f64> = (0..n).map(|_| one()).collect::<Result<_>>()?;
    Samples::of(all).median().context("there was one")
}

/// How much longer the one takes than the other, which is the least that there is on that way.
fn beyond(n: usize, ours: impl Fn() -> Result<f64>, least: impl Fn() -> Result<f64>) -> Result<f64> {
    let (mut all, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..n {
        bare.push(least()?);
        all.push(ours()?);
    }
    let median = |values| Samples::of(values).median().context("there was one");
    Ok(median(all)? - median(bare)?)
}

fn sudo(bench: &Bench, few: usize) -> Result<()> {
    let mut can = Command::new("sudo");
    if !can.args(["-n", "true"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return bench.emit(Line::new(
            "reach.sudo",
            "ms",
            &Samples::absent("sudo lets nobody in without a password"),
        ));
    }
    let (leaf, wire) = (bench.programs.leaf.as_path(), Wire::new("sudo")?);
    let counted = wire.client("sudo")?;
    let mut turns = Turns::default();
    let time = turns.add(|| {
        let ours = || connected(Sudo::new().payload(Payload::file(leaf)?));
        beyond(few, ours, || ran(Command::new("sudo").args(["-n", "true"])))
    });
    let size = turns.add(|| bytes(&wire, Sudo::new().program(&counted).payload(Payload::file(leaf)?)));
    let mut measured = turns.run(bench.rounds)?;
    let line = Line::new("reach.sudo", "ms", &measured.take(time));
    bench.emit(line.noting("beyond `sudo true`").at_most(10.0))?;
    bench.emit(Line::new("reach.sudo.bytes", "bytes", &measured.take(size)).noting(BOTH_WAYS))
}

fn docker(bench: &Bench, few: usize) -> Result<()> {
    let root = busybox_root();
    let engine = match root.as_ref().map_err(ToString::to_string) {
        Ok(root) => Docker::new(root.path()).map_err(|why| why.to_string()),
        Err(why) => Err(why),
    };
    let engine = match engine {
        Ok(engine) => engine,
        Err(why) => return bench.emit(Line::new("reach.docker.sent", "ms", &Samples::absent(why))),
    };
    let ([client, there @ ..], wire) = (engine.words(), Wire::new("docker")?);
    let counted = wire.client(&client)?;
    let far = |client: &str, stays| {
        let far = Container::docker("far").program(client).option(&there).cache(stays);
        Ok::<_, anyhow::Error>(far.payload(Payload::file(&bench.programs.leaf)?))
    };
    let (far, wire, client, counted) = (&far, &wire, &client, &counted);
    let least = || ran(&mut engine.command(&["exec", "-i", "far", "true"]));
    let mut turns = Turns::default();
    let ids = [("sent", 25.0, false), ("cached", 10.0, true)].map(|(name, limit, stays)| {
        let time = turns.add(move || beyond(few, || connected(far(client, stays)?), least));
        (name, limit, time, turns.add(move || bytes(wire, far(counted, stays)?)))
    });
    let mut measured = turns.run(bench.rounds)?;
    for (name, limit, time, size) in ids {
        let row = format!("reach.docker.{name}");
        let line = Line::new(&row, "ms", &measured.take(time));
        bench.emit(line.noting("beyond `docker exec true`").at_most(limit))?;
        let line = Line::new(format!("{row}.bytes"), "bytes", &measured.take(size));
        bench.emit(line.noting(BOTH_WAYS))?;
    }
    Ok(())
}

fn ssh(bench: &Bench, few: usize, sshd: &Sshd) -> Result<()> {
    let wants = |rows: &[&str]| rows.iter().any(|row| bench.wants(&format!("reach.ssh.{row}")));
    if wants(&["sent", "cached", "sent.bytes", "cached.bytes"]) {
        connects(bench, few, sshd)?;
    }
    if wants(&["whole.mitogen", "whole.execnet"]) {
        peers(bench, few, sshd)?;
    }
    if wants(&["call", "up", "down"]) {
        streams(bench, sshd, &bench.programs.leaf)?;
    }
    Ok(())
}

/// What a connect takes beyond the login, in time and on the wire.
fn connects(bench: &Bench, few: usize, sshd: &Sshd) -> Result<()> {
    let leaf = bench.programs.leaf.as_path();
    let cache = format!("XDG_CACHE_HOME={}", sshd.file("cache"));
    std::fs::create_dir_all(sshd.file("cache"))?;
    let sent = || sshd.ssh("client", leaf);
    let cached = || Ok::<_, anyhow::Error>(sent()?.cache(true).option(format!("SetEnv={cache}")));
    let least = || ran(&mut sshd.plain("client", "true"));
    let mut turns = Turns::default();
    let times = [
        ("sent", 25.0, turns.add(|| beyond(few, || connected(sent()?), least))),
        ("cached", 10.0, turns.add(|| beyond(few, || connected(cached()?), least))),
    ];
    let bytes = [("sent", false), ("cached", true)].map(|(name, stays)| {
        (name, turns.add(move || bytes(&sshd.wire, sshd.ssh("counted", leaf)?.cache(stays))))
    });
    let mut measured = turns.run(bench.rounds)?;
    for (name, limit, id) in times {
        let line = Line::new(format!("reach.ssh.{name}"), "ms", &measured.take(id));
        bench.emit(line.noting("beyond `ssh host true`").at_most(limit))?;
    }
    for (name, id) in bytes {
        let line = Line::new(format!("reach.ssh.{name}.bytes"), "bytes", &measured.take(id));
        bench.emit(line.noting("both ways, with what ssh needs itself"))?;
    }
    Ok(())
}

/// Milliseconds with the login, against those that send a program of their own too.
fn peers(bench: &Bench, few: usize, sshd: &Sshd) -> Result<()> {
    let (mitogen, execnet) = (bench.python("mitogen")?, bench.python("execnet")?);
    let mut turns = Turns::default();
    let ours = turns.add(|| median_of(few, || connected(sshd.ssh("client", &bench.programs.leaf)?)));
    let question = format!("start_ssh {few} {}", sshd.file("client"));
    let theirs = [("Mitogen", &mitogen), ("execnet", &execnet)]
        .map(|(peer, python)| (peer, turns.ask(python, question.clone())));
    let mut measured = turns.run(bench.rounds)?;
    let ours = measured.take(ours);
    for (peer, id) in theirs {
        let line = Line::new(format!("reach.ssh.whole.{}", peer.to_lowercase()), "ms", &ours);
        bench.emit(line.against(peer, &measured.take(id)).below())?;
    }
    Ok(())
}

/// What a link by ssh carries, beside what ssh carries.
fn streams(bench: &Bench, sshd: &Sshd, leaf: &Path) -> Result<()> {
    let router = Router::new()?;
    let there = router.connect(sshd.ssh("client", leaf)?)?;
    let (router, there) = (&router, &there);
    let (n, bytes) = (bench.amount(400), bench.amount(1024) * MESSAGE);
    let cat = RefCell::new(Cat::start(sshd)?);
    let mut turns = Turns::default();
    let call = turns.add(|| micros_each(n, || Ok(there.call(NOOP, ())?)));
    let bare_call = turns.add(|| micros_each(n, || cat.borrow_mut().round_trip()));
    let ways = Way::BOTH.map(|way| {
        let ours = turns.add(move || megabytes(router, there, way, bytes));
        (way, ours, turns.add(move || bare_megabytes(sshd, way, bytes)))
    });
    let mut measured = turns.run(bench.rounds)?;
    let line = Line::new("reach.ssh.call", "us", &measured.take(call));
    bench.emit(line.against("ssh host cat", &measured.take(bare_call)).at_most_times(1.6))?;
    for (way, ours, bare) in ways {
        let line = Line::new(format!("reach.ssh.{}", way.name()), "MB/s", &measured.take(ours));
        bench.emit(line.against("ssh host cat", &measured.take(bare)).at_least_times(0.95))?;
    }
    Ok(())
}

/// The same by a plain client; its login is not counted.
fn bare_megabytes(sshd: &Sshd, way: Way, bytes: usize) -> Result<f64> {
    // A line says that it is there, and one more that it has read all.
    let (command, answers) = match way {
        Way::Up => {
            (format!("echo; exec dd if=/dev/zero bs={MESSAGE} count={} 2>/dev/null", bytes / MESSAGE), bytes)
        }
        Way::Down => ("echo; cat >/dev/null; echo".to_owned(), 1),
    };
    let mut child = sshd.plain("client", &command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut to = child.stdin.take().context("its input is a pipe")?;
    let mut from = child.stdout.take().context("its output is a pipe")?;
    from.read_exact(&mut [0])?;
    let mut piece = vec![0; MESSAGE];
    let mut got = 0;
    let took = seconds(|| {
        if way == Way::Down {
            for _ in 0..bytes / MESSAGE {
                to.write_all(&piece)?;
            }
        }
        drop(to);
        loop {
            match from.read(&mut piece)? {
                0 => return Ok(()),
                read => got += read,
            }
        }
    })?;
    child.wait()?;
    ensure!(got == answers, "{got} bytes have come");
    Ok(bytes as f64 / 1e6 / took)
}
