//! A child that does not come up, though it has begun to talk: phases, last words and the one deadline.

use std::{
    fs,
    time::{Duration, Instant},
};

use offshoot_core::wire::Handle;
use offshoot_parent::{ConnectErrorKind, ExitReport, Phase, prelude::*};
use offshoot_tests::real::{PATIENCE, behind::Behind, eventually};

use crate::bed::{hop, puppet_parent, raw, root, script};

crate::tests![
    connect_a_child_that_ends_before_hello_is_told_by_phase_status_and_last_words,
    connect_a_child_that_never_says_hello_is_ended_in_that_phase,
    connect_one_deadline_is_for_all_phases,
    connect_a_program_that_a_hop_did_not_keep_is_sent_to_it_again,
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

fn connect_a_program_that_a_hop_did_not_keep_is_sent_to_it_again() {
    let router = root();
    let hop = puppet_parent(&router.here(), "hop");
    // A program as far as anybody looks who does not run it.
    let program = [b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0", &b"the program itself"[..]].concat();
    let program = Payload::bytes("program", program).unwrap();
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
