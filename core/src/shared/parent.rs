//! What a context that can have children asks of its runtime, beside links.

use std::{any::Any, sync::Arc, time::Instant};

use offshoot_wire::{Body, ContextId, Failed, ReplyHead, codec};
use serde::Serialize;

use super::{Hooks, Shared};
use crate::{
    Context,
    here::Here,
    machine::{CallKey, DropKind, Incoming, LinkKey, NoId, Sizes, Tick},
    node::{Node, Pace},
    wake::Run,
};

/// The running context in which `context` was made; `None` where that has another kind of table.
pub fn shared_of<R: Here>(context: &Context) -> Option<Arc<Shared<R>>> {
    let node: Arc<dyn Any + Send + Sync> = Arc::clone(context.node()) as _;
    node.downcast().ok()
}

impl<R: Here> Shared<R> {
    /// This context.
    pub const fn me(&self) -> ContextId {
        self.me
    }

    /// The context `id` as this one sees it.
    pub fn context(self: &Arc<Self>, id: ContextId) -> Context {
        Context::new(&self.node(), id)
    }

    /// What happens beside routing, if it is of this type.
    pub fn hooks_as<H: Hooks<R>>(&self) -> Option<&H> {
        let hooks: &dyn Any = &*self.hooks;
        hooks.downcast_ref()
    }

    /// The longest body of a message, in bytes.
    pub const fn body_limit(&self) -> usize {
        self.body_limit
    }

    /// A moment as the machine names it.
    pub fn moment(&self, at: Instant) -> Tick {
        Node::tick(self, at)
    }

    /// The moment that the machine names so.
    pub fn instant(&self, at: Tick) -> Instant {
        Node::instant(self, at)
    }

    /// An id for a new child.
    ///
    /// # Errors
    /// [`NoId::Asked`]: try again at [`Hooks::ids`]. [`NoId::Exhausted`]: there will be none.
    pub fn take_id(&self) -> Result<ContextId, NoId> {
        self.with(|state, _| state.machine.take_id(&mut state.out))
    }

    /// The call that [`Hooks::service`] named.
    pub fn service_call(&self, key: CallKey) -> Option<Incoming> {
        self.with(|state, _| state.machine.service_call(key))
    }

    /// Whether nobody waits any more for the answer to a call.
    pub fn is_cancelled(&self, key: CallKey) -> bool {
        Node::is_cancelled(self, key)
    }

    /// Has `then` run once nobody waits any more for the answer to a call, at once if that is so already. It must be
    /// short and not block; it may run twice.
    pub fn when_cancelled(&self, key: CallKey, then: impl Fn() + Send + Sync + 'static) {
        struct Then<F>(F);
        impl<F: Fn() + Send + Sync> Run for Then<F> {
            fn run(self: Arc<Self>) {
                (self.0)();
            }
        }

        let then = Arc::new(Then(then));
        Node::on_cancel(self, key, Arc::clone(&then) as Arc<dyn Run>);
        if Node::is_cancelled(self, key) {
            then.run();
        }
    }

    /// Answers a call with a value.
    pub fn answer_value<T: Serialize>(&self, key: CallKey, value: &T) {
        let mut bytes = codec::encode(&ReplyHead::Value(Vec::new())).unwrap_or_default();
        match codec::encode_into(value, &mut bytes) {
            // No worker does, and so no link is lent.
            Ok(()) => drop(self.answer(key, Body::from(bytes), Vec::new(), Pace::AtOnce)),
            Err(error) => self.answer_failed(key, Failed::Result, error.to_string()),
        }
    }

    /// Answers a call that failed.
    pub fn answer_failed(&self, key: CallKey, how: Failed, text: String) {
        self.fail(key, how, text);
    }

    /// Reads the routing table under the lock: must be short.
    pub fn routes<T>(&self, read: impl FnOnce(&R) -> T) -> T {
        self.look(|state| read(state.machine.routes()))
    }

    /// How much the machine holds.
    pub fn sizes(&self) -> Sizes {
        self.look(|state| state.machine.sizes())
    }

    /// What was dropped, by link and kind.
    pub fn counters(&self) -> Vec<(LinkKey, DropKind, u64)> {
        self.look(|state| state.machine.counters())
    }
}
