//! A way that is tried step by step: what is reported of a good one and of broken ones.

use std::{
    fs,
    panic::panic_any,
    sync::{Arc, Mutex},
};

use offshoot_parent::{Report, prelude::*};

use crate::{
    accounts::PASSWORD,
    far::{Missing, Sshd, Twice, User, payload, program},
};

crate::tests![
    a_good_way_is_told_step_by_step,
    a_broken_way_is_told_up_to_where_it_breaks,
    a_report_can_be_pasted_though_a_far_side_echoes_the_password,
    an_observer_sees_how_much_of_the_program_has_left,
    an_observer_that_panics_ends_no_connect,
];

fn tried(method: impl Method) -> Report {
    Router::builder().doctor([method])
}

/// The parts stand in the text one behind the other.
fn tells(report: &Report, parts: &[&str]) {
    let text = report.to_string();
    let mut rest = text.as_str();
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("no `{part}` there in\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

fn a_good_way_is_told_step_by_step() -> Result<(), Missing> {
    let (sshd, hop, leaf) = (Sshd::new("")?, payload("hop")?, payload("leaf")?);
    let ways: [Box<dyn Method>; 2] =
        [Box::new(sshd.ssh().payload(hop)), Box::new(Local::new(leaf).name("below"))];
    let report = Router::builder().doctor(ways);
    assert!(report.is_good(), "{report}");
    tells(
        &report,
        &[
            "from root by ssh: far\n  runs here: ssh -T -o RequestTTY=no",
            " -- far 'sh -c ",
            "may be asked: nothing",
            "the process that leads there is ",
            "a shell speaks: Linux ",
            " bytes of the program have left",
            "the program is put into /",
            "the program runs",
            "it has said who it is: ssh:far, context 1",
            "it answers, within ",
            "from ssh:far by local: below",
            "it has said who it is: below",
            "ended, within ",
            "all is well",
        ],
    );
    Ok(())
}

fn a_broken_way_is_told_up_to_where_it_breaks() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let nobody = User::new("sick", &program("nologin")?)?;
    let there = || sshd.ssh().payload(leaf.clone());
    let broken: [(Box<dyn Method>, &[&str]); 5] = [
        (
            Box::new(there().option("GlobalKnownHostsFile=/dev/null").option("HostKeyAlias=elsewhere")),
            &[
                "the process that leads there",
                "FAILED: host_key: far: ssh, waiting for its shell: its host key",
            ],
        ),
        (Box::new(there().user(&nobody.name)), &["the process that leads there", "FAILED: no_login: "]),
        (
            Box::new(there().folder("/proc").keep_file()),
            &["a shell speaks: Linux", "no place for the program: /proc", "FAILED: no_place: "],
        ),
        (Box::new(Chroot::new("/no-such-root").payload(leaf.clone())), &["FAILED: no_container: "]),
        (
            Box::new(Wrapped::new(["sh", "-c", "exit 7", "sh"]).payload(leaf.clone())),
            &["runs here: sh -c 'exit 7' sh sh -c ", "FAILED: exited: ", "exit status 7"],
        ),
    ];
    for (method, parts) in broken {
        let report = tried(method);
        assert!(!report.is_good(), "{report}");
        tells(&report, parts);
    }
    Ok(())
}

fn a_report_can_be_pasted_though_a_far_side_echoes_the_password() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let echo = ["sh", "-c", "printf 'Password: ' >&2; read word; echo \"you said $word\" >&2; exit 1", "sh"];
    let mut plan = Wrapped::new(echo).payload(leaf).plan();
    let question = Sudo::by_su().password(PASSWORD).plan().transport.unwrap().question;
    plan.transport.as_mut().unwrap().question = question;
    let report = tried(crate::far::Planned(plan));
    tells(&report, &["asked `Password:`: answered", "you said (secret)"]);
    assert!(!report.to_string().contains(PASSWORD), "{report}");
    Ok(())
}

fn an_observer_sees_how_much_of_the_program_has_left() -> Result<(), Missing> {
    let hop = payload("hop")?;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&seen);
    let observer =
        move |plan: &Plan, step: &Step| theirs.lock().unwrap().push((plan.name.clone(), step.clone()));
    let folder = tempfile::tempdir().unwrap();
    let router = Router::builder().observer(observer).build().unwrap();
    let method = Wrapped::new::<&str>([]).folder(folder.path().to_str().unwrap()).payload(hop);
    drop(router.connect(method.name("seen")).unwrap());
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert!(seen.iter().all(|(name, _)| name == "seen"));
    let sent: Vec<(u64, u64)> = seen
        .iter()
        .filter_map(|(_, step)| match step {
            Step::Sending { sent, size } => Some((*sent, *size)),
            _ => None,
        })
        .collect();
    let (last, size) = *sent.last().unwrap();
    assert!(sent.is_sorted() && last == size && sent.iter().all(|(_, whole)| *whole == size), "{sent:?}");
    let at = |is: fn(&Step) -> bool| seen.iter().position(|(_, step)| is(step)).unwrap();
    let order = [
        at(|step| matches!(step, Step::Started { .. })),
        at(|step| matches!(step, Step::Spoke { .. })),
        at(|step| matches!(step, Step::Sending { .. })),
        at(|step| matches!(step, Step::Placed { .. })),
        at(|step| matches!(step, Step::Running)),
    ];
    assert!(order.is_sorted(), "{seen:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    Ok(())
}

fn an_observer_that_panics_ends_no_connect() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let router = Router::builder().observer(|_: &Plan, _: &Step| panic_any(Twice)).build().unwrap();
    let child = router.connect(Wrapped::new::<&str>([]).payload(leaf)).unwrap();
    assert_eq!(child.call(crate::far::ADD, (2, 3)).unwrap(), 5);
    Ok(())
}
