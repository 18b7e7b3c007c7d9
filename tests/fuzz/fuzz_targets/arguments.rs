//! The target `arguments` under libFuzzer.
#![no_main]

offshoot_fuzz::steer!("arguments");
