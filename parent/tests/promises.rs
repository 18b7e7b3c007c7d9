//! What the types of this crate promise beside their methods.
#![allow(missing_docs)]

use std::{
    fmt::{Debug, Display},
    panic::{RefUnwindSafe, UnwindSafe},
};

use offshoot_parent::{Connecting, Hop, Router, RouterBuilder, Tree};

#[test]
fn everything_can_go_to_another_thread_and_be_looked_at() {
    fn all<T: Send + Sync + Unpin + Debug + 'static>() {}
    all::<Router>();
    all::<RouterBuilder>();
    all::<Connecting>();
    all::<Tree>();
    fn goes<T: Send + Unpin + Debug + 'static>() {}
    goes::<Hop>();
}

#[test]
fn a_panic_beside_a_router_spoils_nothing() {
    fn all<T: UnwindSafe + RefUnwindSafe>() {}
    all::<Router>();
}

#[test]
fn a_tree_is_a_picture_that_can_be_kept_and_printed() {
    fn all<T: Clone + Display>() {}
    all::<Tree>();
}

/// It owns its tree: a second one that is dropped would end it for the first.
#[test]
fn a_router_cannot_be_cloned() {
    trait IsClone<Answer> {
        fn ask() {}
    }
    impl<T> IsClone<No> for T {}
    impl<T: Clone> IsClone<Yes> for T {}
    struct No;
    struct Yes;
    // Were it `Clone` too, nobody could tell which of the two is meant, and this would not compile.
    <Router as IsClone<_>>::ask();
}
