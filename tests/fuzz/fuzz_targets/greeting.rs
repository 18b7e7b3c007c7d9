//! The target `greeting` under libFuzzer.
#![no_main]

offshoot_fuzz::steer!("greeting");
