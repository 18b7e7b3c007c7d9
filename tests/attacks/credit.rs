//! More than it may send, credit that it does not give, calls that it does not wait for: 44 to 49.

use std::time::Duration;

use offshoot_parent::{Blob, DropKind, Limits, RecvError, SendError, prelude::*};
use offshoot_tests::real::{
    PATIENCE, eventually,
    ground::shown,
    table::{ASK, FEED, WAIT_FOR},
};

use crate::stage::{Stage, most_at_once};

crate::tests![
    attack_44_a_stream_that_is_overdrawn_is_broken_at_both_ends,
    attack_45_who_gives_no_credit_keeps_nobody_else_on_its_link_waiting,
    attack_45_who_asks_and_gives_no_credit_for_answers_is_refused_at_last,
    attack_46_who_never_reads_fills_its_own_queue_alone,
    attack_47_calls_that_are_given_up_at_once_take_no_more_room,
    attack_48_nobody_gives_up_the_call_of_another,
    attack_49_no_program_can_be_had_by_asking,
];

fn attack_44_a_stream_that_is_overdrawn_is_broken_at_both_ends() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let (sender, receiver) = stage.router().channel::<u64>();
    let call = seven.context().call_async(FEED, (sender, 1));
    let told = stage.under_attack(|| seven.act("overdraw"));
    assert_eq!(told, ["dead congested by 0: it was sent without credit"]);
    assert_eq!(call.wait_timeout(PATIENCE), Ok(()));
    let error = receiver.recv_timeout(PATIENCE).unwrap_err();
    assert!(
        matches!(&error, RecvError::Lost { reason, .. } if reason == "it was sent without credit"),
        "{}",
        shown(&error)
    );
    assert_eq!(stage.dropped(seven.context(), DropKind::Credit), 1);
    stage.end();
}

fn attack_45_who_gives_no_credit_keeps_nobody_else_on_its_link_waiting() {
    let stage = Stage::new();
    let seven = stage.seven("parent");
    let child = 1000 * seven.act("ask-range")[0].parse::<u32>().unwrap();
    seven.act(&format!("announce {child}"));
    // That of its child, as it names it.
    let named = seven.context().call_async(Function::<(), Context>::new("child"), ());
    seven.act(&format!("reply 820080 19{child:04x} 1"));
    let child = named.wait_timeout(PATIENCE).unwrap();
    seven.act("stingy");
    seven.begin("echo");
    let much = || Blob::from(vec![0; 12_000]);
    stage.under_attack(|| {
        let swallow = Function::<Blob, ()>::new("swallow");
        let caller = seven.context().with_timeout(Duration::from_millis(300));
        let calls: Vec<_> = (0..3).map(|_| caller.call_async(swallow, much())).collect();
        let plain = Function::<(), ()>::new("plain");
        assert_eq!(child.with_timeout(PATIENCE).call(plain, ()), Ok(()), "beside it all goes on");
        let ends: Vec<_> = calls.into_iter().map(Pending::wait).collect();
        assert_eq!(ends[0], Ok(()), "there is room for one");
        for end in &ends[1..] {
            assert!(matches!(end, Err(CallError::TimedOut { .. })), "{end:?}");
        }
    });
    stage.end();
}

fn attack_45_who_asks_and_gives_no_credit_for_answers_is_refused_at_last() {
    let mut limits = Limits::default();
    limits.downlink = 4 << 20;
    let stage = Stage::with(|root| root.limits(limits));
    let seven = stage.seven("leaf");
    let told = stage.under_attack(|| seven.act("ask-in-vain 12000"));
    assert_eq!(told, ["dead congested by 0: too many calls and answers wait there by the same link"]);
    let waits = stage.router().sizes().0.data_bytes;
    assert!(waits < (4 << 20) + (64 << 10), "{waits} bytes wait for it");
    assert!(stage.dropped(seven.context(), DropKind::Congested) > 1000);
    seven.begin("die");
    eventually("they go with it", PATIENCE, || (stage.router().sizes().0.data_bytes == 0).then_some(()));
    stage.end();
}

fn attack_46_who_never_reads_fills_its_own_queue_alone() {
    let mut limits = Limits::default();
    limits.downlink = 4 << 20;
    let stage = Stage::with(|root| root.limits(limits));
    let five = stage.hop("five");
    let ten: Vec<_> = (0..10).map(|n| stage.leaf(&five, &format!("leaf{n}"))).collect();
    let seven = stage.seven("leaf");
    seven.act("deaf");
    // More than its link takes unread, and than may wait for it.
    let swallow = Function::<Blob, ()>::new("swallow");
    let full = seven.context().call_async(swallow, vec![0; 8 << 20].into());
    let (sender, receiver) = stage.router().channel::<u64>();
    let calls = stage.under_attack(|| {
        let handed = seven.context().call_async(Function::<Receiver<u64>, ()>::new("take"), receiver);
        let ask = |leaf: &Context| {
            (0..200).map(|_| leaf.call_async(ASK, seven.context().clone())).collect::<Vec<_>>()
        };
        let calls: Vec<_> = ten.iter().flat_map(ask).collect();
        eventually("some are refused", PATIENCE, || calls.iter().any(Pending::is_ready).then_some(()));
        // A stream to it waits for as long as its sender likes.
        let full = (0..).find_map(|n| sender.send_timeout(n, Duration::from_millis(50)).err());
        assert_eq!(full, Some(SendError::TimedOut));
        for leaf in &ten {
            leaf.ping().expect("each of the ten goes on");
        }
        drop(handed);
        calls
    });
    let congested = stage.dropped(&five, DropKind::Congested);
    assert!(congested > 0, "{congested}");
    // The others end with it.
    assert!(!full.is_ready());
    seven.begin("die");
    let ends: Vec<_> = calls.into_iter().map(|call| call.wait_timeout(PATIENCE).unwrap_err()).collect();
    let refused = ends.iter().filter(|error| shown(error).contains("too much waits for context"));
    assert_eq!(refused.count() as u64, congested);
    stage.end();
}

fn attack_47_calls_that_are_given_up_at_once_take_no_more_room() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    // The refusals that it has not read yet.
    stage.allow(16);
    for (count, at_once) in [(100_000, 1), (20_000, 20_000)] {
        // A call whose cancel comes in a later turn runs. Others wait for its worker, as they may, for a millisecond.
        let told = stage.under_attack(|| seven.act(&format!("call-and-cancel {count} 1 {at_once}")));
        let told_of = |kind: &str| {
            let line = told.iter().find_map(|line| line.strip_suffix(kind));
            line.map_or(0, |count| count.trim().parse::<u64>().unwrap())
        };
        let (refused, cancelled, ran) =
            (told_of("dead congested by 0"), told_of("dead cancelled by 0"), told_of("value f6"));
        assert_eq!(refused + cancelled + ran, count, "each is answered once: {told:?}");
        assert!(
            at_once == 1 || ran > 0 && refused > 10_000,
            "what is beyond its credit is refused: {told:?}"
        );
    }
    // Each of the four workers runs one, and no other before that has returned.
    assert!((1..=4).contains(&most_at_once()), "{}", most_at_once());
    let (sizes, _) = stage.router().sizes();
    assert_eq!(sizes.calls, 0);
    stage.end();
}

fn attack_48_nobody_gives_up_the_call_of_another() {
    let stage = Stage::new();
    let nine = stage.leaf(&stage.router().here(), "nine");
    let seven = stage.seven("leaf");
    let call = nine.call_async(WAIT_FOR, (stage.router().here(), 500));
    eventually("nine waits for the root", PATIENCE, || (stage.router().sizes().0.calls > 0).then_some(()));
    stage.under_attack(|| seven.act(&format!("cancel 0 {} 1000 1100", nine.id())));
    assert_eq!(stage.dropped(seven.context(), DropKind::Source), 101);
    assert_eq!(call.wait_timeout(PATIENCE), Ok(()));
    stage.end();
}

fn attack_49_no_program_can_be_had_by_asking() {
    let stage = Stage::new();
    let seven = stage.seven("parent");
    // The number that once was for it, and the function that would be named so.
    let told = stage.under_attack(|| seven.act("ask-handle 0 206 60"));
    assert_eq!(told, ["dead no-handle by 0: context 0 has no handle 206"]);
    stage.end();
}
