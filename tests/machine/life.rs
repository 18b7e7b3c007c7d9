//! Beginning and end of a link.

use std::time::Instant;

use offshoot_core::{
    machine::{Action, Event, Limits, LinkKey, NoId, Tick},
    wire::{AddRoute, ContextId, HEADER_LEN, Handle, Rebind, ReplyTo, codec},
};

use crate::bed::{Bed, ROOT, frame};

#[test]
fn nothing_passes_before_hello_though_it_is_addressed_to_its_handle() {
    let mut bed = Bed::new(Limits::default());
    let other = bed.child(ROOT);
    let (child, link) = bed.silent_child(ROOT);
    let call = frame(child, other, Handle::HELLO, ReplyTo::Handle(Handle::new(1000)), Vec::new());
    let now = bed.now;
    bed.at(ROOT, |machine, out| machine.handle(now, Event::Frame { link, frame: call }, out));
    assert!(bed.done(ROOT).iter().any(|action| matches!(action, Action::Cut(cut, _) if *cut == link)));
}

/// Why a link was cut that is cut by what `act` does.
fn cut_by(bed: &mut Bed, link: LinkKey, act: impl FnOnce(&mut Bed)) -> String {
    act(bed);
    let why = |action: &Action| match action {
        Action::Cut(cut, why) if *cut == link => Some(why.clone()),
        _ => None,
    };
    bed.done(ROOT).iter().find_map(why).unwrap_or_default()
}

#[test]
fn a_hello_that_cannot_be_read_and_none_in_time_end_the_link() {
    let mut bed = Bed::new(Limits::default());
    let (child, link) = bed.silent_child(ROOT);
    let hello = frame(child, ROOT, Handle::HELLO, ReplyTo::Nobody, vec![0xff; 9]);
    let now = bed.now;
    let why = cut_by(&mut bed, link, |bed| {
        bed.at(ROOT, |machine, out| machine.handle(now, Event::Frame { link, frame: hello }, out));
    });
    assert_eq!(why, "its HELLO could not be read");
    let (_, link) = bed.silent_child(ROOT);
    let why = cut_by(&mut bed, link, |bed| {
        bed.at(ROOT, |machine, out| machine.handle(Tick(1 << 41), Event::Due, out));
    });
    assert_eq!(why, "it did not say HELLO in time");
}

#[test]
fn who_sends_more_control_frames_than_can_be_passed_on_is_cut_and_not_who_would_get_them() {
    let mut bed = Bed::new(Limits::default());
    let (hostile, other) = (bed.child(ROOT), bed.child(ROOT));
    let (link, untouched) = (bed.link(ROOT, hostile), bed.link(ROOT, other));
    bed.stop(other);
    let why = cut_by(&mut bed, link, |bed| {
        for number in 1000..2000 {
            let rebind = codec::encode(&Rebind { handle: Handle::new(number), holder: hostile }).unwrap();
            bed.inject(hostile, ROOT, frame(hostile, other, Handle::REBIND, ReplyTo::Nobody, rebind));
        }
    });
    assert_eq!(why, "it sends more control frames than can be passed on");
    assert_eq!(cut_by(&mut bed, untouched, |_| {}), "");
}

#[test]
fn a_shorter_order_to_end_counts() {
    let mut bed = Bed::new(Limits::default());
    let child = bed.child(ROOT);
    let now = bed.now;
    bed.at(ROOT, |machine, out| {
        machine.shutdown_context(now, child, 60_000, out).unwrap();
        machine.shutdown(now, 1000, out);
        machine.handle(Tick(10_000), Event::Due, out);
    });
    assert!(bed.done(ROOT).iter().any(|action| matches!(action, Action::Escalate(_))));
}

#[test]
fn a_context_that_ends_makes_no_more_children() {
    let mut bed = Bed::new(Limits::default());
    let hop = bed.child(ROOT);
    bed.child(hop);
    let now = bed.now;
    bed.at(hop, |machine, out| {
        machine.shutdown(now, 1000, out);
        assert_eq!(machine.take_id(out), Err(NoId::Exhausted));
    });
}

#[test]
fn a_child_that_does_not_take_its_answers_is_cut() {
    let mut limits = Limits::default();
    limits.downlink = 1 << 20;
    let mut bed = Bed::new(limits);
    let child = bed.child(ROOT);
    let link = bed.link(ROOT, child);
    let question = frame(child, ROOT, Handle::new(9_999), ReplyTo::Handle(Handle::new(1000)), Vec::new());
    let asked = (1..100_000).find(|_| {
        bed.inject(child, ROOT, question.clone());
        bed.done(ROOT).iter().any(|action| matches!(action, Action::Cut(cut, _) if *cut == link))
    });
    assert!(asked.is_some_and(|asked| asked < 20_000), "cut after {asked:?} questions");
}

#[test]
fn the_least_that_may_wait_for_a_child_cuts_none_that_takes_its_answers() {
    /// What a context reads of a link before it looks at another.
    const TURN: usize = 64 << 10;
    let mut limits = Limits::default();
    limits.downlink = 0;
    let refused = limits.check().unwrap_err();
    limits.downlink = refused.rsplit(' ').next().unwrap().parse().unwrap();
    let mut bed = Bed::new(limits);
    let (child, other) = (bed.child(ROOT), bed.child(ROOT));
    let to_child = bed.link(ROOT, child);
    let is_cut = |bed: &mut Bed| {
        bed.done(ROOT).iter().any(|action| matches!(action, Action::Cut(cut, _) if *cut == to_child))
    };
    // As much as others may let wait there, and then all that the child can ask before it is its turn to take something.
    for handle in 0..20_000 {
        bed.inject(other, ROOT, frame(other, child, Handle::new(1000 + handle), ReplyTo::Dead, Vec::new()));
    }
    assert!(!is_cut(&mut bed), "others have it cut off");
    let questions = u32::try_from(TURN / HEADER_LEN).unwrap();
    for handle in 0..questions {
        let reply_to = ReplyTo::Handle(Handle::new(100_000 + handle));
        bed.inject(child, ROOT, frame(child, ROOT, Handle::new(u32::MAX - handle), reply_to, Vec::new()));
    }
    assert!(!is_cut(&mut bed), "{questions} questions at once");
}

/// The quickest of some losses counts, so that it does not matter what else the machine does.
#[test]
fn a_loss_costs_no_more_where_there_are_many_others() {
    let quickest = |children: u32| {
        let mut bed = Bed::new(Limits::default());
        let children: Vec<_> = (0..children).map(|_| bed.silent_child(ROOT)).collect();
        for (child, _) in &children {
            bed.at(ROOT, |machine, _| machine.watch(*child));
        }
        let lose = |(_, link): &(_, _)| {
            let since = Instant::now();
            bed.cut_at(ROOT, *link);
            since.elapsed()
        };
        children.iter().take(40).map(lose).min().unwrap()
    };
    let (few, many) = (quickest(50), quickest(10_000));
    assert!(many < few * 10, "{few:?} among 50, {many:?} among 10,000");
}

/// A child of a hop announces as many contexts as it may, at once; the links that the hop cuts for it, and the one by
/// which they came.
fn cut_for_announcing(limits: Limits) -> (Vec<LinkKey>, LinkKey) {
    let mut bed = Bed::new(limits);
    let hop = bed.child(ROOT);
    let maker = bed.child(hop);
    let first = bed.child(maker);
    for id in first.number() + 1..first.number() + 900 {
        let add = AddRoute { id: ContextId::new(id), parent: maker, name: "child".into() };
        let add = codec::encode(&add).unwrap();
        bed.inject(maker, hop, frame(maker, hop, Handle::ADD_ROUTE, ReplyTo::Nobody, add));
    }
    let cut = |action: &Action| if let Action::Cut(link, _) = action { Some(*link) } else { None };
    (bed.done(hop).iter().filter_map(cut).collect(), bed.link(hop, maker))
}

#[test]
fn a_range_of_contexts_may_be_announced_at_once() {
    assert_eq!(cut_for_announcing(Limits::default()).0, []);
}

#[test]
fn who_announces_more_than_can_be_passed_on_is_cut_and_not_the_context_that_passes_it_on() {
    let mut limits = Limits::default();
    limits.news = 32 << 10;
    let (cut, maker) = cut_for_announcing(limits);
    assert_eq!(cut, [maker]);
}
