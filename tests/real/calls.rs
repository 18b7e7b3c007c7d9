//! Calls: 18 to 23.

use offshoot_parent::prelude::*;
use offshoot_tests::real::table::{ADD, ECHO, FAIL, PANIC};

use crate::bed::{chain, leaf, root};

crate::tests![
    t12_a_chain_of_ten_contexts_each_made_by_the_one_before,
    t18_a_panic_and_an_error_are_call_errors_and_the_child_lives_on,
];

fn t12_a_chain_of_ten_contexts_each_made_by_the_one_before() {
    let router = root();
    let chain = chain(&router, 10);
    assert_eq!(chain[9].call(ADD, (2, 3)).unwrap(), 5);
    assert_eq!(router.tree().iter().count(), 11);
}

fn t18_a_panic_and_an_error_are_call_errors_and_the_child_lives_on() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let panic = leaf.call(PANIC, "on purpose".into()).unwrap_err();
    assert!(
        matches!(&panic, CallError::Panicked { .. }) && panic.to_string().contains("on purpose"),
        "{panic}"
    );
    let failed = leaf.call(FAIL, "no such luck".into()).unwrap_err();
    assert!(
        matches!(&failed, CallError::Failed { .. }) && failed.to_string().contains("no such luck"),
        "{failed}"
    );
    assert_eq!(leaf.call(ECHO, "still here".into()).unwrap(), "still here");
}
