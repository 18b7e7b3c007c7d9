//! The machine of a context, whichever table it has: a leaf's or a parent's.

use std::collections::BTreeSet;

use offshoot_core::machine::{
    Actions, BadEnd, CallKey, DropKind, Event, Incoming, LinkKey, Machine, NewChild, NoId, Outgoing, Owner,
    Progress, Received, Routes, Sizes, Standing, StreamUnsent, Tick, Unsent, UpOnly,
};
use offshoot_parent::table::{Entry, Table};
use offshoot_wire::{Body, ContextId, Direction, End, Failed, Frame, Handle, Hello, Window};

/// One of the two machines that a program can be made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::large_enum_variant, reason = "it lies behind a pointer wherever there are many")]
pub enum Router {
    /// A leaf: everything that is not its own goes up.
    Leaf(Machine<UpOnly>),
    /// The root or a hop.
    Parent(Machine<Table>),
}

/// Verbs of the machine that are the same for both.
macro_rules! pass_on {
    ($($(#[$doc:meta])* fn $name:ident(&mut self $(, $arg:ident: $type:ty)*) $(-> $result:ty)?;)*) => {
        impl Router {
            $($(#[$doc])*
            pub fn $name(&mut self $(, $arg: $type)*) $(-> $result)? {
                match self {
                    Self::Leaf(machine) => machine.$name($($arg),*),
                    Self::Parent(machine) => machine.$name($($arg),*),
                }
            })*
        }
    };
    ($($(#[$doc:meta])* fn $name:ident(&self $(, $arg:ident: $type:ty)*) $(-> $result:ty)?;)*) => {
        impl Router {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(&self $(, $arg: $type)*) $(-> $result)? {
                match self {
                    Self::Leaf(machine) => machine.$name($($arg),*),
                    Self::Parent(machine) => machine.$name($($arg),*),
                }
            })*
        }
    };
}

pass_on! {
    /// See `Machine::handle`.
    fn handle(&mut self, now: Tick, event: Event, out: &mut Actions);
    /// See `Machine::heard`.
    fn heard(&mut self, now: Tick, link: LinkKey);
    /// See `Machine::add_parent`.
    fn add_parent(&mut self, now: Tick, hello: &Hello, out: &mut Actions) -> Option<LinkKey>;
    /// See `Machine::add_child`.
    fn add_child(&mut self, now: Tick, child: NewChild, out: &mut Actions) -> LinkKey;
    /// See `Machine::take_id`.
    fn take_id(&mut self, out: &mut Actions) -> Result<ContextId, NoId>;
    /// See `Machine::pull`.
    fn pull(&mut self, link: LinkKey, out: &mut Actions) -> Option<Frame>;
    /// See `Machine::call`.
    fn call(&mut self, now: Tick, call: Outgoing, out: &mut Actions) -> Result<Handle, Unsent>;
    /// See `Machine::cancel`.
    fn cancel(&mut self, now: Tick, handle: Handle, out: &mut Actions) -> Progress;
    /// See `Machine::send_one_way`.
    fn send_one_way(&mut self, now: Tick, dst: ContextId, handle: Handle, body: Body, out: &mut Actions) -> Result<(), Unsent>;
    /// See `Machine::watch`.
    fn watch(&mut self, dst: ContextId) -> Handle;
    /// See `Machine::new_chain`.
    fn new_chain(&mut self) -> u32;
    /// See `Machine::end_chain`.
    fn end_chain(&mut self, dst: ContextId, chain: u32, out: &mut Actions);
    /// See `Machine::shutdown_context`.
    fn shutdown_context(&mut self, now: Tick, dst: ContextId, left_ms: u32, out: &mut Actions) -> Result<(), Unsent>;
    /// See `Machine::shutdown`.
    fn shutdown(&mut self, now: Tick, left_ms: u32, out: &mut Actions);
    /// See `Machine::set_workers`.
    fn set_workers(&mut self, n: usize);
    /// See `Machine::take_call`.
    fn take_call(&mut self, now: Tick, worker: usize, out: &mut Actions) -> Option<Incoming>;
    /// See `Machine::service_call`.
    fn service_call(&mut self, key: CallKey) -> Option<Incoming>;
    /// See `Machine::release_worker`.
    fn release_worker(&mut self, worker: usize);
    /// See `Machine::answer`.
    fn answer(&mut self, now: Tick, key: CallKey, body: Body, ends: &[End], out: &mut Actions);
    /// See `Machine::fail`.
    fn fail(&mut self, now: Tick, key: CallKey, how: Failed, text: String, out: &mut Actions);
    /// See `Machine::export`.
    fn export(&mut self, to: ContextId, ours: Direction) -> Handle;
    /// See `Machine::unexport`.
    fn unexport(&mut self, handle: Handle);
    /// See `Machine::import`.
    fn import(&mut self, from: ContextId, end: End) -> Result<Handle, BadEnd>;
    /// See `Machine::hand_on`.
    fn hand_on(&mut self, handle: Handle, to: ContextId, out: &mut Actions) -> Result<End, BadEnd>;
    /// See `Machine::stream_open`.
    fn stream_open(&mut self, handle: Handle, out: &mut Actions);
    /// See `Machine::stream_send`.
    fn stream_send(&mut self, now: Tick, handle: Handle, body: Body, out: &mut Actions) -> Result<(), StreamUnsent>;
    /// See `Machine::stream_close`.
    fn stream_close(&mut self, handle: Handle, fail: Option<String>, out: &mut Actions);
    /// See `Machine::taken`.
    fn taken(&mut self, handle: Handle, cost: u32, out: &mut Actions);
}

pass_on! {
    /// See `Machine::is_quiet`.
    fn is_quiet(&self) -> bool;
    /// See `Machine::is_cancelled`.
    fn is_cancelled(&self, key: CallKey) -> bool;
    /// See `Machine::progress`.
    fn progress(&self, handle: Handle) -> Progress;
    /// See `Machine::next_due`.
    fn next_due(&self) -> Option<Tick>;
    /// See `Machine::sizes`.
    fn sizes(&self) -> Sizes;
    /// See `Machine::sending`.
    fn sending(&self) -> Vec<(ContextId, Window, u32)>;
    /// See `Machine::receiving`.
    fn receiving(&self) -> Vec<Received>;
    /// See `Machine::remembers`.
    fn remembers(&self) -> BTreeSet<ContextId>;
    /// See `Machine::counters`.
    fn counters(&self) -> Vec<(LinkKey, DropKind, u64)>;
    /// See `Machine::link_from`.
    fn link_from(&self, peer: ContextId) -> Option<LinkKey>;
    /// See `Machine::has_control`.
    fn has_control(&self, link: LinkKey) -> bool;
    /// See `Machine::is_stamped`.
    fn is_stamped(&self, link: LinkKey) -> bool;
}

impl Router {
    /// The table, if this context can have children.
    #[must_use]
    pub const fn table(&self) -> Option<&Table> {
        match self {
            Self::Leaf(_) => None,
            Self::Parent(machine) => Some(machine.routes()),
        }
    }

    /// This context.
    #[must_use]
    pub const fn me(&self) -> ContextId {
        match self {
            Self::Leaf(machine) => machine.me(),
            Self::Parent(machine) => machine.me(),
        }
    }

    /// Whether this context can have children.
    #[must_use]
    pub const fn is_parent(&self) -> bool {
        matches!(self, Self::Parent(_))
    }

    /// Whom an id belongs to here.
    #[must_use]
    pub fn owner(&self, id: ContextId) -> Owner {
        match self {
            Self::Leaf(machine) => machine.routes().owner(id),
            Self::Parent(machine) => machine.routes().owner(id),
        }
    }

    /// What is known here of a context that belongs to a link.
    #[must_use]
    pub fn standing(&self, id: ContextId) -> Standing {
        match self {
            Self::Leaf(machine) => machine.routes().standing(id),
            Self::Parent(machine) => machine.routes().standing(id),
        }
    }

    /// Every live context below this one, as its table has it.
    #[must_use]
    pub fn tree(&self) -> Vec<Entry> {
        match self {
            Self::Leaf(_) => Vec::new(),
            Self::Parent(machine) => machine.routes().tree().collect(),
        }
    }
}
