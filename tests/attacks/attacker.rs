//! A hostile context, as its test pulls its strings: see `tests/src/bin/hostile`.

use std::path::Path;

use offshoot_parent::{ConnectError, Connecting, prelude::*};
use offshoot_tests::real::PATIENCE;

use crate::strings::{Ended, Loose, Strings};

/// One who attacks.
pub(crate) struct Attacker {
    context: Context,
    strings: Strings,
}

impl Attacker {
    /// A child of `parent` in that part, as which it comes up.
    pub(crate) fn enter(folder: &Path, parent: &Context, part: &str, name: &str) -> Self {
        let (loose, connecting) = begin(folder, parent, part, name);
        let strings = loose.taken();
        let context = connecting.wait().expect("it comes up");
        Self { context, strings }
    }

    /// The same for a part as which it does not: why not.
    pub(crate) fn refused(folder: &Path, parent: &Context, part: &str, name: &str) -> ConnectError {
        let (_loose, connecting) = begin(folder, parent, part, name);
        connecting.wait().expect_err("it does not come up")
    }

    pub(crate) const fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) const fn id(&self) -> ContextId {
        self.context.id()
    }

    /// Has it do something, and waits until it has; what it told.
    #[track_caller]
    pub(crate) fn act(&self, order: &str) -> Vec<String> {
        self.begin(order);
        self.done()
    }

    /// Has it do something.
    #[track_caller]
    pub(crate) fn begin(&self, order: &str) {
        self.strings.begin(order);
    }

    /// Waits until it has done what it was told; what it told.
    #[track_caller]
    pub(crate) fn done(&self) -> Vec<String> {
        self.strings.done().unwrap_or_else(|ended| self.gone(&ended))
    }

    /// The next thing that it tells.
    #[track_caller]
    pub(crate) fn told(&self) -> String {
        self.strings.told().unwrap_or_else(|ended| self.gone(&ended))
    }

    #[track_caller]
    fn gone(&self, ended: &Ended) -> ! {
        panic!("{ended:?}: {:?}", self.context.lost().wait_timeout(PATIENCE));
    }
}

/// Starts one, with its strings in `folder`.
fn begin(folder: &Path, parent: &Context, part: &str, name: &str) -> (Loose, Connecting) {
    let loose = Loose::new(folder, part, name);
    let method = Local::new(Payload::file(&loose.program).expect("a script")).name(name);
    let connecting = parent.connect_async(method);
    (loose, connecting)
}
