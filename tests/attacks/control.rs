//! Control frames that are not its to send, or too many of them: 40 to 43.

use offshoot_parent::{DropKind, SendError, prelude::*};
use offshoot_tests::real::{PATIENCE, eventually, ground::shown};

use crate::stage::Stage;

crate::tests![
    attack_40_it_rules_neither_its_parent_nor_a_sibling,
    attack_41_a_second_setup_or_hello_cuts_its_link,
    attack_41_a_frame_before_hello_ends_the_connect,
    attack_42_pings_without_end_have_one_pong_waiting,
    attack_43_credit_beyond_every_window_is_dropped,
    attack_43_a_stream_that_is_given_too_much_is_broken_at_both_ends,
];

fn attack_40_it_rules_neither_its_parent_nor_a_sibling() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    for dst in [ContextId::ROOT, stage.eight().id()] {
        let told = stage.under_attack(|| seven.act(&format!("rule {dst}")));
        assert_eq!(
            told,
            [
                format!("dead policy by {dst}: only an ancestor of context {dst} may make children of it"),
                format!("dead no-handle by {dst}: context {dst} has no handle 109"),
            ]
        );
    }
    // Of what goes to eight, SHUTDOWN is dropped here.
    assert_eq!(stage.dropped(seven.context(), DropKind::Policy), 3);
    assert!(stage.eight().is_alive());
    stage.end();
}

fn attack_41_a_second_setup_or_hello_cuts_its_link() {
    for (act, why) in [("setup", "it sent SETUP to a context that is up"), ("hello", "it said HELLO twice")] {
        let stage = Stage::new();
        let seven = stage.seven("leaf");
        let lost = seven.context().lost();
        let reason = stage.under_attack(|| {
            seven.begin(act);
            lost.wait_timeout(PATIENCE).expect("its link is cut")
        });
        assert_eq!(reason, why);
        stage.until_cut(&seven, why);
        stage.end();
    }
}

fn attack_41_a_frame_before_hello_ends_the_connect() {
    let stage = Stage::new();
    let error = stage.under_attack(|| stage.refused("early"));
    assert_eq!(error.kind().code(), "bad_stream", "{error}");
    let text = shown(&error);
    assert!(text.contains("it sent frames before HELLO"), "{text}");
    stage.end();
}

fn attack_42_pings_without_end_have_one_pong_waiting() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let sizes = stage.under_attack(|| {
        seven.act("deaf");
        seven.act("ping-flood 1000000");
        eventually("one PONG waits", PATIENCE, || {
            let (sizes, _) = stage.router().sizes();
            (sizes.waiting > 0).then_some(sizes)
        })
    });
    assert!(sizes.waiting <= 2 && sizes.control_bytes < 1000, "{sizes:?}");
    seven.act("listen");
    seven.act("settle");
    stage.end();
}

fn attack_43_credit_beyond_every_window_is_dropped() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let call = || {
        let call = seven.context().call_async(Function::<(), u8>::new("answer"), ());
        seven.act("reply 820080 07 1");
        call.wait_timeout(PATIENCE)
    };
    seven.act("stingy");
    assert_eq!(call(), Ok(7), "something is owed to the root from now on");
    stage.under_attack(|| {
        seven.act("credit 0 2");
        seven.act("credit 5000 1");
    });
    assert_eq!(stage.dropped(seven.context(), DropKind::Credit), 2);
    assert_eq!(stage.dropped(seven.context(), DropKind::Late), 1, "there is no such stream");
    assert_eq!(call(), Ok(7));
    stage.end();
}

fn attack_43_a_stream_that_is_given_too_much_is_broken_at_both_ends() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let give = || {
        let (sender, receiver) = stage.router().channel::<u64>();
        (sender, seven.context().call_async(Function::<Receiver<u64>, ()>::new("take"), receiver))
    };
    seven.act("stingy");
    let (sender, call) = give();
    seven.begin("overgive");
    sender.send(1).unwrap();
    let told = stage.under_attack(|| seven.done());
    assert_eq!(told, [format!("3 {TOO_MUCH}")], "it hears of it once");
    assert_eq!(call.wait_timeout(PATIENCE), Ok(()));
    let error = sender.send(2).unwrap_err();
    assert!(matches!(&error, SendError::Lost { reason, .. } if reason == TOO_MUCH), "{}", shown(&error));
    assert_eq!(stage.dropped(seven.context(), DropKind::Credit), 2);
    // That was one stream; to the next it is what it was.
    drop(sender);
    let (sender, call) = give();
    seven.begin("overgive");
    sender.send(1).unwrap();
    assert_eq!(seven.done(), told);
    assert_eq!(call.wait_timeout(PATIENCE), Ok(()));
    stage.end();
}

/// What becomes of a stream whose window would overflow.
const TOO_MUCH: &str = "more credit was given than a window can hold";
