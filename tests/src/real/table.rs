//! The functions that every context of the tests serves.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use offshoot_core::{Call, Context, Function, Functions, Outcome, Policy, Receiver, Sender, wire::Blob};

/// Adds two numbers.
pub const ADD: Function<(i64, i64), i64> = Function::new("add");
/// Gives a text back.
pub const ECHO: Function<String, String> = Function::new("echo");
/// Gives bytes back.
pub const ECHO_BYTES: Function<Blob, Blob> = Function::new("echo_bytes");
/// So many bytes.
pub const BYTES: Function<u64, Blob> = Function::new("bytes");
/// Panics with this text.
pub const PANIC: Function<String, ()> = Function::new("panic");
/// Fails with this text.
pub const FAIL: Function<String, ()> = Function::new("fail");
/// Its result cannot be encoded.
pub const UNENCODABLE: Function<(), Skips> = Function::new("unencodable");
/// The process that answers.
pub const PID: Function<(), u32> = Function::new("pid");
/// Takes so many milliseconds, unless it is cancelled.
pub const WORK: Function<u64, ()> = Function::new("work");
/// Never returns and looks at nothing.
pub const SPIN: Function<(), ()> = Function::new("spin");
/// How many calls of [`WORK`] were cancelled here, and how many of any kind have begun.
pub const TALLY: Function<(), (u64, u64)> = Function::new("tally");
/// Whether the call has a deadline, in milliseconds from now.
pub const LEFT: Function<(), Option<u64>> = Function::new("left");
/// Counts from 0 to a number.
pub const COUNT: Function<u64, Receiver<u64>> = Function::new("count");
/// Sends so many blobs of so many bytes.
pub const BLOBS: Function<(u64, u64), Receiver<Blob>> = Function::new("blobs");
/// Adds up what comes.
pub const SUM: Function<Receiver<u64>, u64> = Function::new("sum");
/// Sends so many numbers into a sender.
pub const FEED: Function<(Sender<u64>, u64), ()> = Function::new("feed");
/// Says its name. Anyone may ask.
pub const NAME: Function<(), String> = Function::new("name");
/// Says its name to ancestors, and to those whom one of them granted it.
pub const SECRET: Function<(), String> = Function::new("secret");
/// Says its name to children, and to those below them.
pub const CHILDREN: Function<(), String> = Function::new("children");
/// Asks another context for its name.
pub const ASK: Function<Context, String> = Function::new("ask");
/// Asks another context for its secret.
pub const ASK_SECRET: Function<Context, String> = Function::new("ask_secret");
/// Asks another context for the name that it says to children.
pub const ASK_CHILDREN: Function<Context, String> = Function::new("ask_children");
/// Makes another context work so many milliseconds, and waits for it.
pub const WAIT_FOR: Function<(Context, u64), ()> = Function::new("wait_for");
/// Calls back into the second context through the first.
pub const BOUNCE: Function<(Context, Context), String> = Function::new("bounce");
/// Writes a log record.
pub const LOG: Function<String, ()> = Function::new("log");

/// A struct whose field count differs from what it announces.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Skips {
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<u32>,
    other: u32,
}

impl Skips {
    /// One that cannot be encoded.
    #[must_use]
    pub const fn skipping() -> Self {
        Self { value: None, other: 1 }
    }
}

static CANCELLED: AtomicU64 = AtomicU64::new(0);
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// What every context of the tests serves.
pub fn functions() -> Functions {
    plain().and(streams()).and(between()).and(super::flows::functions()).and(super::life::functions())
}

fn plain() -> Functions {
    Functions::new()
        .serve(ADD, |_, (a, b)| a + b)
        .serve(ECHO, |_, text| text)
        .serve(ECHO_BYTES, |_, bytes| bytes)
        .serve(BYTES, |_, n| Blob::from(vec![7_u8; usize::try_from(n).unwrap_or(0)]))
        .serve(PANIC, |_, text: String| -> () { panic!("{text}") })
        .serve(FAIL, |_, text: String| Err::<(), _>(text))
        .serve(UNENCODABLE, |_, ()| Skips { value: None, other: 1 })
        .serve(PID, |_, ()| std::process::id())
        .serve(WORK, work)
        .serve(SPIN, |_, ()| spin())
        .serve(TALLY, |_, ()| (CANCELLED.load(Ordering::SeqCst), BEGUN.load(Ordering::SeqCst)))
        .serve(LEFT, |call: &Call, ()| {
            let left =
                |at: Instant| u64::try_from(at.saturating_duration_since(Instant::now()).as_millis()).ok();
            call.deadline().and_then(left)
        })
        .serve(LOG, |_, text: String| log::warn!(target: "tests", "{text}"))
}

fn streams() -> Functions {
    Functions::new()
        .serve(COUNT, |call: &Call, until| -> Outcome<_> {
            let (sender, receiver) = call.channel();
            thread::Builder::new().name("count".into()).spawn(move || feed(&sender, until))?;
            Ok(receiver)
        })
        .serve(BLOBS, |call: &Call, (count, len)| -> Outcome<Receiver<Blob>> {
            let (blobs, stream) = call.channel();
            let blob = Blob::from(vec![7_u8; usize::try_from(len)?]);
            thread::spawn(move || (0..count).all(|_| blobs.send(blob.clone()).is_ok()));
            Ok(stream)
        })
        .serve(SUM, |_, numbers: Receiver<u64>| -> Outcome<u64> {
            let mut sum = 0_u64;
            for number in numbers {
                sum = sum.checked_add(number?).ok_or("the sum is too large")?;
            }
            Ok(sum)
        })
        .serve(FEED, |_, (sender, until)| feed(&sender, until))
}

fn between() -> Functions {
    let name = |call: &Call, ()| call.here().name().to_owned();
    Functions::new()
        .serve_to(Policy::Anyone, NAME, name)
        .serve(SECRET, name)
        .serve_to(Policy::Children, CHILDREN, name)
        .serve(ASK, |_, whom: Context| whom.call_async(NAME, ()))
        .serve(ASK_SECRET, |_, whom: Context| whom.call_async(SECRET, ()))
        .serve(ASK_CHILDREN, |_, whom: Context| whom.call_async(CHILDREN, ()))
        .serve(WAIT_FOR, |_, (whom, ms): (Context, u64)| -> Outcome<()> { Ok(whom.call(WORK, ms)?) })
        .serve(BOUNCE, |_, (over, back): (Context, Context)| -> Outcome<String> { Ok(over.call(ASK, back)?) })
}

pub(super) fn work(call: &Call, ms: u64) -> Outcome<()> {
    BEGUN.fetch_add(1, Ordering::SeqCst);
    let end = Instant::now() + Duration::from_millis(ms);
    while Instant::now() < end {
        if call.is_cancelled() {
            CANCELLED.fetch_add(1, Ordering::SeqCst);
        }
        call.check()?;
        thread::park_timeout(Duration::from_millis(2));
    }
    Ok(())
}

fn spin() {
    loop {
        std::hint::spin_loop();
    }
}

fn feed(sender: &Sender<u64>, until: u64) {
    for number in 0..until {
        if sender.send(number).is_err() {
            return;
        }
    }
}
