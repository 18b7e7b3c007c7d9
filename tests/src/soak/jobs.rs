//! What the contexts of a soak do: jobs that note that they ran, and streams whose items are numbered.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use offshoot_core::{Call, Context, Function, Functions, Outcome, Policy, Receiver, Sender, wire::Blob};

use crate::world::job::{self, Item};

/// How long a job waits for another that it asks for: two that ask each other wait for that in vain.
const ONWARD: Duration = Duration::from_millis(500);

/// One call: the round that it belongs to, its number, the call to make meanwhile, and bytes that make it longer.
pub type Job = (u32, u32, Option<(u32, Context)>, Blob);
/// Its answer: its number, whether the call that it made had a value, and its bytes again.
pub type Done = (u32, Option<bool>, Blob);

/// Notes that it runs, makes another context do the same if it is told to, and gives the bytes back.
pub const RUN: Function<Job, Done> = Function::new("run");
/// The jobs that ran here since this was asked: round, number, who called.
pub const RAN: Function<(), Vec<(u32, u32, u32)>> = Function::new("ran");
/// Items of a stream: its number, how many, and how many bytes each has.
pub const POUR: Function<(u32, u8, u32), Receiver<Item>> = Function::new("pour");
/// How many items came of a stream, whose number is given, until it ended in order.
pub const DRINK: Function<(u32, Receiver<Item>), u8> = Function::new("drink");

static NOTED: Mutex<Vec<(u32, u32, u32)>> = Mutex::new(Vec::new());

/// What every context of a soak serves, beside the functions of all tests.
pub fn functions() -> Functions {
    Functions::new()
        .serve_to(Policy::Anyone, RUN, run)
        .serve(RAN, |_, ()| std::mem::take(&mut *NOTED.lock().unwrap_or_else(PoisonError::into_inner)))
        .serve(POUR, |call: &Call, (stream, items, bytes)| -> Outcome<_> {
            let (sender, receiver) = call.channel();
            thread::Builder::new()
                .name("pour".to_owned())
                .spawn(move || pour(&sender, stream, items, bytes))?;
            Ok(receiver)
        })
        .serve(DRINK, drink)
}

fn run(call: &Call, (round, number, onward, pad): Job) -> Done {
    let note = (round, number, call.source().id().number());
    NOTED.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    let onward = onward.map(|(number, whom)| {
        whom.with_timeout(ONWARD).call(RUN, (round, number, None, job::pad(16))).is_ok()
    });
    (number, onward, pad)
}

/// Sends items until all have gone, or nobody takes more.
pub(super) fn pour(sender: &Sender<Item>, stream: u32, items: u8, bytes: u32) -> bool {
    (0..items).all(|number| sender.send(Item { stream, number, pad: job::pad(bytes) }).is_ok())
}

fn drink(_: &Call, (stream, items): (u32, Receiver<Item>)) -> Outcome<u8> {
    let mut due = 0;
    for item in items {
        let item = item?;
        if item.stream != stream || item.number != due || !job::is_pad(&item.pad) {
            return Err(
                format!("item {} of stream {} for {due} of {stream}", item.number, item.stream).into()
            );
        }
        due += 1;
    }
    Ok(due)
}
