//! Plans and errors travel between contexts, and what arrives is trusted no more than its sender.

#![allow(clippy::unwrap_used)]

use std::{fmt::Debug, fs, panic::RefUnwindSafe, panic::UnwindSafe, time::Duration};

use offshoot_bootstrap::{
    ConnectError, ConnectErrorKind, Exit, ExitReport, Local, Method as _, Payload, PayloadError, Phase, Plan,
    Process, Reaper, Spawned, Told,
};
use offshoot_wire::codec;
use serde::{Serialize, Serializer, de::DeserializeOwned};

const BUDGET: usize = 1 << 20;

fn sent<T: Serialize + DeserializeOwned>(value: &T) -> T {
    codec::decode(&codec::encode(value).unwrap(), BUDGET).unwrap()
}

/// Bytes as a byte string.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

#[test]
fn a_plan_arrives_as_it_was() {
    let cat = fs::read("/bin/cat").unwrap();
    for payload in
        [Payload::this_program(), Payload::file("/bin/cat").unwrap(), Payload::bytes("cat", cat).unwrap()]
    {
        let plan = Local::new(payload).name("worker").timeout(Duration::from_millis(1500)).stamped().plan();
        assert_eq!(format!("{:?}", sent(&plan)), format!("{plan:?}"));
    }
}

#[test]
fn a_path_that_is_not_utf_8_arrives_as_it_was() {
    use std::os::unix::{ffi::OsStrExt as _, fs::symlink};

    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join(std::ffi::OsStr::from_bytes(b"c\xffat"));
    symlink("/bin/cat", &odd).unwrap();
    let plan = Local::new(Payload::file(&odd).unwrap()).plan();
    assert_eq!(plan.name, "c_at");
    assert_eq!(format!("{:?}", sent(&plan).payload), format!("{:?}", plan.payload));
}

#[test]
fn bytes_that_are_no_program_do_not_arrive() {
    let payload = |bytes: &[u8]| {
        let forged = codec::encode(&(2, ("install", Bytes(bytes)))).unwrap();
        codec::decode::<Payload>(&forged, BUDGET)
    };
    assert!(payload(&fs::read("/bin/cat").unwrap()).is_ok());
    assert!(payload(b"#!/bin/sh\n").is_err());
}

#[test]
fn an_error_arrives_as_it_was() {
    let plan = Local::new(Payload::this_program()).name("worker").plan();
    let kinds = [
        ConnectErrorKind::Exited { report: ExitReport::Killed { signal: 9, name: "KILL".into() } },
        ConnectErrorKind::NoAnswer { limit: Duration::from_secs(30) },
        ConnectErrorKind::TooManyDescriptors { limit: Some(1024) },
        ConnectErrorKind::Refused { reason: "not here".into() },
        ConnectErrorKind::ShuttingDown,
    ];
    for kind in kinds {
        let error = ConnectError::new(&plan, Phase::Marker, kind.clone()).with_last_words(b"one\ntwo\x07\n");
        let arrived = sent(&error);
        assert_eq!(arrived.to_string(), error.to_string());
        assert_eq!(
            (arrived.kind(), arrived.phase(), arrived.last_words()),
            (&kind, Phase::Marker, "one\ntwo\\u{7}")
        );
    }
}

#[test]
fn what_a_hostile_sender_puts_into_an_error_is_safe_to_print() {
    let evil = "\x1b]0;x\x07\u{202e}\n";
    // Place, method, phase 0, kind 3 (not found) with its path, last words, and that nothing is known of passwords.
    let forged = (evil, evil, 0, (3, evil), format!("{evil}password:"), Vec::<Told>::new());
    let forged = codec::encode(&forged).unwrap();
    let error: ConnectError = codec::decode(&forged, BUDGET).unwrap();
    let text = error.to_string();
    assert!(text.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{text}");
    // The one line end that is left is in front of the last words, and each line of those is marked.
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.starts_with("  | ")), "{text}");
    assert!(text.ends_with("\n  | password:"), "{text}");
}

#[test]
fn the_types_can_go_wherever_they_are_needed() {
    fn everywhere<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + Debug + 'static>() {}
    fn copies<T: Clone + Send + Sync + 'static>() {}
    everywhere::<(Local, Payload, Plan, Process, Reaper, Spawned)>();
    everywhere::<(ConnectError, ConnectErrorKind, PayloadError, Exit, ExitReport, Phase)>();
    copies::<(Local, Payload, Plan, ConnectError, ConnectErrorKind, PayloadError, Exit, ExitReport)>();
}
