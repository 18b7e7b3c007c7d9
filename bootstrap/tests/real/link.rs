//! A link is the same stream, whether it is a socket or pipes.

use std::{
    cell::RefCell,
    io::{ErrorKind, Read as _, Write as _},
};

use offshoot_bootstrap::{LinkOutput, Method as _, Spawned, Stdio, Wrapped, spawn};

use crate::harness::{descriptors, quiet, until};

/// A process that runs these words of shell, with that as its stdin and stdout.
fn started(words: &str, stdio: Stdio) -> Spawned {
    let mut plan = Wrapped::new(["sh", "-c", words]).name("child").plan();
    plan.transport.as_mut().unwrap().stdio = stdio;
    spawn(&plan).unwrap()
}

#[test]
fn a_process_has_two_pipes_or_one_socket_and_its_stream_is_used_in_the_same_way() {
    let _quiet = quiet();
    for (stdio, kind) in [(Stdio::Socket, "socket:"), (Stdio::Pipes, "pipe:")] {
        let Spawned { mut link, process, .. } = started("echo; exec cat", stdio);
        link.read_exact(&mut [0]).unwrap();
        let theirs = descriptors(&process.pid().to_string());
        assert!(theirs[&0].starts_with(kind) && theirs[&1].starts_with(kind), "{theirs:?}");
        assert_eq!(theirs[&0] == theirs[&1], stdio == Stdio::Socket);
        let (input, output) = link.into_parts();
        assert_eq!(matches!(output, LinkOutput::Pipe(_)), stdio == Stdio::Pipes, "{output:?}");
        drop((input, output, process));
    }
}

#[test]
fn the_end_of_the_stdin_is_told_by_closing_it_or_by_dropping_its_writer() {
    let _quiet = quiet();
    for stdio in [Stdio::Socket, Stdio::Pipes] {
        for by_a_thread in [false, true] {
            let Spawned { mut link, process, .. } = started("cat; echo the end", stdio);
            let much = vec![b'x'; 1 << 20];
            let mut said = String::new();
            if by_a_thread {
                let mut writer = link.take_writer().unwrap();
                std::thread::scope(|scope| {
                    let much = &much;
                    scope.spawn(move || writer.write_all(much).unwrap());
                    link.read_to_string(&mut said).unwrap();
                });
                assert_eq!(said.len(), much.len() + "the end\n".len());
            } else {
                link.write_all(b"some").unwrap();
                link.close_stdin().unwrap();
                link.close_stdin().unwrap();
                link.read_to_string(&mut said).unwrap();
                assert_eq!(said, "somethe end\n");
            }
            assert_eq!(link.write(b"?").unwrap_err().kind(), ErrorKind::BrokenPipe);
            drop(process);
        }
    }
}

#[test]
fn a_process_that_goes_without_having_read_all_ends_its_stream_as_any_other() {
    let _quiet = quiet();
    for stdio in [Stdio::Socket, Stdio::Pipes] {
        for is_read_first in [true, false] {
            let Spawned { mut link, process, .. } = started("read -r line; echo bye", stdio);
            let process = RefCell::new(process);
            link.write_all(b"this\nnot this\n").unwrap();
            until("it has ended", || process.borrow_mut().try_wait().unwrap().is_some());
            if is_read_first {
                let mut said = String::new();
                link.read_to_string(&mut said).unwrap();
                assert_eq!(said, "bye\n");
            }
            assert_eq!(link.write(b"?").unwrap_err().kind(), ErrorKind::BrokenPipe, "{stdio:?}");
        }
    }
}

#[test]
fn what_nobody_reads_any_more_is_an_error_to_write() {
    let _quiet = quiet();
    for stdio in [Stdio::Socket, Stdio::Pipes] {
        let Spawned { mut link, process, .. } = started("exit 3", stdio);
        let process = RefCell::new(process);
        // Its descriptors are closed in whatever order, but before it has ended.
        until("it has ended", || process.borrow_mut().try_wait().unwrap().is_some());
        assert_eq!(link.write(b"?").unwrap_err().kind(), ErrorKind::BrokenPipe, "{stdio:?}");
    }
}
