//! The target `hop` under libFuzzer.
#![no_main]

offshoot_fuzz::steer!("hop");
