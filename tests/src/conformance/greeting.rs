//! Before the first frame, and the first frames: chapter 1 of the document.

use offshoot_wire::{Handle, ReplyTo, Setup, VERSION};

use super::{
    Claim, Fault, Peer,
    peer::{call_body, encoded, head, setup},
};

// protocol 1.1 to 1.4, 5.2 and 5.3
pub(super) const CLAIMS: &[Claim] = &[
    Claim::silent("the_marker_is_computed_and_hello_follows", &["1.1", "1.2", "5.2", "5.3"], Peer::greet),
    Claim::silent("a_call_may_follow_setup_without_waiting", &["1.3"], at_once),
    Claim::silent("bytes_may_come_one_by_one", &["1.1", "2.1"], one_by_one),
    Claim::silent("another_first_frame_ends_the_link", &["1.3"], another_first),
    Claim::silent("another_version_ends_the_link", &["5.3"], another_version),
    Claim::up("a_second_setup_ends_the_link", &["1.3"], second_setup),
    Claim::up("a_hello_from_the_parent_ends_the_link", &["1.3"], hello),
    Claim::up("what_functions_write_is_no_part_of_the_link", &["1.4", "6.7"], written),
];

fn everything(peer: &Peer) -> Vec<u8> {
    let mut bytes = Peer::opening();
    bytes.extend(encoded(&peer.setup_frame(&setup())));
    let body = call_body(&head("add"), &(2, 3));
    bytes.extend(encoded(&peer.frame(Handle::CALL_FUNCTION, ReplyTo::Handle(Handle::new(1000)), body)));
    bytes
}

fn five(peer: &mut Peer) -> Result<(), Fault> {
    peer.meet()?;
    match peer.value::<i64>(Handle::new(1000))? {
        5 => Ok(()),
        other => Err(format!("2 and 3 are {other}")),
    }
}

fn at_once(peer: &mut Peer) -> Result<(), Fault> {
    peer.say("opening, SETUP and a call", &everything(peer))?;
    five(peer)
}

fn one_by_one(peer: &mut Peer) -> Result<(), Fault> {
    for byte in everything(peer) {
        peer.say("a byte", &[byte])?;
    }
    five(peer)
}

fn another_first(peer: &mut Peer) -> Result<(), Fault> {
    let mut bytes = Peer::opening();
    bytes.extend(encoded(&peer.frame(Handle::PING, ReplyTo::Nobody, vec![0xf6])));
    peer.say("the opening and PING", &bytes)?;
    peer.ends().map(drop)
}

fn another_version(peer: &mut Peer) -> Result<(), Fault> {
    let mut bytes = Peer::opening();
    bytes.extend(encoded(&peer.setup_frame(&Setup { version: VERSION + 1, ..setup() })));
    peer.say("the opening and SETUP of another version", &bytes)?;
    peer.ends().map(drop)
}

fn second_setup(peer: &mut Peer) -> Result<(), Fault> {
    let frame = peer.setup_frame(&setup());
    peer.send(&frame)?;
    peer.ends().map(drop)
}

fn hello(peer: &mut Peer) -> Result<(), Fault> {
    peer.control(Handle::HELLO, &(VERSION, 0_u64, 0_u8, 1_u32, 0_u64))?;
    peer.ends().map(drop)
}

fn written(peer: &mut Peer) -> Result<(), Fault> {
    let call = peer.call("shell", &"echo to stdout; echo to stderr >&2; read line; echo \"read <$line>\"")?;
    peer.value::<i32>(call)?;
    for line in ["to stdout", "to stderr", "read <>"] {
        let of_line = |body: &[u8]| body.windows(line.len()).any(|piece| piece == line.as_bytes());
        peer.wait_for(line, |frame| frame.handle == Handle::FORWARD_LOG && of_line(&frame.body))?;
    }
    Ok(())
}
