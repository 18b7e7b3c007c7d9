//! The target `prompts` under libFuzzer.
#![no_main]

offshoot_fuzz::steer!("prompts");
