//! How contexts come to be: what they are told, and the machine that this makes.

use offshoot_core::machine::{CallKey, Config, Limits, Machine, Policy, UpOnly};
use offshoot_parent::table::{Table, TableLimits};
use offshoot_wire::{ContextId, Role, Setup, VERSION};

use super::{router::Router, sabotage::Sabotage};

/// The functions that every context serves, and who may call each.
pub const FUNCTIONS: [(&str, Policy); 3] =
    [("anyone", Policy::Anyone), ("parents", Policy::Parents), ("children", Policy::Children)];

/// A child to be made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Birth {
    /// Its id, once there is one.
    pub id: ContextId,
    /// How the script calls it.
    pub label: u32,
    /// Whether it can have children.
    pub is_parent: bool,
    /// Whether its frames get the authority of its parent.
    pub is_stamped: bool,
    /// The call that asked for it.
    pub for_call: Option<CallKey>,
}

/// How the tables of all contexts are made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tables {
    /// The bounds of each.
    pub limits: TableLimits,
    /// The first range of ids that the root gives out.
    pub first_range: u32,
}

/// Makes bounds small, so that they are met soon.
pub const fn tighten(limits: &mut Limits) {
    limits.window_max = 4096;
    limits.started_ms = 20;
    limits.uplink_child = 2000;
    limits.downlink = 32_000;
    limits.calls_in_flight = 4;
}

/// What the root is told.
#[must_use]
pub fn root(limits: &Limits, one_way: bool) -> Setup {
    Setup {
        version: VERSION,
        features: 0,
        id: ContextId::ROOT,
        ancestors: Vec::new(),
        name: "root".into(),
        one_way,
        body_limit: limits.body,
        ping_ms: limits.ping_ms,
        grace_ms: limits.grace_ms,
        log_level: 0,
    }
}

/// The machine of a context that is told this.
#[must_use]
pub fn router(
    setup: &Setup,
    role: Role,
    limits: &Limits,
    tables: Tables,
    sabotage: Option<Sabotage>,
) -> Router {
    let me = setup.id;
    let guarded = |policy| sabotage.map_or(policy, |sabotage| sabotage.policy(policy));
    let config = Config {
        me,
        ancestors: setup.ancestors.clone(),
        role,
        one_way: setup.one_way,
        functions: FUNCTIONS.map(|(name, policy)| (name.to_owned(), guarded(policy))).into(),
        build: 0,
        limits: sabotage.map_or_else(|| limits.clone(), |sabotage| sabotage.limits(limits)),
    };
    match role {
        Role::Leaf => Router::Leaf(Machine::new(config, UpOnly::new(me))),
        Role::Parent if me == ContextId::ROOT => {
            Router::Parent(Machine::new(config, Table::root_with(tables.limits, tables.first_range)))
        }
        Role::Parent => Router::Parent(Machine::new(config, Table::hop_with(me, tables.limits))),
    }
}

/// What kind of program a child runs.
#[must_use]
pub const fn role(birth: &Birth) -> Role {
    if birth.is_parent { Role::Parent } else { Role::Leaf }
}
