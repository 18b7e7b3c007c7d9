//! A program that is started by a parent, and can have children itself.

use std::{sync::Arc, time::Duration};

use offshoot_core::{
    Call, Function, Functions, IntoReturn, Message, Policy,
    internal::{Boot, Hooks},
    machine::Limits,
    wire::{Role, Setup},
};

use crate::{
    launching::Company,
    nursery::{Inherited, Nursery},
    table::{Table, TableLimits},
};

/// A child that can have children of its own, by `connect` on it from above or on `call.here()` within. All else is as
/// in [`offshoot_core::Child`].
///
/// ```no_run
/// use offshoot_parent::prelude::*;
///
/// const GROW: Function<String, Context> = Function::new("grow");
///
/// fn main() -> ! {
///     Hop::new()
///         .serve(GROW, |call, name| call.here().connect(Local::new(Payload::this_program()).name(name)))
///         .run()
/// }
/// ```
#[must_use = "a child does nothing until `run` is called"]
#[derive(Debug)]
pub struct Hop {
    boot: Boot,
    routes: TableLimits,
}

impl Hop {
    /// Takes the descriptors of the link. Call it first in `main`; see [`offshoot_core::Child::new`].
    ///
    /// Ends the process, with status 2 and a sentence on stderr, if it was started by hand.
    pub fn new() -> Self {
        Self { boot: Boot::take(Role::Parent), routes: TableLimits::default() }
    }

    /// Serves `function` to this context's ancestors, and to whom they grant it; see [`Functions::serve`].
    pub fn serve<A: Message, R: Message, O: IntoReturn<R>>(
        self,
        function: Function<A, R>,
        handler: impl Fn(&Call, A) -> O + Send + Sync + 'static,
    ) -> Self {
        self.map(|functions| functions.serve(function, handler))
    }

    /// As [`serve`](Self::serve), for those that `who` names.
    pub fn serve_to<A: Message, R: Message, O: IntoReturn<R>>(
        self,
        who: Policy,
        function: Function<A, R>,
        handler: impl Fn(&Call, A) -> O + Send + Sync + 'static,
    ) -> Self {
        self.map(|functions| functions.serve_to(who, function, handler))
    }

    /// Serves a table of functions, beside those served already.
    pub fn functions(self, functions: Functions) -> Self {
        self.map(|served| served.and(functions))
    }

    /// How many calls run side by side: the main thread is the first worker. 1 unless set.
    pub fn workers(mut self, workers: usize) -> Self {
        self.boot.workers(workers);
        self
    }

    /// Other bounds for this context than the usual; see [`offshoot_core::Child::limits`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.boot.limits(limits);
        self
    }

    /// Other bounds than the usual for what each child may announce to this context, and how many ids it may have.
    pub fn route_limits(self, routes: TableLimits) -> Self {
        Self { routes, ..self }
    }

    /// What is to be done when the parent is lost, and how long it may take; see
    /// [`offshoot_core::Child::on_parent_lost`].
    pub fn on_parent_lost(mut self, grace: Duration, undo: impl FnOnce() + Send + 'static) -> Self {
        self.boot.on_parent_lost(grace, undo);
        self
    }

    /// Serves until the process is told to end, or its parent is lost. Its children go first.
    pub fn run(self) -> ! {
        self.boot.run(|setup: &Setup| {
            let nursery = Nursery::new(Inherited::from(setup), None, Company::default());
            (Table::hop_with(setup.id, self.routes), Arc::new(nursery) as Arc<dyn Hooks<Table>>)
        })
    }

    fn map(mut self, change: impl FnOnce(Functions) -> Functions) -> Self {
        self.boot.functions = change(self.boot.functions);
        self
    }
}

impl Default for Hop {
    fn default() -> Self {
        Self::new()
    }
}
