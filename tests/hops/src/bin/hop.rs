//! A parent payload: started by `connect` with `Payload::file`, it can have children of its own.

#![forbid(unsafe_code)]

use offshoot_parent::prelude::*;

const ECHO: Function<String, String> = Function::new("echo");

fn main() -> ! {
    Hop::new().serve(ECHO, |_call, text| text).run()
}
