//! The target `payloads` under libFuzzer.
#![no_main]

offshoot_fuzz::steer!("payloads");
