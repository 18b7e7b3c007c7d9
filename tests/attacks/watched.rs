//! A root whose system calls are watched: the rule over all rows. Nothing that comes from a child decides what it executes,
//! connects to, opens, writes or removes, nor is printed raw.
//!
//! The same root runs twice, a process of its own below `strace`: once its child, what leads to a far side, and what does
//! not come up at all call themselves and everything else by plain words, once by whatever might be taken for a path, a
//! command or a line of its own. What it did must be the same set of calls.

use std::{
    collections::BTreeSet,
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, ExitCode, Output},
};

use offshoot_parent::prelude::*;
use offshoot_tests::real::{PATIENCE, behind::Behind, ground::assert_plain, logs, table::FEED};

use crate::attacker::Attacker;

crate::tests![what_comes_from_a_child_decides_no_system_call_of_its_root];

/// What the first argument of a root is that is watched.
const WATCHED: &str = "--watched";
/// What is looked at: every call that takes a path, an address or a program; and who calls.
const CALLS: &str = "trace=%file,socket,bind,connect,clone,clone3,?fork,?vfork";

/// What a hostile child says; `MARK` is a file that must not come to be.
const HOSTILE: [&str; 9] = [
    "/etc/shadow",
    "../../../../MARK",
    "$(touch MARK)",
    "`touch MARK`;touch MARK|touch MARK&&touch MARK",
    "-oProxyCommand=touch MARK",
    "web1\ntouch MARK\n\u{1b}]0;x\u{7}\u{1b}[2J\u{202e}root: ",
    "unix:MARK",
    "http://127.0.0.1:9/MARK",
    "%s%n{}\\x00'\";exit 0;#",
];

/// In so many ways each word comes to be printed: as a name, a record, a value, three errors, last words, and an answer of
/// a far side.
const WAYS: usize = 8;

fn what_comes_from_a_child_decides_no_system_call_of_its_root() {
    if let Err(why) = can_watch() {
        return skipped(&why);
    }
    let honest = Run::of(|nth, _| format!("word{nth}"));
    let hostile = Run::of(|nth, mark| HOSTILE[nth].replace("MARK", &mark.display().to_string()));
    assert!(honest.deeds.iter().any(|deed| deed.starts_with("execve(\"FOLDER/seven.sh\"")), "{honest:?}");
    for nth in 0..HOSTILE.len() {
        let word = format!("word{nth}");
        let times = honest.printed.iter().filter(|line| line.contains(&word)).count();
        assert!(times >= WAYS, "{word} came {times} times: {:#?}", honest.printed);
    }
    let only = |a: &Run, b: &Run| a.deeds.difference(&b.deeds).cloned().collect::<Vec<_>>().join("\n");
    let (more, less) = (only(&hostile, &honest), only(&honest, &hostile));
    assert!(more.is_empty() && less.is_empty(), "hostile alone:\n{more}\nhonest alone:\n{less}");
    hostile.printed.iter().for_each(|line| assert_plain(line));
    // Last words are shown line by line, each behind a mark.
    let lines = |run: &Run| run.printed.iter().filter(|line| !line.starts_with("  | ")).count();
    assert_eq!(lines(&honest), lines(&hostile), "{:#?}\n{:#?}", honest.printed, hostile.printed);
}

/// Whether processes can be watched here.
fn can_watch() -> Result<(), String> {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("no strace here: {error}")),
    }
}

#[expect(clippy::print_stdout, reason = "for people, and for `cargo xtask test`")]
fn skipped(why: &str) {
    println!("SKIPPED what_comes_from_a_child_decides_no_system_call_of_its_root: {why}");
}

/// What a root did, and what it printed.
#[derive(Debug)]
struct Run {
    deeds: BTreeSet<String>,
    printed: Vec<String>,
}

impl Run {
    /// With children that say what `word` makes of each number and of a file that nobody makes.
    fn of(word: impl Fn(usize, &Path) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (at, mark) = (folder.path(), folder.path().join("mark"));
        for nth in 0..HOSTILE.len() {
            fs::write(at.join(format!("word-{nth}")), word(nth, &mark)).expect("a file");
            script(&at.join(format!("dies-{nth}")), "cat \"$(dirname \"$0\")/word-${0##*-}\" >&2\nexit 7\n");
        }
        script(&at.join("lies"), LIES);
        let output = Command::new("strace")
            .args(["-ff", "-s", "4096", "-e", CALLS, "-o"])
            .arg(at.join("trace"))
            .args([&env::current_exe().expect("this program"), Path::new(WATCHED), at])
            .output()
            .expect("it runs");
        let Output { status, stdout, stderr } = output;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(status.success(), "{status}: {} {}", text(&stdout), text(&stderr));
        assert!(!mark.exists(), "somebody has done what a child said");
        Self { deeds: deeds(at), printed: text(&stdout).split_terminator('\n').map(str::to_owned).collect() }
    }
}

/// What leads to a far side, and says of it what it likes: the words are the file in which that stands, and what is to be
/// run there.
const LIES: &str = "word=$(cat \"$1\")
printf 'offshoot0 hello Linux %s %s\\n' \"$(uname -m)\" \"$word\"
read -r errand
nonce=${errand#*n=}
nonce=${nonce%% *}
for answer in at failed at none run; do
    printf 'offshoot0 %s %s %s\\n' \"$nonce\" \"$answer\" \"$word\"
done
printf '%s' \"$word\" >&2
exit 3
";

fn script(file: &Path, text: &str) {
    fs::write(file, format!("#!/bin/sh\n{text}")).expect("a script can be written");
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("and made executable");
}

// ---- what was done

/// The calls of the root, of its threads, and of each process that it made up to the program that this became.
fn deeds(folder: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let traces = files.filter(|file| file.file_stem().is_some_and(|stem| stem == "trace"));
    let is_root = |text: &String| text.lines().next().is_some_and(|line| line.contains(WATCHED));
    let traces: Vec<String> = traces.filter_map(|file| fs::read_to_string(file).ok()).collect();
    let root = traces.into_iter().find(is_root).expect("the root was watched");
    let mut deeds = BTreeSet::new();
    add(&root, true, folder, &mut deeds);
    deeds
}

/// Adds those of one thread and of all that it made; `is_ours`: what it executes is this program.
fn add(trace: &str, is_ours: bool, folder: &Path, deeds: &mut BTreeSet<String>) {
    for line in trace.lines() {
        let Some((call, result)) = line.rsplit_once(" = ") else { continue };
        let is_made = ["clone", "fork", "vfork"].iter().any(|name| call.starts_with(name));
        if !is_made {
            deeds.insert(told(call, folder));
            if call.starts_with("execve") && result == "0" && !is_ours {
                return;
            }
        } else if let Ok(trace) = fs::read_to_string(folder.join(format!("trace.{result}"))) {
            add(&trace, call.contains("CLONE_THREAD"), folder, deeds);
        }
    }
}

/// A call without what differs from run to run: the folder, numbers, addresses.
fn told(call: &str, folder: &Path) -> String {
    let call = call.trim_end().replace(&folder.display().to_string(), "FOLDER");
    let (call, _) = call.split_once(" /* ").unwrap_or((&call, ""));
    let mut told = String::new();
    let mut rest = call;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(at);
        let is_address = number.starts_with("0x");
        let digits = number.trim_start_matches("0x");
        let is_part = |c: char| c.is_ascii_digit() || (is_address && c.is_ascii_hexdigit());
        let end = digits.find(|c| !is_part(c));
        told += before;
        told.push('#');
        rest = end.map_or("", |end| &digits[end..]);
    }
    told + rest
}

// ---- the root itself

/// Plays the root, if that is what this program is to be.
pub(crate) fn play(words: &[String]) -> Option<ExitCode> {
    let [WATCHED, folder] = [words.first()?.as_str(), words.get(1)?] else { return None };
    live(Path::new(folder));
    Some(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "what people would see is looked at")]
fn show(what: &impl std::fmt::Display) {
    println!("{what}");
}

/// A function that hostile ones are called by.
const ANSWER: Function<(), String> = Function::new("answer");

/// Meets everybody, and tells what it heard of them.
fn live(folder: &Path) {
    logs::keep();
    let (router, mark) = (Router::new().expect("a router"), logs::mark());
    let seven = Attacker::enter(folder, &router.here(), "parent", "seven");
    let range: usize = seven.act("ask-range")[0].parse().expect("a range");
    for nth in 0..HOSTILE.len() {
        let word = fs::read(folder.join(format!("word-{nth}"))).expect("a word");
        hear(&router, &seven, range * 1000 + nth, &word);
        let dies = Payload::file(folder.join(format!("dies-{nth}"))).expect("a script");
        show(&router.connect(Local::new(dies).name("dies")).expect_err("it does not come up"));
        let [lies, word] = [folder.join("lies"), folder.join(format!("word-{nth}"))];
        let far = Behind::new([lies, word].map(|path| path.display().to_string()), ["true"]);
        show(&router.connect(far).expect_err("it lies"));
    }
    show(&router.tree());
    seven.context().shutdown().wait_timeout(PATIENCE).expect("it ends");
    drop(router);
    mark.lines().iter().for_each(show);
}

/// The child says a word in all ways that end in what is printed.
fn hear(router: &Router, seven: &Attacker, id: usize, word: &[u8]) {
    let (length, word) = (word.len(), word.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let text = if length < 24 { format!("{:02x}", 0x60 + length) } else { format!("78{length:02x}") };
    // Its name for a child of its own, and for where a record comes from.
    seven.act(&format!("announce-as {id} {word}"));
    seven.act(&format!("say 102 8301{text}{word}{text}{word}"));
    // A value, an error of the function, a reason to be gone, a reason for the end of a stream.
    for answer in [
        &format!("reply 820080{text} {word} 1"),
        &format!("reply 830100{text} {word} 1"),
        &format!("reply-dead {word}"),
    ] {
        let call = seven.context().call_async(ANSWER, ());
        seven.act(answer);
        match call.wait_timeout(PATIENCE) {
            Ok(value) => show(&format!("{value:?}")),
            Err(error) => show(&error),
        }
    }
    let (sender, receiver) = router.channel::<u64>();
    let feed = seven.context().call_async(FEED, (sender, 1));
    seven.act(&format!("fail-stream {word}"));
    feed.wait_timeout(PATIENCE).expect("it is answered");
    show(&receiver.recv_timeout(PATIENCE).expect_err("it has failed"));
}
