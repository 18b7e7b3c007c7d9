//! Streams: chapter 7 of the document. This side is home of those that go in, and holds the end of those that come out.

use std::ops::Range;

use offshoot_wire::{
    CallHead, ContextId, Credit, DeadCode, DelRoute, Direction, End, Failed, Frame, Handle, ReplyHead,
    ReplyTo, StreamHead, Window, codec,
};

use super::{
    Claim, Fault, Peer,
    peer::{CHILD, START, STRANGER, decoded, head, is_news},
};

// protocol 5.9, 7.1 to 7.3, 8.1 to 8.3 and 9.3
pub(super) const CLAIMS: &[Claim] = &[
    Claim::up("a_stream_goes_out_once_it_is_opened", &["7.1", "7.2"], out),
    Claim::up("a_stream_that_is_let_go_ends_at_both_ends", &["7.2", "7.3"], let_go),
    Claim::up("a_stream_goes_out_as_its_window_allows", &["8.1", "5.8"], windowed),
    Claim::up("a_stream_comes_in_and_its_credit_goes_back", &["7.2", "8.3"], into),
    Claim::up("a_holder_sends_what_it_was_asked_for_as_its_window_allows", &["7.1", "7.2", "8.1"], fed),
    Claim::up("a_stream_that_failed_fails_its_reader", &["7.2"], failed),
    Claim::up("items_without_credit_break_their_stream", &["8.3"], overrun),
    Claim::up("a_stream_takes_frames_of_its_peer_alone", &["7.2", "7.3"], foreign),
    Claim::up("a_frame_that_is_none_breaks_its_stream", &["7.2"], malformed),
    Claim::up("an_end_that_nobody_takes_is_refused", &["7.1"], refused),
    Claim::up("an_end_is_held_by_whom_a_rebind_names", &["5.9"], rebound),
    Claim::up("a_dead_message_ends_a_stream", &["6.4", "7.3"], dead),
    Claim::up("who_is_lost_has_no_streams", &["9.3", "5.5"], lost),
];

/// Calls `count`, and takes the end that it answers with.
fn count(peer: &mut Peer, until: u64) -> Result<Handle, Fault> {
    let call = peer.call("count", &until)?;
    let (head, value) = peer.reply(call)?;
    match head {
        ReplyHead::Value(ends) if value == [0] => match ends[..] {
            [End { home: CHILD, handle, direction: Direction::Receives }] if handle.is_allocated() => {
                Ok(handle)
            }
            _ => Err(format!("one end of the child's that receives was awaited, and {ends:?} came")),
        },
        other => Err(format!("an end was awaited, and {other:?} with {value:02x?} came")),
    }
}

fn signal(peer: &mut Peer, to: Handle, ours: Handle, head: &StreamHead) -> Result<(), Fault> {
    let body = codec::encode(head).expect("a head");
    let frame = peer.frame(to, ReplyTo::Handle(ours), body);
    peer.send(&frame)
}

fn item(peer: &mut Peer, to: Handle, ours: Handle, number: u64) -> Result<(), Fault> {
    let mut body = codec::encode(&StreamHead::Item(Vec::new())).expect("a head");
    codec::encode_into(&number, &mut body).expect("an item");
    let frame = peer.frame(to, ReplyTo::Handle(ours), body);
    peer.send(&frame)
}

/// The next number that comes to our end; `None` at the end of the stream.
fn next(peer: &mut Peer, ours: Handle, theirs: Handle) -> Result<Option<u64>, Fault> {
    let frame = peer.wait_for("a frame of the stream (7.2)", |frame| frame.handle == ours)?;
    if frame.reply_to != ReplyTo::Handle(theirs) {
        return Err("a frame of a stream has the sender's handle as reply_to".into());
    }
    match codec::decode_prefix::<StreamHead>(&frame.body, 4096) {
        Ok((StreamHead::Item(_), at)) => decoded(&frame.body[at..]).map(Some),
        Ok((StreamHead::Close, _)) => Ok(None),
        other => Err(format!("an item or a close was awaited, and {other:?} came")),
    }
}

fn counts(peer: &mut Peer, ours: Handle, theirs: Handle, numbers: Range<u64>) -> Result<(), Fault> {
    for number in numbers {
        match next(peer, ours, theirs)? {
            Some(is) if is == number => {}
            other => return Err(format!("{number} was awaited, and {other:?} came")),
        }
    }
    Ok(())
}

fn out(peer: &mut Peer) -> Result<(), Fault> {
    let (theirs, ours) = (count(peer, 3)?, peer.handle());
    peer.is_quiet()?;
    signal(peer, theirs, ours, &StreamHead::Open)?;
    counts(peer, ours, theirs, 0..3)?;
    if next(peer, ours, theirs)?.is_some() {
        return Err("it goes on behind its end".into());
    }
    signal(peer, theirs, ours, &StreamHead::Close)?;
    peer.is_quiet()
}

fn let_go(peer: &mut Peer) -> Result<(), Fault> {
    let (theirs, ours) = (count(peer, 1_000_000)?, peer.handle());
    signal(peer, theirs, ours, &StreamHead::Open)?;
    counts(peer, ours, theirs, 0..3)?;
    signal(peer, theirs, ours, &StreamHead::Close)?;
    while next(peer, ours, theirs)?.is_some() {}
    peer.is_quiet()
}

fn windowed(peer: &mut Peer) -> Result<(), Fault> {
    let (theirs, ours) = (count(peer, 400)?, peer.handle());
    signal(peer, theirs, ours, &StreamHead::Open)?;
    as_the_window_allows(peer, ours, theirs)
}

/// The numbers to 400 come, of which the first window takes a part; then the stream ends at both sides.
fn as_the_window_allows(peer: &mut Peer, ours: Handle, theirs: Handle) -> Result<(), Fault> {
    counts(peer, ours, theirs, 0..100)?;
    let cost: usize = 100 * 131;
    let more = peer.sync()?.iter().filter(|frame| frame.handle == ours).map(Frame::cost).sum::<usize>();
    if cost + more > START {
        return Err("more comes than the window takes".into());
    }
    peer.control(Handle::CREDIT, &Credit { window: Window::Stream(ours), bytes: 64 << 10 })?;
    counts(peer, ours, theirs, 100..400)?;
    if next(peer, ours, theirs)?.is_some() {
        return Err("it goes on behind its end".into());
    }
    signal(peer, theirs, ours, &StreamHead::Close)
}

/// Calls `sum` with an end of ours, at `ours`; the call, and the handle of the child's end once it is open.
fn sum(peer: &mut Peer, ours: Handle) -> Result<(Handle, Handle), Fault> {
    let end = End { home: ContextId::ROOT, handle: ours, direction: Direction::Receives };
    let call = peer.call_with(&CallHead { ends: vec![end], ..head("sum") }, &0)?;
    let open = peer.wait_for("the opening of the stream (7.2)", |frame| frame.handle == ours)?;
    match (open.reply_to, &*open.body) {
        (ReplyTo::Handle(theirs), [0]) if theirs.is_allocated() => Ok((call, theirs)),
        _ => Err("a holder's first frame opens the stream, or begins it".into()),
    }
}

fn into(peer: &mut Peer) -> Result<(), Fault> {
    let ours = peer.handle();
    let (call, theirs) = sum(peer, ours)?;
    let mut left = START;
    for number in 0..500 {
        while left < 256 {
            let credit = |frame: &Frame| credit_of(frame, theirs).is_some();
            let frame = peer.wait_for("CREDIT for the stream (8.3)", credit)?;
            left += credit_of(&frame, theirs).unwrap_or(0);
        }
        item(peer, theirs, ours, number)?;
        left -= 128 + if number < 24 { 4 } else { 6 };
    }
    signal(peer, theirs, ours, &StreamHead::Close)?;
    let is = peer.value::<u64>(call)?;
    if is != 499 * 500 / 2 {
        return Err(format!("the sum of 0 to 499 is {is}"));
    }
    while next(peer, ours, theirs)?.is_some() {}
    Ok(())
}

fn fed(peer: &mut Peer) -> Result<(), Fault> {
    let ours = peer.handle();
    let end = End { home: ContextId::ROOT, handle: ours, direction: Direction::Sends };
    let call = peer.call_with(&CallHead { ends: vec![end], ..head("feed") }, &(0, 400_u64))?;
    let first = peer.wait_for("the first frame of the holder (7.2)", |frame| frame.handle == ours)?;
    let ReplyTo::Handle(theirs) = first.reply_to else { return Err("a holder has a handle".into()) };
    if *first.body != [0] {
        peer.put_back(first);
    }
    as_the_window_allows(peer, ours, theirs)?;
    peer.value::<()>(call)?;
    peer.is_quiet()
}

fn credit_of(frame: &Frame, stream: Handle) -> Option<usize> {
    let credit: Credit = decoded(&frame.body).ok().filter(|_| frame.handle == Handle::CREDIT)?;
    (credit.window == Window::Stream(stream)).then_some(credit.bytes as usize)
}

fn fails(peer: &mut Peer, call: Handle) -> Result<String, Fault> {
    match peer.failure(call)? {
        (Failed::Error, text) => Ok(text),
        (other, _) => Err(format!("the failure `error` was awaited, and {other:?} came")),
    }
}

fn failed(peer: &mut Peer) -> Result<(), Fault> {
    let ours = peer.handle();
    let (call, theirs) = sum(peer, ours)?;
    item(peer, theirs, ours, 1)?;
    signal(peer, theirs, ours, &StreamHead::Fail("disk full".into()))?;
    let text = fails(peer, call)?;
    if text.contains("disk full") { Ok(()) } else { Err(format!("{text:?} does not say why")) }
}

/// The child says that the stream has ended at its side too, in whatever form.
fn is_closed(peer: &mut Peer, ours: Handle) -> Result<(), Fault> {
    let closes = |frame: &Frame| frame.handle == ours && (frame.is_dead() || frame.body.first() != Some(&0));
    peer.wait_for("the end of the stream (7.3)", closes).map(drop)
}

fn overrun(peer: &mut Peer) -> Result<(), Fault> {
    let ours = peer.handle();
    let (call, theirs) = sum(peer, ours)?;
    let frame = peer.frame(theirs, ReplyTo::Handle(ours), [&[0x82, 1, 0x80][..], &[0; START]].concat());
    peer.send(&frame)?;
    is_closed(peer, ours)?;
    fails(peer, call).map(drop)
}

fn foreign(peer: &mut Peer) -> Result<(), Fault> {
    let ours = peer.handle();
    let (call, theirs) = sum(peer, ours)?;
    item(peer, theirs, ours, 1)?;
    let waits = peer.handle();
    let frame = peer.frame(theirs, ReplyTo::Handle(waits), vec![0x82, 1, 0x80, 9]);
    peer.send(&Frame { src: STRANGER, auth: STRANGER, ..frame })?;
    peer.dead(waits, DeadCode::NoHandle)?;
    item(peer, theirs, ours, 2)?;
    signal(peer, theirs, ours, &StreamHead::Close)?;
    match peer.value::<u64>(call)? {
        3 => Ok(()),
        other => Err(format!("1 and 2 are {other}")),
    }
}

fn malformed(peer: &mut Peer) -> Result<(), Fault> {
    for body in [&[4][..], &[0x81, 1], &[0xff], &[]] {
        let ours = peer.handle();
        let (call, theirs) = sum(peer, ours)?;
        let frame = peer.frame(theirs, ReplyTo::Handle(ours), body.to_vec());
        peer.send(&frame)?;
        is_closed(peer, ours)?;
        fails(peer, call)?;
        signal(peer, theirs, ours, &StreamHead::Close)?;
    }
    peer.sync().map(drop)
}

fn refused(peer: &mut Peer) -> Result<(), Fault> {
    let ours = peer.handle();
    let end = End { home: ContextId::ROOT, handle: ours, direction: Direction::Receives };
    let call = peer.call_with(&CallHead { ends: vec![end], ..head("add") }, &(2, 3))?;
    peer.value::<i64>(call)?;
    is_closed(peer, ours)
}

fn rebound(peer: &mut Peer) -> Result<(), Fault> {
    let (theirs, ours) = (count(peer, 3)?, peer.handle());
    peer.control(Handle::REBIND, &(theirs, STRANGER))?;
    let frame = peer.frame(theirs, ReplyTo::Handle(ours), vec![0]);
    peer.send(&frame)?;
    peer.dead(ours, DeadCode::NoHandle)?;
    peer.send(&Frame { src: STRANGER, auth: STRANGER, ..frame })?;
    let to_holder = |frame: &Frame| frame.dst == STRANGER && frame.handle == ours;
    peer.wait_for("an item to the new holder", to_holder).map(drop)
}

fn dead(peer: &mut Peer) -> Result<(), Fault> {
    let ours = peer.handle();
    let (call, theirs) = sum(peer, ours)?;
    let frame = peer.frame(theirs, ReplyTo::Dead, vec![0x82, 6, 0x60]);
    peer.send(&Frame { src: STRANGER, auth: STRANGER, ..frame.clone() })?;
    // It is not a stranger's to end.
    if peer.sync()?.iter().any(|frame| frame.handle == ours || frame.handle == call && !is_news(frame)) {
        return Err("a dead message of a stranger ends the stream".into());
    }
    peer.send(&frame)?;
    // What is gone has closed: the sum of nothing, or an error that says so.
    peer.reply(call).map(drop)
}

fn lost(peer: &mut Peer) -> Result<(), Fault> {
    let (theirs, ours) = (count(peer, 1_000_000)?, peer.handle());
    peer.control(Handle::REBIND, &(theirs, STRANGER))?;
    let frame = peer.frame(theirs, ReplyTo::Handle(ours), vec![0]);
    let frame = Frame { src: STRANGER, auth: STRANGER, ..frame };
    peer.send(&frame)?;
    peer.wait_for("an item", |frame| frame.dst == STRANGER)?;
    let gone = DelRoute { ids: vec![STRANGER], top: STRANGER, name: "x".into(), reason: "lost".into() };
    peer.control(Handle::DEL_ROUTE, &gone)?;
    let to_lost = |frames: &[Frame]| frames.iter().filter(|frame| frame.dst == STRANGER).count();
    let before = to_lost(peer.sync()?);
    // What it would go on with, if it did.
    let credit = Credit { window: Window::Stream(ours), bytes: 64 << 10 };
    let frame = peer.frame(Handle::CREDIT, ReplyTo::Nobody, codec::encode(&credit).expect("credit"));
    peer.send(&Frame { src: STRANGER, auth: STRANGER, ..frame })?;
    if to_lost(peer.sync()?) > before {
        return Err("it goes on sending to a context that is gone".into());
    }
    Ok(())
}
