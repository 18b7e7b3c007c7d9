//! The target `decoder` under libFuzzer.
#![no_main]

offshoot_fuzz::steer!("decoder");
