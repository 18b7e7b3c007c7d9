//! The functions that the children of the bench serve.

use std::thread;

use offshoot_core::{Blob, Call, Function, Functions, Outcome, Receiver};

/// Does nothing.
pub const NOOP: Function<(), ()> = Function::new("noop");
/// Sends so many messages of so many bytes each, from a thread of its own.
pub const SOURCE: Function<(u64, u64), Receiver<Blob>> = Function::new("source");
/// Takes all messages, and says how many bytes they had.
pub const SINK: Function<Receiver<Blob>, u64> = Function::new("sink");
/// Takes all messages on a thread of its own: the call returns at once.
pub const DRAIN: Function<Receiver<Blob>, ()> = Function::new("drain");

/// What every child serves.
pub fn functions() -> Functions {
    Functions::new()
        .serve(NOOP, |_, ()| ())
        .serve(SOURCE, source)
        .serve(SINK, |_, messages| sink(messages))
        .serve(DRAIN, |_, messages| -> Outcome<()> {
            thread::Builder::new().name("drain".into()).spawn(|| sink(messages))?;
            Ok(())
        })
}

fn source(call: &Call, (count, size): (u64, u64)) -> Outcome<Receiver<Blob>> {
    let (sender, receiver) = call.channel();
    let message = Blob::from(vec![7; usize::try_from(size)?]);
    // The thread ends with the stream: `send` fails as soon as nobody receives.
    thread::Builder::new()
        .name("source".into())
        .spawn(move || (0..count).all(|_| sender.send(message.clone()).is_ok()))?;
    Ok(receiver)
}

fn sink(messages: Receiver<Blob>) -> Outcome<u64> {
    let mut bytes = 0;
    for message in messages {
        bytes += u64::try_from(message?.len())?;
    }
    Ok(bytes)
}
