//! That others who have to suffer are noticed, which all other tests rely on.

use std::panic;

use offshoot_tests::real::{ground, table::WORK};

use crate::stage::Stage;

crate::tests![others_whom_nobody_serves_for_a_while_are_noticed];

/// Under this attack nobody is left to serve them: one call takes as long as it lasts.
fn others_whom_nobody_serves_for_a_while_are_noticed() {
    /// As many as a root has here.
    const WORKERS: usize = 4;
    const A_WHILE_MS: u64 = 700;

    let noticed = panic::catch_unwind(|| {
        ground::play(|| {
            let stage = Stage::new();
            stage.under_attack(|| {
                let here = stage.router().here();
                let busy: Vec<_> = (0..WORKERS).map(|_| here.call_async(WORK, A_WHILE_MS)).collect();
                busy.into_iter().for_each(|call| call.wait().unwrap());
            });
            stage.end();
        });
    });
    let said = *noticed.unwrap_err().downcast::<String>().unwrap();
    assert!(said.contains("at three in four moments"), "{said}");
}
