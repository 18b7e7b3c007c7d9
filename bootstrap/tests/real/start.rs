//! What a child gets, and what it does not get.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{self, Command},
};

use offshoot_bootstrap::{CHILD_ARG, ExitReport, Method as _, Payload, Stdio, Sudo, spawn};
use rustix::{
    fs::{SealFlags, fcntl_get_seals},
    process::{WaitOptions, getpgid, waitpid},
};

use crate::{
    harness::{
        Folder, cat, descriptors, exists, loaded, pid, quiet, read, rest, shell, start, stderr, until, write,
    },
    ways::payload,
};

fn cat_in_memory() -> Payload {
    Payload::bytes("kitty", fs::read("/bin/cat").unwrap()).unwrap()
}

#[test]
fn a_file_talks_over_its_link() {
    let _quiet = quiet();
    let mut cat = cat();
    write(&cat, b"there");
    let mut back = [0; 5];
    read(&mut cat, &mut back);
    assert_eq!(&back, b"there");
    write(&cat, b" and back");
    assert_eq!(rest(&cat), " and back");
}

#[test]
fn attack_61_bytes_run_from_a_sealed_image_and_leave_no_file() {
    let _quiet = quiet();
    let mut cat = start(cat_in_memory()).unwrap();
    loaded(&mut cat);
    write(&cat, b"there and back");
    let image = fs::read_link(format!("/proc/{}/exe", cat.process.pid())).unwrap();
    assert!(image.starts_with("/memfd:kitty (deleted)"), "{}", image.display());
    let seals = fcntl_get_seals(fs::File::open(format!("/proc/{}/exe", cat.process.pid())).unwrap()).unwrap();
    assert!(
        seals.contains(SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL),
        "{seals:?}"
    );
    let words = fs::read(format!("/proc/{}/cmdline", cat.process.pid())).unwrap();
    assert_eq!(words, b"offshoot:child\0");
    assert_eq!(rest(&cat), "there and back");
}

#[test]
fn this_program_is_started_with_the_argument_that_marks_a_child() {
    let _quiet = quiet();
    // The harness of the tests knows no such argument, and says so.
    let child = start(Payload::this_program()).unwrap();
    let words = stderr(&child);
    assert!(words.contains(CHILD_ARG.trim_start_matches('-')), "{words}");
}

/// How many descriptors this program itself was left open on exec: those are not ours to close.
fn inherited() -> usize {
    let piped = process::Stdio::piped;
    let mut plain = Command::new("/bin/cat");
    plain.stdin(piped()).stdout(piped()).stderr(piped()).process_group(0);
    let mut plain = plain.spawn().unwrap();
    plain.stdin.as_mut().unwrap().write_all(b"?").unwrap();
    plain.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let inherited = descriptors(&plain.id().to_string()).len() - 3;
    drop(plain.stdin.take());
    plain.wait().unwrap();
    inherited
}

#[test]
fn a_child_has_its_link_twice_and_its_stderr_and_no_other_descriptor() {
    let _quiet = quiet();
    let inherited = inherited();
    let first = cat();
    for payload in [Payload::file("/bin/cat").unwrap(), cat_in_memory()] {
        let mut child = start(payload).unwrap();
        loaded(&mut child);
        let has = descriptors(&child.process.pid().to_string());
        assert_eq!(has.len() - inherited, 3, "{has:?}");
        assert!(has[&0].starts_with("socket:") && has[&2].starts_with("pipe:"), "{has:?}");
        assert_eq!(has[&0], has[&1]);
        assert_eq!(rest(&child), "");
    }
    assert_eq!(rest(&first), "");
}

#[test]
fn the_ends_of_a_terminal_are_held_by_no_child_that_is_started_while_it_is_there() {
    let _quiet = quiet();
    let inherited = inherited();
    let before = descriptors("self");
    let folder = Folder::new();
    // It asks nothing, and leads to no shell.
    let tool = folder.program("su", "#!/bin/sh\nexec cat\n").display().to_string();
    let mut su = Sudo::by_su().program(tool).terminal().payload(payload()).plan();
    su.transport.as_mut().unwrap().stdio = Stdio::Socket;
    let mut at_one = spawn(&su).unwrap();
    let mut ours = descriptors("self");
    ours.retain(|number, name| !before.contains_key(number) && name.starts_with("/dev/pt"));
    assert_eq!(ours.len(), 2, "{ours:?}");
    let mut others = [spawn(&su).unwrap(), cat(), start(cat_in_memory()).unwrap()];
    for child in others.iter_mut().chain([&mut at_one]) {
        loaded(child);
        let has = descriptors(&child.process.pid().to_string());
        assert_eq!(has.len() - inherited, 3, "{has:?}");
    }
}

#[test]
fn what_a_child_writes_to_its_stderr_is_captured() {
    let _quiet = quiet();
    let child = shell("echo; echo trouble >&2");
    assert_eq!((rest(&child).as_str(), stderr(&child).as_str()), ("", "trouble\n"));
}

#[test]
fn a_child_has_a_process_group_of_its_own() {
    let _quiet = quiet();
    let child = cat();
    assert_eq!(getpgid(Some(pid(&child))).unwrap(), pid(&child));
}

#[test]
fn a_child_inherits_environment_and_folder() {
    let _quiet = quiet();
    let child = shell("echo; pwd; echo $CARGO_MANIFEST_DIR");
    let here = std::env::current_dir().unwrap();
    let expected = format!("{}\n{}\n", here.display(), std::env::var("CARGO_MANIFEST_DIR").unwrap());
    assert_eq!(rest(&child), expected);
}

#[test]
fn a_dropped_process_is_killed_and_reaped() {
    let _quiet = quiet();
    let child = shell("echo; trap '' TERM HUP INT; while :; do read -r line; done");
    let pid = pid(&child);
    drop(child);
    assert!(!exists(pid));
}

#[test]
fn killing_takes_what_is_left_of_the_group() {
    let _quiet = quiet();
    let mut child = shell("echo; sleep 1000 & echo $!; wait");
    let mut digits = String::new();
    let mut byte = [0];
    while byte != *b"\n" {
        read(&mut child, &mut byte);
        digits.push(char::from(byte[0]));
    }
    let sleeper = rustix::process::Pid::from_raw(digits.trim().parse().unwrap()).unwrap();
    drop(child);
    // It is a child of ours by now, since we adopt orphans.
    let (_, status) = waitpid(Some(sleeper), WaitOptions::empty()).unwrap().unwrap();
    assert_eq!(status.terminating_signal(), Some(9));
}

#[test]
fn an_exit_is_seen_once_it_has_happened_and_every_time_after() {
    let _quiet = quiet();
    let mut child = cat();
    assert_eq!(child.process.try_wait().unwrap(), None);
    assert_eq!(rest(&child), "");
    let process = std::cell::RefCell::new(child.process);
    until("cat ends at the end of its input", || process.borrow_mut().try_wait().unwrap().is_some());
    let mut process = process.into_inner();
    process.kill();
    let status = process.try_wait().unwrap().unwrap();
    assert_eq!(ExitReport::from(status).to_string(), "exit status 0");
}

#[test]
fn a_hundred_children_leave_no_descriptor() {
    let _quiet = quiet();
    for round in 0..50 {
        let pair = [cat(), start(cat_in_memory()).unwrap()];
        pair.iter().for_each(|child| write(child, b"x"));
        assert_eq!(pair.iter().map(rest).collect::<String>(), "xx", "{round}");
    }
}
