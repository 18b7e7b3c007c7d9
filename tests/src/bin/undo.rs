//! A leaf that does something about a lost parent, within three seconds.

#![forbid(unsafe_code)]

use std::time::Duration;

use offshoot_tests::real::{life, table};

fn main() -> ! {
    offshoot_core::Child::new()
        .functions(table::functions())
        .on_parent_lost(Duration::from_secs(3), life::undo)
        .run()
}
