//! Log records and captured outputs on their way to the logger of the root.

use std::time::Duration;

use log::LevelFilter;
use offshoot_parent::prelude::*;
use offshoot_tests::real::{
    PATIENCE, eventually,
    life::{LOG_MANY, SHELL},
    logs,
    table::{ECHO, LOG},
};
use offshoot_wire::{AddRoute, DelRoute, Frame, Handle, ReplyTo, codec};

use crate::{
    bed::{chain, leaf, puppet_parent, root},
    ids::ask_for_ids,
};

crate::tests![
    logs_a_record_comes_with_context_target_and_level_from_four_levels_below,
    logs_what_is_less_than_the_root_logs_is_not_sent,
    logs_what_a_leaf_and_its_processes_print_comes_line_by_line,
    logs_a_long_line_comes_in_pieces,
    logs_what_a_stranger_writes_stays_on_its_line,
    logs_what_was_said_last_comes_before_the_end,
    logs_what_comes_with_the_news_of_its_loss_bears_its_name,
    logs_a_flood_is_bounded_and_what_was_dropped_is_counted,
    logs_a_flood_of_lines_does_not_hold_up_calls,
];

fn logs_a_record_comes_with_context_target_and_level_from_four_levels_below() {
    let mark = logs::mark();
    let router = root();
    let deep = chain(&router, 3)[2].connect(leaf("deep")).unwrap();
    deep.call(LOG, "a word".into()).unwrap();
    assert_eq!(mark.until(&["a word"]), "WARN tests: deep: a word");
}

fn logs_what_is_less_than_the_root_logs_is_not_sent() {
    let mark = logs::mark();
    log::set_max_level(LevelFilter::Warn);
    let router = root();
    // What a context was told when it was made holds.
    log::set_max_level(LevelFilter::Info);
    let leaf = router.connect(leaf("leaf")).unwrap();
    assert_eq!(leaf.call(SHELL, "echo unheard".into()).unwrap(), 0);
    leaf.call(LOG, "heard".into()).unwrap();
    mark.until(&["WARN tests: leaf: heard"]);
    leaf.shutdown().wait_timeout(PATIENCE).unwrap();
    assert!(!mark.lines().iter().any(|line| line.contains("unheard")), "{:?}", mark.lines());
}

fn logs_what_a_leaf_and_its_processes_print_comes_line_by_line() {
    let mark = logs::mark();
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    leaf.call(SHELL, "printf 'one\\ntw'; printf 'o\\n'; echo three >&2".into()).unwrap();
    for line in ["INFO stdout: leaf: one", "INFO stdout: leaf: two", "INFO stderr: leaf: three"] {
        mark.until(&[line]);
    }
}

fn logs_a_long_line_comes_in_pieces() {
    let mark = logs::mark();
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    leaf.call(SHELL, "head -c 20000 /dev/zero | tr '\\0' x; echo; echo behind".into()).unwrap();
    mark.until(&["INFO stdout: leaf: behind"]);
    let lines = mark.lines();
    let pieces = lines.iter().filter_map(|line| line.strip_prefix("INFO stdout: leaf: x"));
    assert_eq!(pieces.map(|rest| rest.len() + 1).collect::<Vec<_>>(), [8192, 8192, 20_000 - 2 * 8192]);
}

fn logs_what_a_stranger_writes_stays_on_its_line() {
    let mark = logs::mark();
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    leaf.call(LOG, "a\nERROR root: forged \x1b[31m".into()).unwrap();
    assert_eq!(mark.until(&["forged"]), "WARN tests: leaf: a\\nERROR root: forged \\u{1b}[31m");
    leaf.call(SHELL, "printf '\\033]0;title\\007\\377\\n'".into()).unwrap();
    assert_eq!(mark.until(&["title"]), "INFO stdout: leaf: \\u{1b}]0;title\\u{7}\u{fffd}");
}

fn logs_what_was_said_last_comes_before_the_end() {
    let mark = logs::mark();
    let router = root();
    let up = router.connect(crate::bed::hop("up")).unwrap();
    let leaf = up.connect(leaf("leaf")).unwrap();
    let working = leaf.call_async(SHELL, "printf 'without end'; printf 'last words' >&2".into());
    let logging = leaf.call_async(LOG, "last record".into());
    working.wait_timeout(PATIENCE).unwrap();
    logging.wait_timeout(PATIENCE).unwrap();
    // They are read at the end, since no line is complete.
    up.shutdown().wait_timeout(PATIENCE).unwrap();
    for line in
        ["INFO stdout: leaf: without end", "INFO stderr: leaf: last words", "WARN tests: leaf: last record"]
    {
        mark.until(&[line]);
    }
}

fn logs_what_comes_with_the_news_of_its_loss_bears_its_name() {
    let mark = logs::mark();
    let router = root();
    let puppet = puppet_parent(&router.here(), "puppet");
    let id = ask_for_ids(&puppet).id(5).unwrap();
    let to_root = |handle, body| puppet.frame(ContextId::ROOT, handle, ReplyTo::Nobody, body);
    let add = AddRoute { id, parent: puppet.id(), name: "child".into() };
    let del = DelRoute { ids: vec![id], top: id, name: String::new(), reason: "it ended".into() };
    let said = codec::encode(&(log::Level::Warn as u8, "tests", "its last")).unwrap();
    let record = Frame { src: id, auth: id, ..to_root(Handle::FORWARD_LOG, said) };
    // All three are in one read.
    puppet.put(&[
        to_root(Handle::ADD_ROUTE, codec::encode(&add).unwrap()),
        record,
        to_root(Handle::DEL_ROUTE, codec::encode(&del).unwrap()),
    ]);
    assert_eq!(mark.until(&["its last"]), "WARN tests: child: its last");
}

/// How many records the lines say were dropped.
fn dropped(lines: &[String]) -> u64 {
    let counts = lines.iter().filter(|line| line.starts_with("WARN offshoot: ") && line.contains("dropped"));
    counts.filter_map(|line| line.split(' ').find_map(|word| word.parse::<u64>().ok())).sum()
}

fn logs_a_flood_is_bounded_and_what_was_dropped_is_counted() {
    const MANY: u64 = 30_000;
    let mark = logs::mark();
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    leaf.call(LOG_MANY, MANY).unwrap();
    let came =
        |lines: &[String]| lines.iter().filter(|line| line.contains("tests: leaf: record ")).count() as u64;
    // A later record tells what the root dropped in the second before.
    let mut pokes = 0;
    let lines = eventually("what was dropped is told", PATIENCE, || {
        pokes += 1;
        leaf.call(LOG, format!("record poke {pokes}")).unwrap();
        let lines = mark.lines();
        (came(&lines) + dropped(&lines) >= MANY).then_some(lines)
    });
    assert!(came(&lines) < MANY, "a link takes a thousand records a second: {}", came(&lines));
    assert!(came(&lines) + dropped(&lines) <= MANY + pokes + 100, "{} and {}", came(&lines), dropped(&lines));
}

fn logs_a_flood_of_lines_does_not_hold_up_calls() {
    let mark = logs::mark();
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    // A process that writes on and on, and nobody waits for.
    leaf.call(SHELL, "(exec timeout 2 yes flood) &".into()).unwrap();
    mark.until(&["INFO stdout: leaf: flood"]);
    for n in 0..20 {
        let text = n.to_string();
        assert_eq!(leaf.with_timeout(Duration::from_secs(5)).call(ECHO, text.clone()), Ok(text));
    }
    leaf.shutdown().wait_timeout(PATIENCE).unwrap();
}
