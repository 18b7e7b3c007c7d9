//! The programs that show what there is, on a host: the demo and its doctor, and the example for a host.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    anywhere::example,
    far::{Missing, Sshd, payload_file},
};

crate::tests![
    the_demo_goes_to_a_host_by_way_of_another,
    the_doctor_of_the_demo_finds_a_good_way_good_and_a_bad_one_bad,
    the_example_for_a_host_calls_there,
];

/// Whether a program ended well, and what it printed.
fn printed(program: &Path, words: &[&str]) -> (bool, String) {
    let ran = Command::new(program).args(words).stdin(Stdio::null()).output().unwrap();
    (ran.status.success(), String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap())
}

/// The demo, told by lines of JSON what to do besides.
fn demo(words: &[&str]) -> Result<(bool, String), Missing> {
    let [leaf, hop] = ["demo_leaf", "demo_hop"].map(payload_file);
    let payloads = ["--json", "--leaf", leaf.to_str().unwrap(), "--hop", hop.to_str().unwrap()];
    if leaf.exists() && hop.exists() {
        Ok(printed(Path::new(env!("CARGO_BIN_EXE_demo")), &[&payloads, words].concat()))
    } else {
        Err(Missing::because("the payloads of the demo are not built; `cargo xtask demo` builds them"))
    }
}

fn the_demo_goes_to_a_host_by_way_of_another() -> Result<(), Missing> {
    let sshd = Sshd::new("")?;
    let (is_well, said) = demo(&["--ssh", "far", "--via", "far", "--ssh-config", &sshd.file("client")])?;
    assert!(is_well, "{said}");
    let count = |event: &str| said.matches(&format!(r#""event":"{event}""#)).count();
    // The host on the way, the host, and the leaf there.
    assert_eq!(["reached", "remote_call", "left", "end"].map(count), [3, 1, 1, 1], "{said}");
    Ok(())
}

fn the_doctor_of_the_demo_finds_a_good_way_good_and_a_bad_one_bad() -> Result<(), Missing> {
    let sshd = Sshd::new("")?;
    let config = sshd.file("client");
    let examined = |host: &str| demo(&["--ssh", host, "--ssh-config", &config, "--doctor"]);
    let (is_well, said) = examined("far")?;
    assert!(is_well && said.contains(r#""good":true"#) && said.contains("all is well"), "{said}");
    let (is_well, said) = examined("no-such-host.invalid")?;
    assert!(!is_well && said.contains(r#""good":false"#) && said.contains("FAILED: "), "{said}");
    Ok(())
}

fn the_example_for_a_host_calls_there() -> Result<(), Missing> {
    let (sshd, example) = (Sshd::new("")?, example("on_host")?);
    let leaf = payload_file("leaf");
    let (is_well, said) = printed(&example, &["far", leaf.to_str().unwrap(), &sshd.file("client")]);
    assert!(is_well && said.contains("2 + 3 = 5, there"), "{said}");
    Ok(())
}
