//! What the programs have in common: an allocator that counts, and the way from libFuzzer to a target.

// The one allocator that counts, from the tests of the wire.
#[path = "../../../wire/tests/memory/sys.rs"]
#[expect(dead_code, reason = "those tests ask for more than the peak")]
mod sys;

pub use libfuzzer_sys;
use offshoot_tests::fuzz::Target;

/// Tries an input of libFuzzer's.
pub fn try_one(target: &str, input: &[u8]) {
    Target::named(target).run(input, |act| sys::peak(act));
}

/// The whole program of a target.
#[macro_export]
macro_rules! steer {
    ($target:literal) => {
        $crate::libfuzzer_sys::fuzz_target!(|input: &[u8]| $crate::try_one($target, input));
    };
}
