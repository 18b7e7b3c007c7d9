//! Recordings of a real tree, several routers in one process, and how many calls run side by side.

use std::{
    process::Command,
    sync::{Arc, Barrier},
};

use offshoot_parent::{prelude::*, record::Recorded, record::Recording};
use offshoot_tests::real::{
    PATIENCE, eventually,
    table::{self, ADD, ECHO, WORK},
};

use crate::bed::{hop, leaf, root};

crate::tests![
    tools_a_recording_of_a_real_tree_is_printed_frame_by_frame,
    tools_two_routers_in_one_process_are_two_trees,
    tools_the_calls_of_a_leaf_run_one_after_another,
    tools_workers_run_calls_side_by_side,
];

fn tools_a_recording_of_a_real_tree_is_printed_frame_by_frame() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tape");
    let router = Router::builder().functions(table::functions()).record(&file).build().unwrap();
    let deep = router.connect(hop("hop")).unwrap().connect(leaf("deep")).unwrap();
    assert_eq!(deep.call(ECHO, "a word that stands out".into()).unwrap(), "a word that stands out");
    drop(router);
    let frames = Recording::open(&file).unwrap().map(Result::unwrap);
    assert!(frames.filter(|item| matches!(item, Recorded::Frame(_))).count() > 10);

    // As a user would look at it.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let shown = Command::new(cargo)
        .args(["run", "-q", "-p", "offshoot-parent", "--example", "show_record", "--"])
        .arg(&file)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    assert_eq!(text.matches("a word that stands out").count(), 2, "the argument and the result: {text}");
    for word in ["SETUP", "HELLO", "ADD_ROUTE", "CALL_FUNCTION", "SHUTDOWN"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

fn tools_two_routers_in_one_process_are_two_trees() {
    let (one, other) = (root(), root());
    let (a, b) = (one.connect(leaf("a")).unwrap(), other.connect(leaf("b")).unwrap());
    assert_eq!((a.id(), b.id()), (b.id(), a.id()), "each counts for itself");
    assert_ne!(a, b, "and yet they are two");
    assert_eq!((a.call(ADD, (1, 2)), b.call(ADD, (3, 4))), (Ok(3), Ok(7)));
    drop(one);
    assert!(a.call(ADD, (1, 2)).is_err());
    assert_eq!(b.call(ADD, (3, 4)), Ok(7));
    assert!(b.is_alive());
}

fn tools_the_calls_of_a_leaf_run_one_after_another() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let long = leaf.call_async(WORK, 200);
    let short = leaf.call_async(ADD, (1, 2));
    assert!(short.ready_timeout(PATIENCE));
    assert!(long.is_ready(), "what came first is done first");
}

fn tools_workers_run_calls_side_by_side() {
    const MEET: Function<(), ()> = Function::new("meet");

    // Nobody gets past it before three calls have come.
    let three = Arc::new(Barrier::new(3));
    let handler = move |_: &Call, ()| {
        three.wait();
    };
    let router = Router::builder().workers(3).serve_to(Policy::Children, MEET, handler).build().unwrap();
    let calls: Vec<_> = (0..3).map(|_| router.here().call_async(MEET, ())).collect();
    eventually("all three have met", PATIENCE, || calls.iter().all(Pending::is_ready).then_some(()));
    for call in calls {
        call.wait().unwrap();
    }
}
