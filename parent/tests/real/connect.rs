//! How a connect fails: with the reason, and with nothing left.

use std::{error::Error, process::ExitCode, time::Duration};

use offshoot_bootstrap::CHILD_ARG;
use offshoot_parent::prelude::*;
use offshoot_parent::{ExitReport, Phase};

use crate::{
    ADD, ADD_BESIDE, GROW_THERE, HANG,
    harness::{Folder, eventually},
    this_program,
};

crate::tests![
    the_error_of_a_child_that_dies_before_hello_tells_how_and_its_last_words,
    a_child_killed_before_hello_is_told_by_its_signal,
    a_child_that_enters_main_is_no_second_root_and_says_what_to_write,
    a_silent_child_is_ended_when_its_time_is_over,
    what_sends_back_all_that_it_is_sent_is_known_at_once,
    a_child_that_closes_its_link_and_stays_is_ended,
    the_errors_of_a_hop_arrive_as_they_are,
    a_bad_name_is_refused_before_anything_is_started,
    a_leaf_can_have_no_children,
    a_child_has_bounds_of_its_own,
    a_child_with_a_bound_that_nobody_can_live_by_says_so,
    a_sibling_may_not_make_children_of_another,
    a_connect_that_is_dropped_leaves_no_child,
    a_failed_connect_uses_up_an_id_and_nothing_else
];

fn script(folder: &Folder, lines: &str) -> Local {
    Local::new(Payload::file(folder.script(lines)).unwrap()).name("odd")
}

fn the_error_of_a_child_that_dies_before_hello_tells_how_and_its_last_words() {
    let folder = Folder::new();
    let router = Router::new().unwrap();
    let error = router.connect(script(&folder, "echo first >&2; echo broken >&2; exit 7")).unwrap_err();
    let exited = ConnectErrorKind::Exited { report: ExitReport::Exited { code: 7 } };
    assert_eq!((error.kind(), error.phase(), error.last_words()), (&exited, Phase::Marker, "first\nbroken"));
    assert_eq!(
        error.to_string(),
        "odd: local, waiting for its first word: it ended: exit status 7; its last words:\n  | first\n  | broken"
    );
}

fn a_child_killed_before_hello_is_told_by_its_signal() {
    let folder = Folder::new();
    let router = Router::new().unwrap();
    let error = router.connect(script(&folder, "kill -9 $$")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "odd: local, waiting for its first word: it ended: killed by signal 9 (KILL); look whether memory has run out there \
         (`dmesg`), or who kills processes"
    );
}

/// Set for a program whose `main` is not in `run`.
pub(crate) const FORGETFUL: &str = "OFFSHOOT_TEST_FORGETFUL";

/// All that such a `main` does.
pub(crate) fn forget_to_run() -> Result<ExitCode, Box<dyn Error>> {
    let _router = Router::new()?;
    // The next one would be made here, and so on.
    Err("a second root".into())
}

fn a_child_that_enters_main_is_no_second_root_and_says_what_to_write() {
    let folder = Folder::new();
    let router = Router::new().unwrap();
    let program = std::env::current_exe().unwrap();
    let child = format!("{FORGETFUL}=1 exec '{}' {CHILD_ARG}", program.display());
    let error = router.connect(script(&folder, &child)).unwrap_err();
    let exited = ConnectErrorKind::Exited { report: ExitReport::Exited { code: 1 } };
    assert_eq!((error.kind(), error.phase()), (&exited, Phase::Marker), "{error}");
    let words = "this program was started as a child: put all of `main` into `offshoot_parent::run`";
    assert!(error.last_words().contains(words), "{error}");
}

fn a_silent_child_is_ended_when_its_time_is_over() {
    let folder = Folder::new();
    let router = Router::new().unwrap();
    let limit = Duration::from_millis(200);
    let silent = script(&folder, "echo hm >&2; exec sleep 1000").timeout(limit);
    let error = router.connect(silent).unwrap_err();
    assert_eq!((error.kind(), error.last_words()), (&ConnectErrorKind::NoAnswer { limit }, "hm"));
    assert!(error.to_string().contains("; is it a program that runs `Child` or `run`?; its last"), "{error}");
}

fn what_sends_back_all_that_it_is_sent_is_known_at_once() {
    let router = Router::new().unwrap();
    let error = router.connect(Local::new(Payload::file("/bin/cat").unwrap())).unwrap_err();
    assert_eq!(
        (error.code(), error.phase(), error.last_words()),
        ("bad_stream", Phase::Marker, ""),
        "{error}"
    );
    assert!(error.to_string().contains("is it a program that runs `Child` or `run`?"), "{error}");
}

fn a_child_that_closes_its_link_and_stays_is_ended() {
    let folder = Folder::new();
    let router = Router::new().unwrap();
    let error = router.connect(script(&folder, "exec sleep 1000 <&- >&-")).unwrap_err();
    assert_eq!(error.kind(), &ConnectErrorKind::Closed);
}

fn the_errors_of_a_hop_arrive_as_they_are() {
    let folder = Folder::new();
    let router = Router::new().unwrap();
    let hop = router.connect(this_program("hop")).unwrap();
    let error = hop.connect(script(&folder, "echo broken >&2; exit 3")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "odd: local from hop, waiting for its first word: it ended: exit status 3; its last words:\n  | broken"
    );
    assert_eq!(error.maker(), Some("hop"));
    let error = hop.connect(this_program("a.b")).unwrap_err();
    assert!(error.to_string().starts_with("a.b: local from hop, getting an id: "), "{error}");
    assert_eq!(hop.call(ADD, (1, 2)), Ok(3));
}

fn a_bad_name_is_refused_before_anything_is_started() {
    let router = Router::new().unwrap();
    let error = router.connect(this_program("a.b")).unwrap_err();
    assert_eq!((error.code(), error.phase()), ("bad_name", Phase::Allocate));
    assert_eq!(router.connect(this_program("ab")).unwrap().id(), ContextId::new(1));
}

/// This program, started with that word.
fn started_as(folder: &Folder, word: &str) -> Local {
    let program = std::env::current_exe().unwrap();
    script(folder, &format!("exec '{}' '{word}'", program.display())).name(word.replace(' ', "_"))
}

fn a_leaf_can_have_no_children() {
    let folder = Folder::new();
    let router = Router::new().unwrap();
    let leaf = router.connect(started_as(&folder, "leaf")).unwrap();
    assert_eq!(leaf.call(ADD, (1, 2)), Ok(3));
    let error = leaf.connect(this_program("x")).unwrap_err();
    assert_eq!(error.code(), "leaf");
    assert!(error.to_string().contains("its program must link `offshoot-parent`"), "{error}");
    let inside = leaf.call(GROW_THERE, leaf.clone()).unwrap();
    assert!(inside.contains("leaf is a leaf and can have no children"), "{inside}");
}

fn a_child_has_bounds_of_its_own() {
    let folder = Folder::new();
    let router = Router::new().unwrap();
    let [leaf, hop] =
        ["narrow leaf", "narrow hop"].map(|word| router.connect(started_as(&folder, word)).unwrap());
    for narrow in [&leaf, &hop] {
        let other = router.connect(this_program("other")).unwrap();
        other.grant(HANG, narrow).unwrap();
        let refused = narrow.call(ADD_BESIDE, other).unwrap();
        assert!(refused.contains("too busy for add: 1 calls"), "{refused}");
    }
    let below = hop.connect(this_program("below")).unwrap();
    below.connect(this_program("second")).unwrap();
    let refused = below.connect(this_program("third")).unwrap_err();
    assert!(refused.to_string().contains("contexts"), "{refused}");
}

fn a_child_with_a_bound_that_nobody_can_live_by_says_so() {
    let folder = Folder::new();
    let error = Router::new().unwrap().connect(started_as(&folder, "too narrow")).unwrap_err();
    let words = "this context cannot start: the limit `downlink` is 0, and must be at least";
    assert!(error.last_words().contains(words), "{error}");
}

fn a_sibling_may_not_make_children_of_another() {
    let router = Router::new().unwrap();
    let [a, b] = ["a", "b"].map(|name| router.connect(this_program(name)).unwrap());
    for whom in [&b, &router.here()] {
        let error = a.call(GROW_THERE, whom.clone()).unwrap();
        assert!(error.contains("refused: only an ancestor of context"), "{error}");
    }
    assert_eq!(router.tree().len(), 3);
}

fn a_connect_that_is_dropped_leaves_no_child() {
    let router = Router::new().unwrap();
    let hop = router.connect(this_program("hop")).unwrap();
    for maker in [router.here(), hop.clone()] {
        drop(maker.connect_async(this_program("unwanted")));
    }
    // Both were asked, and a connect after them is served after them.
    drop(hop.connect(this_program("wanted")).unwrap());
    drop(router.connect(this_program("wanted")).unwrap());
    eventually("the unwanted are gone", || {
        let tree = router.tree();
        let unwanted = tree.iter().any(|node| node.name() == "unwanted");
        if unwanted { Err(tree.to_string()) } else { Ok(()) }
    });
}

fn a_failed_connect_uses_up_an_id_and_nothing_else() {
    let folder = Folder::new();
    let router = Router::new().unwrap();
    router.connect(script(&folder, "exit 1")).unwrap_err();
    assert_eq!(router.tree().len(), 1);
    assert_eq!(router.connect(this_program("next")).unwrap().id(), ContextId::new(2));
}
