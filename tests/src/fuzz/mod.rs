//! Fuzz targets: each is one function over bytes, which panics where a promise does not hold.
//!
//! Three things call them: the test target `fuzz`, which replays what is kept in `tests/fuzz/corpus` and tries bytes of a
//! fixed seed; the programs of the package in `tests/fuzz`, which libFuzzer steers to new paths; and whoever looks into
//! an input that was found. `docs/testing.md` says how to run them and what each proves.

mod arguments;
mod bodies;
mod decoder;
mod fragments;
mod greeting;
mod hop;
mod payloads;
mod places;
mod prompts;
mod seeds;
mod sliced;
mod stage0;

/// The most that was held at a time while something ran, in bytes. Who drives a target has the allocator that counts.
pub type Peak = fn(&mut dyn FnMut()) -> usize;

/// Something that bytes from outside may not break.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    run: fn(&[u8], Peak),
    seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 10] = [
    Target { name: "decoder", run: decoder::run, seeds: seeds::streams },
    Target { name: "fragments", run: fragments::run, seeds: fragments::seeds },
    Target { name: "bodies", run: bodies::run, seeds: seeds::bodies },
    Target { name: "greeting", run: greeting::run, seeds: greeting::seeds },
    Target { name: "arguments", run: arguments::run, seeds: seeds::bodies },
    Target { name: "stage0", run: stage0::run, seeds: stage0::seeds },
    Target { name: "prompts", run: prompts::run, seeds: prompts::seeds },
    Target { name: "payloads", run: payloads::run, seeds: payloads::seeds },
    Target { name: "places", run: places::run, seeds: places::seeds },
    Target { name: "hop", run: hop::run, seeds: hop::seeds },
];

impl Target {
    /// The target of this name.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let found = TARGETS.into_iter().find(|target| target.name == name);
        found.unwrap_or_else(|| panic!("no target is called {name}"))
    }

    /// Tries an input.
    ///
    /// # Panics
    /// If it breaks what the target proves.
    pub fn run(&self, input: &[u8], peak: Peak) {
        (self.run)(input, peak);
    }

    /// Inputs to begin with: what is good, to be damaged.
    #[must_use]
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        (self.seeds)()
    }
}
