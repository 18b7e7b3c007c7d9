//! Ids and routes: 8 to 11.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Command, Stdio},
};

use offshoot_bootstrap::Method as _;
use offshoot_parent::{DropKind, Sizes, prelude::*, record::RecordedFrame, table::TableSizes};
use offshoot_tests::real::{
    PATIENCE, Signal,
    above::Above,
    eventually, is_gone, kill,
    puppet::{NUMBERED, Puppet, Seen},
    table::{ADD, ASK, COUNT, NAME, SUM, WAIT_FOR},
};
use offshoot_wire::{AddRoute, AllocateId, DelRoute, Handle, IdRange, ReplyTo, codec};

use crate::{
    bed::{FOREVER_MS, chain, hop, leaf, puppet, puppet_parent, raw, recorded, root},
    grown::{CROSS_A_RANGE, GROW_AT_SIGNAL, KNOWN, ROOT_ALONE, await_file, say},
};

crate::tests![
    t08_the_first_child_is_1_and_its_own_come_out_of_a_range_it_asked_for,
    t08_two_hops_allocate_at_once,
    t08_the_last_id_of_a_range_is_followed_without_a_stall,
    t09_a_context_is_announced_before_its_first_message,
    t09_a_child_is_made_and_called_while_the_root_is_stopped,
    t09_a_child_is_made_and_called_while_a_hop_between_is_stopped,
    t10_the_loss_of_a_subtree_is_told_once_up_and_to_whoever_talked_to_it,
    t10_nothing_about_the_lost_is_kept,
    t11_an_id_that_was_not_granted_cannot_be_announced,
    t11_an_id_that_was_announced_before_cannot_be_announced,
    t11_a_refused_child_that_is_being_made_ends_with_the_reason,
    t11_a_refused_child_that_is_up_is_lost_with_the_reason,
];

fn t08_the_first_child_is_1_and_its_own_come_out_of_a_range_it_asked_for() {
    let (router, tape) = recorded(Router::builder());
    let ids = |contexts: &[&Context]| contexts.iter().map(|c| c.id().number()).collect::<Vec<_>>();
    let first = router.connect(hop("first")).unwrap();
    let below = [first.connect(leaf("a")).unwrap(), first.connect(leaf("b")).unwrap()];
    let second = router.connect(hop("second")).unwrap();
    let beside = second.connect(leaf("c")).unwrap();
    let third = router.connect(leaf("third")).unwrap();
    assert_eq!(ids(&[&first, &second, &third]), [1, 2, 3], "the root goes on in its own range");
    assert_eq!(ids(&[&below[0], &below[1]]), [1000, 1001]);
    assert_eq!(ids(&[&beside]), [2000]);
    let (first, second) = (first.id(), second.id());
    drop(router);
    let asks: Vec<_> = tape.frames().into_iter().filter(|f| f.handle == Handle::ALLOCATE_ID).collect();
    let asked: Vec<_> =
        asks.iter().filter(|f| f.came_in).map(|f| (f.src, codec::decode(&f.body, 64))).collect();
    assert_eq!(
        asked,
        [(first, Ok(AllocateId::Ask)), (second, Ok(AllocateId::Ask))],
        "a range each is enough"
    );
    let granted: Vec<_> =
        asks.iter().filter(|f| !f.came_in).map(|f| (f.dst, codec::decode(&f.body, 64))).collect();
    let range = |n| Ok(AllocateId::Grant(IdRange::new(n).unwrap()));
    assert_eq!(granted, [(first, range(1)), (second, range(2))]);
}

fn t08_two_hops_allocate_at_once() {
    let router = root();
    let hops = ["one", "two"].map(|name| router.connect(hop(name)).unwrap());
    let connects: Vec<_> =
        (0..16).map(|n| (n % 2, hops[n % 2].connect_async(leaf(&format!("leaf{n}"))))).collect();
    let mut ranges = [BTreeSet::new(), BTreeSet::new()];
    let mut ids = BTreeSet::new();
    for (hop, connecting) in connects {
        let child = connecting.wait().unwrap();
        assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);
        assert!(ids.insert(child.id()), "{} was given twice", child.id());
        ranges[hop].insert(child.id().range());
    }
    assert_eq!((ranges[0].len(), ranges[1].len()), (1, 1), "{ranges:?}");
    assert!(ranges[0].is_disjoint(&ranges[1]), "{ranges:?}");
    assert_eq!(router.tree().len(), 1 + 2 + 16);
}

fn t08_the_last_id_of_a_range_is_followed_without_a_stall() {
    let router = root();
    let folder = tempfile::tempdir().unwrap();
    let outer = router.connect(hop("outer")).unwrap();
    let inner = outer.connect(hop("inner")).unwrap();
    let pid = router.tree().pid(outer.id()).unwrap();
    let crossing = inner.call_async(CROSS_A_RANGE, folder.path().to_str().unwrap().to_owned());
    await_file(folder.path(), "ready");
    // The next range was asked for before the last hundred ids were begun: it has come when this has gone to and fro
    // behind it, once for the question and once for the answer.
    inner.ping().unwrap();
    inner.ping().unwrap();
    kill(pid, Signal::STOP);
    say(folder.path(), "go", "");
    let ids = await_file(folder.path(), "done");
    kill(pid, Signal::CONT);
    crossing.wait().unwrap();
    let ids: Vec<u32> = ids.split_whitespace().map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids, [2997, 2998, 2999, 3000, 3001, 3002]);
    let known: Vec<u32> =
        router.tree().iter().map(|node| node.id().number()).filter(|id| *id > 2000).collect();
    assert_eq!(known, ids);
}

fn t09_a_context_is_announced_before_its_first_message() {
    let (router, tape) = recorded(Router::builder());
    let outer = router.connect(hop("outer")).unwrap();
    let inner = outer.connect(hop("inner")).unwrap();
    let eager: Vec<_> =
        [&outer, &inner].iter().map(|hop| hop.connect(raw("eager", "eager")).unwrap().id()).collect();
    eventually("both are answered", PATIENCE, || {
        let answers = tape.frames().into_iter().filter(|f| f.handle.number() == 5000 && !f.came_in);
        (answers.filter(|f| f.reply_to == 0 && f.body.len() > 1).count() == 2).then_some(())
    });
    drop(router);
    let frames = tape.frames();
    for id in eager {
        let announced =
            frames.iter().position(|f| f.handle == Handle::ADD_ROUTE && added(f).id == id).unwrap();
        let first = frames.iter().position(|f| f.came_in && f.src == id).unwrap();
        assert!(announced < first, "{id}: {announced} {first}");
    }
}

fn added(frame: &RecordedFrame) -> AddRoute {
    codec::decode(&frame.body, 4096).unwrap()
}

fn t09_a_child_is_made_and_called_while_the_root_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut root = Alone(
        Command::new(std::env::current_exe().unwrap())
            .args([Path::new(ROOT_ALONE), folder.path()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap(),
    );
    await_file(folder.path(), "ready");
    kill(root.0.id(), Signal::STOP);
    say(folder.path(), "go", "");
    assert_eq!(await_file(folder.path(), "done"), "2001 5");
    kill(root.0.id(), Signal::CONT);
    let tree = await_file(folder.path(), "known");
    assert!(tree.contains("new (2001"), "{tree}");
    say(folder.path(), "end", "");
    assert!(root.0.wait().unwrap().success());
}

/// A root in a process of its own, which does not outlive a test that fails.
struct Alone(std::process::Child);

impl Drop for Alone {
    fn drop(&mut self) {
        // Nothing happens to one that has been waited for.
        let _gone = self.0.kill().and_then(|()| self.0.wait());
    }
}

fn t09_a_child_is_made_and_called_while_a_hop_between_is_stopped() {
    let router = root();
    let folder = tempfile::tempdir().unwrap();
    let chain = chain(&router, 3);
    let pid = router.tree().pid(chain[1].id()).unwrap();
    let grown = chain[2].call_async(GROW_AT_SIGNAL, folder.path().to_str().unwrap().to_owned());
    // It has its ids already: those are asked for, and that question must be answered.
    chain[2].connect(leaf("before")).unwrap();
    kill(pid, Signal::STOP);
    say(folder.path(), "go", "");
    assert_eq!(await_file(folder.path(), "done"), "3001 5");
    kill(pid, Signal::CONT);
    grown.wait_timeout(PATIENCE).unwrap();
    assert!(router.tree().iter().any(|node| node.name() == "new" && node.parent() == Some(chain[2].id())));
}

/// The DEL_ROUTE frames that came to a puppet.
fn told(puppet: &Puppet) -> Vec<DelRoute> {
    puppet.seen().iter().filter(|seen| seen.handle == Handle::DEL_ROUTE).map(Seen::body).collect()
}

fn t10_the_loss_of_a_subtree_is_told_once_up_and_to_whoever_talked_to_it() {
    let (router, tape) = recorded(Router::builder());
    let top = router.connect(hop("top")).unwrap();
    let lost = top.connect(hop("lost")).unwrap();
    let (x, y) = (lost.connect(leaf("x")).unwrap(), lost.connect(leaf("y")).unwrap());
    let deep = lost.connect(hop("mid")).unwrap().connect(leaf("deep")).unwrap();
    // At the root and below the hop on the way: one that calls into what will be lost, one that is called from there,
    // and one that does neither.
    let places = [router.here(), top.clone()];
    let [near, far] = places.map(|at| ["calls", "called", "neither"].map(|name| puppet(&at, name)));
    for [calls, called, _] in [&near, &far] {
        calls.put(&[calls.call(x.id(), Handle::new(5000), NAME, &())]);
        calls.until("the answer", |seen| seen.handle == Handle::new(5000));
        let asks = y.call_async(ASK, called.context().clone());
        let call = called.until_called(y.id());
        called.put(&[called.answer(&call, &"called")]);
        assert_eq!(asks.wait().unwrap(), "called");
    }
    assert_eq!(deep.call(NAME, ()).unwrap(), "deep");
    let pid = router.tree().pid(lost.id()).unwrap();
    kill(pid, Signal::KILL);
    lost.lost().wait_timeout(PATIENCE).unwrap();
    for [calls, called, neither] in [&near, &far] {
        for (puppet, whom) in [(calls, &x), (called, &y)] {
            eventually("the loss is told", PATIENCE, || (!told(puppet).is_empty()).then_some(()));
            let told = told(puppet);
            assert_eq!(told.len(), 1, "once: {told:?}");
            assert_eq!((&told[0].ids, told[0].top, &*told[0].name), (&vec![whom.id()], lost.id(), "lost"));
            assert!(!told[0].reason.is_empty());
        }
        assert_eq!(told(neither), [], "it has nothing to do with them");
    }
    // All that will be told was told before this is answered on the same links.
    for puppet in near.iter().chain(&far) {
        assert!(told(puppet).len() <= 1);
    }
    let ups = || -> Vec<_> {
        let came = tape.frames().into_iter().filter(|f| f.came_in && f.handle == Handle::DEL_ROUTE);
        came.map(|f| (f.src, codec::decode::<DelRoute>(&f.body, 4096).unwrap().ids)).collect()
    };
    // The tape may lag a little.
    let ups = eventually("it is told upward", PATIENCE, || Some(ups()).filter(|ups| !ups.is_empty()));
    assert_eq!(ups, [(top.id(), vec![lost.id()])], "the top of what is lost, once");
    assert!(!x.is_alive() && !deep.is_alive() && top.is_alive());
}

fn t10_nothing_about_the_lost_is_kept() {
    let router = root();
    let top = router.connect(hop("top")).unwrap();
    let stays = router.connect(leaf("stays")).unwrap();
    let puppet = puppet(&router.here(), "puppet");
    // A first round makes what is made once.
    let mut at_rest = None;
    for round in 0..3 {
        let lost = router.connect(hop("lost")).unwrap();
        let inner = top.connect(hop("inner")).unwrap();
        let leaves = [lost.connect(leaf("x")).unwrap(), inner.connect(leaf("y")).unwrap()];
        for leaf in &leaves {
            assert_eq!(stays.call(ASK, leaf.clone()).unwrap(), leaf.name());
            assert_eq!(leaf.call(ASK, stays.clone()).unwrap(), "stays");
            assert_eq!(leaf.call(SUM, stays.call(COUNT, 10).unwrap()).unwrap(), 45);
        }
        assert_eq!(top.call(KNOWN, leaves[1].clone()).unwrap(), ("y".to_owned(), true));
        let (_, table) = router.sizes();
        assert!(table.heard >= 4 && table.contexts == 7, "{table:?}");
        let tree = router.tree();
        for gone in [&lost, &inner] {
            kill(tree.pid(gone.id()).unwrap(), Signal::KILL);
            gone.lost().wait_timeout(PATIENCE).unwrap();
        }
        eventually("the tree is as before", PATIENCE, || (router.tree().len() == 4).then_some(()));
        for gone in leaves.iter().chain([&lost, &inner]) {
            let digits = gone.id().to_string();
            let known = puppet.context().call(NUMBERED, gone.id().number()).unwrap();
            assert_eq!(
                (known.name(), known.is_alive()),
                (&*digits, false),
                "the root has forgotten its name"
            );
            assert_eq!(top.call(KNOWN, gone.clone()).unwrap().0, digits, "and so has the hop");
        }
        let sizes = eventually("no more is held than for those that live", PATIENCE, || {
            // That `top` and `stays` have talked is still worth knowing to the link of `top`.
            let (machine, table) = router.sizes();
            (table.heard == 1 && machine.handles == 0 && machine.waiting == 0).then_some((machine, table))
        });
        assert_eq!((sizes.1.links, sizes.1.contexts), (3, 3), "{sizes:?}");
        // A hop keeps its ranges as long as its link lives: only the lost one's are free.
        assert!(sizes.1.ranges <= 2 + round, "{sizes:?}");
        let accounts = at_rest.get_or_insert(sizes.0.accounts);
        assert_eq!(sizes.0.accounts, *accounts, "windows of credit: {sizes:?}");
    }
    for context in [&top, &stays, puppet.context()] {
        context.shutdown().wait_timeout(PATIENCE).unwrap();
    }
    assert_eq!(router.sizes(), (Sizes::default(), TableSizes::default()), "and nothing at all in the end");
}

fn t11_an_id_that_was_not_granted_cannot_be_announced() {
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let sibling = hop.connect(leaf("sibling")).unwrap();
    let puppet = puppet_parent(&router.here(), "puppet");
    let tree = router.tree().to_string();
    let announce = |id, parent| {
        let add = AddRoute { id, parent, name: "forged".into() };
        puppet.put(&[puppet.frame_of(ContextId::ROOT, Handle::ADD_ROUTE, ReplyTo::Nobody, &add)]);
    };
    let refusal = |id| -> DelRoute {
        let is_it = |seen: &Seen| seen.handle == Handle::DEL_ROUTE && seen.body::<DelRoute>().ids == [id];
        puppet.until("the refusal", is_it).body()
    };
    // In nobody's range, in the root's, in another hop's where nobody is.
    for id in [55_000, 77, 1077].map(ContextId::new) {
        announce(id, puppet.id());
        assert_eq!(refusal(id).reason, "its id was not granted to the context that made it");
    }
    // To withdraw these there would take them from those who talk to them, so nothing is said: the root, itself, and
    // two others that live.
    let told_before = told(&puppet).len();
    for id in [ContextId::ROOT, puppet.id(), hop.id(), sibling.id()] {
        announce(id, puppet.id());
    }
    assert_eq!(told(&puppet).len(), told_before);
    // What it was granted it may announce, but not in the name of others.
    let range = ask_for_ids(&puppet);
    announce(range.id(0).unwrap(), sibling.id());
    assert_eq!(refusal(range.id(0).unwrap()).reason, "the context that made it is not there");
    assert_eq!(router.tree().to_string(), tree, "nothing of that was believed");
    announce(range.id(1).unwrap(), puppet.id());
    puppet.seen();
    assert_eq!(router.tree().get(range.id(1).unwrap()).unwrap().parent(), Some(puppet.id()));
    let dropped = router.dropped();
    let count = |kind| dropped.iter().find(|(id, k, _)| (*id, *k) == (puppet.id(), kind)).map_or(0, |d| d.2);
    assert_eq!((count(DropKind::Grant), count(DropKind::Route)), (3, 5), "{dropped:?}");
    assert_eq!(sibling.call(NAME, ()).unwrap(), "sibling");
}

/// Has a puppet ask for a range of ids.
pub(crate) fn ask_for_ids(puppet: &Puppet) -> IdRange {
    puppet.put(&[puppet.frame_of(ContextId::ROOT, Handle::ALLOCATE_ID, ReplyTo::Nobody, &AllocateId::Ask)]);
    match puppet.until("a grant", |seen| seen.handle == Handle::ALLOCATE_ID).body() {
        AllocateId::Grant(range) => range,
        other => panic!("{other:?}"),
    }
}

fn t11_an_id_that_was_announced_before_cannot_be_announced() {
    let router = root();
    let puppet = puppet_parent(&router.here(), "puppet");
    let id = ask_for_ids(&puppet).id(5).unwrap();
    let add = AddRoute { id, parent: puppet.id(), name: "child".into() };
    let del = DelRoute { ids: vec![id], top: id, name: String::new(), reason: "it ended".into() };
    let add = puppet.frame_of(ContextId::ROOT, Handle::ADD_ROUTE, ReplyTo::Nobody, &add);
    let del = puppet.frame_of(ContextId::ROOT, Handle::DEL_ROUTE, ReplyTo::Nobody, &del);
    puppet.put(std::slice::from_ref(&add));
    let child = puppet.context().call(NUMBERED, id.number()).unwrap();
    assert_eq!((child.name(), child.is_alive()), ("child", true));
    // While it lives: as if it had not been said.
    puppet.put(std::slice::from_ref(&add));
    assert_eq!((told(&puppet), child.is_alive()), (vec![], true));
    puppet.put(&[del, add]);
    let told = eventually("the refusal", PATIENCE, || told(&puppet).pop());
    assert_eq!((told.ids, &*told.reason), (vec![id], "its id was used before, and ids are never used again"));
    assert!(!child.is_alive());
    assert_eq!(router.tree().len(), 2);
    assert!(child.call(NAME, ()).unwrap_err().is_lost());
}

fn t11_a_refused_child_that_is_being_made_ends_with_the_reason() {
    let mut above = Above::begin(&hop("hop"));
    let at = Handle::new(5000);
    // It hears nothing and says nothing before its refusal is there.
    let add = above.create(at, &raw("mute", "mute").plan(), 1);
    assert_eq!((add.id.number(), add.parent.number(), &*add.name), (1000, 1, "mute"));
    above.withdraw(add.id, "no room for it");
    let error = above.created(at).unwrap_err();
    assert_eq!(error.kind().code(), "refused", "{error}");
    assert!(error.to_string().contains("refused: no room for it"), "{error}");
    above.sync();
    assert!(
        above.passed().iter().all(|frame| frame.handle != Handle::DEL_ROUTE),
        "who refused it need not be told"
    );
}

fn t11_a_refused_child_that_is_up_is_lost_with_the_reason() {
    let mut above = Above::begin(&hop("hop"));
    let at = Handle::new(5000);
    let add = above.create(at, &leaf("leaf").plan(), 1);
    let pid = above.created(at).unwrap();
    let waits = Handle::new(5001);
    above.send(&above.call(Handle::CALL_FUNCTION, waits, WAIT_FOR.name(), &(add.id, FOREVER_MS)));
    above.until("the news that it waits", |frame| frame.handle == waits);
    above.withdraw(add.id, "its id is taken");
    let failed = above.until("the end of the call", |frame| frame.handle == waits);
    let text = String::from_utf8_lossy(&failed.body).into_owned();
    assert!(text.contains("leaf is lost: ") && text.contains("its id is taken"), "{text}");
    eventually("its process is gone", PATIENCE, || is_gone(pid).then_some(()));
    // The hop lives on, and burns the id.
    let next = above.create(Handle::new(5002), &leaf("next").plan(), 2);
    assert_eq!(next.id.number(), 1001);
    above.created(Handle::new(5002)).unwrap();
}
