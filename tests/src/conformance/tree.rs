//! The same program as a child of a real root.

use std::{fmt::Display, fs, os::unix::fs::PermissionsExt as _, time::Duration};

use offshoot_core::wire::Blob;
use offshoot_parent::prelude::*;

use super::{Claim, Fault, PATIENCE, Program};
use crate::real::table::{ADD, COUNT, ECHO, ECHO_BYTES, FAIL, SUM, WORK};

// protocol 9.1 to 9.6
pub(super) const CLAIMS: &[Claim] = &[
    Claim::rooted("a_real_root_calls_it", &["9.1", "9.2", "9.5"], calls),
    Claim::rooted("a_real_root_streams_with_it", &["7.2", "8.3"], streams),
    Claim::rooted("a_real_root_gives_up_a_call_and_goes_on", &["6.5", "9.2"], gives_up),
    Claim::rooted("a_real_root_sends_it_much", &["3.2", "8.3", "9.4"], much),
];

/// A root with the program as its child, which it ends afterwards.
fn with_child(program: &Program, act: impl FnOnce(&Context) -> Result<(), Fault>) -> Result<(), Fault> {
    let folder = tempfile::tempdir().map_err(fault)?;
    let file = folder.path().join("leaf");
    let words: Vec<String> =
        program.0.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
    fs::write(&file, format!("#!/bin/sh\nexec {}\n", words.join(" "))).map_err(fault)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).map_err(fault)?;
    let router = Router::builder().build().map_err(fault)?;
    let payload = Payload::file(&file).map_err(fault)?;
    let child = router.connect(Local::new(payload).name("leaf")).map_err(fault)?;
    act(&child)?;
    router.shutdown().wait_timeout(PATIENCE).map_err(fault)
}

fn fault(error: impl Display) -> Fault {
    error.to_string()
}

fn calls(program: &Program) -> Result<(), Fault> {
    with_child(program, |child| {
        let sum = child.call(ADD, (2, 3)).map_err(fault)?;
        let text = child.call(ECHO, "x".into()).map_err(fault)?;
        let error = child.call(FAIL, "on purpose".into()).err().map(fault).unwrap_or_default();
        if (sum, &*text) == (5, "x") && error.contains("on purpose") {
            return Ok(());
        }
        Err(format!("{sum}, {text:?} and the error {error:?} came"))
    })
}

fn streams(program: &Program) -> Result<(), Fault> {
    with_child(program, |child| {
        let numbers = child.call(COUNT, 2000).map_err(fault)?;
        let (sender, receiver) = child.channel();
        let sum = child.call_async(SUM, receiver);
        for number in numbers {
            sender.send(number.map_err(fault)?).map_err(fault)?;
        }
        drop(sender);
        match sum.wait().map_err(fault)? {
            1_999_000 => Ok(()),
            other => Err(format!("the sum of 0 to 1999 is {other}")),
        }
    })
}

fn gives_up(program: &Program) -> Result<(), Fault> {
    with_child(program, |child| {
        let late = child.with_timeout(Duration::from_millis(100)).call(WORK, 600_000);
        if late.is_ok() {
            return Err("ten minutes have passed in a tenth of a second".into());
        }
        child.call(ADD, (2, 3)).map(drop).map_err(fault)
    })
}

fn much(program: &Program) -> Result<(), Fault> {
    with_child(program, |child| {
        let bytes = Blob::from(vec![7; 3_000_000]);
        let back = child.call(ECHO_BYTES, bytes.clone()).map_err(fault)?;
        if back == bytes { Ok(()) } else { Err("other bytes come back".into()) }
    })
}
