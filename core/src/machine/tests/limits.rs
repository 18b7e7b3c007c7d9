//! Bounds that no other test hits: each is reached with a small one.

use offshoot_wire::{CallHead, ContextId, Credit, Dead, DeadCode, Failed, Frame, Handle, ReplyTo, Role};

use super::{
    super::{Action, Event, Limits},
    bed::{
        ABOVE, Bed, COUSIN, ME, ROOT, THEIRS, call, call_from, dead, decode, encode, frame, head, reply,
        with_head,
    },
};

#[test]
fn more_news_than_may_wait_cut_the_link() {
    let mut hop = Bed::hop_with(Limits { news: 500, ..Limits::default() });
    let children: Vec<_> = (0..5).map(|_| hop.child(Role::Leaf)).collect();
    let mut actions = Vec::new();
    for link in children {
        let down = Event::LinkDown { link, reason: "lost".to_owned() };
        hop.with(|machine, now, out| machine.handle(now, down, out));
        actions.extend(hop.actions());
    }
    let cuts = actions.iter().filter(|action| matches!(action, Action::Cut(link, _) if *link == hop.up));
    assert_eq!(cuts.count(), 1);
}

// protocol 8.3
#[test]
fn a_window_grows_to_its_most_and_no_further() {
    let most = 40 << 10;
    let mut leaf = Bed::leaf_with(Limits { window_max: most, ..Limits::default() });
    let mut left = i64::from(Limits::default().window_start);
    let mut sizes = Vec::new();
    for _ in 0..20 {
        let call = call_from(ROOT, 4000, call("open", &"x".repeat(10_000)));
        left -= call.cost() as i64;
        leaf.gets(call);
        assert_eq!(leaf.works().as_deref(), Some("open"));
        let said = leaf.says();
        let given = said.iter().filter(|frame| frame.handle == Handle::CREDIT).map(decode::<Credit>);
        left += given.map(|credit| i64::from(credit.bytes)).sum::<i64>();
        assert!(left <= i64::from(most), "its source may send {left} bytes");
        sizes.extend(leaf.machine.receiving().iter().map(|window| window.size));
    }
    sizes.dedup();
    assert_eq!(sizes, [32 << 10, most]);
}

// protocol 8.3
#[test]
fn all_windows_together_grow_by_the_budget() {
    let mut leaf = Bed::leaf_with(Limits { receive_budget: 16 << 10, ..Limits::default() });
    for src in [ROOT, COUSIN] {
        for _ in 0..4 {
            leaf.gets(call_from(src, 4000, call("open", &"x".repeat(10_000))));
            assert_eq!(leaf.works().as_deref(), Some("open"));
        }
    }
    let sizes: Vec<_> = leaf.machine.receiving().iter().map(|window| (window.src, window.size)).collect();
    assert_eq!(sizes, [(ROOT, 32 << 10), (COUSIN, 16 << 10)]);
}

// protocol 8.3
#[test]
fn what_the_window_of_somebody_had_grown_by_is_free_for_others_once_he_is_said_to_be_nobody() {
    let mut leaf = Bed::leaf_with(Limits { receive_budget: 32 << 10, ..Limits::default() });
    let mut grown = |src| {
        for _ in 0..4 {
            leaf.gets(call_from(src, 4000, call("open", &"x".repeat(10_000))));
            assert_eq!(leaf.works().as_deref(), Some("open"));
        }
        let size = leaf.machine.receiving().iter().find(|window| window.src == src).map(|it| it.size);
        let waits = leaf.calls(src);
        leaf.says();
        let nobody = encode(&Dead { code: DeadCode::NoRoute, text: "there is no such context".to_owned() });
        leaf.gets(Frame { auth: ABOVE, reply_to: ReplyTo::Dead, ..frame(src, ME, waits, 0, nobody) });
        size
    };
    assert_eq!([COUSIN, ContextId::new(10)].map(&mut grown), [Some(32 << 10); 2]);
}

#[test]
fn where_much_waits_for_the_uplink_each_child_has_less_of_it() {
    let limits =
        Limits { uplink_child: 3000, uplink_child_crowded: 500, uplink_all: 2000, ..Limits::default() };
    let mut hop = Bed::hop_with(limits);
    let [one, other] = [(); 2].map(|()| hop.child(Role::Leaf));
    let record = |from| frame(from, ROOT, Handle::FORWARD_LOG, 0, encode(&"x".repeat(600)));
    for _ in 0..2 {
        assert_eq!(hop.hears(one, record(one.peer)), [], "there is room for it");
    }
    assert_eq!(hop.hears(other, record(other.peer)), [Action::Pause(other)]);
    hop.says();
    assert_eq!(hop.actions(), [Action::Resume(other)]);
}

#[test]
fn so_many_failed_chains_of_a_caller_are_remembered() {
    let mut leaf = Bed::leaf_with(Limits { failed_chains: 2, ..Limits::default() });
    for chain in 0..3 {
        leaf.gets(call_from(ROOT, 4000, with_head(&CallHead { chain: Some(chain), ..head("f") }, &())));
        leaf.with(|machine, now, out| {
            let call = machine.take_call(now, 0, out).expect("it runs");
            machine.fail(now, call.key, Failed::Error, String::new(), out);
            machine.release_worker(0);
        });
    }
    for (chain, runs) in [(0, false), (2, false), (3, true)] {
        leaf.gets(call_from(ROOT, 4000, with_head(&CallHead { chain: Some(chain), ..head("f") }, &())));
        assert_eq!(leaf.works().is_some(), runs, "{chain}");
    }
}

#[test]
fn so_many_grants_are_remembered() {
    let mut leaf = Bed::leaf_with(Limits { grants: 1, ..Limits::default() });
    let grant = |function: &str| {
        frame(ROOT, ME, Handle::GRANT, THEIRS.number(), with_head(&head(""), &(function, COUSIN)))
    };
    leaf.gets(grant("f"));
    leaf.says();
    leaf.gets(grant("open"));
    let said = leaf.says();
    assert_eq!(dead(&said).map(|(_, code)| code), Some(DeadCode::Busy));
    assert_eq!(leaf.machine.sizes().grants, 1);
}
