//! The target `stage0` under libFuzzer.
#![no_main]

offshoot_fuzz::steer!("stage0");
