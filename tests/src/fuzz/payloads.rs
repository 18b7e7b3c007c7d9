//! Programs for many machines: the list of a set, the heads of programs, and what is packed for the way.

use std::io::Read as _;

use flate2::read::GzDecoder;
use offshoot_bootstrap::{Payload, PayloadSet, internal::packed};
use offshoot_wire::codec;

use super::Peak;

/// The head of a program for x86-64 with nothing behind it.
pub(super) const PROGRAM: &[u8; 64] = &head(62);
/// One for aarch64.
const OTHER: &[u8; 64] = &head(183);

const fn head(machine: u8) -> [u8; 64] {
    let mut head = [0; 64];
    // 64 bits, little endian, a program.
    let front = [0x7f, b'E', b'L', b'F', 2, 1, 1];
    let mut at = 0;
    while at < front.len() {
        head[at] = front[at];
        at += 1;
    }
    (head[16], head[18], head[20], head[52]) = (2, machine, 1, 64);
    head
}

pub(super) fn run(input: &[u8], _: Peak) {
    let Some((kind, bytes)) = input.split_first() else { return };
    match kind % 4 {
        0 => listed(&String::from_utf8_lossy(bytes)),
        1 => a_head_says(bytes),
        2 => travels(bytes),
        _ => is_packed(bytes),
    }
}

/// A list is taken only with the programs that it names.
fn listed(list: &str) {
    let files: [(&str, &'static [u8]); 2] = [("x86_64", PROGRAM), ("aarch64", OTHER)];
    let Ok(set) = PayloadSet::embedded(list, &files) else { return };
    for entry in set.entries() {
        assert_eq!(entry.size(), 64);
        assert!(list.contains(&format!(" 64 {}", entry.hash())), "a program that is not in the list");
        assert!(set.entry(entry.machine()).is_some());
    }
    assert!(!set.to_string().contains(char::is_control), "{set} is not fit to be printed");
}

fn a_head_says(program: &[u8]) {
    let Ok(set) = PayloadSet::new("fuzzed").with(program.to_vec()) else { return };
    let [entry] = set.entries().collect::<Vec<_>>()[..] else { panic!("one program") };
    assert_eq!(entry.size(), program.len());
    assert!(Payload::bytes("fuzzed", program.to_vec()).is_ok());
}

/// What a context is sent to make a child of.
fn travels(bytes: &[u8]) {
    let Ok(set) = codec::decode::<PayloadSet>(bytes, 1 << 20) else { return };
    assert_eq!(codec::encode(&set).as_deref(), Ok(bytes));
}

fn is_packed(bytes: &[u8]) {
    let program = [&PROGRAM[..], bytes].concat();
    let sent = packed(program.clone()).expect("it is a program");
    let mut unpacked = Vec::new();
    GzDecoder::new(&sent[..]).read_to_end(&mut unpacked).expect("it is packed");
    assert_eq!(unpacked, program);
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let files: [(&str, &'static [u8]); 2] = [("x86_64", PROGRAM), ("aarch64", OTHER)];
    let set = files.iter().try_fold(PayloadSet::new("app"), |set, (_, bytes)| set.with(bytes.to_vec()));
    let set = set.expect("programs");
    let mut list = "offshoot payload set 1\nname app\nhint build it\n".to_owned();
    for entry in set.entries() {
        list += &format!("{} tiny leaf 00000000000000ff 64 {}\n", entry.machine(), entry.hash());
    }
    let sent = codec::encode(&set).expect("a set can be sent");
    let seed = |kind: u8, bytes: &[u8]| [&[kind], bytes].concat();
    vec![seed(0, list.as_bytes()), seed(1, PROGRAM), seed(2, &sent), seed(3, b"aaaa")]
}
