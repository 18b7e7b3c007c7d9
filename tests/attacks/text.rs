//! What it would have people read, 50 to 52, or take for the name of a place, 73.

use offshoot_parent::{DropKind, prelude::*};
use offshoot_tests::real::{
    PATIENCE, eventually,
    ground::shown,
    life::SHELL,
    table::{ECHO, FEED},
};

use crate::stage::Stage;

crate::tests![
    attack_50_a_flood_of_records_is_named_counted_and_escaped,
    attack_50_a_record_that_cannot_be_read_is_counted,
    attack_51_an_output_without_a_line_end_is_cut,
    attack_52_an_error_text_is_cut_and_escaped,
    attack_52_an_error_text_that_is_no_text_is_an_error_of_its_own,
    attack_52_whatever_it_says_of_a_call_or_a_stream_is_escaped,
    attack_73_a_fact_of_a_host_is_no_option_of_the_next_connect,
];

fn attack_50_a_flood_of_records_is_named_counted_and_escaped() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let text = "a\nb\u{1b}[2J\u{9b}\u{202e}\u{2066}\u{61c}\u{1b}]52;c;eA==\u{7}";
    let order = format!("log-flood 1500 {} {}", hex("offshoot_core\u{1b}"), hex(text));
    let told = stage.under_attack(|| seven.act(&order));
    let sent: u64 = told[0].parse().unwrap();
    let escaped = "ERROR offshoot_core\\u{1b}: seven: \
        a\\nb\\u{1b}[2J\\u{9b}\\u{202e}\\u{2066}\\u{61c}\\u{1b}]52;c;eA==\\u{7}";
    let came = |lines: &[String]| lines.iter().filter(|line| *line == escaped).count() as u64;
    let lines = eventually("what was dropped is told", PATIENCE, || {
        // A record in a later second tells of those of the one before.
        seven.act("log-flood 1 78 78");
        let lines = stage.log().lines();
        let words = "records from seven or from below it were dropped: too many in a second";
        lines.iter().any(|line| line.contains(words)).then_some(lines)
    });
    let came = came(&lines);
    assert!(sent > 4000, "it sends more than is taken: {sent}");
    assert!((1000..=4000).contains(&came), "{came} of {sent} came, a thousand in each second");
    stage.end();
}

fn attack_50_a_record_that_cannot_be_read_is_counted() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    // No array, a member too many, no text.
    stage.under_attack(|| {
        ["00", "8403617861786178", "830361ff6178"].map(|body| seven.act(&format!("say 102 {body}")))
    });
    assert_eq!(stage.dropped(seven.context(), DropKind::Malformed), 3);
    stage.end();
}

fn attack_51_an_output_without_a_line_end_is_cut() {
    let stage = Stage::new();
    // It is the attacker here.
    stage.allow(16);
    let noisy = stage.leaf(&stage.router().here(), "noisy");
    let line = "head -c 1073741824 /dev/zero | tr '\\0' x";
    let ended = stage.under_attack(|| noisy.call_async(SHELL, line.into()).wait_timeout(3 * PATIENCE));
    assert_eq!(ended, Ok(0), "all of it is taken");
    let lines = stage.end();
    let pieces: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("INFO stdout: noisy: x")).collect();
    assert!(!pieces.is_empty());
    assert!(pieces.iter().all(|rest| rest.len() < 8192), "cut at 8 KiB");
}

/// As the acts are told bytes.
fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// A function that hostile ones are called by.
const ANSWER: Function<(), u8> = Function::new("answer");

fn attack_52_an_error_text_is_cut_and_escaped() {
    let stage = Stage::new();
    // What the call asked for: a body, and once more the text in it.
    stage.allow(2 * 100);
    let seven = stage.seven("leaf");
    let call = seven.context().call_async(ANSWER, ());
    let words = hex("root: password:\n\x1b[2J");
    let times = (100 << 20) / 20;
    let error = stage.under_attack(|| {
        seven.act(&format!("reply 8301007a{:08x} {words} {times}", times * 20));
        call.wait_timeout(PATIENCE).unwrap_err()
    });
    let CallError::Failed { message, .. } = &error else { panic!("{error:?}") };
    assert!(message.len() <= 16 << 10, "{}", message.len());
    let text = shown(&error);
    assert!(text.starts_with("answer in seven failed: root: password:\\n\\u{1b}[2J"), "{text}");
    stage.end();
}

fn attack_52_an_error_text_that_is_no_text_is_an_error_of_its_own() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let call = seven.context().call_async(ANSWER, ());
    let error = stage.under_attack(|| {
        seven.act("reply 83010063fffe78 - 0");
        call.wait_timeout(PATIENCE).unwrap_err()
    });
    assert!(matches!(error, CallError::DecodeResult { .. }), "{error:?}");
    shown(&error);
    stage.end();
}

fn attack_52_whatever_it_says_of_a_call_or_a_stream_is_escaped() {
    let stage = Stage::new();
    let seven = stage.seven("leaf");
    let text = hex("so\n\x1b]0;x\x07\u{202e}");
    let escaped = "so\\n\\u{1b}]0;x\\u{7}\\u{202e}";
    let call = seven.context().call_async(ANSWER, ());
    let (sender, receiver) = stage.router().channel::<u64>();
    let (error, broken) = stage.under_attack(|| {
        seven.act(&format!("reply-dead {text}"));
        let feed = seven.context().call_async(FEED, (sender, 1));
        seven.act(&format!("fail-stream {text}"));
        feed.wait_timeout(PATIENCE).expect("it is answered");
        (call.wait_timeout(PATIENCE).unwrap_err(), receiver.recv_timeout(PATIENCE).unwrap_err())
    });
    assert!(shown(&error).contains(&format!("seven is lost: {escaped}; ")), "{error}");
    assert_eq!(shown(&broken), format!("the sender failed: {escaped}"));
    stage.end();
}

fn attack_73_a_fact_of_a_host_is_no_option_of_the_next_connect() {
    let stage = Stage::new();
    // It is the attacker here.
    stage.allow(16);
    let seven = stage.leaf(&stage.router().here(), "seven");
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("ran");
    let ran = format!("touch {}", mark.display());
    stage.under_attack(|| {
        for fact in [format!("-oProxyCommand={ran}"), format!("web1\n{ran}"), format!("$({ran})")] {
            let host = seven.call(ECHO, fact).unwrap();
            for method in [Ssh::new(host.clone()), Ssh::new("web1").user(host)] {
                let error = stage.router().connect(method).unwrap_err();
                assert_eq!(error.kind().code(), "bad_place", "{error}");
            }
        }
    });
    assert!(!mark.exists());
    stage.end();
}
