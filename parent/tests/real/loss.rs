//! What is lost with a process, and who learns it.

use offshoot_parent::prelude::*;
use rustix::process::Signal;

use crate::{
    ADD, HANG,
    harness::{PATIENCE, eventually, runs, signal},
    this_program,
};

crate::tests![
    a_killed_hop_takes_its_children_and_the_calls_into_them,
    a_killed_child_is_reaped_and_its_place_can_be_taken,
    a_connect_by_a_hop_that_dies_ends_in_its_loss,
    two_hundred_children_come_and_go_without_a_trace
];

fn a_killed_hop_takes_its_children_and_the_calls_into_them() {
    let router = Router::new().unwrap();
    let hop = router.connect(this_program("hop")).unwrap();
    let deep = hop.connect(this_program("deep")).unwrap();
    let beside = router.connect(this_program("beside")).unwrap();
    let (begun, started) = router.channel();
    let pending = deep.call_async(HANG, begun);
    let pid = started.recv().unwrap().unwrap();
    signal(router.tree().pid(hop.id()).unwrap(), Signal::KILL);
    let error = pending.wait_timeout(PATIENCE).unwrap_err();
    assert!(error.is_lost() && error.may_have_run(), "{error}");
    assert!(!deep.is_alive() && !hop.is_alive() && beside.is_alive());
    assert_eq!(beside.call(ADD, (1, 1)), Ok(2));
    eventually("the process below is gone", || if runs(pid) { Err(format!("{pid} runs")) } else { Ok(()) });
    assert_eq!(router.tree().len(), 2);
}

fn a_killed_child_is_reaped_and_its_place_can_be_taken() {
    let router = Router::new().unwrap();
    for round in 1..=3 {
        let child = router.connect(this_program("child")).unwrap();
        assert_eq!(child.id(), ContextId::new(round));
        let pid = router.tree().pid(child.id()).unwrap();
        signal(pid, Signal::KILL);
        child.lost().wait_timeout(PATIENCE).unwrap();
        eventually("it is reaped", || {
            if std::path::Path::new(&format!("/proc/{pid}")).exists() { Err(pid.to_string()) } else { Ok(()) }
        });
    }
}

fn a_connect_by_a_hop_that_dies_ends_in_its_loss() {
    let router = Router::new().unwrap();
    let hop = router.connect(this_program("hop")).unwrap();
    let pid = router.tree().pid(hop.id()).unwrap();
    signal(pid, Signal::STOP);
    let connecting = hop.connect_async(this_program("child"));
    signal(pid, Signal::KILL);
    let error = connecting.wait_timeout(PATIENCE).unwrap_err();
    assert_eq!(error.code(), "lost", "{error}");
}

fn two_hundred_children_come_and_go_without_a_trace() {
    let router = Router::new().unwrap();
    for _ in 0..10 {
        let connecting: Vec<_> =
            (0..20).map(|n| router.connect_async(this_program(&format!("c{n}")))).collect();
        let children: Vec<_> = connecting.into_iter().map(|connecting| connecting.wait().unwrap()).collect();
        let ends: Vec<_> = children.iter().map(Context::shutdown).collect();
        for end in ends {
            end.wait_timeout(PATIENCE).unwrap();
        }
    }
    assert_eq!(router.tree().len(), 1);
    assert_eq!(router.dropped(), []);
}
