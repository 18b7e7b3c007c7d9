//! A program of somebody else's on a host: the server of a package, spoken to by its stdin and stdout, with nothing of
//! offshoot in it.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
    sync::Mutex,
    time::Instant,
};

use offshoot_bootstrap::Launch;
use offshoot_parent::prelude::*;

use crate::far::{Missing, Sshd, payload, program, shell_named_sh};

crate::tests![
    a_web_server_of_a_package_answers_by_its_stdin_and_stdout,
    the_example_puts_a_program_on_a_host_and_joins_the_streams,
    a_program_that_has_stayed_is_not_sent_again_and_its_size_is_told,
    an_argument_may_be_of_several_lines,
];

/// How much of the program left here, and the plan's connect.
fn launched(plan: &Plan) -> (u64, offshoot_bootstrap::Spawned) {
    let sent = Mutex::new(0);
    let observer = |_: &Plan, step: &Step| {
        if let Step::Sending { sent: so_far, .. } = step {
            *sent.lock().unwrap() = *so_far;
        }
    };
    let there = Launch::new(plan).seen_by(&observer).run().unwrap();
    (sent.into_inner().unwrap(), there)
}

fn a_web_server_of_a_package_answers_by_its_stdin_and_stdout() -> Result<(), Missing> {
    let (sshd, busybox) = (Sshd::new("")?, program("busybox")?);
    let page = tempfile::tempdir().unwrap();
    fs::write(page.path().join("hello.txt"), "hello from there\n").unwrap();
    let busybox = Payload::bytes("busybox", fs::read(busybox).unwrap()).unwrap();
    let args = ["httpd", "-i", "-h", page.path().to_str().unwrap()];
    // It goes by its name, and so has a file while it runs.
    let plan = sshd.ssh().payload(busybox).args(args).keep_file().plan();
    let since = Instant::now();
    let (sent, there) = launched(&plan);
    let mut link = there.link;
    link.write_all(b"GET /hello.txt HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::from_utf8(there.said).unwrap();
    link.read_to_string(&mut answer).unwrap();
    let took = since.elapsed();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello from there\n"), "{answer}");
    println!("busybox httpd: {sent} bytes sent, the page there after {took:?}");
    Ok(())
}

/// A program that shows something of this to people.
pub(crate) fn example(name: &str) -> Result<PathBuf, Missing> {
    let example = env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("examples").join(name);
    let why = "the example is not built; `cargo build --workspace --examples` builds it";
    if example.exists() { Ok(example) } else { Err(Missing::because(why)) }
}

fn the_example_puts_a_program_on_a_host_and_joins_the_streams() -> Result<(), Missing> {
    let (sshd, busybox, example) = (Sshd::new("")?, program("busybox")?, example("anywhere")?);
    let run = |words: &[&str], input: &str| {
        let mut command = Command::new(&example);
        command.args(["--config", &sshd.file("client"), "--keep", "far"]).args(words);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let busybox = busybox.to_str().unwrap();
    let (is_well, said, told) = run(&[busybox, "tr", "a-z", "A-Z"], "joined\n");
    assert!(is_well && said == "JOINED\n", "{told}");
    assert!(told.contains(" bytes of the program have left") && told.contains("the program runs"), "{told}");
    let (is_well, _, told) = run(&[busybox, "false"], "");
    assert!(!is_well && told.ends_with(": exit status 1\n"), "{told}");
    let (is_well, _, told) = run(&["/etc/hostname"], "");
    assert!(!is_well && told.contains("wrong_format: far: ssh, "), "{told}");
    Ok(())
}

fn a_program_that_has_stayed_is_not_sent_again_and_its_size_is_told() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let home = tempfile::tempdir().unwrap();
    let home = format!("XDG_CACHE_HOME={}", home.path().display());
    let plan = Wrapped::new(["env", &home]).payload(leaf).cache(true).plan();
    let sent: Vec<u64> = (0..2)
        .map(|_| {
            let (sent, mut there) = launched(&plan);
            there.link.close_stdin().unwrap();
            sent
        })
        .collect();
    assert!(sent[0] > 10_000 && sent[1] == 0, "{sent:?}");
    Ok(())
}

fn an_argument_may_be_of_several_lines() -> Result<(), Missing> {
    let busybox = fs::read(program("busybox")?).unwrap();
    let busybox = Payload::bytes("busybox", busybox).unwrap();
    let words = ["two\nlines", "one\n", "\n", "it's", "$N", ""];
    for shell in ["dash", "bash", "busybox", "mksh", "zsh"] {
        let folder = shell_named_sh(&program(shell)?);
        let path = format!("PATH={}:/usr/bin:/bin", folder.path().display());
        let method = Wrapped::new(["env", &path]).payload(busybox.clone());
        let plan = method.args(["printf", "%s|"].into_iter().chain(words)).keep_file().plan();
        let (_, mut there) = launched(&plan);
        let mut said = String::from_utf8(there.said).unwrap();
        there.link.read_to_string(&mut said).unwrap();
        assert_eq!(said, words.join("|") + "|", "{shell}");
    }
    Ok(())
}
