//! Dead messages: 1 to 7.

use offshoot_parent::prelude::*;
use offshoot_tests::real::{puppet::Seen, table::ADD};
use offshoot_wire::{DeadCode, Handle, ReplyTo};

use crate::bed::{leaf, puppet, root};

crate::tests![
    t01_a_call_to_a_handle_that_does_not_exist_ends_in_a_dead_reply_that_says_so,
    t01_a_bare_frame_to_a_handle_that_does_not_exist_ends_in_a_dead_reply_that_says_so,
    t01_a_leaf_has_no_handle_to_make_children,
];

/// A handle of a puppet, where its dead messages go.
const fn waits(number: u32) -> Handle {
    Handle::new(5000 + number)
}

fn t01_a_call_to_a_handle_that_does_not_exist_ends_in_a_dead_reply_that_says_so() {
    let router = root();
    let (puppet, leaf) = (puppet(&router.here(), "puppet"), router.connect(leaf("leaf")).unwrap());
    for (n, dst) in (0..).zip([ContextId::ROOT, leaf.id()]) {
        let mut call = puppet.call(dst, waits(n), ADD, &(2, 3));
        call.handle = Handle::new(1234);
        puppet.put(&[call]);
        let (seen, dead) = puppet.until_dead(waits(n));
        assert_eq!((dead.code, dead.text), (DeadCode::NoHandle, format!("context {dst} has no handle 1234")));
        assert_eq!((seen.src, seen.auth, seen.dst), (dst, dst, puppet.id()), "it speaks as the destination");
    }
    assert_eq!(leaf.call(ADD, (2, 3)).unwrap(), 5, "the leaf lives on");
}

fn t01_a_bare_frame_to_a_handle_that_does_not_exist_ends_in_a_dead_reply_that_says_so() {
    let router = root();
    let (puppet, leaf) = (puppet(&router.here(), "puppet"), router.connect(leaf("leaf")).unwrap());
    // Some that are kept free, and some that a context gives to its calls, but has not.
    for (n, handle) in (0..).zip([119, 206, 900_000, u32::MAX].map(Handle::new)) {
        for (m, dst) in (0..).zip([ContextId::ROOT, leaf.id()]) {
            let at = waits(10 * n + m);
            puppet.put(&[puppet.frame(dst, handle, ReplyTo::Handle(at), Vec::new())]);
            let (_, dead) = puppet.until_dead(at);
            assert_eq!(dead.code, DeadCode::NoHandle);
            assert_eq!(dead.text, format!("context {dst} has no handle {handle}"));
        }
    }
    // Nobody waits for an answer, so none comes.
    let seen = puppet.seen().len();
    puppet.put(&[puppet.frame(ContextId::ROOT, Handle::new(1234), ReplyTo::Nobody, Vec::new())]);
    assert_eq!(puppet.seen().split_off(seen), Vec::<Seen>::new());
}

fn t01_a_leaf_has_no_handle_to_make_children() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let error = leaf.connect(crate::bed::leaf("below")).unwrap_err();
    assert!(error.to_string().contains("is a leaf and can have no children"), "{error}");
    assert_eq!(error.kind().code(), "leaf");
}
