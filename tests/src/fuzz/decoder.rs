//! The decoder against one that sees the whole stream at once: any slicing gives the same frames and the same end.

use offshoot_wire::{
    BadStream, Body, ContextId, Decoded, Decoder, Frame, HEADER_LEN, Handle, Header, MAX_CONTROL, MAX_WHOLE,
    PART_LEN, Part, ReplyTo,
};

use super::{Peak, sliced::Sliced};

/// A decoder has one body in the making, up to four that it uses again, and what is read into.
const HELD: usize = 5 * MAX_WHOLE + 3 * 64 * 1024;

/// How a stream ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Between,
    MidFrame,
    Magic,
    ReplyTo(u32),
    Fragment(u32),
}

pub(super) fn run(input: &[u8], peak: Peak) {
    let sliced = Sliced::of(input);
    let (expected, end) = naive(sliced.stream);
    let mut next = 0;
    let held = peak(&mut || {
        next = 0;
        let mut decoder = Decoder::new();
        let mut is_over = false;
        for slice in sliced.slices() {
            decoder.push(slice);
            is_over = is_over || take_all(&mut decoder, &expected, &mut next, &end);
        }
        assert!(is_over || decoder.is_mid_frame() == (end == End::MidFrame), "it ends {end:?}");
        assert_eq!(is_over, !matches!(end, End::Between | End::MidFrame), "it ends {end:?}");
    });
    assert_eq!(next, expected.len(), "frames were lost");
    assert!(held <= HELD, "{held} bytes are held by a decoder");
    for decoded in &expected {
        round_trip(decoded);
    }
}

/// Takes out what is complete; tells whether the stream is over for good.
fn take_all(decoder: &mut Decoder, expected: &[Decoded], next: &mut usize, end: &End) -> bool {
    loop {
        let is_announced = decoder.has_complete_frame();
        let taken = decoder.next_frame();
        assert_eq!(is_announced, taken != Ok(None), "has_complete_frame tells what next_frame does");
        match taken {
            Ok(None) => return false,
            Ok(Some(decoded)) => {
                assert!(expected.get(*next) == Some(&decoded), "frame {next} is another");
                *next += 1;
            }
            Err(bad) => {
                let is = match bad {
                    BadStream::Magic(_) => End::Magic,
                    BadStream::ReplyTo(number) => End::ReplyTo(number),
                    BadStream::Fragment(len) => End::Fragment(len),
                    other => panic!("an end that is new here: {other}"),
                };
                assert_eq!(&is, end);
                return true;
            }
        }
    }
}

/// What a frame is written as is read as that frame.
fn round_trip(decoded: &Decoded) {
    let Decoded::Frame(frame) = decoded else { return };
    let mut bytes = Vec::new();
    frame.encode_into(&mut bytes);
    assert_eq!(naive(&bytes), (vec![decoded.clone()], End::Between));
}

/// All frames of a stream, as the protocol says in its clauses 2 and 3.1, from the whole of it.
fn naive(mut stream: &[u8]) -> (Vec<Decoded>, End) {
    let mut all = Vec::new();
    loop {
        let Some(magic) = stream.get(..2) else {
            return (all, if stream.is_empty() { End::Between } else { End::MidFrame });
        };
        if magic != b"MI" && magic != b"OF" {
            return (all, End::Magic);
        }
        let Some(head) = stream.get(..HEADER_LEN) else { return (all, End::MidFrame) };
        let words: Vec<u32> = head[2..].chunks(4).map(number).collect();
        let [dst, src, auth, handle, reply_to, len] = words[..] else { unreachable!("six words") };
        let is_fragment = magic == b"OF";
        let reply_to = match reply_to {
            0 => ReplyTo::Nobody,
            999 => ReplyTo::Dead,
            1000.. => ReplyTo::Handle(Handle::new(reply_to)),
            other => return (all, End::ReplyTo(other)),
        };
        if is_fragment && len < 8 {
            return (all, End::Fragment(len));
        }
        let (dst, src, auth) = (ContextId::new(dst), ContextId::new(src), ContextId::new(auth));
        let handle = Handle::new(handle);
        let is_control = [103, 104, 105, 106, 200, 201, 202, 203, 204, 207].contains(&handle.number());
        let limit = if is_control && reply_to == ReplyTo::Nobody { MAX_CONTROL } else { MAX_WHOLE };
        let behind = &stream[HEADER_LEN..];
        let body = behind.get(..len as usize);
        if len as usize > limit {
            all.push(Decoded::Oversize(Header { dst, src, auth, handle, reply_to, is_fragment, len }));
        } else if let Some(body) = body {
            let part =
                is_fragment.then(|| Part { total: number(&body[..4]), offset: number(&body[4..PART_LEN]) });
            let body = Body::from(if is_fragment { &body[PART_LEN..] } else { body });
            all.push(Decoded::Frame(Frame { dst, src, auth, handle, reply_to, part, body }));
        }
        let Some(_) = body else { return (all, End::MidFrame) };
        stream = &behind[len as usize..];
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}
