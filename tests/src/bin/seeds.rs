//! Writes the inputs that each fuzz target begins with to a folder of its name, in the folder that is named.
#![forbid(unsafe_code)]

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result};
use offshoot_tests::fuzz::TARGETS;

fn main() -> Result<()> {
    let root = PathBuf::from(env::args_os().nth(1).context("which folder?")?);
    for target in &TARGETS {
        let folder = root.join(target.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in target.seeds().iter().enumerate() {
            fs::write(folder.join(number.to_string()), seed)?;
        }
    }
    Ok(())
}
