//! What programs do in a forest: each deed is decided by the seed and its own number alone.

use offshoot_wire::{ContextId, Handle};

use super::{
    faults::{self, Fault},
    forest::Forest,
};
use crate::world::{Call, Dice, Job, invariants::Whole};

/// A fault comes once in so many deeds.
const FAULTS: u64 = 12;

/// Does the deed of that number.
pub fn deed(forest: &mut Forest, number: u32, faults: &[Fault]) {
    let mut dice = Dice::of(forest.settings.seed, 1 << 40 | u64::from(number));
    if dice.once_in(FAULTS)
        && let Some(fault) = dice.one_of(faults)
    {
        return fault.happen(forest, &mut dice);
    }
    let Some((src, dst)) = forest.some(&mut dice).zip(forest.some(&mut dice)) else { return };
    match dice.below(100) {
        0..=64 => call(forest, &mut dice, src, dst),
        65..=71 => chain(forest, &mut dice, src, dst),
        72..=76 => grant(forest, &mut dice, src, dst),
        77..=81 => one_way(forest, src, dst),
        82..=89 => cancel(forest, &mut dice),
        90..=95 => create(forest, &mut dice, src, dst),
        96 => circle(forest, &mut dice, src, dst),
        97 => watch(forest, &mut dice, dst),
        _ => shut_down(forest, &mut dice),
    }
}

fn start(forest: &mut Forest, src: ContextId, dst: ContextId, call: &Call) {
    forest.tell(|_| format!("{src} calls {dst}: {:?}", call.job));
    let job = call.job.clone();
    forest.with(src, |context, io| {
        context.start(call, dst, job, io);
    });
}

fn any_call(forest: &Forest, dice: &mut Dice) -> Call {
    let third = forest.some(dice).unwrap_or(ContextId::ROOT);
    let call = Call::any(dice, 0, 0, third);
    let ms = [50, 500, 5000][dice.below(3) as usize];
    call.within(ms)
}

fn call(forest: &mut Forest, dice: &mut Dice, src: ContextId, dst: ContextId) {
    let call = any_call(forest, dice);
    start(forest, src, dst, &call);
}

/// A call that would wait for itself: whom it comes back to has no worker for it.
fn circle(forest: &mut Forest, dice: &mut Dice, src: ContextId, dst: ContextId) {
    let Some(first) = forest.some(dice) else { return };
    let back = Job::Nest(dst, Box::new(Job::Nest(src, Box::new(Job::Answer(0)))));
    for _ in 0..forest.settings.workers {
        start(forest, first, src, &Call::default().job(back.clone()).within(5000));
    }
}

/// Calls that end one after the other: once one has failed, none of those behind it is run.
fn chain(forest: &mut Forest, dice: &mut Dice, src: ContextId, dst: ContextId) {
    let mut chain = 0;
    forest.with(src, |context, _| chain = context.router.new_chain());
    for _ in 0..=dice.below(4) {
        let call = any_call(forest, dice).chain(chain);
        start(forest, src, dst, &call);
    }
    forest.with(src, |context, io| context.end_chain(dst, chain, io));
}

/// An ancestor of a context lets another call a function of it: one of whom the root has heard, since nobody hears of it
/// sooner elsewhere.
fn grant(forest: &mut Forest, dice: &mut Dice, at: ContextId, to: ContextId) {
    let Some(by) = some_ancestor(forest, dice, at) else { return };
    let root = forest.context(ContextId::ROOT);
    if to != ContextId::ROOT && root.and_then(|root| root.router.link_from(to)).is_none() {
        return;
    }
    let function = "parents";
    forest.history.grants.insert((at, to, function.to_owned()));
    let call = Call { grant: Some(to), function, mailbox: Handle::GRANT, ..Call::default() };
    start(forest, by, at, &call);
}

fn one_way(forest: &mut Forest, src: ContextId, dst: ContextId) {
    start(forest, src, dst, &Call::default().one_way());
}

fn cancel(forest: &mut Forest, dice: &mut Dice) {
    // Only those begun lately are likely to be open.
    let calls = &forest.history.calls;
    let Some(back) = (calls.len() as u64).checked_sub(1 + dice.below(40)) else { return };
    let record = &calls[back as usize];
    if let (src, Some(handle)) = (record.src, record.handle) {
        forest.tell(|_| format!("{src} gives call {back} up"));
        forest.with(src, |context, io| context.cancel(handle, io));
    }
}

/// A context makes a child, or is asked to.
fn create(forest: &mut Forest, dice: &mut Dice, src: ContextId, dst: ContextId) {
    let label = forest.new_label();
    if dice.once_in(2) {
        let call = Call::default().mailbox(Handle::CREATE_CHILD).job(Job::Answer(label));
        return start(forest, src, dst, &call);
    }
    let can = forest.context(src).is_some_and(|context| context.router.is_parent());
    if can {
        forest.tell(|_| format!("{src} makes a child"));
        let (is_parent, is_stamped) = (dice.once_in(2), dice.once_in(12));
        forest.create(src, label, is_parent, is_stamped);
    }
}

/// Who is above another always hears of its loss, unless it has heard already; who is not must have talked to it.
fn watch(forest: &mut Forest, dice: &mut Dice, of: ContextId) {
    let Some(by) = some_ancestor(forest, dice, of) else { return };
    if forest.context(by).is_some_and(|context| context.router.link_from(of).is_some()) {
        forest.with(by, |context, _| context.watch(of));
    }
}

fn some_ancestor(forest: &Forest, dice: &mut Dice, of: ContextId) -> Option<ContextId> {
    let ancestors = forest.context(of)?.ancestors();
    dice.one_of(ancestors).filter(|by| forest.context(*by).is_some())
}

fn shut_down(forest: &mut Forest, dice: &mut Dice) {
    let Some(of) = faults::somebody_below(forest, dice) else { return };
    if let Some(by) = some_ancestor(forest, dice, of) {
        forest.tell(|_| format!("{by} shuts {of} down"));
        forest.with(by, |context, io| context.shut_down(of, io));
    }
}
