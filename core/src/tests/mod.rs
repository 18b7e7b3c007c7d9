//! The typed face, tried over two machines back to back; and how its threads wait, by a leaf without a broker.

mod calls;
mod channels;
mod kept;
mod promises;
mod select;
mod sleep;
mod stay;

use std::{
    future::Future,
    os::unix::net::UnixStream,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use offshoot_wire::{ContextId, Decoder, Hello, Role, VERSION};

use crate::{
    Policy,
    link::{Ends, Link, Source},
    machine::{Config, Limits, UpOnly},
    shared::Shared,
};

/// Which [`leaf`] is.
const LEAF: ContextId = ContextId::new(7);

/// A leaf below the root that has one function, without a broker and without a link.
fn leaf(limits: Limits) -> Arc<Shared<UpOnly>> {
    let config = Config {
        me: LEAF,
        ancestors: vec![ContextId::ROOT],
        role: Role::Leaf,
        one_way: false,
        functions: vec![("f".to_owned(), Policy::Anyone)],
        build: 0,
        limits,
    };
    Shared::new(config, "leaf".to_owned(), UpOnly::new(LEAF), Arc::new(())).expect("there is a poller")
}

/// Links it with the root.
fn link(leaf: &Shared<UpOnly>, socket: UnixStream) -> Arc<Link> {
    let hello = Hello { version: VERSION, features: 0, role: Role::Leaf, pid: 1, build: 0 };
    let source = Source::new(socket.into(), &leaf.poller).expect("it can be watched");
    leaf.attach_parent(&hello, Ends { input: source, output: None }, Decoder::new())
        .expect("it has no parent yet")
}

/// Long enough for anything that comes at all.
const SOON: Duration = Duration::from_secs(20);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread, as an executor would.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park_timeout(SOON),
        }
    }
}
