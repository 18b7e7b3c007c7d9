//! Many connects: so many at a time, fewer where an sshd takes no more, each result as it comes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::{Duration, Instant},
};

use offshoot_bootstrap::{Dialect, Phase, Told};
use offshoot_parent::prelude::*;
use offshoot_tests::real::{PATIENCE, Signal, eventually, kill};

use crate::far::{ADD, Listening, Missing, Planned, Sshd, User, payload, program, static_program};

crate::tests![
    results_come_in_the_order_in_which_they_end,
    no_more_go_on_at_once_than_were_asked_for,
    the_time_of_all_ends_those_that_have_not,
    lists_that_go_the_same_way_share_what_that_takes,
    hosts_that_refuse_for_good_leave_the_others_their_room,
    a_way_that_is_full_holds_up_no_other,
    a_host_behind_as_many_silent_ones_as_go_on_at_once_comes_up,
    a_connect_whose_turn_does_not_come_ends_in_its_time_and_was_never_begun,
    what_has_no_room_on_its_way_is_made_by_a_helper,
    who_waits_for_his_way_counts_on_none_that_goes_another,
    a_list_for_which_there_are_no_descriptors_is_not_begun,
    helpers_make_what_the_one_that_was_asked_has_no_room_for,
    a_list_that_grows_makes_a_tree_and_brings_all_up,
    a_helper_is_not_given_what_the_one_that_was_asked_comes_to_as_soon,
    a_helper_makes_what_waits_behind_a_host_that_says_nothing,
    a_helper_that_is_lost_costs_no_host,
    a_password_is_proved_on_one_host_and_a_refused_one_is_given_to_no_other,
    a_password_that_one_host_has_refused_is_given_to_no_other_though_somebody_typed_the_right_one,
    a_password_that_no_host_has_asked_for_is_not_proved,
    a_password_that_two_hosts_leave_open_is_given_to_no_third,
    a_password_that_lets_in_where_no_program_comes_up_is_good_for_the_others,
    what_has_become_of_a_password_is_told_by_one_who_is_ending_too,
    a_password_is_proved_by_a_host_that_lets_us_in_and_has_no_shell_for_us,
    a_password_of_a_jump_host_is_good_whatever_becomes_of_the_hosts_behind_it,
    all_hosts_come_up_behind_an_sshd_that_takes_few_at_once,
];

fn by(script: &str, word: &str) -> Wrapped {
    Wrapped::new(["sh", "-c", script, word]).payload(payload("leaf").unwrap())
}

fn results_come_in_the_order_in_which_they_end() -> Result<(), Missing> {
    payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let sign = folder.path().join("go").display().to_string();
    let slow = || by("until [ -e $0 ]; do sleep 0.02; done; exec \"$@\"", &sign);
    let fast = || by("exec \"$@\"", "sh");
    let router = Router::new().unwrap();
    let mut all = router.connect_all([slow(), fast(), by("exit 3", "sh"), fast()]).into_iter();
    let first: BTreeSet<_> = all.by_ref().take(3).map(|(n, outcome)| (n, outcome.is_ok())).collect();
    assert_eq!(first, BTreeSet::from([(1, true), (2, false), (3, true)]));
    assert_eq!(all.len(), 1);
    fs::write(&sign, "").unwrap();
    let (n, last) = all.next().unwrap();
    assert_eq!((n, last.unwrap().call(ADD, (2, 3)).unwrap()), (0, 5));
    assert!(all.next().is_none());
    Ok(())
}

fn no_more_go_on_at_once_than_were_asked_for() -> Result<(), Missing> {
    payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let steps = folder.path().join("steps").display().to_string();
    let method = || by("echo + >>$0; sleep 0.05; echo - >>$0; exec \"$@\"", &steps);
    let router = Router::new().unwrap();
    let all = router.connect_all((0..20).map(|_| method())).parallel(4);
    assert!(all.into_iter().all(|(_, outcome)| outcome.is_ok()));
    let steps = fs::read_to_string(&steps).unwrap();
    let running = steps.lines().scan(0, |running, step| {
        *running += if step == "+" { 1 } else { -1 };
        Some(*running)
    });
    let most = running.max().unwrap();
    assert!((2..=4).contains(&most), "{most}");
    Ok(())
}

fn the_time_of_all_ends_those_that_have_not() -> Result<(), Missing> {
    payload("leaf")?;
    let router = Router::new().unwrap();
    for (maker, named) in [(router.here(), None), (hop(&router, "maker"), Some("maker"))] {
        let methods = ["exec \"$@\"", "exec sleep 1000", "exec sleep 1000"].map(|script| by(script, "sh"));
        let since = Instant::now();
        let all = maker.connect_all(methods).parallel(2).within(Duration::from_secs(4));
        let told = |error: ConnectError| {
            (error.to_string().contains("within 4 s"), error.maker().map(str::to_owned))
        };
        let failed = all.into_iter().filter_map(|(n, outcome)| outcome.err().map(|error| (n, told(error))));
        let late = (true, named.map(str::to_owned));
        assert_eq!(failed.collect::<BTreeMap<_, _>>(), BTreeMap::from([(1, late.clone()), (2, late)]));
        assert!(since.elapsed() < PATIENCE);
    }
    Ok(())
}

fn lists_that_go_the_same_way_share_what_that_takes() -> Result<(), Missing> {
    payload("leaf")?;
    // An sshd that takes one of the first eight as long as it is not open, and counts whom it has refused.
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display().to_string();
    let until_open = "until [ -e open ]; do sleep 0.02; done";
    let ssh = format!(
        "cd $0; echo >>came; until [ $(wc -l <came) -ge 8 ]; do sleep 0.02; done; [ -e open ] || {{ \
        mkdir taken 2>/dev/null || {{ echo >>refused; {REFUSES}; }}; {until_open}; }}; exec \"$@\""
    );
    let other = format!("cd $0; echo >>others; {until_open}; exec \"$@\"");
    let hosts = |way, script: &str, many| vec![on_way(way, script, &at); many];
    let lines = |file| fs::read_to_string(folder.path().join(file)).unwrap_or_default().lines().count();
    let router = Router::new().unwrap();
    std::thread::scope(|scope| {
        let one = [hosts("ssh", &ssh, 8), hosts("other", &other, 7)].concat();
        let one = router.connect_all(one).parallel(8).into_iter();
        let one = scope.spawn(move || one.map(|(_, outcome)| outcome.is_ok()).collect::<Vec<_>>());
        // Each that is begun by another way takes the room of one of whose refusal the list has heard.
        eventually("all but one are refused", PATIENCE, || (lines("others") == 7).then_some(()));
        // What that list has learnt holds for another: when the last of it is there, who goes another way, it has looked at
        // all before him.
        let two = [hosts("ssh", &ssh, 8), hosts("third", "exec \"$@\"", 1)].concat();
        let mut two = router.connect_all(two).parallel(9).into_iter();
        assert!(matches!(two.next(), Some((8, Ok(_)))));
        assert_eq!(lines("came"), 8);
        fs::write(folder.path().join("open"), "").unwrap();
        assert!(two.all(|(_, outcome)| outcome.is_ok()));
        assert_eq!(one.join().unwrap(), [true; 15]);
    });
    assert_eq!(lines("refused"), 7);
    Ok(())
}

/// A host that ssh would lead to, by that word for the way.
fn on_way(way: &str, script: &str, word: &str) -> Planned {
    let mut plan = by(script, word).timeout(Duration::from_secs(20)).plan();
    plan.method = way.into();
    plan.transport.as_mut().unwrap().dialect = Dialect::Ssh;
    Planned(plan)
}

/// What a host says that takes nobody more.
const REFUSES: &str = "echo kex_exchange_identification: closed >&2; exit 255";

fn hosts_that_refuse_for_good_leave_the_others_their_room() -> Result<(), Missing> {
    payload("leaf")?;
    let (folder, meeting) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [at, there] = [&folder, &meeting].map(|folder| folder.path().display().to_string());
    let bad = format!("[ -e $0/open ] || {{ echo >>$0/refused; {REFUSES}; }}; exec \"$@\"");
    let refused = || fs::read_to_string(folder.path().join("refused")).unwrap_or_default().lines().count();
    let refused_more = |more: usize| {
        let enough = refused() + more;
        eventually("they are refused", Duration::from_secs(20), || (refused() >= enough).then_some(()));
    };
    let router = Router::new().unwrap();
    std::thread::scope(|scope| {
        let hosts = (0..4).map(|_| on_way("ssh", &bad, &at));
        let all = router.connect_all(hosts).into_iter();
        let refusing = scope.spawn(move || all.map(|(_, outcome)| outcome.is_ok()).collect::<Vec<_>>());
        // Each of them a few times, so that nobody takes it for want of room any more.
        refused_more(16);
        let well = router.connect_all((0..12).map(|_| on_way("ssh", "exec \"$@\"", &at))).parallel(12);
        assert!(well.into_iter().all(|(_, outcome)| outcome.is_ok()));
        refused_more(4);
        // None of these goes on before all of them have come so far.
        let meet = "touch $0/$$; until [ $(ls $0 | wc -l) -ge 6 ]; do sleep 0.05; done; exec \"$@\"";
        let hosts = (0..6).map(|_| on_way("ssh", meet, &there));
        let met = router.connect_all(hosts).within(PATIENCE).into_iter();
        let met = met.filter(|(_, outcome)| outcome.is_ok()).count();
        fs::write(folder.path().join("open"), "").unwrap();
        assert_eq!(met, 6);
        assert_eq!(refusing.join().unwrap(), [true; 4]);
    });
    Ok(())
}

/// Has a host refuse once: fewer than three may come at once by its way from then on.
fn narrow(router: &Router, at: &str) {
    let once = format!("mkdir $0/once 2>/dev/null && {{ {REFUSES}; }}; exec \"$@\"");
    assert!(router.connect_all([on_way("narrow", &once, at)]).into_iter().all(|(_, there)| there.is_ok()));
}

fn a_way_that_is_full_holds_up_no_other() -> Result<(), Missing> {
    payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display().to_string();
    let router = Router::new().unwrap();
    narrow(&router, &at);
    let held = || on_way("narrow", "until [ -e $0/go ]; do sleep 0.02; done; exec \"$@\"", &at);
    let free = || on_way("wide", "exec \"$@\"", &at);
    let hosts = [held(), held(), held(), free(), free()];
    let mut all = router.connect_all(hosts).within(PATIENCE).into_iter();
    let first: BTreeSet<_> = all.by_ref().take(2).map(|(n, outcome)| (n, outcome.is_ok())).collect();
    assert_eq!(first, BTreeSet::from([(3, true), (4, true)]));
    fs::write(folder.path().join("go"), "").unwrap();
    assert!(all.all(|(_, outcome)| outcome.is_ok()));
    Ok(())
}

/// How many connects a context has under way at once.
const AT_ONCE: usize = 64;

fn a_host_behind_as_many_silent_ones_as_go_on_at_once_comes_up() -> Result<(), Missing> {
    payload("leaf")?;
    let router = Router::new().unwrap();
    // Those that say nothing take all the time that each has, and the last one half of it.
    let silent = (0..AT_ONCE).map(|_| "exec sleep 1000");
    let hosts = silent.chain(["sleep 4; exec \"$@\""]);
    let hosts = hosts.map(|script| by(script, "sh").timeout(Duration::from_secs(8)));
    let up = router.connect_all(hosts).parallel(500).into_iter();
    let up: Vec<_> = up.filter_map(|(n, outcome)| outcome.is_ok().then_some(n)).collect();
    assert_eq!(up, [AT_ONCE]);
    Ok(())
}

fn a_connect_whose_turn_does_not_come_ends_in_its_time_and_was_never_begun() -> Result<(), Missing> {
    payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display().to_string();
    let router = Router::new().unwrap();
    let silent = |_| router.connect_async(by("touch $0/at$$; exec sleep 1000", &at));
    let silent: Vec<_> = (0..AT_ONCE).map(silent).collect();
    let running = || fs::read_dir(folder.path()).unwrap().count();
    eventually("there is no room", PATIENCE, || (running() == AT_ONCE).then_some(()));
    let late = by("touch $0/begun; exec \"$@\"", &at).timeout(Duration::from_millis(300));
    let error = router.connect(late).unwrap_err();
    assert_eq!((error.code(), error.phase()), ("no_answer", Phase::Allocate), "{error}");
    drop(silent);
    // It would be begun now.
    router.connect(by("exec \"$@\"", "sh")).unwrap();
    assert!(!folder.path().join("begun").exists());
    Ok(())
}

fn what_has_no_room_on_its_way_is_made_by_a_helper() -> Result<(), Missing> {
    payload("hop")?;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display().to_string();
    let router = Router::new().unwrap();
    let helpers = ["a", "b"].map(|name| hop(&router, name));
    narrow(&router, &at);
    // None goes on before there are two more than go at once by the way from here: one for each helper.
    let meet = "touch $0/at$$; until [ $(ls $0 | grep -c ^at) -ge 4 ]; do sleep 0.05; done; exec \"$@\"";
    let all = router.connect_all((0..4).map(|_| on_way("narrow", meet, &at))).arity(1).within(PATIENCE);
    let up: Vec<_> =
        all.helped_by(helpers.clone()).into_iter().map(|(_, outcome)| outcome.unwrap()).collect();
    let parents = parents(&router, &up);
    assert!(helpers.iter().all(|helper| parents[&helper.id()] == 1), "{parents:?}");
    Ok(())
}

/// Three wait for room on a way where two are awaited soon, so that one is a helper's at once: four that are awaited as soon
/// on another way leave no room on this one.
fn who_waits_for_his_way_counts_on_none_that_goes_another() -> Result<(), Missing> {
    let program = payload("hop")?;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display().to_string();
    let router = Router::new().unwrap();
    narrow(&router, &at);
    let host = |way, script: &str| {
        let mut host = on_way(way, script, &at);
        host.0.payload = program.clone();
        host
    };
    // The first to come up is the helper, and tells how long one takes: what was begun with it can be counted upon for as long
    // again.
    let first = host("wide", "sleep 2; exec \"$@\"");
    let wide = host("wide", "until [ -e $0/go ]; do sleep 0.02; done; exec \"$@\"");
    let meet = "touch $0/at$$; until [ $(ls $0 | grep -c ^at) -ge 3 ]; do sleep 0.02; done; exec \"$@\"";
    let hosts = [vec![first], vec![wide; 4], vec![host("narrow", meet); 5]].concat();
    let begun = Instant::now();
    let mut all = router.connect_all(hosts).parallel(8).growing().within(PATIENCE).into_iter();
    assert!(matches!(all.next(), Some((0, Ok(_)))));
    let usual = begun.elapsed();
    assert!(matches!(all.next(), Some((5.., Ok(_)))));
    assert!(begun.elapsed() < usual * 3 / 2, "{:?} of {usual:?}", begun.elapsed());
    fs::write(folder.path().join("go"), "").unwrap();
    assert!(all.all(|(_, outcome)| outcome.is_ok()));
    Ok(())
}

fn a_list_for_which_there_are_no_descriptors_is_not_begun() -> Result<(), Missing> {
    payload("leaf")?;
    let router = Router::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sign = folder.path().join("begun").display().to_string();
    let hosts = || (0..40_000).map(|_| by("touch $0; exec \"$@\"", &sign));
    let errors: Vec<_> =
        router.connect_all(hosts()).into_iter().map(|(_, outcome)| outcome.unwrap_err()).collect();
    assert_eq!(errors.len(), 40_000);
    assert!(errors.iter().all(|error| error.code() == "descriptors_needed"));
    let text = errors[0].to_string();
    assert!(
        text.contains("all of them take 120") && text.contains("raise the limit (`ulimit -n 120"),
        "{text}"
    );
    assert!(!fs::exists(&sign).unwrap());
    Ok(())
}

fn hop(router: &Router, name: &str) -> Context {
    router.connect(Local::new(payload("hop").unwrap()).name(name)).unwrap()
}

fn parents(router: &Router, children: &[Context]) -> BTreeMap<ContextId, usize> {
    let tree = router.tree();
    let mut parents = BTreeMap::new();
    for child in children {
        *parents.entry(tree.get(child.id()).unwrap().parent().unwrap()).or_default() += 1;
    }
    parents
}

fn helpers_make_what_the_one_that_was_asked_has_no_room_for() -> Result<(), Missing> {
    payload("hop")?;
    let router = Router::new().unwrap();
    let helpers = ["a", "b"].map(|name| hop(&router, name));
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display().to_string();
    // None goes on before there are as many as all of them make at a time: two, three and three.
    let script = "touch $0/$$; until [ $(ls $0 | wc -l) -ge 8 ]; do sleep 0.05; done; exec \"$@\"";
    let all = router.connect_all((0..12).map(|_| by(script, &at))).parallel(2).arity(3);
    let up: Vec<_> =
        all.helped_by(helpers.clone()).into_iter().map(|(_, outcome)| outcome.unwrap()).collect();
    assert!(up.iter().all(|child| child.call(ADD, (2, 3)).unwrap() == 5));
    let parents = parents(&router, &up);
    assert!(parents[&ContextId::ROOT] >= 2, "{parents:?}");
    assert!(helpers.iter().all(|helper| parents[&helper.id()] >= 3), "{parents:?}");
    Ok(())
}

fn a_list_that_grows_makes_a_tree_and_brings_all_up() -> Result<(), Missing> {
    let program = payload("hop")?;
    let router = Router::new().unwrap();
    let host = |n| {
        Wrapped::new(["sh", "-c", "sleep 0.2; exec \"$@\"", "sh"])
            .payload(program.clone())
            .name(format!("h{n}"))
    };
    let all = router.connect_all((0..10).map(host)).parallel(1).arity(2).growing();
    let up: Vec<_> = all.into_iter().map(|(_, outcome)| outcome.unwrap()).collect();
    assert!(up.iter().all(|child| child.is_alive()));
    assert_eq!(up.iter().map(|child| child.name().to_owned()).collect::<BTreeSet<_>>().len(), 10);
    let parents = parents(&router, &up);
    assert!(parents.len() >= 3, "{}", router.tree());
    Ok(())
}

fn a_helper_is_not_given_what_the_one_that_was_asked_comes_to_as_soon() -> Result<(), Missing> {
    let program = payload("hop")?;
    let router = Router::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display().to_string();
    // The first four end at about the same time.
    let script = "touch $0/$$; until [ $(ls $0 | wc -l) -ge 4 ]; do sleep 0.05; done; sleep 0.5; exec \"$@\"";
    let host = |_| by(script, &at).payload(program.clone());
    let all = router.connect_all((0..8).map(host)).parallel(4).growing();
    let up: Vec<_> = all.into_iter().map(|(_, outcome)| outcome.unwrap()).collect();
    assert_eq!(parents(&router, &up), BTreeMap::from([(ContextId::ROOT, 8)]));
    Ok(())
}

fn a_helper_makes_what_waits_behind_a_host_that_says_nothing() -> Result<(), Missing> {
    let program = payload("hop")?;
    let router = Router::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sign = folder.path().join("go").display().to_string();
    let slow = "until [ -e $0 ]; do sleep 0.02; done; exec \"$@\"";
    let host = |script| by(script, &sign).payload(program.clone());
    let scripts = ["exec \"$@\"", slow, slow, "exec \"$@\""];
    let mut all = router.connect_all(scripts.map(host)).parallel(2).growing().into_iter();
    let first: Vec<_> = all.by_ref().take(2).map(|(n, outcome)| (n, outcome.unwrap())).collect();
    assert_eq!(first.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [0, 3]);
    assert_eq!(router.tree().get(first[1].1.id()).unwrap().parent(), Some(first[0].1.id()));
    fs::write(&sign, "").unwrap();
    assert!(all.all(|(_, outcome)| outcome.is_ok()));
    Ok(())
}

fn a_helper_that_is_lost_costs_no_host() -> Result<(), Missing> {
    payload("hop")?;
    let router = Router::new().unwrap();
    let helper = hop(&router, "helper");
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display().to_string();
    let script = "touch $0/$$; until [ -e $0/go ]; do sleep 0.05; done; exec \"$@\"";
    let all = router.connect_all((0..7).map(|_| by(script, &at))).parallel(1).arity(4);
    let all = all.helped_by([helper.clone()]).into_iter();
    let waiting = std::thread::spawn(move || all.map(|(_, outcome)| outcome.unwrap()).collect::<Vec<_>>());
    let begun = || (fs::read_dir(folder.path()).unwrap().count() >= 5).then_some(());
    eventually("five have begun", Duration::from_secs(20), begun);
    kill(router.tree().pid(helper.id()).unwrap(), Signal::KILL);
    helper.lost().wait_timeout(Duration::from_secs(5)).unwrap();
    fs::write(folder.path().join("go"), "").unwrap();
    let up = waiting.join().unwrap();
    assert_eq!(parents(&router, &up), BTreeMap::from([(ContextId::ROOT, 7)]));
    assert!(up.iter().all(|child| child.call(ADD, (2, 3)).unwrap() == 5));
    Ok(())
}

fn a_password_is_proved_on_one_host_and_a_refused_one_is_given_to_no_other() -> Result<(), Missing> {
    payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    // An su that writes down who asks at the same time, and lets in whoever knows the word.
    let script = "#!/bin/sh\ncd \"${0%/*}\"; echo + >>steps; printf 'Password: ' >&2; read word; sleep 0.2; echo - >>steps\n\
        [ \"$word\" = right ] && exec sh -c \"$4\"\necho 'su: Authentication failure' >&2; exit 1\n";
    fs::write(at("su"), script).unwrap();
    crate::far::run(&["chmod", "700", &at("su")]);
    let router = Router::new().unwrap();
    let tried = |word: &str| {
        let host = |n| {
            Sudo::by_su()
                .program(at("su"))
                .password(word)
                .payload(payload("leaf").unwrap())
                .name(format!("h{n}"))
        };
        let all = router.connect_all((0..6).map(host)).parallel(6).into_iter();
        let outcomes: Vec<_> =
            all.map(|(_, outcome)| outcome.map(drop).map_err(|error| error.code())).collect();
        (outcomes, fs::read_to_string(at("steps")).unwrap())
    };
    let (outcomes, steps) = tried("wrong");
    assert_eq!((outcomes, steps.as_str()), (vec![Err("password_wrong"); 6], "+\n-\n"));
    fs::remove_file(at("steps")).unwrap();
    let (outcomes, steps) = tried("right");
    assert_eq!(outcomes, vec![Ok(()); 6]);
    assert!(steps.starts_with("+\n-\n+\n") && steps.lines().count() == 12, "{steps}");
    Ok(())
}

fn a_password_that_one_host_has_refused_is_given_to_no_other_though_somebody_typed_the_right_one()
-> Result<(), Missing> {
    payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    // An su that asks a second time, and writes down what it is told.
    let script = "#!/bin/sh\ncd \"${0%/*}\"; for n in 1 2; do printf 'Password: ' >&2; read word; echo $word >>told\n\
        [ \"$word\" = right ] && exec sh -c \"$4\"; done\necho 'su: Authentication failure' >&2; exit 1\n";
    fs::write(at("su"), script).unwrap();
    crate::far::run(&["chmod", "700", &at("su")]);
    let host = |n| {
        let su = Sudo::by_su().program(at("su")).password("wrong");
        su.payload(payload("leaf").unwrap()).name(format!("h{n}"))
    };
    let router = Router::builder().prompter(|_: &Query| Some("right".into())).build().unwrap();
    let all = router.connect_all((0..4).map(host)).into_iter();
    let outcomes: Vec<_> = all.map(|(_, outcome)| outcome.map(drop).map_err(|error| error.code())).collect();
    let wrong = Err("password_wrong");
    assert_eq!(outcomes, [Ok(()), wrong, wrong, wrong]);
    assert_eq!(fs::read_to_string(at("told")).unwrap(), "wrong\nright\n");
    Ok(())
}

fn a_password_that_no_host_has_asked_for_is_not_proved() -> Result<(), Missing> {
    payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    // One su that asks nobody, and one that writes down whom it asks.
    let open = "#!/bin/sh\nexec sh -c \"$4\"\n";
    let asks = "#!/bin/sh\ncd \"${0%/*}\"; printf 'Password: ' >&2; read word; echo $word >>asked; sleep 0.2\n\
        [ \"$word\" = right ] && exec sh -c \"$4\"\necho 'su: Authentication failure' >&2; exit 1\n";
    for (name, script) in [("open", open), ("asks", asks)] {
        fs::write(at(name), script).unwrap();
        crate::far::run(&["chmod", "700", &at(name)]);
    }
    let router = Router::new().unwrap();
    let maker = hop(&router, "maker");
    let host = |name: &str, word: &str| {
        let bytes = Payload::bytes("leaf", static_program("leaf").unwrap()).unwrap();
        Sudo::by_su().program(at(name)).password(word).payload(bytes)
    };
    let tried = |maker: &Context, word: &str| {
        let hosts = ["open", "open", "asks", "asks", "asks", "asks"].map(|name| host(name, word));
        let all = maker.connect_all(hosts).parallel(6).into_iter();
        let outcomes = all.map(|(n, outcome)| (n, outcome.map(drop).map_err(|error| error.code())));
        outcomes.collect::<BTreeMap<_, _>>().into_values().collect::<Vec<_>>()
    };
    for maker in [&router.here(), &maker] {
        let wrong = Err("password_wrong");
        assert_eq!(tried(maker, "wrong"), [Ok(()), Ok(()), wrong, wrong, wrong, wrong]);
        assert_eq!(fs::read_to_string(at("asked")).unwrap(), "wrong\n", "one was asked, by {maker}");
        assert_eq!(tried(maker, "right"), [Ok(()); 6]);
        fs::remove_file(at("asked")).unwrap();
    }
    Ok(())
}

fn a_password_that_two_hosts_leave_open_is_given_to_no_third() -> Result<(), Missing> {
    payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let client = folder.path().join("ssh").display().to_string();
    let script = "#!/bin/sh\n[ \"$1\" = -V ] && exit\n\"$SSH_ASKPASS\" \"me@web's password: \" | cat >>$0.told; exit 255\n";
    fs::write(&client, script).unwrap();
    crate::far::run(&["chmod", "700", &client]);
    let host = |n| {
        let ssh = Ssh::new("web").program(&client).password("let me in");
        ssh.payload(payload("leaf").unwrap()).name(format!("h{n}"))
    };
    let router = Router::new().unwrap();
    let all = router.connect_all((0..5).map(host)).parallel(5).into_iter();
    let codes: Vec<_> = all.map(|(_, outcome)| outcome.unwrap_err().code()).collect();
    assert_eq!(codes, ["exited", "exited", "password_unclear", "password_unclear", "password_unclear"]);
    assert_eq!(fs::read_to_string(client + ".told").unwrap(), "let me in\n".repeat(2));
    Ok(())
}

fn a_password_is_proved_by_a_host_that_lets_us_in_and_has_no_shell_for_us() -> Result<(), Missing> {
    payload("leaf")?;
    let (sshd, user) = (Sshd::new("")?, User::new("open", &program("bash")?)?);
    user.password("let me in");
    fs::write(user.home.path().join(".bashrc"), "echo + >>~/asked; exit 3\n").unwrap();
    let host = |n| {
        let host = sshd.ssh().user(&user.name).option("PubkeyAuthentication=no").password("let me in");
        host.payload(payload("leaf").unwrap()).name(format!("h{n}"))
    };
    let router = Router::new().unwrap();
    let all = router.connect_all((0..5).map(host)).parallel(5).into_iter();
    let codes: Vec<_> = all.map(|(_, outcome)| outcome.unwrap_err().code()).collect();
    let asked = fs::read_to_string(user.home.path().join("asked")).unwrap();
    assert_eq!((codes, asked), (vec!["exited"; 5], "+\n".repeat(5)));
    Ok(())
}

fn a_password_that_lets_in_where_no_program_comes_up_is_good_for_the_others() -> Result<(), Missing> {
    payload("leaf")?;
    let mute = Payload::file(program("busybox")?).unwrap();
    let (sshd, user) = (Sshd::new("")?, User::new("bare", &program("bash")?)?);
    user.password("let me in");
    let su = sshd.file("su");
    // One that asks, and lets in whoever knows the word.
    let script = "#!/bin/sh\nprintf 'Password: ' >&2; read -r word; [ \"$word\" = 'let me in' ] && exec sh -c \"$4\"\n\
                  echo 'su: Authentication failure' >&2; exit 1\n";
    fs::write(&su, script).unwrap();
    crate::far::run(&["chmod", "700", &su]);
    let by_ssh = sshd.ssh().user(&user.name).option("PubkeyAuthentication=no").password("let me in");
    let by_su = Sudo::by_su().program(su).password("let me in");
    let router = Router::new().unwrap();
    let maker = hop(&router, "maker");
    for maker in [&router.here(), &maker] {
        for way in [by_ssh.plan(), by_su.plan()] {
            let [mut up, mut without_a_word] = [way.clone(), way];
            up.payload = payload("leaf")?;
            without_a_word.payload = mute.clone();
            let mut without_a_place = up.clone();
            let nowhere = without_a_place.transport.as_mut().unwrap();
            (nowhere.keep, nowhere.folders) = (true, vec!["/proc".to_owned()]);
            for (bare, has_begun) in [(without_a_place, false), (without_a_word, true)] {
                let hosts = [bare.clone(), bare.clone(), up.clone(), bare, up.clone()].map(Planned);
                let all = maker.connect_all(hosts).into_iter();
                let told = |error: &ConnectError| (error.phase() > Phase::Send, error.passwords().to_vec());
                let outcomes = all.map(|(n, outcome)| (n, outcome.map(drop).map_err(|error| told(&error))));
                let outcomes: Vec<_> = outcomes.collect::<BTreeMap<_, _>>().into_values().collect();
                let failed = || Err((has_begun, vec![Told::Proved]));
                assert_eq!(outcomes, [failed(), failed(), Ok(()), failed(), Ok(())], "by {maker}");
            }
        }
    }
    Ok(())
}

fn what_has_become_of_a_password_is_told_by_one_who_is_ending_too() -> Result<(), Missing> {
    payload("hop")?;
    let folder = tempfile::tempdir().unwrap();
    let su = folder.path().join("su").display().to_string();
    // One that thinks about the word that it was told.
    let script =
        "#!/bin/sh\nprintf 'Password: ' >&2; read -r word; echo \"$word\" >$0.told; exec sleep 1000\n";
    fs::write(&su, script).unwrap();
    crate::far::run(&["chmod", "700", &su]);
    let router = Router::new().unwrap();
    let maker = hop(&router, "maker");
    let bytes = Payload::bytes("leaf", static_program("leaf")?).unwrap();
    let way = Sudo::by_su().program(&su).password("let me in").payload(bytes);
    let connecting = maker.connect_async(way);
    let is_told = || fs::exists(format!("{su}.told")).unwrap().then_some(());
    eventually("it has the password", PATIENCE, is_told);
    let ended = maker.shutdown();
    let error = connecting.wait().unwrap_err();
    assert_eq!((error.code(), error.passwords()), ("shutting_down", &[Told::Unclear][..]), "{error}");
    ended.wait_timeout(PATIENCE).unwrap();
    Ok(())
}

fn a_password_of_a_jump_host_is_good_whatever_becomes_of_the_hosts_behind_it() -> Result<(), Missing> {
    payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let client = folder.path().join("ssh").display().to_string();
    // A client that is asked by that of its jump host, and then told by the place what its name says.
    let script = "#!/bin/sh\n[ \"$1\" = -V ] && exit\n(\"$SSH_ASKPASS\" \"me@jump's password: \" | cat >>$0.told)\n\
        closed='kex_exchange_identification: Connection closed by remote host'\n\
        for line do case $line in down) echo 'stdio forwarding failed' >&2; echo \"$closed\" >&2; exit 255;;\n\
        locked) echo 'me@locked: Permission denied (publickey).' >&2; exit 255;;\n\
        asks) \"$SSH_ASKPASS\" \"me@asks's password: \" >/dev/null\n\
        echo 'me@asks: Permission denied (password).' >&2; exit 255;; esac; done; exec sh -c \"$line\"\n";
    fs::write(&client, script).unwrap();
    crate::far::run(&["chmod", "700", &client]);
    let hosts = ["asks", "down", "down", "locked", "up", "locked", "asks", "up"].map(|name| {
        let ssh = Ssh::new(name).program(&client).jump_password("me@jump", "let me in");
        let ssh = if name == "asks" { ssh.password("not this") } else { ssh };
        ssh.payload(payload("leaf").unwrap())
    });
    let router = Router::new().unwrap();
    let all = router.connect_all(hosts).into_iter();
    let outcomes = all.map(|(n, outcome)| (n, outcome.map(drop).map_err(|error| error.code())));
    let outcomes: Vec<_> = outcomes.collect::<BTreeMap<_, _>>().into_values().collect();
    let (up, down, locked, wrong) =
        (Ok(()), Err("unreachable"), Err("authentication"), Err("password_wrong"));
    assert_eq!(outcomes, [wrong, down, down, locked, up, locked, wrong, up]);
    // To all but the second of those whose other password had been refused.
    assert_eq!(fs::read_to_string(client + ".told").unwrap(), "let me in\n".repeat(7));
    Ok(())
}

fn all_hosts_come_up_behind_an_sshd_that_takes_few_at_once() -> Result<(), Missing> {
    payload("leaf")?;
    let sshd = Sshd::new("MaxStartups 2:100:4\nLoginGraceTime 20")?;
    let server = Listening::new(&sshd)?;
    let host = |n| {
        let host = Ssh::new("127.0.0.1").port(server.port).config(sshd.file("client"));
        host.option("HostKeyAlias=far").payload(payload("leaf").unwrap()).name(format!("h{n}"))
    };
    let router = Router::new().unwrap();
    let all = router.connect_all((0..30).map(host)).parallel(16);
    for (n, outcome) in all {
        let there = outcome.unwrap_or_else(|error| panic!("{n}: {error}"));
        assert_eq!(there.call(ADD, (2, 3)).unwrap(), 5);
    }
    Ok(())
}
