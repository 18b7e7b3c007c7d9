//! The leaf that is tried on other machines: it serves what docs/protocol.md lists at its end.
//!
//! `cargo xtask payload conforming --profile tiny --target armv7l` builds it, and `cargo xtask conformance` tries it.

#[path = "demo/functions.rs"]
mod functions;

use std::process::{Command, Stdio};

use functions::WORK;
use offshoot_core::{Child, Context, Function, Outcome, Receiver, Sender, wire::Blob};

const ECHO: Function<String, String> = Function::new("echo");
const ECHO_BYTES: Function<Blob, Blob> = Function::new("echo_bytes");
const FAIL: Function<String, ()> = Function::new("fail");
const SUM: Function<Receiver<u64>, u64> = Function::new("sum");
const FEED: Function<(Sender<u64>, u64), ()> = Function::new("feed");
const WAIT_FOR: Function<(Context, u64), ()> = Function::new("wait_for");
const SHELL: Function<String, i32> = Function::new("shell");
const LOG: Function<String, ()> = Function::new("log");

fn main() -> ! {
    Child::new()
        .functions(functions::functions())
        .serve(ECHO, |_call, text| text)
        .serve(ECHO_BYTES, |_call, bytes| bytes)
        .serve(FAIL, |_call, text: String| Err::<(), _>(text))
        .serve(SUM, |_call, numbers| sum(numbers))
        .serve(FEED, |_call, (sender, until)| feed(&sender, until))
        .serve(WAIT_FOR, |_call, (whom, ms): (Context, u64)| -> Outcome<()> { Ok(whom.call(WORK, ms)?) })
        .serve(SHELL, |_call, line| shell(&line))
        .serve(LOG, |_call, text: String| log::warn!(target: "tests", "{text}"))
        .run()
}

fn sum(numbers: Receiver<u64>) -> Outcome<u64> {
    let mut sum = 0_u64;
    for number in numbers {
        sum = sum.checked_add(number?).ok_or("the sum is too large")?;
    }
    Ok(sum)
}

fn feed(sender: &Sender<u64>, until: u64) {
    for number in 0..until {
        if sender.send(number).is_err() {
            return;
        }
    }
}

fn shell(line: &str) -> Outcome<i32> {
    let status = Command::new("sh").args(["-c", line]).stdin(Stdio::null()).status()?;
    Ok(status.code().unwrap_or(-1))
}
