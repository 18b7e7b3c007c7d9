//! A leaf that talks: what it prints and logs goes to the root, and it has a last word when its parent is lost.

// A child may print: its outputs are not the link.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::{env, process::Command, sync::Barrier, thread, time::Duration};

use offshoot_core::{Child, Function, Outcome};

/// Prints a text, logs it, and has another process print it.
const SAY: Function<String, ()> = Function::new("say");
/// Starts a process that outlives the call and holds our stdout; gives its number.
const LINGER: Function<(), u32> = Function::new("linger");
/// Two calls meet: that of the main thread returns, the other never does.
const MEET: Function<(), ()> = Function::new("meet");
/// Never returns.
const SPIN: Function<(), ()> = Function::new("spin");

fn main() -> ! {
    let farewell = env::var_os("FAREWELL");
    let (main, both) = (thread::current().id(), Barrier::new(2));
    Child::new()
        .serve(SAY, |_call, text| -> Outcome<_> {
            println!("printed {text}");
            eprintln!("complained {text}");
            log::warn!("logged {text}");
            Command::new("echo").arg(format!("echoed {text}")).status()?;
            Ok(())
        })
        .serve(LINGER, |_call, ()| Command::new("sleep").arg("60").spawn().map(|child| child.id()))
        .serve(MEET, move |_call, ()| {
            both.wait();
            if thread::current().id() != main {
                spin();
            }
        })
        .serve(SPIN, |_call, ()| -> () { spin() })
        .workers(if env::var_os("WORKERS").is_some() { 2 } else { 1 })
        .on_parent_lost(Duration::from_secs(5), move || {
            if let Some(path) = farewell {
                // There is nobody left to tell if it cannot be written.
                drop(std::fs::write(path, "alone"));
            }
        })
        .run()
}

fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}
