//! The target `fragments` under libFuzzer.
#![no_main]

offshoot_fuzz::steer!("fragments");
