//! Many connects: so many at a time, fewer where an sshd takes no more, each result as it comes.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use offshoot_parent::prelude::*;

use crate::far::{ADD, Listening, Missing, Sshd, payload};

crate::tests![
    results_come_in_the_order_in_which_they_end,
    no_more_go_on_at_once_than_were_asked_for,
    the_time_of_all_ends_those_that_have_not,
    all_hosts_come_up_behind_an_sshd_that_takes_few_at_once,
];

fn by(script: &str, word: &str) -> Wrapped {
    Wrapped::new(["sh", "-c", script, word]).payload(payload("leaf").unwrap())
}

fn results_come_in_the_order_in_which_they_end() -> Result<(), Missing> {
    payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let sign = folder.path().join("go").display().to_string();
    let slow = || by("until [ -e $0 ]; do sleep 0.02; done; exec \"$@\"", &sign);
    let fast = || by("exec \"$@\"", "sh");
    let router = Router::new().unwrap();
    let mut all = router.connect_all([slow(), fast(), by("exit 3", "sh"), fast()]).into_iter();
    let first: BTreeSet<_> = all.by_ref().take(3).map(|(n, outcome)| (n, outcome.is_ok())).collect();
    assert_eq!(first, BTreeSet::from([(1, true), (2, false), (3, true)]));
    assert_eq!(all.len(), 1);
    fs::write(&sign, "").unwrap();
    let (n, last) = all.next().unwrap();
    assert_eq!((n, last.unwrap().call(ADD, (2, 3)).unwrap()), (0, 5));
    assert!(all.next().is_none());
    Ok(())
}

fn no_more_go_on_at_once_than_were_asked_for() -> Result<(), Missing> {
    payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let steps = folder.path().join("steps").display().to_string();
    let method = || by("echo + >>$0; sleep 0.05; echo - >>$0; exec \"$@\"", &steps);
    let router = Router::new().unwrap();
    let all = router.connect_all((0..20).map(|_| method())).parallel(4);
    assert!(all.into_iter().all(|(_, outcome)| outcome.is_ok()));
    let steps = fs::read_to_string(&steps).unwrap();
    let running = steps.lines().scan(0, |running, step| {
        *running += if step == "+" { 1 } else { -1 };
        Some(*running)
    });
    let most = running.max().unwrap();
    assert!((2..=4).contains(&most), "{most}");
    Ok(())
}

fn the_time_of_all_ends_those_that_have_not() -> Result<(), Missing> {
    payload("leaf")?;
    let router = Router::new().unwrap();
    let methods = [by("exec \"$@\"", "sh"), by("exec sleep 1000", "sh"), by("exec sleep 1000", "sh")];
    let since = Instant::now();
    let all = router.connect_all(methods).parallel(2).within(Duration::from_secs(2));
    let failed: BTreeSet<_> = all
        .into_iter()
        .filter_map(|(n, outcome)| outcome.err().map(|error| (n, error.to_string().contains("within 2 s"))))
        .collect();
    assert_eq!(failed, BTreeSet::from([(1, true), (2, true)]));
    assert!(since.elapsed() < Duration::from_secs(5));
    Ok(())
}

fn all_hosts_come_up_behind_an_sshd_that_takes_few_at_once() -> Result<(), Missing> {
    payload("leaf")?;
    let sshd = Sshd::new("MaxStartups 2:100:4\nLoginGraceTime 20")?;
    let server = Listening::new(&sshd)?;
    let host = |n| {
        let host = Ssh::new("127.0.0.1").port(server.port).config(sshd.file("client"));
        host.option("HostKeyAlias=far").payload(payload("leaf").unwrap()).name(format!("h{n}"))
    };
    let router = Router::new().unwrap();
    let all = router.connect_all((0..30).map(host)).parallel(16);
    for (n, outcome) in all {
        let there = outcome.unwrap_or_else(|error| panic!("{n}: {error}"));
        assert_eq!(there.call(ADD, (2, 3)).unwrap(), 5);
    }
    Ok(())
}
