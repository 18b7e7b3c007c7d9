//! The fuzz targets on what is kept for them, on seeds made of the protocol, and on bytes of a fixed seed.
#![allow(clippy::unwrap_used, missing_docs)]

// The one allocator that counts, from the tests of the wire.
#[path = "../../wire/tests/memory/sys.rs"]
#[allow(dead_code, reason = "what is held altogether is of no interest here")]
mod sys;

use std::{fs, path::Path};

use offshoot_tests::{
    fuzz::{TARGETS, Target},
    world::Dice,
};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus");
/// So many inputs are made of each seed by damaging it, and of nothing.
const DAMAGED: u64 = 8;

fn try_one(target: &Target, input: &[u8]) {
    target.run(input, |act| sys::peak(act));
}

fn each(act: impl Fn(&Target) + Copy + Send + Sync) {
    std::thread::scope(|scope| {
        for target in &TARGETS {
            // Its name is in what a panic says.
            std::thread::Builder::new()
                .name(target.name.into())
                .spawn_scoped(scope, move || act(target))
                .unwrap();
        }
    });
}

#[test]
fn what_was_found_once_is_harmless() {
    each(|target| {
        let files = fs::read_dir(Path::new(CORPUS).join(target.name)).unwrap();
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "nothing is kept for {}", target.name);
        paths.iter().for_each(|path| try_one(target, &fs::read(path).unwrap()));
    });
}

#[test]
fn what_is_good_and_what_is_nearly_good_is_harmless() {
    each(|target| {
        let (mut dice, seeds) = (Dice::new(1), target.seeds());
        assert!(!seeds.is_empty(), "{} has nothing to begin with", target.name);
        for seed in seeds {
            try_one(target, &seed);
            for _ in 0..DAMAGED {
                try_one(target, &damaged(seed.clone(), &mut dice));
            }
        }
    });
}

fn damaged(mut input: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    for _ in 0..=dice.below(4) {
        let at = dice.below(input.len() as u64 + 1) as usize;
        let some: Vec<u8> = (0..dice.below(8)).map(|_| dice.below(256) as u8).collect();
        let until = (at + dice.below(8) as usize).min(input.len());
        input.splice(at..until, some);
    }
    input
}
