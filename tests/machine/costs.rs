//! What a hostile child can make its parent pay: a deed costs as much where very much waits as where little does.
//!
//! Each is done a few times, one measured by one, and the cheapest counts: what others do on the machine makes none cheaper.

use std::{
    env, fs,
    process::Command,
    time::{Duration, Instant},
};

use offshoot_core::{
    machine::{Actions, Config, DropKind, Event, Limits, LinkKey, Machine, NewChild, Outgoing, Policy, Tick},
    wire::{
        AddRoute, AllocateId, Body, CallId, ContextId, Credit, DelRoute, Frame, Handle, Hello, IdRange, Part,
        ReplyTo, Role, Setup, VERSION, Window, codec,
    },
};
use offshoot_parent::table::{Table, TableLimits};
use serde::Serialize;

use crate::bed::{ROOT, call_body, frame};

/// Where little waits, and where much does.
const LITTLE: u32 = 100;
const MUCH: u32 = 10_000;
/// How often a deed is done.
const TIMES: usize = 50;
/// How much more one may take where a hundred times as much waits: it finds less of it in the cache.
const MORE: u32 = 12;

/// A root whose children are written by hand, and which nobody reads.
struct Root {
    machine: Machine<Table>,
    out: Actions,
}

impl Root {
    fn new() -> Self {
        Self::bounded(|_| ())
    }

    /// One that may have so many bytes under way to each.
    fn with_windows(size: u32) -> Self {
        Self::bounded(|limits| limits.window_start = size)
    }

    fn bounded(bound: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        // Much is to wait: these bounds are met by tests of their own.
        (limits.window_start, limits.window_max) = (1 << 30, 1 << 30);
        (limits.control, limits.news, limits.downlink) = (1 << 30, 1 << 30, 1 << 40);
        (limits.partial_bodies, limits.partial_bytes) = (1 << 20, 1 << 40);
        bound(&mut limits);
        let functions = vec![("any".into(), Policy::Anyone)];
        let config = Config {
            me: ROOT,
            ancestors: Vec::new(),
            role: Role::Parent,
            one_way: false,
            functions,
            build: 0,
            limits,
        };
        let mut tables = TableLimits::default();
        tables.contexts = 1 << 20;
        let mut machine = Machine::new(config, Table::root_with(tables, 0));
        machine.set_workers(1);
        Self { machine, out: Actions::new() }
    }

    /// A hop that is up.
    fn hop(&mut self) -> LinkKey {
        let id = self.machine.take_id(&mut self.out).expect("an id");
        let setup = Setup {
            version: VERSION,
            features: 0,
            id,
            ancestors: vec![ROOT],
            name: "hop".into(),
            one_way: false,
            body_limit: 1 << 27,
            ping_ms: 0,
            grace_ms: 1000,
            log_level: 0,
        };
        let child = NewChild { id, name: "hop".into(), stamped: false, deadline: Tick(1 << 40), setup };
        let link = self.machine.add_child(Tick(0), child, &mut self.out);
        let hello = Hello { version: VERSION, features: 0, role: Role::Parent, pid: 1, build: 0 };
        self.says(link, Handle::HELLO, &hello);
        link
    }

    /// So many contexts below it.
    fn below(&mut self, hop: LinkKey, count: usize) -> Vec<ContextId> {
        let mut ids = Vec::new();
        while ids.len() < count {
            self.says(hop, Handle::ALLOCATE_ID, &AllocateId::Ask);
            let told = std::iter::from_fn(|| self.machine.pull(hop, &mut self.out));
            let granted = told.filter_map(|frame| codec::decode(&frame.body, 4096).ok());
            let ranges: Vec<IdRange> = granted
                .filter_map(|it| if let AllocateId::Grant(range) = it { Some(range) } else { None })
                .collect();
            let range = ranges[0];
            ids.extend((0..IdRange::LEN).filter_map(|at| range.id(at)).take(count - ids.len()));
            for id in ids.iter().filter(|id| id.range() == range) {
                let add = AddRoute { id: *id, parent: hop.peer, name: "below".into() };
                self.says(hop, Handle::ADD_ROUTE, &add);
            }
        }
        ids
    }

    fn says(&mut self, from: LinkKey, handle: Handle, what: &impl Serialize) {
        let body = codec::encode(what).expect("a body");
        self.gets(from, frame(from.peer, ROOT, handle, ReplyTo::Nobody, body));
    }

    fn gets(&mut self, link: LinkKey, frame: Frame) {
        self.machine.handle(Tick(0), Event::Frame { link, frame }, &mut self.out);
        self.out = Actions::new();
    }

    fn withdraws(&mut self, hop: LinkKey, id: ContextId) {
        let del = DelRoute { ids: vec![id], top: id, name: String::new(), reason: "it says so".into() };
        self.says(hop, Handle::DEL_ROUTE, &del);
    }

    /// A call of somebody to somebody; who waits for its answer.
    fn call(&mut self, link: LinkKey, src: ContextId, dst: ContextId, waits: u32) {
        let reply_to = ReplyTo::Handle(Handle::new(waits));
        self.gets(
            link,
            Frame { body: call_body(0), ..frame(src, dst, Handle::CALL_FUNCTION, reply_to, Vec::new()) },
        );
    }

    /// Answers to so many calls of one context, all but a few of which wait for its credit.
    fn starves(&mut self, link: LinkKey, src: ContextId, count: u32) {
        for nth in 0..count {
            let reply_to = ReplyTo::Handle(Handle::new(5000 + nth));
            self.gets(link, frame(src, ROOT, Handle::PING, reply_to, Vec::new()));
        }
        self.pulls(link);
    }

    /// All that may leave for a child; how much that is.
    fn pulls(&mut self, link: LinkKey) -> usize {
        std::iter::from_fn(|| self.machine.pull(link, &mut self.out)).count()
    }

    /// Empty frames from one hop to so many handles of another, which reads none.
    fn flows(&mut self, from: LinkKey, to: LinkKey, count: u32) {
        for handle in 0..count {
            let handle = Handle::new(5000 + handle);
            self.gets(from, frame(from.peer, to.peer, handle, ReplyTo::Nobody, Vec::new()));
        }
    }
}

/// Does deeds, each of which `set_up` makes of the root in which so much waits.
#[track_caller]
fn costs_the_same<T>(set_up: impl Fn(&mut Root, u32) -> Vec<T>, deed: impl Fn(&mut Root, T)) {
    let takes = |much: u32| -> Duration {
        let mut root = Root::new();
        let deeds = set_up(&mut root, much);
        let timed = |one| {
            let begun = Instant::now();
            deed(&mut root, one);
            begun.elapsed()
        };
        deeds.into_iter().map(timed).min().expect("it is done")
    };
    let (little, much) = (takes(LITTLE), takes(MUCH));
    assert!(much < little * MORE, "{little:?} where {LITTLE} wait, and {much:?} where {MUCH} do");
}

#[test]
fn a_call_that_is_taken_back_is_not_looked_for_among_all_that_wait() {
    let set_up = |root: &mut Root, much| {
        // One that is looked for in a list is found soon.
        let (seven, much) = (root.hop(), 20 * much);
        (0..much + TIMES as u32).for_each(|nth| root.call(seven, seven.peer, ROOT, 5000 + nth));
        let last = (much..much + TIMES as u32).rev();
        last.map(|nth| (seven, CallId { context: seven.peer, handle: Handle::new(5000 + nth) })).collect()
    };
    costs_the_same(set_up, |root, (seven, id)| root.says(seven, Handle::CANCEL, &id));
}

#[test]
fn a_call_is_refused_without_a_look_at_all_that_its_caller_has_open() {
    let set_up = |root: &mut Root, much| {
        let much = 20 * much;
        *root = Root::bounded(|limits| (limits.calls_in_flight, limits.calls_waiting) = (much, 1 << 40));
        let seven = root.hop();
        (0..=much).for_each(|nth| root.call(seven, seven.peer, ROOT, 5000 + nth));
        assert_eq!(root.machine.dropped(DropKind::Congested), 1, "it may have no more");
        vec![seven; TIMES]
    };
    costs_the_same(set_up, |root, seven| root.call(seven, seven.peer, ROOT, 5000));
}

#[test]
fn a_loss_costs_what_the_lost_has_called() {
    let set_up = |root: &mut Root, much| {
        let (seven, eight) = (root.hop(), root.hop());
        (0..much).for_each(|nth| root.call(eight, eight.peer, ROOT, 5000 + nth));
        let ids = root.below(seven, TIMES);
        ids.iter().for_each(|id| root.call(seven, *id, ROOT, 5000));
        ids.into_iter().map(|id| (seven, id)).collect()
    };
    costs_the_same(set_up, |root, (seven, id)| root.withdraws(seven, id));
}

#[test]
fn a_loss_costs_what_waits_for_the_lost() {
    let set_up = |root: &mut Root, much| {
        let (seven, eight) = (root.hop(), root.hop());
        let ids = root.below(seven, TIMES);
        root.flows(eight, seven, much);
        let body = || frame(eight.peer, ROOT, Handle::new(5000), ReplyTo::Nobody, Vec::new());
        ids.iter().for_each(|id| root.gets(eight, Frame { dst: *id, ..body() }));
        ids.into_iter().map(|id| (seven, id)).collect()
    };
    costs_the_same(set_up, |root, (seven, id)| root.withdraws(seven, id));
}

/// Windows for a few answers.
const SMALL: u32 = 600;

#[test]
fn answers_that_wait_for_the_credit_of_the_lost_are_not_looked_for_among_each_other() {
    let goes = |answers: u32| {
        let once = || {
            let mut root = Root::with_windows(SMALL);
            let seven = root.hop();
            let id = root.below(seven, 1)[0];
            root.starves(seven, id, answers);
            assert!(root.machine.sizes().waiting > answers as usize / 2, "they wait");
            let begun = Instant::now();
            root.withdraws(seven, id);
            root.pulls(seven);
            let took = begun.elapsed() / answers;
            assert_eq!(root.machine.sizes().waiting, 0);
            took
        };
        (0..10).map(|_| once()).min().expect("it goes")
    };
    let (little, much) = (goes(LITTLE), goes(MUCH));
    assert!(much < little * MORE, "{little:?} for each of {LITTLE}, {much:?} for each of {MUCH}");
}

#[test]
fn a_little_credit_has_no_more_of_the_answers_looked_at_that_wait_for_it() {
    let costs = |answers: u32| {
        let mut root = Root::with_windows(SMALL);
        let seven = root.hop();
        root.starves(seven, seven.peer, answers + 2 * TIMES as u32);
        let once = |_| {
            let begun = Instant::now();
            root.says(seven, Handle::CREDIT, &Credit { window: Window::Replies, bytes: 200 });
            let left = root.pulls(seven);
            (begun.elapsed(), left)
        };
        let (took, left): (Vec<_>, Vec<_>) = (0..TIMES).map(once).unzip();
        let left: usize = left.into_iter().sum();
        assert!((TIMES..=2 * TIMES).contains(&left), "{left} have left");
        took.into_iter().min().expect("it comes")
    };
    let (little, much) = (costs(LITTLE), costs(MUCH));
    assert!(much < little * MORE, "{little:?} where {LITTLE} wait, and {much:?} where {MUCH} do");
}

#[test]
fn a_loss_does_not_look_through_what_waits_beside_a_grant() {
    let set_up = |root: &mut Root, much| {
        let (seven, eight) = (root.hop(), root.hop());
        let ids = root.below(seven, TIMES);
        root.flows(seven, eight, much);
        let body = grant(eight.peer);
        let call =
            Outgoing { dst: eight.peer, handle: Handle::GRANT, body, deadline: None, ends: Vec::new() };
        root.machine.call(Tick(0), call, &mut root.out).expect("it waits");
        ids.into_iter().map(|id| (seven, id)).collect()
    };
    costs_the_same(set_up, |root, (seven, id)| root.withdraws(seven, id));
}

#[test]
fn a_body_begins_without_a_look_at_all_that_have_begun() {
    let begins = |root: &mut Root, link, src| {
        let reply_to = ReplyTo::Handle(Handle::new(5000));
        let whole = frame(src, ROOT, Handle::CALL_FUNCTION, reply_to, vec![0; 8]);
        root.gets(link, Frame { part: Some(Part { total: 1 << 10, offset: 0 }), ..whole });
    };
    let set_up = |root: &mut Root, much| {
        let (seven, eight) = (root.hop(), root.hop());
        // To go by one takes next to nothing.
        let much = 10 * much as usize;
        let ids = root.below(seven, much);
        ids.into_iter().for_each(|id| begins(root, seven, id));
        assert_eq!(root.machine.sizes().parts, much);
        root.below(eight, TIMES).into_iter().map(|id| (eight, id)).collect()
    };
    costs_the_same(set_up, |root, (eight, id)| begins(root, eight, id));
}

#[test]
fn a_link_for_which_much_waits_ends_as_soon_for_what_it_held() {
    let ends = |flows: u32| {
        let once = || {
            let mut root = Root::new();
            let (link, eight) = (root.hop(), root.hop());
            root.flows(eight, link, flows);
            let begun = Instant::now();
            root.machine.handle(Tick(0), Event::LinkDown { link, reason: "lost".into() }, &mut root.out);
            begun.elapsed() / flows
        };
        (0..10).map(|_| once()).min().expect("it ends")
    };
    let (little, much) = (ends(LITTLE), ends(MUCH));
    assert!(much < little * MORE, "{little:?} for each of {LITTLE}, {much:?} for each of {MUCH}");
}

/// That somebody may call `any`.
fn grant(to: ContextId) -> Body {
    let mut body = call_body(0).into_vec();
    codec::encode_into(&("any", to), &mut body).expect("a body");
    body.into()
}

#[test]
fn a_child_grants_nothing_to_its_siblings() {
    let mut root = Root::new();
    let (seven, eight) = (root.hop(), root.hop());
    while root.machine.pull(eight, &mut root.out).is_some() {}
    let grant = Frame {
        body: grant(seven.peer),
        ..frame(seven.peer, eight.peer, Handle::GRANT, ReplyTo::Handle(Handle::new(5000)), Vec::new())
    };
    root.gets(seven, grant);
    assert_eq!(root.machine.pull(eight, &mut root.out), None);
    let told: Vec<Frame> = std::iter::from_fn(|| root.machine.pull(seven, &mut root.out)).collect();
    assert!(told.iter().any(|frame| frame.is_dead() && frame.handle == Handle::new(5000)), "{told:?}");
}

#[test]
fn a_frame_in_a_flow_of_its_own_is_charged_what_it_takes() {
    // What other tests take at the same time is none of it.
    if env::var_os(ALONE).is_none() {
        let name = "costs::a_frame_in_a_flow_of_its_own_is_charged_what_it_takes";
        let mut alone = Command::new(env::current_exe().expect("this program"));
        let output = alone.args(["--exact", name]).env(ALONE, "yes").output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        return assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }
    let mut root = Root::new();
    let (seven, eight) = (root.hop(), root.hop());
    let (before, count) = (rss(), 100_000);
    root.flows(eight, seven, count);
    let takes = rss().saturating_sub(before) / u64::from(count);
    let charged = root.machine.sizes().data_bytes / u64::from(count);
    assert!(takes <= charged && charged <= 2 * takes, "{takes} bytes, charged as {charged}");
}

/// Set where a test has a process of its own.
const ALONE: &str = "ALONE";

/// The memory of this process that is in RAM, in bytes.
fn rss() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") << 10
}
