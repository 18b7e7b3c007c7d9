//! The invariants I1 to I27 as far as they concern machines.
//!
//! [`every_step`] looks at one moment, [`at_rest`] at a world in which nothing is left to do. What concerns more than a
//! moment is watched as it happens: by the [`History`] (I1 to I4, I8, I12, I16), by an [`Arrival`](super::arrival::Arrival) for each frame
//! that comes (I2, I5, I12, I14), and for each that leaves where the wires are (I11). I18 is about clocks, which the machine has
//! none of: T14 plays it, and processes show it.

use std::collections::BTreeMap;

use offshoot_core::machine::{DropKind, Incoming, Limits, LinkKey, Owner, Policy};
use offshoot_parent::table::{Entry, Table};
use offshoot_wire::{ContextId, IdRange, Window};

use super::{
    birth::FUNCTIONS,
    context::Context,
    dice::Dice,
    history::{CallEnd, CallRecord, History, Violation},
    script::Call,
    whole::World,
};

type Checked = Result<(), Violation>;

/// Many contexts whose machines speak to each other: what the checks look at.
pub trait Whole {
    /// What has happened.
    fn history(&self) -> &History;
    /// The bounds of every machine.
    fn limits(&self) -> &Limits;
    /// Whether all timers have fired at rest: what waits for one is there no longer.
    fn has_timers(&self) -> bool;
    /// The live context of that id.
    fn context(&self, id: ContextId) -> Option<&Context>;
    /// Every live context, by id.
    fn contexts(&self) -> impl Iterator<Item = (ContextId, &Context)>;
    /// What people call a context.
    fn label(&self, id: ContextId) -> String;

    /// Some live context.
    fn some(&self, dice: &mut Dice) -> Option<ContextId> {
        let ids: Vec<ContextId> = self.contexts().map(|(id, _)| id).collect();
        dice.one_of(&ids)
    }

    /// Whether every link between a context and the root is there, as far as its parents know.
    fn is_attached(&self, id: ContextId) -> bool {
        let ancestors = self.context(id).map(Context::ancestors).unwrap_or_default();
        let children = std::iter::once(&id).chain(ancestors);
        children.zip(ancestors).all(|(child, parent)| {
            self.context(*parent).is_some_and(|parent| parent.links.contains_key(child))
        })
    }
}

fn must(holds: bool, invariant: &'static str, text: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Violation { invariant, text: text() }) }
}

/// What holds at every moment.
///
/// # Errors
/// The first that does not.
pub fn every_step(world: &impl Whole) -> Checked {
    if let Some(violation) = world.history().violation.clone() {
        return Err(violation);
    }
    for (id, context) in world.contexts() {
        of_one(world, id, context)?;
    }
    Ok(())
}

/// What holds at every moment of one context and those that it knows.
///
/// # Errors
/// The first that does not.
pub fn of_one(world: &impl Whole, id: ContextId, context: &Context) -> Checked {
    i07_what_is_announced_was_granted(world, id, context)?;
    i07_what_is_held_was_granted(world, id, context)?;
    i09_bounds_hold(world, id, context)?;
    i13_nobody_has_more_credit_than_was_given(world, id, context)?;
    i17_every_call_that_runs_has_its_slot(id, context)
}

/// What holds once nothing is left to do.
///
/// # Errors
/// The first that does not.
pub fn at_rest(world: &impl Whole) -> Checked {
    i19_each_call_has_ended(world)?;
    i22_whoever_has_lost_somebody_knows_it(world)?;
    i24_each_message_that_is_missing_was_counted(world)?;
    i20_tables_are_the_true_tree(world)?;
    for (id, context) in world.contexts() {
        i19_no_child_waits_for_an_id(world, id, context)?;
        i21_nothing_is_left(world, id, context)?;
        i13_credit_is_conserved(world, id, context)?;
    }
    i25_the_root_has_counted_every_id(world)?;
    i26_nobody_outlives_the_root(world)
}

/// What a script expects at every moment.
///
/// # Errors
/// The first that is not so.
pub fn script_at_every_step(world: &World) -> Checked {
    world
        .always
        .iter()
        .try_for_each(|check| check(world))
        .map_err(|text| Violation { invariant: "script", text })
}

/// What a script expects at rest.
///
/// # Errors
/// The first that is not so.
pub fn script(world: &World) -> Checked {
    for expectation in world.expectations.iter() {
        let end = world.history.calls[expectation.call as usize].end.clone();
        let as_expected = end.as_ref().is_some_and(|end| expectation.among.iter().any(|one| one.is(end)));
        must(as_expected, "script", || {
            format!("call {} ended as {end:?}, not as one of {:?}", expectation.call, expectation.among)
        })?;
    }
    for check in world.checks.iter() {
        check(world).map_err(|text| Violation { invariant: "script", text })?;
    }
    Ok(())
}

/// I7: who stands in the table of a parent is a child of it, or has an id that the link has which it lives behind.
fn i07_what_is_announced_was_granted(world: &impl Whole, id: ContextId, context: &Context) -> Checked {
    let Some(table) = context.router.table() else { return Ok(()) };
    for entry in table.tree() {
        let granted = entry.id == entry.link.peer || table.holder(entry.id) == Some(entry.link);
        must(granted, "I7", || {
            format!("{id} knows {} behind a link that does not own it", world.label(entry.id))
        })?;
        // I8: what was withdrawn is burnt, so nobody in a table was ever made twice.
        must(is_made(world.history(), id, &entry, table), "I8", || {
            format!("{id} knows {}, whom nobody made", entry.id)
        })?;
    }
    Ok(())
}

/// Whether somebody was made, or is said to have been by somebody hostile.
fn is_made(history: &History, id: ContextId, entry: &Entry, table: &Table) -> bool {
    let was_made = |of: &ContextId| history.made_by.contains_key(of);
    let mut above = std::iter::successors(Some(entry.parent), |of| table.parent(*of));
    was_made(&entry.id) || above.find(was_made).is_some_and(|by| history.is_touched(id, by))
}

/// I7: the ids that a hop gives away or keeps its parent has granted to it, and so to nobody else.
fn i07_what_is_held_was_granted(world: &impl Whole, id: ContextId, context: &Context) -> Checked {
    let above = context.ancestors().first().and_then(|parent| world.context(*parent));
    let Some((table, above)) = context.router.table().zip(above) else { return Ok(()) };
    let (Some(parent), Some(link)) = (above.router.table(), above.links.get(&id)) else { return Ok(()) };
    // What hostile contexts grant is theirs to answer for.
    if world.history().is_touched(id, above.router.me()) {
        return Ok(());
    }
    for (range, _) in table.ranges() {
        let holder = range.id(0).and_then(|first| parent.holder(first));
        must(holder == Some(*link), "I7", || {
            format!("{} holds {range:?}, which its parent has granted to {holder:?}", world.label(id))
        })?;
    }
    Ok(())
}

/// I9: no queue is longer than its bound.
fn i09_bounds_hold(world: &impl Whole, id: ContextId, context: &Context) -> Checked {
    let (sizes, limits) = (context.router.sizes(), world.limits());
    // The frame that goes over the bound is queued, and the link is cut for it.
    let control = limits.control as usize + 4096 + 128;
    must(sizes.control_bytes <= control, "I9", || {
        format!("{} bytes of control frames wait on one link of {id}", sizes.control_bytes)
    })?;
    must(sizes.grants <= limits.grants as usize, "I9", || format!("{id} holds {} grants", sizes.grants))?;
    let parts = (limits.partial_bodies as usize).saturating_mul(sizes.links);
    must(sizes.parts <= parts, "I9", || format!("{} bodies are in the making in {id}", sizes.parts))?;
    let calls = context.most_calls_to_one(world.history());
    must(calls <= limits.calls_in_flight as usize, "I9", || {
        format!("{calls} calls of {id} to one context are in flight")
    })
}

/// I13: what a source may still send fits into what the destination would take.
fn i13_nobody_has_more_credit_than_was_given(
    world: &impl Whole,
    id: ContextId,
    context: &Context,
) -> Checked {
    for (dst, window, left) in context.router.sending() {
        // What comes back for a context that is lost, nobody can spend.
        let counts = !world.history().is_touched(id, dst) && world.is_attached(dst);
        let Some(there) = world.context(dst).filter(|_| counts) else { continue };
        let size = there.router.receiving().into_iter().find(|r| r.src == id && r.window == window);
        // Without an account there the source has been forgotten, or nothing has come: `at_rest` tells.
        let Some(size) = size.map(|account| account.size) else { continue };
        must(left <= size, "I13", || {
            format!("{id} may send {left} bytes to {window:?} of {dst}, whose window is {size}")
        })?;
    }
    Ok(())
}

/// I13 at rest: what a source may send and what the destination has not given back is the window.
fn i13_credit_is_conserved(world: &impl Whole, id: ContextId, context: &Context) -> Checked {
    for (dst, window, left) in context.router.sending() {
        if matches!(window, Window::Stream(_)) || world.history().is_touched(id, dst) {
            continue;
        }
        let Some(there) = world.context(dst) else { continue };
        let account = there.router.receiving().into_iter().find(|r| r.src == id && r.window == window);
        let (size, used) =
            account.map_or_else(|| (world.limits().window_start, 0), |account| (account.size, account.used));
        must(left + used == size, "I13", || {
            format!("of {id}'s window {window:?} at {dst}, {size} bytes, {left} are left and {used} used")
        })?;
    }
    Ok(())
}

/// I15: a handler runs only where its policy, or a grant, allows it.
pub fn i15_a_handler_runs_only_where_its_policy_allows_it(
    context: &Context,
    call: &Incoming,
    history: &mut History,
) {
    let me = context.router.me();
    // Who is hostile does with itself what it likes.
    if history.hostile.contains(&me) {
        return;
    }
    // A call has the authority of its source, or of somebody who has stamped it on its way.
    let is_on_the_way = history.way(call.src, me).is_some_and(|way| way.contains(&call.auth));
    if !is_on_the_way && !history.is_touched(me, call.auth) {
        history.wrong("I15", format!("{} comes to {me} by {} from {}", call.name, call.auth, call.src));
    }
    let is_above = call.auth == me || context.ancestors().contains(&call.auth);
    let is_below = call.auth == me || matches!(context.router.owner(call.auth), Owner::Child(_));
    let granted = call.auth == call.src && history.grants.contains(&(me, call.src, call.name.clone()));
    let policy = FUNCTIONS.iter().find(|(name, _)| *name == call.name).map(|(_, policy)| *policy);
    let allowed = match policy {
        Some(Policy::Parents) => is_above || granted,
        Some(Policy::Children) => is_below || granted,
        _ => true,
    };
    if !allowed {
        history.wrong("I15", format!("{} runs in {me} for {}", call.name, call.auth));
    }
}

/// I15: a context makes children for itself and those above it alone.
pub fn i15_a_child_is_made_only_for_an_ancestor(context: &Context, call: &Incoming, history: &mut History) {
    let me = context.router.me();
    let is_above = call.auth == me || context.ancestors().contains(&call.auth);
    if !history.hostile.contains(&me) && !is_above {
        history.wrong("I15", format!("{me} makes a child for {}", call.auth));
    }
}

/// I17: a handler that has not ended keeps its slot, cancelled or not.
fn i17_every_call_that_runs_has_its_slot(id: ContextId, context: &Context) -> Checked {
    let (slots, tasks) = (context.router.sizes().calls, context.tasks.len());
    must(slots >= tasks, "I17", || format!("{id} runs {tasks} calls in {slots} slots"))
}

/// I19: each call has ended.
fn i19_each_call_has_ended(world: &impl Whole) -> Checked {
    for (no, call) in world.history().calls.iter().enumerate().filter(|(_, call)| !call.one_way) {
        let (src, dst) = (world.label(call.src), world.label(call.dst));
        must(call.end.is_some(), "I19", || {
            format!("call {no} from {src} to {dst} never ends (it ran {} times)", call.runs)
        })?;
        // Who is hostile may have answers to its own calls sent by whom it likes: a PONG, for one.
        let is_served = call.runs == 1 || call.is_grant || world.history().is_touched(call.src, call.dst);
        must(call.end != Some(CallEnd::Value) || is_served, "I19", || {
            format!("call {no} from {src} to {dst} has a value and ran {} times", call.runs)
        })?;
    }
    Ok(())
}

/// I19: whoever asked for a child has been told whether there is an id for it.
fn i19_no_child_waits_for_an_id(world: &impl Whole, id: ContextId, context: &Context) -> Checked {
    let births = context.births();
    must(births == 0, "I19", || format!("{births} children of {} wait for an id for ever", world.label(id)))
}

/// I22: each end of a stream whose other side is gone or has closed knows it, and so does each watcher who has spoken
/// to whom he watches.
fn i22_whoever_has_lost_somebody_knows_it(world: &impl Whole) -> Checked {
    for (id, context) in world.contexts() {
        let open = context.ends.len();
        must(open == 0, "I22", || format!("{open} ends of streams never end in {}", world.label(id)))?;
        let untold = context.watched().find(|of| world.context(*of).is_none() && !is_unknown(world, id, *of));
        must(untold.is_none(), "I22", || format!("{} watches {untold:?}, who is gone", world.label(id)))?;
    }
    Ok(())
}

/// Whether nobody may tell `id` that `of` is gone: it has never spoken to it, or only since.
fn is_unknown(world: &impl Whole, id: ContextId, of: ContextId) -> bool {
    let history = world.history();
    history.is_stray(id, of) || !history.calls.iter().any(|call| (call.src, call.dst) == (id, of))
}

/// I24: between two contexts whose way is still whole no more messages without an answer are missing than were dropped
/// and counted there.
fn i24_each_message_that_is_missing_was_counted(world: &impl Whole) -> Checked {
    let history = world.history();
    let is_missing =
        |call: &&CallRecord| call.one_way && !call.has_waited && call.end.is_none() && call.runs == 0;
    let mut missing: BTreeMap<(ContextId, ContextId), u64> = BTreeMap::new();
    for call in history.calls.iter().filter(is_missing) {
        *missing.entry((call.src, call.dst)).or_default() += 1;
    }
    for ((src, dst), missing) in missing.into_iter().filter(|((src, dst), _)| !history.is_touched(*src, *dst))
    {
        let Some(counted) = dropped_on_the_way(world, src, dst) else { continue };
        must(missing <= counted, "I24", || {
            let (src, dst) = (world.label(src), world.label(dst));
            format!("{missing} messages from {src} to {dst} are missing, and {counted} were dropped")
        })?;
    }
    Ok(())
}

/// How much was dropped of what came by the links from one context to another; nothing if somebody on the way is gone.
fn dropped_on_the_way(world: &impl Whole, src: ContextId, dst: ContextId) -> Option<u64> {
    let way = world.history().way(src, dst)?;
    let mut dropped = 0;
    for (at, id) in way.iter().enumerate() {
        let counters = world.context(*id)?.router.counters();
        let before = at.checked_sub(1).map(|before| way[before]);
        let here = counters.into_iter().filter(|(link, ..)| Some(link.peer) == before);
        dropped += here.map(|(_, _, times)| times).sum::<u64>();
    }
    Some(dropped)
}

/// I20: each table holds exactly who lives below.
fn i20_tables_are_the_true_tree(world: &impl Whole) -> Checked {
    let mut below: BTreeMap<ContextId, Vec<ContextId>> = BTreeMap::new();
    for (id, context) in world.contexts() {
        for above in context.ancestors() {
            below.entry(*above).or_default().push(id);
        }
    }
    for (id, context) in world.contexts() {
        let believed: Vec<ContextId> = context.router.tree().iter().map(|entry| entry.id).collect();
        let truly = below.remove(&id).unwrap_or_default();
        must(believed == truly, "I20", || {
            let differ = |a: &[ContextId], b: &[ContextId]| -> Vec<ContextId> {
                a.iter().filter(|id| b.binary_search(id).is_err()).take(5).copied().collect()
            };
            let (dead, unknown) = (differ(&believed, &truly), differ(&truly, &believed));
            format!(
                "below {} live {} contexts and its table has {}; gone from there are {dead:?}, missing {unknown:?}",
                world.label(id),
                truly.len(),
                believed.len()
            )
        })?;
    }
    Ok(())
}

/// I21: handles, bodies, calls, queues are empty, and nothing is about the dead.
fn i21_nothing_is_left(world: &impl Whole, id: ContextId, context: &Context) -> Checked {
    let (sizes, name) = (context.router.sizes(), world.label(id));
    must(sizes.handles == context.held_handles(), "I21", || {
        format!("{name} has {} handles, its program {}", sizes.handles, context.held_handles())
    })?;
    must(sizes.parts == 0, "I21", || format!("{name} has {} bodies in the making", sizes.parts))?;
    must(sizes.calls == 0, "I21", || format!("{name} has {} calls open", sizes.calls))?;
    must(sizes.waiting == 0, "I21", || format!("{} frames wait in {name} for ever", sizes.waiting))?;
    must(sizes.links == context.links.len(), "I21", || format!("{name} has {} links", sizes.links))?;
    if world.has_timers() {
        must(sizes.timers <= context.links.len(), "I21", || format!("{name} has {} timers", sizes.timers))?;
    }
    let is_dead =
        |about: &ContextId| world.context(*about).is_none() && !world.history().is_stray(id, *about);
    let dead = context.router.remembers().into_iter().find(is_dead);
    must(dead.is_none(), "I21", || format!("{name} remembers something about {dead:?}, who is gone"))
}

/// I23: every context above or below another can be called from there.
///
/// # Errors
/// The first pair that cannot.
pub fn i23_everybody_is_reachable(world: &World) -> Checked {
    let ids: Vec<ContextId> = world.contexts().map(|(id, _)| id).collect();
    let mut probe = world.clone();
    let first = probe.history.calls.len();
    let related = |a: ContextId, b: ContextId| world.context(b).is_some_and(|c| c.ancestors().contains(&a));
    let goes_on = |id: &ContextId| world.context(*id).is_some_and(|context| !context.closing);
    let pairs = ids.iter().flat_map(|src| ids.iter().map(move |dst| (*src, *dst))).filter(|(src, dst)| {
        src != dst
            && (!world.settings.one_way || related(*src, *dst) || related(*dst, *src))
            && !world.history.is_touched(*src, *dst)
            && world.history.way(*src, *dst).is_some_and(|way| way.iter().all(goes_on))
    });
    // A few at a time, so that they do not crowd each other out.
    for some in pairs.collect::<Vec<_>>().chunks(8) {
        for (src, dst) in some {
            probe.start_by_id(*src, *dst, &Call::default());
        }
        probe.settle();
    }
    for call in &probe.history.calls[first..] {
        must(call.end == Some(CallEnd::Value), "I23", || {
            let (src, dst) = (world.label(call.src), world.label(call.dst));
            format!("a call from {src} to {dst} in the tree that is left ends as {:?}", call.end)
        })?;
    }
    every_step(&probe)
}

/// I25: no context was made with an id that the root has not given out, and none was refused while there were some.
fn i25_the_root_has_counted_every_id(world: &impl Whole) -> Checked {
    let root = world.context(ContextId::ROOT).and_then(|root| root.router.table());
    let Some(next) = root.and_then(Table::next_range) else { return Ok(()) };
    let history = world.history();
    let is_touched = |id: ContextId| history.is_touched(id, ContextId::ROOT);
    let beyond = history.made_by.keys().find(|id| id.range().number() >= next && !is_touched(**id));
    must(beyond.is_none(), "I25", || format!("the root has not given out the id of {beyond:?}"))?;
    // Where no range is left, or some link has had as many as it may.
    let is_short = |at: ContextId| IdRange::new(next).is_none() || has_met_its_quota(world, at);
    let short = history.without_id.keys().find(|at| !is_touched(**at) && !is_short(**at));
    must(short.is_none(), "I25", || format!("children of {short:?} found no id, and the root has more"))
}

/// Whether a link between a context and the root has had as many ids as it may, or may have had: it is there no longer.
fn has_met_its_quota(world: &impl Whole, at: ContextId) -> bool {
    let way = world.history().way(at, ContextId::ROOT).unwrap_or_default();
    let is_short = |below: ContextId, above: ContextId| {
        let above = world.context(above).filter(|above| above.links.contains_key(&below));
        above.is_none_or(|above| {
            let of_it =
                |(link, kind, _): &(LinkKey, DropKind, u64)| link.peer == below && *kind == DropKind::Quota;
            above.router.counters().iter().any(of_it)
        })
    };
    way.windows(2).any(|pair| is_short(pair[0], pair[1]))
}

/// I26: once the root has gone, everybody has.
fn i26_nobody_outlives_the_root(world: &impl Whole) -> Checked {
    let left: Vec<ContextId> = world.contexts().map(|(id, _)| id).collect();
    must(left.is_empty() || left.contains(&ContextId::ROOT), "I26", || format!("{left:?} outlive the root"))
}
