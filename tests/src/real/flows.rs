//! The functions of the tests that are about much data, about streams that end, and about calls that meet.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use offshoot_core::{
    Call, Context, Function, Functions, Outcome, Policy, Receiver, SendError, Sender, wire::Blob,
};

use super::{
    PATIENCE, eventually,
    table::{COUNT, NAME, work},
};

/// How many bytes came.
pub const LENGTH: Function<Blob, u64> = Function::new("length");
/// Takes a number and gives it back.
pub const TAKE: Function<u64, u64> = Function::new("take");
/// Calls [`TAKE`] of the root so many times, and tells how many microseconds each call took.
pub const PROBE: Function<u32, Vec<u32>> = Function::new("probe");
/// The context that answers.
pub const HERE: Function<(), Context> = Function::new("here");
/// So many blobs of so many bytes.
pub const BLOBS: Function<(u64, u64), Receiver<Blob>> = Function::new("blobs");
/// How many blobs of [`BLOBS`] have been sent here, and how the last sending ended.
pub const BLOBS_SENT: Function<(), (u64, String)> = Function::new("blobs_sent");
/// Adds up the lengths of blobs.
pub const SWALLOW: Function<Receiver<Blob>, u64> = Function::new("swallow");
/// One item, then a failure with this text.
pub const FAILING: Function<String, Receiver<u64>> = Function::new("failing");
/// One item, then the thread that sends panics.
pub const PANICKING: Function<(), Receiver<u64>> = Function::new("panicking");
/// Says that it runs, and works so many milliseconds.
pub const ENGAGE: Function<(Sender<()>, u64), ()> = Function::new("engage");
/// Lets a context count, and hands the receiver on as it came.
pub const COUNT_OVER: Function<(Context, u64), Receiver<u64>> = Function::new("count_over");
/// Says that it runs, waits for the word, then asks a context for its name.
pub const ASK_LATER: Function<(Sender<()>, Receiver<()>, Context), String> = Function::new("ask_later");
/// Calls a function of the very context that runs it.
pub const ASK_MYSELF: Function<(), String> = Function::new("ask_myself");
/// Waits until there is a file of this name.
pub const AWAIT_FILE: Function<String, ()> = Function::new("await_file");
/// Looks once for an item, waits for the word, and takes none.
pub const TAKE_NONE: Function<(Receiver<Receiver<u64>>, Receiver<()>), ()> = Function::new("take_none");
/// Says that it runs, waits for the word, and sends blobs whether or not anybody still waits for them.
pub const BLOBS_LATER: Function<(Sender<()>, Receiver<()>), Receiver<Blob>> = Function::new("blobs_later");
/// Remembers a number.
pub const NOTE: Function<u64, ()> = Function::new("note");
/// The same, with much beside it.
pub const NOTE_BULKY: Function<(u64, Blob), ()> = Function::new("note_bulky");
/// The numbers of [`NOTE`], in the order in which they came; they are forgotten.
pub const NOTES: Function<(), Vec<u64>> = Function::new("notes");

static SENT: AtomicU64 = AtomicU64::new(0);
static ENDED: Mutex<String> = Mutex::new(String::new());
static NOTED: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// What is served of all this.
pub(super) fn functions() -> Functions {
    Functions::new()
        .serve(LENGTH, |_, blob: Blob| u64::try_from(blob.len()).unwrap_or(u64::MAX))
        .serve(PROBE, |call: &Call, count| probe(call, count))
        .serve(HERE, |call: &Call, ()| call.here())
        .serve(BLOBS, |call: &Call, (count, size)| -> Outcome<_> {
            let (sender, receiver) = call.channel();
            spawn("blobs", move || send_blobs(&sender, count, size))?;
            Ok(receiver)
        })
        .serve(BLOBS_SENT, |_, ()| (SENT.load(Ordering::SeqCst), ENDED.lock().expect("a whole text").clone()))
        .serve(SWALLOW, |_, blobs: Receiver<Blob>| -> Outcome<u64> {
            blobs.into_iter().try_fold(0, |sum, blob| Ok(sum + u64::try_from(blob?.len())?))
        })
        .serve(FAILING, |call: &Call, text: String| -> Outcome<_> {
            let (sender, receiver) = call.channel();
            sender.send(1_u64)?;
            sender.fail(text);
            Ok(receiver)
        })
        .serve(PANICKING, |call: &Call, ()| -> Outcome<_> {
            let (sender, receiver) = call.channel();
            spawn("panicking", move || {
                sender.send(1_u64).expect("the first item goes");
                panic!("on purpose");
            })?;
            Ok(receiver)
        })
        .serve(ENGAGE, |call: &Call, (ready, ms): (Sender<()>, u64)| -> Outcome<()> {
            ready.send(())?;
            work(call, ms)
        })
        .serve(COUNT_OVER, |_, (whom, until): (Context, u64)| whom.call(COUNT, until))
        .serve(ASK_LATER, |_, (ready, go, whom): (Sender<()>, Receiver<()>, Context)| -> Outcome<String> {
            ready.send(())?;
            go.recv()?;
            Ok(whom.call(NAME, ())?)
        })
        .serve(ASK_MYSELF, |call: &Call, ()| call.here().call(NAME, ()))
        .serve(AWAIT_FILE, |_, path: String| {
            let there = || std::fs::exists(&path).is_ok_and(|there| there).then_some(());
            eventually("the file is there", 3 * PATIENCE, there);
        })
        .serve(TAKE_NONE, |_, (items, go): (Receiver<Receiver<u64>>, Receiver<()>)| -> Outcome<()> {
            // This opens the end; the first item may be here at once.
            drop(items.try_recv());
            go.recv()?;
            Ok(())
        })
        .serve(BLOBS_LATER, |call: &Call, (ready, go): (Sender<()>, Receiver<()>)| -> Outcome<_> {
            ready.send(())?;
            go.recv()?;
            let (sender, receiver) = call.channel();
            spawn("blobs", move || send_blobs(&sender, u64::MAX, 1000))?;
            Ok(receiver)
        })
        .serve_to(Policy::Anyone, NOTE, |_, number| NOTED.lock().expect("whole notes").push(number))
        .serve(NOTE_BULKY, |_, (number, _): (u64, Blob)| NOTED.lock().expect("whole notes").push(number))
        .serve(NOTES, |_, ()| std::mem::take(&mut *NOTED.lock().expect("whole notes")))
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
}

fn probe(call: &Call, count: u32) -> Outcome<Vec<u32>> {
    let root = call.root();
    let once = |_| {
        // In between others have their turn, and each call finds everybody asleep.
        thread::park_timeout(Duration::from_micros(500));
        let begun = Instant::now();
        root.call(TAKE, 1)?;
        Ok(u32::try_from(begun.elapsed().as_micros())?)
    };
    (0..count).map(once).collect()
}

fn send_blobs(sender: &Sender<Blob>, count: u64, size: u64) {
    SENT.store(0, Ordering::SeqCst);
    let blob = Blob::from(vec![7_u8; usize::try_from(size).unwrap_or(0)]);
    let ended = (0..count).try_for_each(|_| -> Result<(), SendError> {
        sender.send(blob.clone())?;
        SENT.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    *ENDED.lock().expect("a whole text") = ended.err().map(|error| error.to_string()).unwrap_or_default();
}
