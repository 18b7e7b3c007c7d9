//! Authority: 14 to 17.

use offshoot_parent::{DropKind, prelude::*};
use offshoot_tests::real::{
    PATIENCE,
    above::{Above, CHILD, value},
    logs,
    puppet::{Puppet, Seen},
    table::{ADD, ASK, ASK_SECRET, NAME, SECRET, TALLY, WAIT_FOR, WORK, functions},
};
use offshoot_wire::{AddRoute, AllocateId, Dead, DeadCode, DelRoute, Frame, Handle, ReplyTo, codec};

use crate::bed::{chain, hop, leaf, puppet, raw, recorded, root};

crate::tests![
    t04_a_grant_lets_in_whom_it_names_and_nobody_else,
    t14_frames_with_a_forged_source_or_authority_are_dropped_and_counted,
    t14_below_a_hop_it_is_the_hop_that_drops_them_and_its_log_says_so,
    t15_nobody_but_the_respondent_can_end_a_call_of_the_root,
    t15_nobody_but_the_respondent_can_end_a_call_between_others,
    t16_a_one_way_tree_lets_nothing_turn,
    t16_one_way_is_inherited_at_depth_three,
    t16_a_stamped_link_is_let_through_both_ways,
    t17_a_parent_stamps_its_own_authority,
    t17_the_outermost_stamp_wins,
    t17_a_leaf_that_acts_as_a_parent_is_dropped_and_counted,
    t17_a_leaf_never_receives_an_announcement,
    t17_a_forged_announcement_from_above_is_dropped_and_counted,
];

/// How often frames by the link of `from` were dropped for this reason.
fn dropped(router: &Router, from: &Puppet, kind: DropKind) -> u64 {
    let dropped = router.dropped();
    dropped.iter().find(|(id, k, _)| (*id, *k) == (from.id(), kind)).map_or(0, |(_, _, n)| *n)
}

fn t04_a_grant_lets_in_whom_it_names_and_nobody_else() {
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let [a, b] = ["a", "b"].map(|name| router.connect(leaf(name)).unwrap());
    let far = hop.connect(leaf("far")).unwrap();
    far.grant(SECRET, &a).unwrap();
    assert_eq!(a.call(ASK_SECRET, far.clone()).unwrap(), "far");
    assert!(b.call(ASK_SECRET, far.clone()).is_err());
    // A grant names a function.
    let error = a.call(WAIT_FOR, (far.clone(), 0)).unwrap_err();
    assert!(error.to_string().contains("may not call work"), "{error}");
    // It goes with whom it names: the id is never used again.
    a.shutdown().wait_timeout(PATIENCE).unwrap();
    let next = router.connect(leaf("a")).unwrap();
    assert!(next.call(ASK_SECRET, far).is_err());
}

/// A source and an authority.
type Lie = (ContextId, ContextId);

/// The lies that a puppet can tell about who speaks, and those about on whose authority.
fn forgeries(puppet: &Puppet, others: &[&Context]) -> (Vec<Lie>, Vec<Lie>) {
    let me = puppet.id();
    let nobody = [ContextId::new(4711), ContextId::new(u32::MAX), ContextId::new(1999)];
    let ids = others.iter().map(|other| other.id()).chain(nobody).chain([ContextId::ROOT]);
    let ids: Vec<_> = ids.collect();
    let sources = ids.iter().flat_map(|id| [(*id, me), (*id, *id)]).collect();
    let authorities = ids.iter().map(|id| (me, *id)).collect();
    (sources, authorities)
}

/// Has a puppet send calls of [`WORK`] to `to` that lie.
fn forge(puppet: &Puppet, to: &[ContextId], lies: &[Lie]) -> u64 {
    let mut sent = 0;
    for (src, auth) in lies {
        for dst in to {
            let call = puppet.call(*dst, Handle::new(5000), WORK, &0);
            puppet.put(&[Frame { src: *src, auth: *auth, ..call }]);
            sent += 1;
        }
    }
    sent
}

fn t14_frames_with_a_forged_source_or_authority_are_dropped_and_counted() {
    let mark = logs::mark();
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let (near, far) = (router.connect(leaf("near")).unwrap(), hop.connect(leaf("far")).unwrap());
    let puppet = puppet(&router.here(), "puppet");
    let (sources, authorities) = forgeries(&puppet, &[&near, &hop, &far]);
    let to = [ContextId::ROOT, near.id(), hop.id(), far.id(), puppet.id()];
    let sent = (forge(&puppet, &to, &sources), forge(&puppet, &to, &authorities));
    let counted =
        (dropped(&router, &puppet, DropKind::Source), dropped(&router, &puppet, DropKind::Authority));
    assert_eq!(counted, sent);
    for context in [&near, &hop, &far] {
        assert_eq!(context.call(TALLY, ()).unwrap(), (0, 0), "nothing has run in {context}");
    }
    assert_eq!(puppet.seen(), [], "nobody is answered");
    let link = format!("the link to context {}: a frame from", puppet.id());
    mark.until(&[&link, "its source may not speak by this link"]);
    mark.until(&[&link, "its authority may not be used on this link"]);
    let lines = mark.lines().into_iter().filter(|line| line.contains(&link)).count();
    assert_eq!(lines, 2, "one a kind");
    // The same with the truth runs, where it may.
    hop.grant(WORK, puppet.context()).unwrap();
    puppet.put(&[puppet.call(hop.id(), Handle::new(5001), WORK, &0)]);
    puppet.until("the answer", |seen| seen.handle == Handle::new(5001));
    assert_eq!(hop.call(TALLY, ()).unwrap().1, 1);
}

fn t14_below_a_hop_it_is_the_hop_that_drops_them_and_its_log_says_so() {
    let mark = logs::mark();
    let (router, tape) = recorded(Router::builder());
    let hop = router.connect(hop("hop")).unwrap();
    let (near, sibling) = (router.connect(leaf("near")).unwrap(), hop.connect(leaf("sibling")).unwrap());
    let puppet = puppet(&hop, "puppet");
    let (sources, authorities) = forgeries(&puppet, &[&near, &hop, &sibling]);
    let to = [ContextId::ROOT, near.id(), hop.id(), sibling.id()];
    forge(&puppet, &to, &sources);
    forge(&puppet, &to, &authorities);
    for context in [&near, &hop, &sibling] {
        assert_eq!(context.call(TALLY, ()).unwrap(), (0, 0), "nothing has run in {context}");
    }
    assert_eq!(puppet.seen(), [], "nobody is answered");
    let link = format!("hop: the link to context {}: a frame from", puppet.id());
    mark.until(&[&link, "its source may not speak by this link"]);
    mark.until(&[&link, "its authority may not be used on this link"]);
    assert_eq!(router.dropped(), [], "nothing of it has come as far as the root");
    drop(router);
    let work = WORK.name().as_bytes();
    let came =
        tape.frames().into_iter().filter(|f| f.came_in && f.body.windows(work.len()).any(|w| w == work));
    assert_eq!(came.count(), 0);
}

/// Sends what might end a call of `at` that waits at `handle`: dead messages and answers, each in all these names.
fn attack(attacker: &Puppet, at: ContextId, handle: Handle, names: &[ContextId]) {
    let dead = codec::encode(&Dead::new(DeadCode::Gone, "forged")).unwrap();
    // An answer that would pass for any number.
    let bodies = [(ReplyTo::Dead, dead), (ReplyTo::Nobody, vec![0x82, 0, 0x80, 5])];
    for (reply_to, body) in bodies {
        let frame = attacker.frame(at, handle, reply_to, body);
        for src in names {
            attacker.put(&[
                Frame { src: *src, ..frame.clone() },
                Frame { src: *src, auth: *src, ..frame.clone() },
            ]);
        }
    }
}

fn t15_nobody_but_the_respondent_can_end_a_call_of_the_root() {
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let victim = puppet(&hop, "victim");
    let call = victim.context().call_async(ADD, (2, 3));
    let seen = victim.until_called(ContextId::ROOT);
    let attackers = [puppet(&router.here(), "stranger"), puppet(&hop, "sibling")];
    for attacker in &attackers {
        let at = Handle::new(seen.reply_to);
        attack(attacker, ContextId::ROOT, at, &[attacker.id(), victim.id(), hop.id(), ContextId::ROOT]);
    }
    assert!(!call.is_ready());
    let respondent = dropped(&router, &attackers[0], DropKind::Respondent);
    assert_eq!(respondent, 4, "in its own name, dead or not: {:?}", router.dropped());
    assert_eq!(dropped(&router, &attackers[0], DropKind::Source), 12, "in the name of others");
    victim.put(&[victim.answer(&seen, &7)]);
    assert_eq!(call.wait_timeout(PATIENCE).unwrap(), 7);
    // The respondent itself may end it so.
    let call = victim.context().call_async(ADD, (3, 3));
    let at =
        victim.until("the second call", |s| s.handle == Handle::CALL_FUNCTION && s.body.ends_with(&[3, 3]));
    let dead = codec::encode(&Dead::new(DeadCode::Busy, "not now")).unwrap();
    victim.put(&[victim.frame(ContextId::ROOT, Handle::new(at.reply_to), ReplyTo::Dead, dead)]);
    let error = call.wait_timeout(PATIENCE).unwrap_err();
    assert!(matches!(&error, CallError::Busy { .. }) && error.to_string().contains("not now"), "{error:?}");
}

fn t15_nobody_but_the_respondent_can_end_a_call_between_others() {
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let caller = hop.connect(leaf("caller")).unwrap();
    let victim = puppet(&router.here(), "victim");
    let asks = caller.call_async(ASK, victim.context().clone());
    let seen = victim.until_called(caller.id());
    let attackers = [puppet(&router.here(), "stranger"), puppet(&hop, "sibling")];
    for attacker in &attackers {
        let at = Handle::new(seen.reply_to);
        attack(
            attacker,
            caller.id(),
            at,
            &[attacker.id(), victim.id(), hop.id(), ContextId::ROOT, caller.id()],
        );
    }
    // It has all been dealt with when the caller has answered this.
    caller.ping().unwrap();
    assert!(!asks.is_ready());
    victim.put(&[victim.answer(&seen, &"the victim")]);
    assert_eq!(asks.wait_timeout(PATIENCE).unwrap(), "the victim");
}

fn one_way() -> Router {
    Router::builder().functions(functions()).one_way().build().unwrap()
}

fn t16_a_one_way_tree_lets_nothing_turn() {
    let router = one_way();
    let hop = router.connect(hop("hop")).unwrap();
    let [a, b] = ["a", "b"].map(|name| router.connect(leaf(name)).unwrap());
    let far = hop.connect(leaf("far")).unwrap();
    for (from, to) in [(&a, &b), (&a, &hop), (&hop, &a), (&a, &far), (&far, &b)] {
        let error = from.call(ASK, to.clone()).unwrap_err().to_string();
        assert!(
            error.contains("this tree is one-way: context 0 passes nothing between its children"),
            "{error}"
        );
        assert!(error.contains("does not let this context call name"), "{error}");
    }
    // Even whom it was granted.
    b.grant(SECRET, &a).unwrap();
    assert!(a.call(ASK_SECRET, b.clone()).is_err());
    // Up and down all passes.
    assert_eq!(a.call(ASK, router.here()).unwrap(), "root");
    assert_eq!(far.call(ASK, hop.clone()).unwrap(), "hop");
    assert_eq!(hop.call(ASK, far.clone()).unwrap(), "far");
    assert_eq!(far.call(ASK, router.here()).unwrap(), "root");
    // On the wire it is a dead message of that code, by whoever would have to turn it.
    let puppet = puppet(&router.here(), "puppet");
    puppet.put(&[puppet.call(b.id(), Handle::new(5000), NAME, &())]);
    let (seen, dead) = puppet.until_dead(Handle::new(5000));
    assert_eq!((dead.code, seen.src, seen.auth), (DeadCode::OneWay, b.id(), ContextId::ROOT));
    assert_eq!(dropped(&router, &puppet, DropKind::OneWay), 1);
}

fn t16_one_way_is_inherited_at_depth_three() {
    let router = one_way();
    let hops = chain(&router, 3);
    let deepest = &hops[2];
    let [x, y] = ["x", "y"].map(|name| deepest.connect(leaf(name)).unwrap());
    let beside = hops[1].connect(leaf("beside")).unwrap();
    let turns = [(&x, &y, deepest), (&y, &x, deepest), (&x, &beside, &hops[1]), (&beside, &y, &hops[1])];
    for (from, to, at) in turns {
        let error = from.call(ASK, to.clone()).unwrap_err().to_string();
        let text = format!("this tree is one-way: context {} passes nothing between its children", at.id());
        assert!(error.contains(&text), "{from} to {to}: {error}");
    }
    for above in hops.iter().chain([&router.here()]) {
        assert_eq!(x.call(ASK, above.clone()).unwrap(), above.name());
    }
    assert_eq!(hops[0].call(ASK, x).unwrap(), "x");
}

fn t16_a_stamped_link_is_let_through_both_ways() {
    let router = one_way();
    let hop = router.connect(hop("hop")).unwrap();
    let stamped = hop.connect(leaf("stamped").stamped()).unwrap();
    let [x, y] = ["x", "y"].map(|name| hop.connect(leaf(name)).unwrap());
    assert_eq!(stamped.call(ASK, x.clone()).unwrap(), "x");
    assert_eq!(x.call(ASK, stamped).unwrap(), "stamped");
    assert!(x.call(ASK, y).is_err());
}

fn t17_a_parent_stamps_its_own_authority() {
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let stamped = hop.connect(leaf("stamped").stamped()).unwrap();
    let plain = hop.connect(leaf("plain")).unwrap();
    let watcher = puppet(&hop, "watcher");
    for (from, auth) in [(&stamped, hop.id()), (&plain, plain.id())] {
        let asks = from.call_async(ASK, watcher.context().clone());
        let seen = watcher.until_called(from.id());
        assert_eq!((seen.src, seen.auth), (from.id(), auth));
        watcher.put(&[watcher.answer(&seen, &"watcher")]);
        assert_eq!(asks.wait().unwrap(), "watcher");
    }
    // So it may do what the hop may: below the hop, and not beyond.
    assert_eq!(stamped.call(ASK_SECRET, plain.clone()).unwrap(), "plain");
    assert!(plain.call(ASK_SECRET, stamped.clone()).is_err());
    let beyond = router.connect(leaf("beyond")).unwrap();
    assert!(stamped.call(ASK_SECRET, beyond).is_err());
    // A stamp covers whatever authority is claimed, but no other source.
    let liar = Puppet::new(hop.connect(raw("puppet", "liar").stamped()).unwrap());
    let call = liar.call(watcher.id(), Handle::new(5000), NAME, &());
    let (auth, src) = (ContextId::ROOT, plain.id());
    liar.put(&[Frame { src, ..call.clone() }, Frame { auth, ..call }]);
    let seen = watcher.until_called(liar.id());
    assert_eq!(seen.auth, hop.id());
    let calls = |from: ContextId| watcher.seen().iter().filter(|s| s.src == from).count();
    assert_eq!((calls(liar.id()), calls(plain.id())), (1, 1), "the forged source is not let through");
}

fn t17_the_outermost_stamp_wins() {
    let router = root();
    let outer = router.connect(hop("outer").stamped()).unwrap();
    let inner = outer.connect(hop("inner").stamped()).unwrap();
    let deep = inner.connect(leaf("deep").stamped()).unwrap();
    let watchers = [puppet(&router.here(), "outside"), puppet(&outer, "between"), puppet(&inner, "inside")];
    for (watcher, auth) in watchers.iter().zip([ContextId::ROOT, outer.id(), inner.id()]) {
        let asks = deep.call_async(ASK, watcher.context().clone());
        let seen = watcher.until_called(deep.id());
        assert_eq!(seen.auth, auth, "at {}", watcher.context());
        watcher.put(&[watcher.answer(&seen, &"seen")]);
        assert_eq!(asks.wait().unwrap(), "seen");
    }
    let free = router.connect(leaf("free")).unwrap();
    assert_eq!(deep.call(ASK_SECRET, free).unwrap(), "free", "on the authority of the root");
}

/// The frames about routes that came to a puppet.
fn about_routes(puppet: &Puppet) -> Vec<Seen> {
    let handles = [Handle::ADD_ROUTE, Handle::DEL_ROUTE, Handle::ALLOCATE_ID];
    puppet.seen().into_iter().filter(|seen| handles.contains(&seen.handle)).collect()
}

fn t17_a_leaf_that_acts_as_a_parent_is_dropped_and_counted() {
    let mark = logs::mark();
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let victim = hop.connect(leaf("victim")).unwrap();
    let puppets = [(router.here(), puppet(&router.here(), "near")), (hop.clone(), puppet(&hop, "far"))];
    let tree = router.tree().to_string();
    for (parent, puppet) in &puppets {
        let add = AddRoute { id: ContextId::new(5000), parent: puppet.id(), name: "child".into() };
        let del =
            DelRoute { ids: vec![victim.id()], top: victim.id(), name: String::new(), reason: "no".into() };
        let to = parent.id();
        puppet.put(&[
            puppet.frame_of(to, Handle::ADD_ROUTE, ReplyTo::Nobody, &add),
            puppet.frame_of(to, Handle::ALLOCATE_ID, ReplyTo::Nobody, &AllocateId::Ask),
            puppet.frame_of(to, Handle::DEL_ROUTE, ReplyTo::Nobody, &del),
        ]);
        assert_eq!(about_routes(puppet), [], "it gets nothing for it");
        mark.until(&[&format!("the link to context {}: ", puppet.id()), "a leaf that acts as a parent"]);
    }
    assert_eq!(dropped(&router, &puppets[0].1, DropKind::Role), 3);
    assert_eq!(router.tree().to_string(), tree);
    assert_eq!(victim.call(NAME, ()).unwrap(), "victim");
}

fn t17_a_leaf_never_receives_an_announcement() {
    let (router, tape) = recorded(Router::builder());
    let hop = router.connect(hop("hop")).unwrap();
    let puppets = [puppet(&router.here(), "near"), puppet(&hop, "far")];
    let made = [router.here(), hop.clone()].map(|at| at.connect(leaf("leaf")).unwrap());
    let deep = hop.connect(crate::bed::hop("inner")).unwrap().connect(leaf("deep")).unwrap();
    for puppet in &puppets {
        for (n, other) in (0..).zip(made.iter().chain([&deep])) {
            let at = Handle::new(5000 + n);
            puppet.put(&[puppet.call(other.id(), at, NAME, &())]);
            puppet.until("the answer", |seen| seen.handle == at);
        }
        assert!(puppet.seen().iter().all(|seen| seen.handle != Handle::ADD_ROUTE));
    }
    drop(router);
    let down = tape.frames().into_iter().filter(|f| !f.came_in && f.handle == Handle::ADD_ROUTE).count();
    assert_eq!(down, 0, "nor does anybody else");
}

fn t17_a_forged_announcement_from_above_is_dropped_and_counted() {
    for method in [leaf("leaf"), hop("hop")] {
        let mut above = Above::begin(&method);
        let add = AddRoute { id: ContextId::new(7), parent: ContextId::ROOT, name: "forged".into() };
        let add = above.frame_of(Handle::ADD_ROUTE, ReplyTo::Nobody, &add);
        above.send(&add);
        above.send(&add);
        let record = above.until("a record of it", |frame| frame.handle == Handle::FORWARD_LOG);
        let text = String::from_utf8_lossy(&record.body).into_owned();
        assert!(text.contains("the link to context 0: a frame from 0"), "{text}");
        assert!(text.contains("a route that may not be announced or withdrawn by this link"), "{text}");
        above.sync();
        assert!(
            above.passed().iter().all(|frame| frame.handle != Handle::FORWARD_LOG),
            "the second is only counted"
        );
        // To the context that was announced it goes up as before, and it lives on.
        let at = Handle::new(5000);
        above.send(&above.call(Handle::CALL_FUNCTION, at, ADD.name(), &(2, 3)));
        let answer = above.until("the answer", |frame| frame.handle == at && frame.body.len() > 1);
        assert_eq!((answer.src, value::<i64>(&answer)), (CHILD, 5));
    }
}
