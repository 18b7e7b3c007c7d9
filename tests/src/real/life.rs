//! Functions about the life of a process: what it starts, writes, and does about its end.

use std::{
    fs::OpenOptions,
    io::Write as _,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use offshoot_core::{Call, Context, Function, Functions, Outcome, Sender};

/// Sends the number of each round that it takes, for so many milliseconds, and gives the last back.
pub const TICK: Function<(Sender<u64>, u64), u64> = Function::new("tick");
/// Starts a process that sleeps and holds this one's stdout and stderr; its pid. Nobody waits for it.
pub const START_SLEEPER: Function<(), u32> = Function::new("start_sleeper");
/// Runs a line of shell and waits for it; its exit status.
pub const SHELL: Function<String, i32> = Function::new("shell");
/// Writes so many log records, as fast as it can.
pub const LOG_MANY: Function<u64, ()> = Function::new("log_many");
/// Says what [`undo`] does: the file that it writes to, and how many milliseconds it takes.
pub const PREPARE_UNDO: Function<(String, u64), ()> = Function::new("prepare_undo");
/// Tells the context that runs it to end.
pub const END_SELF: Function<(), ()> = Function::new("end_self");

static PREPARED: Mutex<Option<(String, u64, Context)>> = Mutex::new(None);

/// The functions of this file.
pub(super) fn functions() -> Functions {
    Functions::new()
        .serve(TICK, |_, (sender, ms)| tick(&sender, ms))
        .serve(START_SLEEPER, |_, ()| -> Outcome<u32> {
            Ok(Command::new("sleep").arg("600").stdin(Stdio::null()).spawn()?.id())
        })
        .serve(SHELL, |_, line: String| -> Outcome<i32> {
            Ok(Command::new("sh").arg("-c").arg(line).status()?.code().unwrap_or(-1))
        })
        .serve(LOG_MANY, |_, many| {
            for n in 0..many {
                log::warn!(target: "tests", "record {n}");
            }
        })
        .serve(PREPARE_UNDO, |call: &Call, (file, ms)| {
            *PREPARED.lock().unwrap_or_else(PoisonError::into_inner) = Some((file, ms, call.root()));
        })
        .serve(END_SELF, |call: &Call, ()| drop(call.here().shutdown()))
}

/// What a program of the tests does when its parent is lost: says that it begins and whether the link is gone, takes
/// its time, and says that it is done.
#[expect(clippy::disallowed_methods, reason = "it takes its time, as it was told to")]
pub fn undo() {
    let prepared = PREPARED.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some((file, ms, root)) = prepared else { return };
    let write = |line: &str| {
        let file = OpenOptions::new().create(true).append(true).open(&file);
        file.and_then(|mut file| writeln!(file, "{line}")).expect("the file of the test can be written");
    };
    let link = match root.with_timeout(Duration::from_secs(5)).call(super::table::NAME, ()) {
        Ok(_) => "up".to_owned(),
        Err(error) => error.to_string(),
    };
    write(&format!("begun: {link}"));
    thread::sleep(Duration::from_millis(ms));
    write("done");
}

#[expect(clippy::disallowed_methods, reason = "this is how long a round takes")]
fn tick(sender: &Sender<u64>, ms: u64) -> u64 {
    let end = Instant::now() + Duration::from_millis(ms);
    let mut round = 0;
    while Instant::now() < end {
        round += 1;
        // Whoever listened may have heard enough.
        drop(sender.send(round));
        thread::sleep(Duration::from_millis(5));
    }
    round
}
