//! Prints a file that `Router::builder().record(path)` has made: a line a frame, and below it what its body says.
//!
//! `cargo run -p offshoot-parent --example show_record -- FILE`

#![allow(clippy::print_stdout)]

use std::{env, error::Error, io::Cursor};

use ciborium::Value;
use offshoot_parent::record::{Recorded, RecordedFrame, Recording};

/// Bytes of a body that are printed of one that is long, as text.
const SHOWN: usize = 400;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args_os().nth(1).ok_or("name the file of the recording")?;
    for item in Recording::open(path)? {
        match item? {
            Recorded::Frame(frame) => show(&frame),
            Recorded::Skipped(count) => println!("            ... {count} frames were not recorded"),
            _ => println!("            ... something that this program does not know"),
        }
    }
    Ok(())
}

fn show(frame: &RecordedFrame) {
    let way = if frame.came_in { "<-" } else { "->" };
    let authority = if frame.auth == frame.src { String::new() } else { format!(" as {}", frame.auth) };
    print!(
        "{:>10.3} ms  {way} {:<5} {} from {}{authority} to {}",
        frame.at_us as f64 / 1e3,
        frame.peer,
        mailbox(frame.handle.number()),
        frame.src,
        frame.dst,
    );
    match frame.reply_to {
        0 => {}
        999 => print!(", dead"),
        handle => print!(", reply to {handle}"),
    }
    match frame.part {
        // What is in a piece of a body cannot be read by itself.
        Some((total, offset)) => println!(", bytes {offset}.. of {total}: {} bytes", frame.body.len()),
        None => println!("{}", body(&frame.body)),
    }
}

/// The values that a body is made of, one behind the other.
fn body(bytes: &[u8]) -> String {
    let mut rest = Cursor::new(bytes);
    let mut text = String::new();
    while (rest.position() as usize) < bytes.len() {
        match ciborium::from_reader::<Value, _>(&mut rest) {
            Ok(value) => text.push_str(&format!("\n                  {}", plain(&value))),
            Err(_) => {
                text.push_str("\n                  (no values)");
                break;
            }
        }
    }
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// A value in as few words as can be read.
fn plain(value: &Value) -> String {
    let list = |values: &[Value]| values.iter().map(plain).collect::<Vec<_>>().join(", ");
    match value {
        Value::Integer(number) => i128::from(*number).to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::Bytes(bytes) => format!("<{} bytes>", bytes.len()),
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Array(values) => format!("[{}]", list(values)),
        Value::Map(pairs) => {
            let pairs: Vec<_> =
                pairs.iter().map(|(key, value)| format!("{}: {}", plain(key), plain(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        other => format!("{other:?}"),
    }
}

fn mailbox(handle: u32) -> String {
    match handle {
        101 => "CALL_FUNCTION".into(),
        102 => "FORWARD_LOG".into(),
        103 => "ADD_ROUTE".into(),
        104 => "DEL_ROUTE".into(),
        105 => "ALLOCATE_ID".into(),
        106 => "SHUTDOWN".into(),
        200 => "SETUP".into(),
        201 => "HELLO".into(),
        202 => "PING".into(),
        203 => "PONG".into(),
        204 => "CREDIT".into(),
        205 => "CANCEL".into(),
        206 => "STARTED".into(),
        207 => "REBIND".into(),
        208 => "CREATE_CHILD".into(),
        209 => "GRANT".into(),
        210 => "CHAIN_END".into(),
        other => format!("handle {other}"),
    }
}
