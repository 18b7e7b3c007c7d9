//! The target `bodies` under libFuzzer.
#![no_main]

offshoot_fuzz::steer!("bodies");
