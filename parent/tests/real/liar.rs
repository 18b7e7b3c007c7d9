//! A hop that does not make the child that it is asked for, and names some other context instead.

use std::io::{Read as _, Write as _, stdin, stdout};

use offshoot_bootstrap::Told;
use offshoot_core::wire::{
    ContextId, Decoded, Decoder, Frame, Handle, Hello, Nonce, OPENING_LEN, ReplyHead, ReplyTo, Role, Setup,
    VERSION, codec, marker,
};
use offshoot_parent::prelude::*;

use crate::{ADD, harness::Folder, this_program};

crate::tests![a_hop_is_not_believed_to_have_made_what_is_not_its_own];

/// Attack 25: a sibling, the root, the hop itself, an id that nobody has.
fn a_hop_is_not_believed_to_have_made_what_is_not_its_own() {
    let folder = Folder::new();
    let router = Router::new().unwrap();
    let sibling = router.connect(this_program("sibling")).unwrap();
    let program = std::env::current_exe().unwrap();
    let said = [sibling.id().number(), 0, 2, 1000, u32::MAX].map(|id| id.to_string()).join(" ");
    let script = folder.script(&format!("exec '{}' liar {said}", program.display()));
    let liar = router.connect(Local::new(Payload::file(script).unwrap()).name("liar")).unwrap();
    for answer in said.split(' ') {
        let error = liar.connect(this_program("x")).unwrap_err();
        assert!(matches!(error.code(), "asking" | "lost"), "{answer}: {error}");
    }
    assert_eq!(router.tree().len(), 3);
    assert_eq!(sibling.call(ADD, (1, 2)), Ok(3));
}

/// Becomes the liar: each request for a child is answered with the next of these ids.
pub(crate) fn lie(ids: impl Iterator<Item = u32>) {
    let mut opening = [0; OPENING_LEN];
    stdin().read_exact(&mut opening).unwrap();
    let nonce = Nonce::parse_opening(&opening).unwrap();
    let mut decoder = Decoder::new();
    let setup: Setup = codec::decode(&next(&mut decoder).unwrap().body, 1 << 16).unwrap();
    let me = setup.id;
    let say = |handle, reply_to, body| {
        let frame = Frame { dst: ContextId::ROOT, src: me, auth: me, handle, reply_to, part: None, body };
        let mut bytes = Vec::new();
        frame.encode_into(&mut bytes);
        stdout().write_all(&bytes).unwrap();
        stdout().flush().unwrap();
    };
    stdout().write_all(&marker(&nonce)).unwrap();
    let hello =
        Hello { version: VERSION, features: 0, role: Role::Parent, pid: std::process::id(), build: 0 };
    say(Handle::HELLO, ReplyTo::Nobody, codec::encode(&hello).unwrap().into());

    let mut ids = ids;
    while let Some(frame) = next(&mut decoder) {
        if frame.handle != Handle::CREATE_CHILD {
            continue;
        }
        // As `Created` is written: the id, what the child said of itself, and that nothing is known of passwords.
        let created: Result<_, ConnectError> =
            Ok((ids.next().unwrap(), (1_u32, Role::Leaf), Vec::<Told>::new()));
        let mut body = codec::encode(&ReplyHead::Value(Vec::new())).unwrap();
        codec::encode_into(&created, &mut body).unwrap();
        say(frame.reply_to.handle().unwrap(), ReplyTo::Nobody, body.into());
    }
}

fn next(decoder: &mut Decoder) -> Option<Frame> {
    loop {
        if let Some(Decoded::Frame(frame)) = decoder.next_frame().unwrap() {
            return (frame.handle != Handle::SHUTDOWN).then_some(frame);
        }
        let read = stdin().read(decoder.space()).unwrap();
        if read == 0 {
            return None;
        }
        decoder.filled(read);
    }
}
