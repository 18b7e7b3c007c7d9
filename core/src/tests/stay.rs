//! How long a thread stays that waits for room in a link.

use std::{io::Read as _, os::unix::net::UnixStream, sync::Arc, thread, time::Instant};

use offshoot_latch::Latch;
use offshoot_wire::{Body, ContextId, Handle};
use rustix::net::sockopt::set_socket_send_buffer_size;

use super::{SOON, leaf, link};
use crate::{
    here::Running,
    machine::{Limits, Outgoing},
    node::{Node, Then},
    open::Slot,
    stay::Stalled,
};

/// A leaf without a broker, whose link to the root has no room for all that was to be written.
struct Full {
    node: Arc<Running>,
    root: UnixStream,
}

impl Full {
    fn new() -> Self {
        let shared = leaf(Limits::default());
        let (leaf, root) = UnixStream::pair().unwrap();
        set_socket_send_buffer_size(&leaf, 1).unwrap();
        link(&shared, leaf);
        let node = shared.node();
        let body = Body::from(vec![0; 12 * 1024]);
        let call = Outgoing {
            dst: ContextId::ROOT,
            handle: Handle::CALL_FUNCTION,
            body,
            deadline: None,
            ends: Vec::new(),
        };
        assert!(node.call(call, Arc::new(Slot::default()), Then::GoOn).is_ok());
        Self { node, root }
    }

    /// Takes the writer token from the broker, where it lies while nobody has room.
    fn stalled(&self) -> Option<Stalled> {
        let link = self.node.take_write(ContextId::ROOT)?;
        Some(Stalled::new(&self.node, link))
    }

    /// The root reads what is there; whether there was anything.
    fn read(&mut self) -> bool {
        self.root.set_nonblocking(true).unwrap();
        matches!(self.root.read(&mut [0; 16 * 1024]), Ok(1..))
    }
}

#[test]
fn who_goes_leaves_the_token_to_the_broker() {
    let full = Full::new();
    drop(full.stalled().unwrap());
    assert!(full.stalled().is_some());
}

#[test]
fn who_has_no_more_time_goes_though_there_is_room() {
    let mut full = Full::new();
    assert!(full.read());
    full.stalled().unwrap().see_off(Some(Instant::now()));
    assert!(!full.read(), "it wrote after its time");

    let mut stalled = full.stalled();
    let latch = Latch::new();
    let rested = latch.get_with(None, |sleeper| {
        drop(stalled.take().unwrap().rest(sleeper, Some(Instant::now())));
        latch.put(()).unwrap();
    });
    assert_eq!(rested, Ok(()));
    assert!(!full.read(), "it wrote after its time");
}

/// What a thread writes may make the room that it waits for itself, and nothing becomes readable by that.
#[test]
fn who_has_served_itself_waits_for_no_room_in_the_link() {
    let full = Full::new();
    let mut stalled = full.stalled();
    let since = Instant::now();
    let latch = Latch::new();
    let rested = latch.get_with(None, |sleeper| {
        latch.put(()).unwrap();
        stalled = stalled.take().unwrap().rest(sleeper, Some(since + SOON));
    });
    assert_eq!(rested, Ok(()));
    assert!(since.elapsed() < SOON, "it waited for room in the link");
}

#[test]
fn who_waits_for_room_is_woken_by_another() {
    let full = Full::new();
    let mut stalled = full.stalled();
    let latch = Arc::new(Latch::new());
    let theirs = Arc::clone(&latch);
    let waker = thread::spawn(move || theirs.put(()));
    let rested = latch.get_with(None, |sleeper| match stalled.take() {
        Some(full) => stalled = full.rest(sleeper, None),
        None => sleeper.sleep(None),
    });
    assert_eq!(rested, Ok(()));
    waker.join().unwrap().unwrap();
}
