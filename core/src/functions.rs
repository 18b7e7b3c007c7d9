//! The table of the functions that a program serves: what a peer may call is what is written there.

use std::{
    any, fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
};

use offshoot_wire::Failed;

use crate::{Call, Function, IntoReturn, Message, Policy, answer::Reply, dispatch::Arguments};

/// Runs one function, whatever its types are.
pub(crate) type Handler = Arc<dyn Fn(&Call, Arguments) -> Reply + Send + Sync>;

/// The functions that a program serves, by name, and who may call each.
///
/// ```
/// use offshoot_core::{Function, Functions, Policy};
///
/// const ADD: Function<(i64, i64), i64> = Function::new("add");
/// const GREET: Function<String, String> = Function::new("greet");
///
/// let arithmetic = Functions::new().serve(ADD, |_call, (a, b)| a + b);
/// let functions = Functions::new()
///     .serve_to(Policy::Anyone, GREET, |call, who| format!("hello {who}, from {}", call.here()))
///     .and(arithmetic);
/// assert_eq!(functions.len(), 2);
/// ```
#[derive(Clone, Default)]
#[must_use = "a table serves nothing unless a program is run with it"]
pub struct Functions {
    entries: Vec<Entry>,
}

/// One row of the table.
#[derive(Clone)]
struct Entry {
    name: &'static str,
    policy: Policy,
    /// The types of its argument and result, as the compiler writes them.
    types: [&'static str; 2],
    handler: Handler,
}

impl Functions {
    /// An empty table.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Serves a function to the ancestors of the context that runs it, and to whom they grant it.
    ///
    /// The handler runs on the main thread of a child, or on one of its workers; it may block, and may call other
    /// contexts. It returns the result, a `Result` of it, or a [`Pending`](crate::Pending) of it; see [`IntoReturn`].
    /// A panic in it is an error of the call, and nothing else ends. Of two entries of one name the later one holds.
    pub fn serve<A: Message, R: Message, O: IntoReturn<R>>(
        self,
        function: Function<A, R>,
        handler: impl Fn(&Call, A) -> O + Send + Sync + 'static,
    ) -> Self {
        self.serve_to(Policy::Parents, function, handler)
    }

    /// Serves a function to whom `who` says.
    pub fn serve_to<A: Message, R: Message, O: IntoReturn<R>>(
        self,
        who: Policy,
        function: Function<A, R>,
        handler: impl Fn(&Call, A) -> O + Send + Sync + 'static,
    ) -> Self {
        let erased = move |call: &Call, arguments: Arguments| match arguments.read::<A>() {
            Ok(value) => handler(call, value).into_reply(call.node()),
            Err(message) => Reply::Failed(Failed::Arguments, message),
        };
        let types = [any::type_name::<A>(), any::type_name::<R>()];
        self.with(Entry { name: function.name(), policy: who, types, handler: Arc::new(erased) })
    }

    /// Both tables in one; of two entries of one name that of `other` holds.
    pub fn and(self, other: Self) -> Self {
        other.entries.into_iter().fold(self, Self::with)
    }

    /// How many functions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is served.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A digest of the names and types, in the order of the table (FNV-1a): two programs with one digest serve the same.
    #[must_use]
    pub fn build_id(&self) -> u64 {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let mut hash = 0xcbf2_9ce4_8422_2325;
        for entry in &self.entries {
            for word in [entry.name, entry.types[0], entry.types[1]] {
                hash = step(word.bytes().fold(hash, step), 0);
            }
        }
        hash
    }

    fn with(mut self, entry: Entry) -> Self {
        match self.entries.iter_mut().find(|held| held.name == entry.name) {
            Some(held) => *held = entry,
            None => self.entries.push(entry),
        }
        self
    }

    /// Names and policies, in the order whose indices the machine uses.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'static str, Policy)> {
        self.entries.iter().map(|entry| (entry.name, entry.policy))
    }

    /// What runs the function of this index.
    pub(crate) fn handler(&self, index: usize) -> Option<&Handler> {
        self.entries.get(index).map(|entry| &entry.handler)
    }
}

// A handler that panics is not called again with what the panic left behind under a lock of ours: there is none.
impl UnwindSafe for Functions {}
impl RefUnwindSafe for Functions {}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.entries()).finish()
    }
}
