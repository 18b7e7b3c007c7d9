//! A root that can have no sealed memory, as a system may be told to refuse it: there is no helper then by which an ssh
//! client could ask.

use std::{
    env,
    process::{Command, ExitCode},
};

use offshoot_parent::prelude::*;

use crate::far::{ADD, Missing, Sshd, payload, program};

crate::tests![without_sealed_memory_a_login_by_a_key_goes_and_what_would_be_asked_is_told];

/// What the first argument of this program is when it is to be such a root.
const ROOT: &str = "--root-without-sealed-memory";

/// Refuses images in memory that could be run, to a namespace of processes alone.
const REFUSE: &str = "echo 2 >/proc/sys/vm/memfd_noexec && exec \"$@\"";

/// If this program is to be such a root: says what becomes of each login.
pub(crate) fn be_root_if_asked() -> Option<ExitCode> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [root, config] = &words[..] else { return None };
    if root != ROOT {
        return None;
    }
    let by_key = Ssh::new("far").config(config).payload(payload("leaf").unwrap());
    // One who is never asked costs nothing.
    let router = Router::builder().prompter(|_: &Query| None).build().unwrap();
    for (name, ssh) in [
        ("key", by_key.clone()),
        ("password", by_key.clone().password("not needed")),
        ("jump password", by_key.clone().jump_password("me@jump", "not needed")),
        ("ask", by_key.ask()),
    ] {
        match router.connect(ssh) {
            Ok(child) => println!("{name}: {}", child.call(ADD, (2, 3)).unwrap()),
            Err(error) => println!("{name}: {}, {error}", error.code()),
        }
    }
    Some(ExitCode::SUCCESS)
}

fn without_sealed_memory_a_login_by_a_key_goes_and_what_would_be_asked_is_told() -> Result<(), Missing> {
    payload("leaf")?;
    let sshd = Sshd::new("")?;
    let alone = ["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"];
    let ended = |script: &str| {
        let mut command = Command::new(program("unshare")?);
        command.args(alone).args([script, "sh"]).arg(env::current_exe().unwrap());
        Ok(command.args([ROOT, &sshd.file("client")]).output().unwrap())
    };
    if !ended(&REFUSE.replace("exec \"$@\"", "exit"))?.status.success() {
        return Err(Missing::because("no vm.memfd_noexec for some processes here (Linux 6.3)"));
    }
    let said = ended(REFUSE)?;
    let without = "far: ssh, starting the process: the system refused: there is no helper for the client to ask by \
                   (SSH_ASKPASS), which takes sealed memory of Linux: Permission denied (os error 13); log in by a key, \
                   without `.password(..)`, `.jump_password(..)` and `.ask()`";
    let refused = ["password", "jump password", "ask"].map(|name| format!("{name}: spawn, {without}\n"));
    assert_eq!(
        String::from_utf8_lossy(&said.stdout),
        format!("key: 5\n{}", refused.concat()),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(())
}
