//! Whoever keeps the turn of a link gives it back before he waits for anything else.

use std::{
    io::Write as _,
    os::unix::net::UnixStream,
    sync::Arc,
    task::{Context, Waker},
    time::{Duration, Instant},
};

use offshoot_wire::{Body, ContextId, Frame, Handle, ReplyTo};

use super::{LEAF, leaf, link};
use crate::{
    lease::{self, wait_with},
    machine::{Limits, UpOnly},
    node::Node as _,
    shared::Shared,
    wake::{Listener, wait},
};

/// Long enough to read what is there.
const SHORT: Duration = Duration::from_millis(20);

/// A leaf that has read the first half of a frame, and whose reader, this thread, has gone off with the turn.
fn kept() -> (Arc<Shared<UpOnly>>, UnixStream) {
    let shared = leaf(Limits::default());
    let (socket, mut root) = UnixStream::pair().unwrap();
    let up = link(&shared, socket);
    shared.begin_reading(&up);
    let mut bytes = Vec::new();
    let frame = Frame {
        dst: LEAF,
        src: ContextId::ROOT,
        auth: ContextId::ROOT,
        handle: Handle::PING,
        reply_to: ReplyTo::Nobody,
        part: None,
        body: Body::from(vec![0; 100]),
    };
    frame.encode_into(&mut bytes);
    root.write_all(&bytes[..60]).unwrap();
    let node = shared.node();
    let mut held = None;
    let take = || lease::of(&node, ContextId::ROOT);
    assert!(wait_with(&mut held, take, Some(Instant::now() + SHORT), |_| None::<()>).is_none());
    held.expect("nobody else reads").keep();
    for _ in 0..2 {
        assert_eq!(shared.lent_links().len(), 1, "it is kept");
    }
    (shared, root)
}

#[test]
fn a_turn_is_kept_until_its_keeper_waits() {
    let (shared, _root) = kept();
    assert!(wait(Some(Instant::now() + SHORT), |_| None::<()>).is_none());
    assert!(shared.lent_links().is_empty());
}

#[test]
fn a_turn_is_kept_until_a_task_of_its_keeper_waits() {
    let (shared, _root) = kept();
    drop(Listener::task(&Context::from_waker(Waker::noop())));
    assert!(shared.lent_links().is_empty());
}

#[test]
fn a_turn_is_kept_until_its_keeper_may_wait_for_room() {
    let (shared, _root) = kept();
    let body = Body::from(vec![0; 10]);
    let sent = shared.send_one_way(ContextId::ROOT, Handle::new(4000), body, Vec::new(), None);
    assert!(sent.is_ok() && shared.lent_links().is_empty());
}

#[test]
fn a_kept_turn_is_taken_back_by_the_broker() {
    let (shared, _root) = kept();
    shared.mind_kept();
    assert!(shared.lent_links().is_empty());
}
