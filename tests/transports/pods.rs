//! A stand-in for kubectl that does to a stream what kubectl has been seen to do: cuts it, or goes and leaves what it ran.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use offshoot_parent::prelude::*;
use offshoot_tests::real::{Signal, eventually, is_gone, kill};

use crate::{
    far::{ADD, Missing, payload, program},
    suite::own_children,
};

crate::tests![
    what_a_client_cuts_and_calls_whole_is_lost,
    what_stays_in_a_pod_when_its_client_is_killed_goes_when_it_hears_nothing,
];

/// Served by the reference hop.
const ECHO: Function<String, String> = Function::new("echo");

/// A pod that is entered by a script, which is told the folder and the command that is to run there.
fn pod(folder: &tempfile::TempDir, script: &str) -> Container {
    let client = folder.path().join("kubectl");
    let script = format!(
        "#!/bin/sh\nuntil [ \"$1\" = -- ]; do shift; done; shift\ncd '{}'\n{script}\n",
        folder.path().display()
    );
    fs::write(&client, script).unwrap();
    fs::set_permissions(&client, fs::Permissions::from_mode(0o700)).unwrap();
    Container::kubectl("pod").program(client.display().to_string())
}

fn what_a_client_cuts_and_calls_whole_is_lost() -> Result<(), Missing> {
    let (hop, folder) = (payload("hop")?, tempfile::tempdir().unwrap());
    // Byte by byte, so that nothing is held back.
    let pod = pod(&folder, "\"$@\" | dd bs=1 count=100000 2>/dev/null\nexit 0");
    let router = Router::new().unwrap();
    let child = router.connect(pod.payload(hop)).unwrap();
    assert_eq!(child.call(ECHO, "whole".into()).unwrap(), "whole");
    let error = child.call(ECHO, "x".repeat(1_000_000)).unwrap_err();
    assert!(error.is_lost(), "{error}");
    Ok(())
}

fn what_stays_in_a_pod_when_its_client_is_killed_goes_when_it_hears_nothing() -> Result<(), Missing> {
    let (leaf, folder) = (payload("leaf")?, tempfile::tempdir().unwrap());
    program("setsid")?;
    // Who holds the streams of what it runs is no process of the client's, and closes them when that has ended.
    let script = "mkfifo in out\n\
         setsid sh -c 'exec 7<>in 8<>out; \"$@\" <in >out 7<&- 8<&-; true' sh \"$@\" &\n\
         cat <out &\nexec cat >in";
    let pod = pod(&folder, script);
    let (before, router) =
        (own_children(), Router::builder().ping(Duration::from_millis(100)).build().unwrap());
    let child = router.connect(pod.payload(leaf)).unwrap();
    assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);
    let there = router.tree().pid(child.id()).unwrap();
    own_children().difference(&before).for_each(|pid| kill(*pid, Signal::KILL));
    child.lost().wait_timeout(Duration::from_secs(5)).unwrap();
    eventually("what ran there is gone", Duration::from_secs(5), || is_gone(there).then_some(()));
    Ok(())
}
