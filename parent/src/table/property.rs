//! Whatever happens in whatever order: grants stay disjoint, an id stays on one link, and nothing stays of the dead.

use std::collections::BTreeSet;

use offshoot_core::{
    machine::{Owner, Routes},
    wire::ContextId,
};
use proptest::{collection::vec, prelude::*};

use super::bed::{ASK, Net, add, del, grant, id};

/// One thing that happens; numbers choose among what there is at that moment.
#[derive(Clone, Debug)]
enum Op {
    Grow(usize),
    Kill(usize),
    Deliver(usize),
    Talk(usize, usize),
    /// A context sends its parent something made up.
    Forge(usize, Forged),
}

#[derive(Clone, Debug)]
enum Forged {
    Ask,
    Grant(u32),
    Add(u32, u32),
    Del(u32),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let number = || prop_oneof![0..6u32, 1000..1003u32, 2000..2003u32, Just(u32::MAX)];
    let forged = prop_oneof![
        Just(Forged::Ask),
        (0..4u32).prop_map(Forged::Grant),
        (number(), number()).prop_map(|(of, parent)| Forged::Add(of, parent)),
        number().prop_map(Forged::Del),
    ];
    let op = prop_oneof![
        3 => any::<usize>().prop_map(Op::Grow),
        1 => any::<usize>().prop_map(Op::Kill),
        6 => any::<usize>().prop_map(Op::Deliver),
        2 => any::<(usize, usize)>().prop_map(|(from, to)| Op::Talk(from, to)),
        2 => (any::<usize>(), forged).prop_map(|(who, what)| Op::Forge(who, what)),
    ];
    vec(op, 0..120)
}

fn pick<T: Copy>(from: impl IntoIterator<Item = T>, choice: usize) -> Option<T> {
    let all: Vec<T> = from.into_iter().collect();
    (!all.is_empty()).then(|| all[choice % all.len()])
}

fn act(net: &mut Net, op: &Op) {
    let context = |net: &Net, choice| pick(net.tables.keys().copied(), choice).unwrap();
    match op {
        Op::Grow(who) => {
            let parent = context(net, *who);
            net.grow(parent);
        }
        Op::Kill(who) => {
            let dead = context(net, *who);
            net.kill(dead);
        }
        Op::Deliver(which) => {
            if let Some((from, to)) = pick(net.wires.keys().copied(), *which) {
                net.deliver(from, to);
            }
        }
        Op::Talk(from, to) => {
            let (from, to) = (context(net, *from), context(net, *to));
            net.talk(from.number(), to.number());
        }
        Op::Forge(who, what) => {
            if let Some((child, parent)) = pick(net.parents.clone(), *who) {
                let frame = match what {
                    Forged::Ask => ASK,
                    Forged::Grant(number) => grant(*number),
                    Forged::Add(of, parent) => add(*of, *parent, "forged"),
                    Forged::Del(of) => del(&[*of], "forged"),
                };
                net.send(child, parent, frame);
            }
        }
    }
}

fn check(net: &Net) {
    for (at, table) in &net.tables {
        for entry in table.tree() {
            assert_eq!(table.owner(entry.id), Owner::Child(entry.link), "{} at {at}", entry.id);
            let known = entry.parent == *at || table.link_of(entry.parent) == Some(entry.link);
            assert!(known, "the parent of {} at {at}", entry.id);
        }
        // What a hop has given away or keeps was given to it.
        if let Some(parent) = net.parents.get(at) {
            for (range, _) in table.ids.grants() {
                let first = range.id(0).unwrap();
                assert_eq!(
                    net.tables[parent].owner(first),
                    Owner::Child(Net::link(*at)),
                    "{range:?} at {at}"
                );
            }
        }
        let peers: BTreeSet<_> = table.links.keys().map(|link| link.peer).collect();
        let children: BTreeSet<_> =
            net.parents.iter().filter(|(_, parent)| *parent == at).map(|(child, _)| *child).collect();
        assert_eq!(peers, children, "the links of {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tables_stay_true_and_shrink_to_nothing(ops in ops()) {
        let mut net = Net::new();
        for _ in 0..2 {
            net.grown(0);
        }
        for op in &ops {
            act(&mut net, op);
            check(&net);
        }
        net.run();
        check(&net);
        let neighbours: Vec<ContextId> =
            net.parents.iter().filter(|(_, parent)| **parent == id(0)).map(|(child, _)| *child).collect();
        for child in neighbours {
            net.kill(child);
        }
        prop_assert!(net.tables[&id(0)].is_idle());
    }

    #[test]
    fn an_honest_tree_drops_nothing_and_the_root_knows_all_of_it(ops in ops()) {
        let mut net = Net::new();
        net.grown(0);
        for op in ops.iter().filter(|op| !matches!(op, Op::Forge(..))) {
            act(&mut net, op);
        }
        net.run();
        prop_assert_eq!(&net.drops, &vec![]);
        let known: BTreeSet<_> = net.tables[&id(0)].tree().map(|entry| entry.id).collect();
        prop_assert_eq!(known, net.parents.keys().copied().collect());
    }
}
