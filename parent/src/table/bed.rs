//! What the tests of tables stand on: one table with its steps at hand, and a tree of tables joined by queues.

use std::collections::{BTreeMap, VecDeque};

use offshoot_core::{
    machine::{DropKind, LinkKey, NoId, RouteFrame, Routes, Side, Step},
    wire::{AddRoute, AllocateId, ContextId, DelRoute, IdRange, Role},
};

use super::Table;

pub(super) fn id(number: u32) -> ContextId {
    ContextId::new(number)
}

pub(super) fn range(number: u32) -> IdRange {
    IdRange::new(number).unwrap()
}

pub(super) fn add(of: u32, parent: u32, name: &str) -> RouteFrame {
    RouteFrame::Add(AddRoute { id: id(of), parent: id(parent), name: name.to_owned() })
}

pub(super) fn del(ids: &[u32], reason: &str) -> RouteFrame {
    let ids: Vec<_> = ids.iter().copied().map(id).collect();
    RouteFrame::Del(DelRoute { top: ids[0], ids, name: "top".to_owned(), reason: reason.to_owned() })
}

pub(super) const ASK: RouteFrame = RouteFrame::Ids(AllocateId::Ask);

pub(super) fn grant(number: u32) -> RouteFrame {
    RouteFrame::Ids(AllocateId::Grant(range(number)))
}

/// The one parent of a hop under test.
pub(super) const PARENT: LinkKey = LinkKey { slot: 0, peer: ContextId::ROOT };

/// One table; each verb gives the steps that it took.
pub(super) struct Bed {
    pub(super) table: Table,
}

impl Bed {
    pub(super) fn new(table: Table) -> Self {
        Self { table }
    }

    /// A hop with id 5 that holds range 1 and has taken nothing of it.
    pub(super) fn hop() -> Self {
        let mut bed = Self::new(Table::hop(id(5)));
        assert_eq!(bed.table.take_id(&mut Vec::new()), Err(NoId::Asked));
        bed.parent(grant(1));
        bed
    }

    /// A new child of the table; without a role it has not said HELLO.
    pub(super) fn child(&mut self, role: impl Into<Option<Role>>) -> LinkKey {
        let peer = self.table.take_id(&mut Vec::new()).unwrap();
        let link = LinkKey { slot: peer.number() as usize + 1, peer };
        self.table.add_child(link, &format!("c{peer}"), &mut Vec::new());
        if let Some(role) = role.into() {
            self.table.set_role(link, role);
        }
        link
    }

    /// A child that can have children and has got the range numbered `number`.
    pub(super) fn granted(&mut self, number: u32) -> LinkKey {
        let link = self.child(Role::Parent);
        let steps = self.says(link, ASK);
        if steps == [Step::Up(ASK)] {
            self.parent(grant(number));
        }
        assert_eq!(self.table.ids.holder(id(number * 1000)), Some(link));
        link
    }

    pub(super) fn says(&mut self, link: LinkKey, frame: RouteFrame) -> Vec<Step> {
        let mut steps = Vec::new();
        self.table.control(Side::Child(link), frame, &mut steps);
        steps
    }

    pub(super) fn parent(&mut self, frame: RouteFrame) -> Vec<Step> {
        let mut steps = Vec::new();
        self.table.control(Side::Parent(PARENT), frame, &mut steps);
        steps
    }

    pub(super) fn down(&mut self, link: LinkKey) -> Vec<Step> {
        let mut steps = Vec::new();
        self.table.child_down(link, "broken", &mut steps);
        steps
    }
}

/// The kinds of frames that were dropped.
pub(super) fn drops(steps: &[Step]) -> Vec<DropKind> {
    steps.iter().filter_map(|step| if let Step::Drop(_, kind) = step { Some(*kind) } else { None }).collect()
}

/// The ids withdrawn by each DEL_ROUTE to a child link.
pub(super) fn told(steps: &[Step]) -> Vec<(LinkKey, Vec<u32>)> {
    let told = |step: &Step| match step {
        Step::Down(link, RouteFrame::Del(del)) => Some((*link, numbers(&del.ids))),
        _ => None,
    };
    steps.iter().filter_map(told).collect()
}

/// The ids that are lost for the context itself.
pub(super) fn lost(steps: &[Step]) -> Vec<u32> {
    steps
        .iter()
        .flat_map(|step| if let Step::Lost(del) = step { numbers(&del.ids) } else { vec![] })
        .collect()
}

/// The ids withdrawn towards the parent.
pub(super) fn withdrawn(steps: &[Step]) -> Vec<u32> {
    let up = |step: &Step| if let Step::Up(RouteFrame::Del(del)) = step { numbers(&del.ids) } else { vec![] };
    steps.iter().flat_map(up).collect()
}

fn numbers(ids: &[ContextId]) -> Vec<u32> {
    ids.iter().map(|id| id.number()).collect()
}

/// A tree of tables; frames wait in queues until they are delivered.
pub(super) struct Net {
    pub(super) tables: BTreeMap<ContextId, Table>,
    pub(super) parents: BTreeMap<ContextId, ContextId>,
    /// By sender and receiver.
    pub(super) wires: BTreeMap<(ContextId, ContextId), VecDeque<RouteFrame>>,
    /// What each context has learned to be gone.
    pub(super) lost: Vec<(ContextId, ContextId)>,
    pub(super) drops: Vec<(ContextId, DropKind)>,
}

impl Net {
    pub(super) fn new() -> Self {
        Self {
            tables: BTreeMap::from([(ContextId::ROOT, Table::root())]),
            parents: BTreeMap::new(),
            wires: BTreeMap::new(),
            lost: Vec::new(),
            drops: Vec::new(),
        }
    }

    pub(super) fn link(of: ContextId) -> LinkKey {
        LinkKey { slot: of.number() as usize + 1, peer: of }
    }

    /// A new child of `parent`, if it has an id for it.
    pub(super) fn grow(&mut self, parent: ContextId) -> Option<ContextId> {
        let mut steps = Vec::new();
        let table = self.tables.get_mut(&parent)?;
        let taken = table.take_id(&mut steps);
        if let Ok(child) = taken {
            table.add_child(Self::link(child), "n", &mut steps);
            table.set_role(Self::link(child), Role::Parent);
            self.tables.insert(child, Table::hop(child));
            self.parents.insert(child, parent);
        }
        self.act(parent, steps);
        taken.ok()
    }

    /// A new child of `parent`, all queues emptied.
    pub(super) fn grown(&mut self, parent: u32) -> u32 {
        let child = self.grow(id(parent)).or_else(|| {
            self.run();
            self.grow(id(parent))
        });
        self.run();
        child.unwrap().number()
    }

    /// `from` talks to `to`: each link on the way takes note.
    pub(super) fn talk(&mut self, from: u32, to: u32) {
        for (child, parent) in self.parents.clone() {
            let behind = |whom: u32| self.is_below(id(whom), child);
            if behind(from) != behind(to) {
                let table = self.tables.get_mut(&parent).unwrap();
                table.passed(Self::link(child), id(from));
                table.passed(Self::link(child), id(to));
            }
        }
    }

    fn is_below(&self, mut whom: ContextId, top: ContextId) -> bool {
        while whom != top {
            let Some(parent) = self.parents.get(&whom) else { return false };
            whom = *parent;
        }
        true
    }

    /// A context dies, and all below it.
    pub(super) fn kill(&mut self, dead: ContextId) {
        let Some(parent) = self.parents.get(&dead).copied() else { return };
        let gone: Vec<_> = self.parents.keys().copied().filter(|child| self.is_below(*child, dead)).collect();
        for child in gone {
            self.parents.remove(&child);
            self.tables.remove(&child);
            self.wires.retain(|(from, to), _| *from != child && *to != child);
        }
        let mut steps = Vec::new();
        if let Some(table) = self.tables.get_mut(&parent) {
            table.child_down(Self::link(dead), "killed", &mut steps);
        }
        self.act(parent, steps);
    }

    /// Sends whatever `frame` says from one context to its neighbour.
    pub(super) fn send(&mut self, from: ContextId, to: ContextId, frame: RouteFrame) {
        self.wires.entry((from, to)).or_default().push_back(frame);
    }

    /// Delivers the oldest frame of one queue.
    pub(super) fn deliver(&mut self, from: ContextId, to: ContextId) {
        let Some(frame) = self.wires.get_mut(&(from, to)).and_then(VecDeque::pop_front) else { return };
        self.wires.retain(|_, queue| !queue.is_empty());
        let side = if self.parents.get(&from) == Some(&to) {
            Side::Child(Self::link(from))
        } else {
            Side::Parent(LinkKey { slot: 0, peer: from })
        };
        let mut steps = Vec::new();
        if let Some(table) = self.tables.get_mut(&to) {
            table.control(side, frame, &mut steps);
        }
        self.act(to, steps);
    }

    pub(super) fn run(&mut self) {
        while let Some((from, to)) = self.wires.keys().next().copied() {
            self.deliver(from, to);
        }
    }

    fn act(&mut self, at: ContextId, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Up(frame) => {
                    let parent = self.parents[&at];
                    self.send(at, parent, frame);
                }
                Step::Down(link, frame) => self.send(at, link.peer, frame),
                Step::Lost(del) => self.lost.extend(del.ids.iter().map(|gone| (at, *gone))),
                Step::Drop(_, kind) => self.drops.push((at, kind)),
                Step::Cut(link, _) => self.kill(link.peer),
                Step::Ids => {}
            }
        }
    }
}
