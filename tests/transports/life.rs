//! The process that leads to a child, from its first word to its end.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use offshoot_bootstrap::launch;
use offshoot_parent::{Phase, prelude::*};
use offshoot_tests::real::{Signal, descendants, eventually, is_gone, kill, logs};

use crate::far::{ADD, Missing, payload, program, static_program};

crate::tests![
    what_a_transport_says_while_its_child_is_up_is_read_and_logged,
    attack_50_what_a_transport_says_counts_among_the_records_of_its_link,
    what_a_program_says_before_it_is_spoken_to_is_in_the_error,
    a_connect_that_is_given_up_ends_at_once,
    a_connect_that_waits_for_its_turn_can_be_given_up,
    a_connect_that_is_given_up_while_its_answer_is_on_the_way_leaves_no_child,
    the_time_that_an_error_names_is_the_one_there_was,
];

fn by(leader: &[&str], payload: &Payload) -> Wrapped {
    Wrapped::new(leader.iter().copied()).name("there").payload(payload.clone())
}

fn what_a_transport_says_while_its_child_is_up_is_read_and_logged() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    // A megabyte, more than any pipe holds, once the child is up and for as long as it is.
    let script = "exec 3<&0; \"$@\" <&3 3<&- & until [ -e $0 ]; do sleep 0.01; done; \
         head -c 1000000 /dev/zero >&2; printf '\\nall of it was read\\n' >&2; wait";
    let folder = tempfile::tempdir().unwrap();
    let sign = folder.path().join("up").display().to_string();
    let (router, log) = (Router::new().unwrap(), logs::mark());
    let child = router.connect(by(&["sh", "-c", script, &sign], &leaf)).unwrap();
    fs::write(&sign, "").unwrap();
    log.until(&["transport", "there: all of it was read"]);
    assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);
    Ok(())
}

fn attack_50_what_a_transport_says_counts_among_the_records_of_its_link() -> Result<(), Missing> {
    const MANY: u64 = 30_000;
    let leaf = payload("leaf")?;
    // A line in a later second tells what was dropped in the one before.
    let script = "exec 3<&0; \"$@\" <&3 3<&- & until [ -e $0 ]; do sleep 0.01; done; \
         yes flood | head -n 30000 >&2; while kill -0 $! && sleep 0.1; do echo more; done >&2 2>/dev/null";
    let folder = tempfile::tempdir().unwrap();
    let sign = folder.path().join("up").display().to_string();
    let (router, log) = (Router::new().unwrap(), logs::mark());
    let child = router.connect(by(&["sh", "-c", script, &sign], &leaf)).unwrap();
    let since = Instant::now();
    fs::write(&sign, "").unwrap();
    let words = " records from there or from below it were dropped: too many in a second";
    let dropped =
        |line: &String| line.strip_prefix("WARN offshoot: root: ")?.strip_suffix(words)?.parse::<u64>().ok();
    let (came, dropped) = eventually("all of it came or was dropped", Duration::from_secs(60), || {
        let lines = log.lines();
        let came = lines.iter().filter(|line| line.ends_with("there: flood")).count() as u64;
        let dropped = lines.iter().filter_map(dropped).sum::<u64>();
        (came + dropped >= MANY).then_some((came, dropped))
    });
    let seconds = since.elapsed().as_secs() + 2;
    assert!(came <= 1000 * seconds, "{came} came in {seconds} s, and {dropped} did not");
    assert!(dropped > 0);
    assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);
    Ok(())
}

fn what_a_program_says_before_it_is_spoken_to_is_in_the_error() -> Result<(), Missing> {
    let busybox = Payload::bytes("sh", fs::read(program("busybox")?).unwrap()).unwrap();
    let leader = ["sh", "-c", "echo early >&2; exec \"$@\"", "sh"];
    let error = Router::new().unwrap().connect(by(&leader, &busybox)).unwrap_err();
    // It goes by the name that it was started by, which is none that it knows.
    assert_eq!((error.code(), error.last_words()), ("exited", "early\n9: applet not found"), "{error}");
    assert_eq!(error.phase(), Phase::Marker);
    Ok(())
}

/// Where a connect has come to a process that says nothing; the file is made by it.
fn silent(folder: &Path, n: usize) -> (Vec<String>, std::path::PathBuf) {
    let sign = folder.join(n.to_string());
    let script = format!("touch {}; exec sleep 1000", sign.display());
    (vec!["sh".into(), "-c".into(), script], sign)
}

fn all_gone() {
    eventually("its processes are gone", Duration::from_secs(5), || {
        descendants().into_iter().all(is_gone).then_some(())
    });
}

fn a_connect_that_is_given_up_ends_at_once() -> Result<(), Missing> {
    let (leaf, folder) = (payload("leaf")?, tempfile::tempdir().unwrap());
    let (leader, sign) = silent(folder.path(), 0);
    let router = Router::new().unwrap();
    let connecting = router.connect_async(Wrapped::new(leader).payload(leaf));
    eventually("it has begun", Duration::from_secs(10), || sign.exists().then_some(()));
    drop(connecting);
    all_gone();
    Ok(())
}

fn a_connect_that_waits_for_its_turn_can_be_given_up() -> Result<(), Missing> {
    let (leaf, folder) = (payload("leaf")?, tempfile::tempdir().unwrap());
    let router = Router::new().unwrap();
    let begin = |n| {
        let (leader, sign) = silent(folder.path(), n);
        (router.connect_async(Wrapped::new(leader).payload(leaf.clone())), sign)
    };
    // As many as go on at once, and one more.
    let running: Vec<_> = (0..64).map(begin).collect();
    for (_, sign) in &running {
        eventually("all have begun", Duration::from_secs(20), || sign.exists().then_some(()));
    }
    let (waiting, sign) = begin(64);
    drop(waiting);
    drop(running);
    all_gone();
    assert_eq!(router.connect(Wrapped::new::<&str>([]).payload(leaf)).unwrap().call(ADD, (2, 3)).unwrap(), 5);
    assert!(!sign.exists());
    Ok(())
}

fn a_connect_that_is_given_up_while_its_answer_is_on_the_way_leaves_no_child() -> Result<(), Missing> {
    let (hop, leaf, folder) = (payload("hop")?, payload("leaf")?, tempfile::tempdir().unwrap());
    let said = folder.path().join("said");
    // What the hop says is written down, and then goes through a process that can be stopped.
    let script = "\"$@\" | tee $0 | cat -u";
    let router = Router::new().unwrap();
    let way = ["sh", "-c", script, said.to_str().unwrap()];
    let there = router.connect(Wrapped::new(way).payload(hop)).unwrap();
    // Now it has ids, for which it would have to ask.
    let first = there.connect(Local::new(leaf_bytes()).name("first")).unwrap();
    let is_cat = |pid: &u32| comm_of(*pid) == "cat\n";
    let cat = descendants().into_iter().find(is_cat).unwrap();
    kill(cat, Signal::STOP);
    let way = ["sh", "-c", "\"$@\"", "way-of-orphan"];
    let connecting = there.connect_async(Wrapped::new(way).payload(leaf).name("orphan"));
    eventually("the hop has answered", Duration::from_secs(10), || {
        let said = fs::read(&said).ok()?;
        let name = said.windows(6).rposition(|word| word == b"orphan")?;
        // The announcement ends with the name; a whole header and more has come behind it.
        (said.len() > name + 6 + 26).then_some(())
    });
    let is_on_way = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words.contains("way-of-orphan"))
    };
    let way = descendants().into_iter().find(is_on_way).unwrap();
    drop(connecting);
    kill(cat, Signal::CONT);
    eventually("its child is gone", Duration::from_secs(5), || is_gone(way).then_some(()));
    assert_eq!(first.call(ADD, (2, 3)).unwrap(), 5);
    Ok(())
}

fn comm_of(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default()
}

fn leaf_bytes() -> Payload {
    Payload::bytes("leaf", static_program("leaf").unwrap()).unwrap()
}

fn the_time_that_an_error_names_is_the_one_there_was() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let plan = by(&["sh", "-c", "exec sleep 1000"], &leaf).plan();
    let error = launch(&plan, Instant::now() + Duration::from_millis(200), None).unwrap_err();
    assert!(error.to_string().contains("no answer within 0.2 s;"), "{error}");
    Ok(())
}
