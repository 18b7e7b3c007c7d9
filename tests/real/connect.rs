//! A child that does not come up, though it has begun to talk: phases, last words and the one deadline.

use std::{
    fs,
    time::{Duration, Instant},
};

use offshoot_core::{
    machine::Limits,
    wire::{AddRoute, Credit, Frame, Handle, ReplyTo, Window},
};
use offshoot_parent::{ConnectErrorKind, ExitReport, Phase, prelude::*};
use offshoot_tests::real::{
    PATIENCE,
    behind::Behind,
    eventually,
    puppet::{NUMBERED, Puppet, Seen},
    table::{ECHO, NAME},
};

use crate::{
    bed::{hop, puppet_parent, raw, root, script},
    ids::ask_for_ids,
};

crate::tests![
    connect_a_child_that_ends_before_hello_is_told_by_phase_status_and_last_words,
    connect_a_child_that_never_says_hello_is_ended_in_that_phase,
    connect_one_deadline_is_for_all_phases,
    connect_a_program_that_a_hop_did_not_keep_is_sent_to_it_again,
    connect_that_a_program_does_not_come_is_told_whatever_calls_are_in_flight,
    connect_that_a_program_does_not_come_is_told_once_there_is_room_for_it,
    connect_that_one_is_given_up_is_told_whatever_calls_are_in_flight,
    connect_a_shell_that_is_slow_has_time_to_put_its_file_away,
];

/// The root, and a hop of it.
fn makers(router: &Router) -> [Context; 2] {
    [router.here(), router.connect(hop("hop")).unwrap()]
}

fn connect_a_child_that_ends_before_hello_is_told_by_phase_status_and_last_words() {
    let router = root();
    for (maker, id) in makers(&router).iter().zip([2, 1000]) {
        let error = maker.connect(raw("quitter", "quitter")).unwrap_err();
        let exited = ConnectErrorKind::Exited { report: ExitReport::Exited { code: 3 } };
        assert_eq!((error.kind(), error.phase()), (&exited, Phase::Hello), "by {maker}: {error}");
        assert_eq!(error.last_words(), format!("no room for context {id}"));
    }
}

fn connect_a_child_that_never_says_hello_is_ended_in_that_phase() {
    let router = root();
    let limit = Duration::from_millis(500);
    for maker in makers(&router) {
        let error = maker.connect(raw("mute", "mute").timeout(limit)).unwrap_err();
        let no_answer = ConnectErrorKind::NoAnswer { limit };
        assert_eq!((error.kind(), error.phase()), (&no_answer, Phase::Hello), "by {maker}: {error}");
    }
}

fn connect_one_deadline_is_for_all_phases() {
    let router = root();
    let limit = Duration::from_secs(2);
    let since = Instant::now();
    // Its first word takes most of the time, and what follows has the rest.
    let error = router.connect(raw("slow-mute", "mute").timeout(limit)).unwrap_err();
    let took = since.elapsed();
    assert_eq!((error.kind(), error.phase()), (&ConnectErrorKind::NoAnswer { limit }, Phase::Hello));
    assert!(took >= limit && took < limit + Duration::from_millis(1300), "{took:?}");
}

/// A program as far as anybody looks who does not run it.
fn program() -> Payload {
    let program = [b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0", &b"the program itself"[..]].concat();
    Payload::bytes("program", program).unwrap()
}

fn connect_a_program_that_a_hop_did_not_keep_is_sent_to_it_again() {
    let router = root();
    let hop = puppet_parent(&router.here(), "hop");
    let program = program();
    let asked = || hop.seen().into_iter().filter(|seen| seen.handle == Handle::CREATE_CHILD);
    let programs = || asked().filter(|seen| seen.body.windows(11).any(|word| word == b"the program")).count();
    // Each wish, and each program that comes with it, is refused, until so many programs have come.
    let mut answered = 0;
    let mut wish_until = |times: usize| {
        eventually("the program comes", PATIENCE, || {
            let _wish = hop.context().connect_async(Local::new(program.clone()));
            let before = answered;
            eventually("a wish comes", PATIENCE, || (asked().count() > before).then_some(()));
            let refusals: Vec<_> = asked().skip(before).map(|ask| hop.refuse(&ask, "no room")).collect();
            answered += refusals.len();
            hop.put(&refusals);
            (programs() >= times).then_some(())
        });
    };
    wish_until(1);
    wish_until(2);
}

/// The root, which may have two calls to each context in flight, a hop that is moved by hand, and a maker behind it that
/// never answers.
fn crowded() -> (Router, Puppet, Context) {
    let mut limits = Limits::default();
    limits.calls_in_flight = 2;
    let router = Router::builder().limits(limits).build().unwrap();
    let hop = puppet_parent(&router.here(), "hop");
    let id = ask_for_ids(&hop).id(0).unwrap();
    let add = AddRoute { id, parent: hop.id(), name: "maker".into() };
    hop.put(&[hop.frame_of(ContextId::ROOT, Handle::ADD_ROUTE, ReplyTo::Nobody, &add)]);
    let maker = hop.context().call(NUMBERED, id.number()).unwrap();
    (router, hop, maker)
}

/// What a context has been asked as the maker of children, so far as a hop on the way has seen it.
fn asked(hop: &Puppet, of: &Context) -> Vec<Seen> {
    hop.seen().into_iter().filter(|seen| (seen.dst, seen.handle) == (of.id(), Handle::CREATE_CHILD)).collect()
}

/// The ask of that number.
fn nth_asked(hop: &Puppet, of: &Context, n: usize) -> Seen {
    eventually("a maker of children is asked", PATIENCE, || asked(hop, of).into_iter().nth(n))
}

/// Refuses the program that has come to a hop.
fn refuse_program(hop: &Puppet) {
    let keep = nth_asked(hop, hop.context(), 0);
    hop.put(&[hop.refuse(&keep, "no room for programs")]);
}

/// Waits until the maker has been told that the program of the connect does not come.
fn until_missed(hop: &Puppet, maker: &Context) {
    let told = nth_asked(hop, maker, 1);
    let reason = b"hop does not keep its program";
    assert!(told.body.windows(reason.len()).any(|words| words == reason), "{told:?}");
}

fn connect_that_a_program_does_not_come_is_told_whatever_calls_are_in_flight() {
    let (_router, hop, maker) = crowded();
    let _one = maker.call_async(NAME, ());
    let _other = maker.connect_async(Local::new(program()));
    refuse_program(&hop);
    until_missed(&hop, &maker);
}

fn connect_that_a_program_does_not_come_is_told_once_there_is_room_for_it() {
    let (_router, hop, maker) = crowded();
    // Until one is more than the maker has given credit for: that waits, and all that comes behind.
    let bytes = Limits::default().window_start;
    for _ in 0..bytes / 1100 + 1 {
        maker.call_no_reply(ECHO, "x".repeat(1000)).unwrap();
        hop.seen();
    }
    let _connecting = maker.connect_async(Local::new(program()));
    refuse_program(&hop);
    assert_eq!(asked(&hop, &maker), []);
    let credit = Credit { window: Window::Calls, bytes };
    let credit = hop.frame_of(ContextId::ROOT, Handle::CREDIT, ReplyTo::Nobody, &credit);
    hop.put(&[Frame { src: maker.id(), auth: maker.id(), ..credit }]);
    until_missed(&hop, &maker);
}

fn connect_that_one_is_given_up_is_told_whatever_calls_are_in_flight() {
    let (_router, hop, maker) = crowded();
    let connects = [0; 2].map(|_| maker.connect_async(raw("mute", "mute")));
    nth_asked(&hop, &maker, 1);
    drop(connects);
    nth_asked(&hop, &maker, 3);
}

fn connect_a_shell_that_is_slow_has_time_to_put_its_file_away() {
    let (tools, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    script(tools.path(), "rm", "sleep 1; exec /bin/rm \"$@\"");
    let path = format!("PATH={}:/usr/bin:/bin", tools.path().display());
    let slow = Wrapped::new(["env", &path]).folder(place.path().display().to_string());
    let files = || fs::read_dir(place.path()).unwrap().count();
    let router = root();
    let connecting = router.connect_async(Behind::by(&slow, [env!("CARGO_BIN_EXE_leaf")]));
    eventually("its file is there", PATIENCE, || (files() > 0).then_some(()));
    drop(connecting);
    eventually("its file is gone", Duration::from_secs(5), || (files() == 0).then_some(()));
}
