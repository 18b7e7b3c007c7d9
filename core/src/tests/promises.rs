//! What the types promise beside their methods.

use std::{
    fmt::{Debug, Display},
    hash::Hash,
    panic::{RefUnwindSafe, UnwindSafe},
    rc::Rc,
};

use crate::{
    Call, CallError, Caller, Cancelled, Context, ContextId, Failure, Function, Functions, Iter, Key, Lost,
    Pending, Policy, Progress, Receiver, Receiving, RecvError, Select, SendError, Sender, Sending, Shutdown,
    TimedOut,
};

/// Neither `Send` nor `Sync`: what the types do must not depend on what they carry.
type Odd = Rc<()>;

#[test]
fn everything_is_send_unpin_debug_and_owned_whatever_it_carries() {
    fn all<T: Send + Unpin + Debug + 'static>() {}
    all::<Function<Odd, Odd>>();
    all::<Functions>();
    all::<Call>();
    all::<Context>();
    all::<Caller>();
    all::<Pending<Odd>>();
    all::<Shutdown>();
    all::<Lost>();
    all::<Sender<Odd>>();
    all::<Receiver<Odd>>();
    all::<Sending<'static>>();
    all::<Receiving<'static, Odd>>();
    all::<Iter<'static, Odd>>();
    all::<Select<u8>>();
    all::<Key>();
    all::<Failure>();
    all::<Policy>();
    all::<Progress>();
}

#[test]
fn everything_but_select_is_sync() {
    fn all<T: Sync>() {}
    all::<Function<Odd, Odd>>();
    all::<Functions>();
    all::<Call>();
    all::<Context>();
    all::<Caller>();
    all::<Pending<Odd>>();
    all::<Shutdown>();
    all::<Lost>();
    all::<Sender<Odd>>();
    all::<Receiver<Odd>>();
}

#[test]
fn a_panic_beside_them_spoils_nothing() {
    fn all<T: UnwindSafe + RefUnwindSafe>() {}
    all::<Functions>();
    all::<Call>();
    all::<Context>();
    all::<Caller>();
    all::<Pending<Odd>>();
    all::<Sender<Odd>>();
    all::<Receiver<Odd>>();
}

#[test]
fn what_is_a_name_can_be_cloned_and_compared() {
    fn copies<T: Copy>() {}
    fn clones<T: Clone>() {}
    fn is_a_key<T: Clone + Eq + Ord + Hash>() {}
    copies::<Function<Odd, Odd>>();
    clones::<Functions>();
    clones::<Caller>();
    clones::<Call>();
    clones::<Sender<Odd>>();
    is_a_key::<Context>();
    is_a_key::<ContextId>();
}

#[test]
fn errors_are_small_comparable_and_can_be_kept() {
    fn is_an_error<T: std::error::Error + Display + Clone + Eq + Send + Sync + 'static>(most: usize) {
        assert!(size_of::<T>() <= most, "{} takes {} bytes", std::any::type_name::<T>(), size_of::<T>());
    }
    is_an_error::<CallError>(72);
    is_an_error::<SendError>(128);
    is_an_error::<RecvError>(128);
    is_an_error::<TimedOut>(128);
    is_an_error::<Cancelled>(128);
}
