//! One call that came in: its arguments are read, its handler is run, and it is answered exactly once.

use std::{
    any::Any,
    sync::{Arc, Mutex},
};

use offshoot_wire::{Body, ContextId, Failed};

use crate::{
    Call, Functions, Message,
    answer::{Reply, cut, value_head},
    channel::{
        ambient,
        carry::{Draft, Sealed},
        freight::Brought,
    },
    error::hex,
    forward::Record,
    here::Running,
    lease::Loan,
    machine::{CallKey, Incoming},
    node::{Node, Pace},
    open::{Answer, Open},
    sync::{contain, lock},
    wake::{Listener, Run},
};

/// What stands between a text and a build id.
pub(crate) const BUILD: &str = "; build ";

/// The arguments of a call, not read yet.
pub(crate) struct Arguments {
    body: Body,
    brought: Brought,
}

impl Arguments {
    /// Reads them; on an error the ends that they bring are refused.
    pub(crate) fn read<A: Message>(self) -> Result<A, String> {
        ambient::decode(&self.body, self.brought)
    }
}

/// Runs a call on this thread and answers it, at once or when the [`Pending`](crate::Pending) that its handler
/// returned has ended. The worker is free as soon as this returns; it may have been lent the link by which the next
/// call comes.
pub(crate) fn run(
    node: &Arc<Running>,
    functions: &Functions,
    mut incoming: Incoming,
    pace: Pace,
) -> Option<Loan> {
    let one_way = (!incoming.wants_reply).then(|| incoming.name.clone());
    let caller = Caller { node: Arc::clone(node), key: incoming.key, id: incoming.src, one_way };
    let arguments = Arguments {
        body: incoming.body.slice(incoming.args_at, incoming.body.len()),
        brought: Brought::by(node, incoming.src, std::mem::take(&mut incoming.ends)),
    };
    let Some(handler) = incoming.function.and_then(|index| functions.handler(index)) else {
        drop(arguments);
        let text = signed(incoming.name, functions);
        return caller.answer(Reply::Failed(Failed::NoSuchFunction, text), pace);
    };
    let call = Call::new(node, incoming);
    let entered = call.enter();
    let failed = |panic: &(dyn Any + Send)| Reply::Failed(Failed::Panic, panic_text(panic));
    let reply = contain(|| handler(&call, arguments), failed);
    drop(entered);
    let reply = match reply {
        Reply::Failed(how @ Failed::Arguments, text) => Reply::Failed(how, signed(text, functions)),
        reply => reply,
    };
    caller.answer(reply, pace)
}

/// The text of a failure that another build may explain, with ours behind it (protocol 6.2).
fn signed(text: String, functions: &Functions) -> String {
    text + BUILD + &hex(functions.build_id())
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a text").to_owned()
}

/// Who waits for the answer.
pub(crate) struct Caller {
    node: Arc<Running>,
    key: CallKey,
    id: ContextId,
    /// The name of the function, if nobody waits.
    one_way: Option<String>,
}

impl Caller {
    fn answer(self, reply: Reply, pace: Pace) -> Option<Loan> {
        match reply {
            Reply::Value(draft) => match draft.seal(&self.node, self.id, &value_head) {
                Ok(Sealed { body, ends, handed }) => {
                    match self.one_way {
                        None => handed.sent(),
                        Some(_) => drop(handed),
                    }
                    return self.node.answer(self.key, body, ends, pace);
                }
                Err(message) => self.fail(Failed::Result, &message),
            },
            Reply::Failed(how, message) => self.fail(how, &message),
            Reply::Later(pass_on) => pass_on(self),
        }
        None
    }

    fn fail(self, how: Failed, message: &str) {
        let message = cut(message);
        if let Some(function) = self.one_way.as_ref().filter(|_| log::max_level() >= log::Level::Warn) {
            let text = format_args!("{function} was called without a reply and failed: {message}");
            self.node.tell(Record::new(log::Level::Warn, "offshoot", text));
        }
        self.node.fail(self.key, how, message);
    }
}

/// A call of ours that goes on without anybody who waits: what it ends in is the answer to another call, or nothing.
pub(crate) struct Relay {
    inner: Mutex<Option<(Open, Option<Caller>)>>,
}

impl Relay {
    fn new(open: Open, answers: Option<Caller>) -> Self {
        Self { inner: Mutex::new(Some((open, answers))) }
    }

    /// Answers `caller` with what `open` ends in.
    pub(crate) fn answer(open: Open, caller: Caller) {
        let (node, key) = (Arc::clone(&caller.node), caller.key);
        let relay = Arc::new(Self::new(open, Some(caller)));
        node.on_cancel(key, Arc::new(CallOff(Arc::clone(&relay))));
        relay.run();
    }

    /// Cancels the call, and ends the one that it was to answer.
    fn call_off(&self) {
        let taken = lock(&self.inner).take();
        if let Some((open, Some(caller))) = taken {
            drop(open);
            caller.fail(Failed::Error, "it was cancelled");
        }
    }

    /// Lets a call run to its end.
    pub(crate) fn detach(open: Open) {
        Arc::new(Self::new(open, None)).run();
    }
}

/// Gives up the call behind a relay: nobody waits for what it would answer.
struct CallOff(Arc<Relay>);

impl Run for CallOff {
    fn run(self: Arc<Self>) {
        self.0.call_off();
    }
}

impl Run for Relay {
    fn run(self: Arc<Self>) {
        let Some((mut open, answers)) = lock(&self.inner).take() else { return };
        // Put back before the listener is left, so that an end in between finds it.
        let Some(answer) = open.look() else {
            let slot = open.slot();
            let asker = answers.as_ref().map(|caller| (Arc::clone(&caller.node), caller.key));
            *lock(&self.inner) = Some((open, answers));
            if let Some(slot) = slot {
                slot.tell(Listener::Run(Arc::clone(&self) as Arc<dyn Run>));
            }
            // Who calls off while the relay is being looked at does not find it, and leaves it to us.
            if asker.is_some_and(|(node, key)| node.is_cancelled(key)) {
                self.call_off();
            }
            return;
        };
        let Some(caller) = answers else { return };
        let reply = match answer {
            // As it came: the value is not read here, and its ends are handed on unused.
            Ok(Answer { value, brought }) => {
                let draft =
                    brought.into_halves().and_then(|halves| Draft::relayed(&value, halves, &value_head));
                draft.map_or_else(|message| Reply::Failed(Failed::Result, message), Reply::Value)
            }
            Err(error) => Reply::Failed(Failed::Error, error.to_string()),
        };
        caller.answer(reply, Pace::AtOnce);
    }
}
