//! A leaf that talks: what it prints and logs goes to the root, and it has a last word when its parent is lost.

// A child may print: its outputs are not the link.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::{process::Command, time::Duration};

use offshoot_core::{Child, Function, Outcome};

/// Prints a text, logs it, and has another process print it.
const SAY: Function<String, ()> = Function::new("say");
/// Starts a process that outlives the call and holds our stdout; gives its number.
const LINGER: Function<(), u32> = Function::new("linger");
/// Never returns.
const SPIN: Function<(), ()> = Function::new("spin");

fn main() -> ! {
    let farewell = std::env::var_os("FAREWELL");
    Child::new()
        .serve(SAY, |_call, text| -> Outcome<_> {
            println!("printed {text}");
            eprintln!("complained {text}");
            log::warn!("logged {text}");
            Command::new("echo").arg(format!("echoed {text}")).status()?;
            Ok(())
        })
        .serve(LINGER, |_call, ()| Command::new("sleep").arg("60").spawn().map(|child| child.id()))
        .serve(SPIN, |_call, ()| -> () {
            loop {
                std::hint::spin_loop();
            }
        })
        .on_parent_lost(Duration::from_secs(5), move || {
            if let Some(path) = farewell {
                // There is nobody left to tell if it cannot be written.
                drop(std::fs::write(path, "alone"));
            }
        })
        .run()
}
