//! Attacks on the way to a place, beside which others live: the root that makes the connects has an honest leaf, and the
//! [`Ground`] says at the end whether it had to suffer, and what is left.

use std::cell::RefCell;

use offshoot_parent::prelude::*;
use offshoot_tests::real::ground::{GROWTH, Ground, Programs, assert_plain};

use crate::far::ADD;

const PROGRAMS: Programs =
    Programs { leaf: env!("CARGO_BIN_EXE_leaf"), bystander: env!("CARGO_BIN_EXE_bystander") };

/// A root with others, and what came up by its connects.
pub(crate) struct Beside {
    ground: Ground,
    came_up: RefCell<Vec<Context>>,
}

/// Does what an attack is: whoever is attacked makes connects by this root.
#[track_caller]
pub(crate) fn attacked<T>(attack: impl FnOnce(&Beside) -> T) -> T {
    let ground = Ground::new(Router::builder(), PROGRAMS);
    let beside = Beside { ground, came_up: RefCell::default() };
    beside.ground.allow(GROWTH);
    let value = beside.ground.under_attack(|| attack(&beside));
    let Beside { ground, came_up } = beside;
    ground.end(came_up.borrow().iter().rev().filter(|context| context.is_alive()));
    value
}

/// What is shown of a failure is one line, and behind it what the far side said last, each line of that marked as such.
#[track_caller]
fn assert_quoted(text: &str) {
    text.lines().for_each(assert_plain);
    assert!(text.lines().skip(1).all(|line| line.starts_with("  | ")), "{text}");
}

impl Beside {
    pub(crate) const fn router(&self) -> &Router {
        self.ground.router()
    }

    /// A connect by the root.
    #[track_caller]
    pub(crate) fn connect(&self, method: impl Method) -> Result<Context, ConnectError> {
        self.keep(self.router().connect(method))
    }

    /// What came of a connect, by whoever. Its error can be shown as it is.
    #[track_caller]
    pub(crate) fn keep(&self, connected: Result<Context, ConnectError>) -> Result<Context, ConnectError> {
        match &connected {
            Ok(context) => self.came_up.borrow_mut().push(context.clone()),
            Err(error) => assert_quoted(&error.to_string()),
        }
        connected
    }

    /// A child by that way works.
    #[track_caller]
    pub(crate) fn works(&self, method: impl Method) -> Context {
        let child = self.connect(method).unwrap();
        assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);
        child
    }

    #[track_caller]
    pub(crate) fn fails(&self, method: impl Method) -> ConnectError {
        self.connect(method).unwrap_err()
    }
}
