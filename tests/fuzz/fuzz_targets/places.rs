//! The target `places` under libFuzzer.
#![no_main]

offshoot_fuzz::steer!("places");
