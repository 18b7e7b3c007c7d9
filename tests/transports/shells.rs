//! Stage 0 in every shell that is called `sh` somewhere, and with every obstacle in the way of the program.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use offshoot_parent::{Phase, prelude::*};
use offshoot_tests::real::eventually;

use crate::{
    beside::attacked,
    far::{ADD, Missing, as_root, keeps, payload, program, shell_named_sh, static_program},
};

crate::tests![
    a_program_runs_by_every_shell_that_may_be_called_sh,
    its_file_is_gone_when_it_runs_unless_it_is_to_be_kept,
    a_folder_that_lets_nothing_run_is_passed_over,
    where_no_folder_lets_a_program_run_memory_does,
    what_is_to_be_in_memory_alone_makes_no_file,
    where_nothing_does_each_place_is_named_with_its_reason,
    a_full_folder_is_passed_over,
    a_far_side_that_is_known_is_sent_the_program_before_it_has_spoken,
    a_far_side_that_has_changed_is_told_anew,
    a_shell_on_this_machine_is_sent_nothing_if_it_sees_our_memory,
    attack_72_a_program_that_somebody_else_has_put_there_is_checked_and_run,
    attack_58_a_folder_that_somebody_else_has_made_is_not_entered,
    nothing_is_left_wherever_the_stream_is_cut,
    a_slow_far_side_takes_its_file_away_though_nobody_waits_for_that,
    nothing_is_left_where_the_stream_is_cut_about_the_end_of_the_program,
    nothing_is_left_where_the_stream_is_cut_that_only_names_the_program,
    nothing_but_whole_programs_is_in_the_cache_wherever_the_stream_is_cut,
    what_comes_before_and_between_is_no_obstacle,
    a_program_for_another_machine_is_not_sent,
    of_a_set_the_program_for_the_far_machine_is_sent,
    attack_55_a_far_side_that_says_nothing_is_given_up_at_the_deadline,
    a_connect_that_is_under_way_ends_with_the_tree,
    many_connects_go_on_side_by_side,
];

pub(crate) fn by(leader: &[&str], payload: &Payload) -> Wrapped {
    Wrapped::new(leader.iter().copied()).name("there").payload(payload.clone())
}

/// A shell on this machine.
fn sh(payload: &Payload) -> Wrapped {
    by(&[], payload)
}

/// A child by that way works.
pub(crate) fn works(method: Wrapped) {
    let router = Router::new().unwrap();
    let child = router.connect(method).unwrap();
    assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);
}

fn fails(method: Wrapped) -> ConnectError {
    Router::new().unwrap().connect(method).unwrap_err()
}

fn a_program_runs_by_every_shell_that_may_be_called_sh() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    for shell in ["dash", "bash", "busybox", "mksh", "zsh"] {
        let folder = shell_named_sh(&program(shell)?);
        let path = format!("PATH={}:/usr/bin:/bin", folder.path().display());
        works(by(&["env", &path], &leaf));
        works(by(&["env", &path], &leaf).keep_file());
    }
    Ok(())
}

fn its_file_is_gone_when_it_runs_unless_it_is_to_be_kept() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let files = || fs::read_dir(folder.path()).unwrap().count();
    for (keep, expected) in [(false, 0), (true, 1)] {
        let router = Router::new().unwrap();
        let method = sh(&leaf).folder(folder.path().to_str().unwrap());
        let child = router.connect(if keep { method.keep_file() } else { method }).unwrap();
        assert_eq!((child.call(ADD, (2, 3)).unwrap(), files()), (5, expected));
        drop(router);
        eventually("its file goes with it", Duration::from_secs(5), || (files() == 0).then_some(()));
    }
    Ok(())
}

/// A shell in which the folders that programs are put in let nothing run.
pub(crate) fn where_nothing_runs(shell: &str) -> Vec<String> {
    let script = "for d in /tmp /var/tmp /dev/shm /run /root /home; do \
         mount -t tmpfs -o noexec,nosuid,nodev,mode=1777 none $d || exit 1; done; exec \"$@\"";
    let words = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh"];
    words.into_iter().chain(shell.split(' ').filter(|word| !word.is_empty())).map(str::to_owned).collect()
}

fn a_folder_that_lets_nothing_run_is_passed_over() -> Result<(), Missing> {
    as_root()?;
    let leaf = payload("leaf")?;
    program("unshare")?;
    let good = tempfile::tempdir_in("/usr/local/lib").unwrap();
    let method = Wrapped::new(where_nothing_runs("")).payload(leaf);
    works(method.folder("/tmp").folder("/nowhere").folder("/proc").folder(good.path().to_str().unwrap()));
    assert_eq!(fs::read_dir(good.path()).unwrap().count(), 0);
    Ok(())
}

fn where_no_folder_lets_a_program_run_memory_does() -> Result<(), Missing> {
    as_root()?;
    let leaf = payload("leaf")?;
    program("unshare")?;
    for interpreter in ["perl", "python3"] {
        // Only one of them is found there.
        let tools = tempfile::tempdir_in("/usr/local/lib").unwrap();
        let there = program(interpreter)?;
        let needed = ["sh", "uname", "mkdir", "chmod", "rm", "dd", "cat"].map(|name| program(name).unwrap());
        for tool in needed.iter().chain([&there]) {
            std::os::unix::fs::symlink(tool, tools.path().join(tool.file_name().unwrap())).unwrap();
        }
        let path = format!("env PATH={}", tools.path().display());
        works(Wrapped::new(where_nothing_runs(&path)).payload(leaf.clone()));
    }
    Ok(())
}

fn what_is_to_be_in_memory_alone_makes_no_file() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    program("perl")?;
    // Out of our memory, and by an interpreter there.
    for method in [sh(&leaf), by(&["env"], &leaf)] {
        let router = Router::new().unwrap();
        let child = router.connect(method.memory()).unwrap();
        assert_eq!(child.call(ADD, (2, 3)), Ok(5));
        let pid = router.tree().pid(child.id()).unwrap();
        let runs = fs::read_link(format!("/proc/{pid}/exe")).unwrap().display().to_string();
        assert!(runs.starts_with("/memfd:"), "{runs}");
    }
    // Nothing is made where it cannot be had.
    let needed = shell_named_sh(&program("dash")?);
    std::os::unix::fs::symlink(program("uname")?, needed.path().join("uname")).unwrap();
    let path = format!("PATH={}", needed.path().display());
    let error = fails(by(&["env", &path], &leaf).memory());
    assert_eq!((error.code(), error.phase()), ("no_place", Phase::Place), "{error}");
    assert!(error.to_string().contains("memory: there is no perl and no python3"), "{error}");
    for method in [sh(&leaf).folder("/tmp"), sh(&leaf).keep_file(), sh(&leaf).cache(true)] {
        let error = fails(method.memory());
        assert!(error.code() == "bad_place" && error.to_string().contains("say one of both"), "{error}");
    }
    Ok(())
}

fn where_nothing_does_each_place_is_named_with_its_reason() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let method = sh(&leaf).keep_file().folder("/proc").folder("/nowhere").folder("/dev/null");
    let error = fails(method);
    assert_eq!((error.code(), error.phase()), ("no_place", Phase::Place));
    let text = error.to_string();
    for place in
        ["/proc: ", "/nowhere: ", "/dev/null: ", "name a folder that lets programs run by `.folder(..)`"]
    {
        assert!(text.contains(place), "{text}");
    }
    Ok(())
}

fn a_full_folder_is_passed_over() -> Result<(), Missing> {
    as_root()?;
    let leaf = payload("leaf")?;
    program("unshare")?;
    let script = "mount -t tmpfs -o size=64k,mode=1777 none /var/tmp && exec \"$@\"";
    let leader = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh"];
    works(by(&leader, &leaf).folder("/var/tmp").folder("/tmp"));
    let error = fails(by(&leader, &leaf).keep_file().folder("/var/tmp"));
    assert_eq!((error.code(), error.phase()), ("no_space", Phase::Place), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("No space left") && text.contains("`.folder(..)`") && !text.contains(", )"),
        "{text}"
    );
    // Where one of them has another reason it is not for want of space alone.
    let error = fails(by(&leader, &leaf).keep_file().folder("/var/tmp").folder("/proc"));
    assert_eq!(error.code(), "no_place", "{error}");
    Ok(())
}

/// A container engine that runs a script, in which `"$@"` is the command for the container.
fn engine(folder: &Path, script: &str, leaf: &Payload) -> Container {
    let program = folder.join("engine");
    let text = format!("#!/bin/sh\nuntil [ \"$1\" = sh ]; do shift; done\n{script}\n");
    fs::write(&program, text).unwrap();
    crate::far::run(&["chmod", "+x", program.to_str().unwrap()]);
    let engine = Container::docker("c").program(program.display().to_string());
    engine.payload(leaf.clone()).timeout(Duration::from_secs(10))
}

fn enters(engine: &Container) -> Result<(), ConnectError> {
    let router = Router::new().unwrap();
    router.connect(engine.clone()).map(|child| assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5))
}

fn a_far_side_that_is_known_is_sent_the_program_before_it_has_spoken() -> Result<(), Missing> {
    let (leaf, folder) = (payload("leaf")?, tempfile::tempdir().unwrap());
    // The second time no shell is started before a part of the program has come.
    let script = "if [ -e $0.part ]; then dd bs=1000 count=100 iflag=fullblock >$0.part; cat $0.part - | \"$@\"; \
         else touch $0.part; exec \"$@\"; fi";
    let engine = engine(folder.path(), script, &leaf);
    enters(&engine).unwrap();
    enters(&engine).unwrap();
    assert_eq!(fs::metadata(folder.path().join("engine.part")).unwrap().len(), 100_000);
    Ok(())
}

fn a_far_side_that_has_changed_is_told_anew() -> Result<(), Missing> {
    let (leaf, folder) = (payload("leaf")?, tempfile::tempdir().unwrap());
    let tools = folder.path().join("tools");
    fs::create_dir(&tools).unwrap();
    for tool in ["sh", "uname", "mkdir", "chmod", "rm", "dd", "cat", "gunzip", "gzip"] {
        std::os::unix::fs::symlink(program(tool)?, tools.join(tool)).unwrap();
    }
    let engine = engine(folder.path(), &format!("PATH={} exec \"$@\"", tools.display()), &leaf);
    enters(&engine).unwrap();
    fs::remove_file(tools.join("gunzip")).unwrap();
    enters(&engine).unwrap();
    // Another machine reads away what is not for it.
    fs::remove_file(tools.join("uname")).unwrap();
    fs::write(tools.join("uname"), "#!/bin/sh\necho Linux s390x\n").unwrap();
    crate::far::run(&["chmod", "+x", tools.join("uname").to_str().unwrap()]);
    assert_eq!(enters(&engine).unwrap_err().code(), "wrong_machine");
    Ok(())
}

fn a_shell_on_this_machine_is_sent_nothing_if_it_sees_our_memory() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    for (shell, prefix, is_lent) in [
        ("dash", "", true),
        ("bash", "", true),
        ("busybox", "", true),
        ("mksh", "", true),
        ("zsh", "", true),
        ("dash", "unshare --pid --fork --mount-proc", false),
        ("dash", "setpriv --reuid nobody --clear-groups", false),
    ] {
        program(prefix.split(' ').next().filter(|word| !word.is_empty()).unwrap_or(shell))?;
        as_root()?;
        let (tools, folder) = (shell_named_sh(&program(shell)?), tempfile::tempdir().unwrap());
        crate::far::run(&["chmod", "a+rx", tools.path().to_str().unwrap()]);
        let [sudo, wire] = ["sudo", "wire"].map(|name| folder.path().join(name).display().to_string());
        // It leads to that shell, and keeps what it is sent.
        let path = format!("PATH={}:/usr/bin:/bin", tools.path().display());
        let keeps = keeps(&wire).map(|word| format!("'{word}'")).join(" ");
        let script = format!(
            "#!/bin/sh\nuntil [ \"$1\" = sh ]; do shift; done\nexec {keeps} {prefix} env {path} \"$@\"\n"
        );
        fs::write(&sudo, script).unwrap();
        crate::far::run(&["chmod", "+x", &sudo]);
        let router = Router::new().unwrap();
        let child = router.connect(Sudo::new().program(&sudo).payload(leaf.clone())).unwrap();
        assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);
        let sent = fs::metadata(&wire).unwrap().len();
        assert_eq!(sent < 8_000, is_lent, "{prefix} {shell}: {sent} bytes");
    }
    Ok(())
}

fn attack_72_a_program_that_somebody_else_has_put_there_is_checked_and_run() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("leaf");
    let method = |leaf: &Payload| sh(leaf).preplaced(there.to_str().unwrap());
    attacked(|root| {
        let error = root.fails(method(&leaf));
        assert!(
            error.code() == "not_preplaced" && error.to_string().contains("is not there, or may not"),
            "{error}"
        );
        fs::copy("/bin/true", &there).unwrap();
        let error = root.fails(method(&leaf));
        assert!(
            error.code() == "not_preplaced" && error.to_string().contains("is another program"),
            "{error}"
        );
        fs::write(&there, static_program("leaf")?).unwrap();
        for shell in ["dash", "bash", "busybox", "mksh", "zsh"] {
            let folder = shell_named_sh(&program(shell)?);
            let path = format!("PATH={}:/usr/bin:/bin", folder.path().display());
            root.works(by(&["env", &path], &leaf).preplaced(there.to_str().unwrap()).name(shell));
        }
        assert_eq!(root.fails(sh(&leaf).preplaced("leaf")).code(), "bad_place");
        Ok::<(), Missing>(())
    })?;
    assert!(method(&leaf).explain().contains("is written there: nothing; "));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    Ok(())
}

fn attack_58_a_folder_that_somebody_else_has_made_is_not_entered() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let (tools, here, there) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (victim, mkdir) = (tempfile::tempdir().unwrap(), program("mkdir")?);
    let (victim, mkdir) = (victim.path().display(), mkdir.display());
    let [here, there] = [&here, &there].map(|folder| folder.path().display().to_string());
    let path = format!("PATH={}:/usr/bin:/bin", tools.path().display());
    let makes_first =
        [format!("ln -s {victim}"), "mkfifo -m 666".into(), format!("{mkdir} -m 777"), "touch".into()];
    attacked(|root| {
        for makes in makes_first {
            // Who knows the name makes it just before us, in one of the folders.
            let script =
                format!("#!/bin/sh\ncase $1 in {here}/*) {makes} \"$1\";; esac\nexec {mkdir} \"$@\"\n");
            let evil = tools.path().join("mkdir");
            fs::write(&evil, script).unwrap();
            crate::far::run(&["chmod", "+x", evil.to_str().unwrap()]);
            root.works(by(&["env", &path], &leaf).folder(&here).folder(&there));
            let error = root.fails(by(&["env", &path], &leaf).keep_file().folder(&here));
            assert!(
                error.code() == "no_place" && error.to_string().contains("File exists"),
                "{makes}: {error}"
            );
            assert_eq!(fs::read_dir(victim.to_string()).unwrap().count(), 0, "{makes}");
        }
    });
    Ok(())
}

fn nothing_is_left_wherever_the_stream_is_cut() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    for cut in [0, 1, 500, 1_300, 1_500, 1_700, 2_000, 4_096, 65_536, 300_000] {
        for keep in [false, true] {
            let method = |way: &[&str]| by(way, &leaf);
            is_cut(cut, |way| if keep { method(way).keep_file() } else { method(way) });
        }
    }
    // That no file and no process is left is seen by whoever runs this test.
    Ok(())
}

fn a_slow_far_side_takes_its_file_away_though_nobody_waits_for_that() -> Result<(), Missing> {
    let (leaf, place, tools) = (payload("leaf")?, tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // To take the program lasts for as long as the stream, and to take a file away for three seconds.
    for (name, script) in [("dd", "exec cat >/dev/null"), ("rm", "sleep 3; exec /bin/rm \"$@\"")] {
        let tool = tools.path().join(name);
        fs::write(&tool, format!("#!/bin/sh\n{script}\n")).unwrap();
        crate::far::run(&["chmod", "755", tool.to_str().unwrap()]);
    }
    let path = format!("PATH={}:/usr/bin:/bin", tools.path().display());
    let method = by(&["env", &path], &leaf).folder(place.path().to_str().unwrap()).keep_file();
    let left = || fs::read_dir(place.path()).unwrap().count();
    // As long as whoever connects is there.
    let router = Router::new().unwrap();
    let error = router.connect(method.timeout(Duration::from_secs(1))).unwrap_err();
    assert_eq!((error.code(), left()), ("no_answer", 1), "{error}");
    eventually("it is taken away", Duration::from_secs(10), || (left() == 0).then_some(()));
    Ok(())
}

/// A connect by a way that takes so many bytes and no more fails soon.
fn is_cut(after: usize, method: impl Fn(&[&str]) -> Wrapped) {
    // What is answered goes on byte by byte: the lines before the program, and what is behind it.
    let lines = after.min(4_096);
    let behind = (after - lines).min(2 * SETUP);
    let [lines, program, behind] = [lines, after - lines - behind, behind].map(|size| size.to_string());
    let script = "n=$1 m=$2; shift 2; \
        { dd bs=1 count=$0; head -c $n; dd bs=1 count=$m; } 2>/dev/null | \"$@\"";
    let since = Instant::now();
    let error = fails(method(&["sh", "-c", script, &lines, &program, &behind]));
    assert!(since.elapsed() < Duration::from_secs(10), "cut after {after}: {error}");
}

/// What the far side was sent by a connect that went well: what it was told, the program, and the rest by lengths.
struct Stream {
    /// Where the program begins, or would.
    told: usize,
    /// Where it ends, and what it is told itself begins.
    program: usize,
}

impl Stream {
    /// Of a connect by which the far side is told so many lines before the program.
    fn of(lines: usize, method: impl Fn(&[&str]) -> Wrapped) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let wire = folder.path().join("wire");
        works(method(&keeps(wire.to_str().unwrap())));
        let wire = fs::read(wire).unwrap();
        let ends = wire.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let told = ends.take(lines).last().unwrap();
        let line = wire[..told].split(|byte| *byte == b'\n').rev().nth(1).unwrap();
        let size =
            String::from_utf8_lossy(line).split(' ').find_map(|word| word.strip_prefix("s=")?.parse().ok());
        let program = told + size.unwrap_or(0);
        assert!(program + SETUP < wire.len());
        Self { told, program }
    }

    /// Just before, at and just behind its end, in what the program is told itself, and a little before all of that.
    fn about_the_end(&self) -> Vec<usize> {
        let end = self.program;
        let all = [end - 70_000, end - 9, end - 1, end, end + 1, end + SETUP / 2, end + SETUP];
        all.into_iter().filter(|at| *at > self.told || self.told == end).collect()
    }
}

/// Fewer bytes than the SETUP of a child has with what is before it.
const SETUP: usize = 40;

fn nothing_is_left_where_the_stream_is_cut_about_the_end_of_the_program() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    for keep in [false, true] {
        let method = |way: &[&str]| if keep { by(way, &leaf).keep_file() } else { by(way, &leaf) };
        for cut in Stream::of(1, method).about_the_end() {
            is_cut(cut, method);
        }
    }
    Ok(())
}

fn nothing_is_left_where_the_stream_is_cut_that_only_names_the_program() -> Result<(), Missing> {
    let (leaf, folder) = (payload("leaf")?, tempfile::tempdir().unwrap());
    let there = folder.path().join("leaf");
    fs::write(&there, static_program("leaf")?).unwrap();
    crate::far::run(&["chmod", "755", there.to_str().unwrap()]);
    let method = |way: &[&str]| by(way, &leaf).preplaced(there.to_str().unwrap());
    let end = Stream::of(1, method).program;
    for cut in [1, end / 2, end - 1, end, end + 1, end + SETUP] {
        is_cut(cut, method);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "cut after {cut}");
    }
    Ok(())
}

fn nothing_but_whole_programs_is_in_the_cache_wherever_the_stream_is_cut() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    program("sha256sum")?;
    let whole = static_program("leaf")?;
    let new_home = || tempfile::tempdir().unwrap();
    let env = |home: &Path| format!("XDG_CACHE_HOME={}", home.display());
    let method = |home: &Path, way: &[&str]| by(&[&["env", &env(home)], way].concat(), &leaf).cache(true);
    let kept = |home: &Path| {
        let files = fs::read_dir(home.join("offshoot")).into_iter().flatten();
        files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect::<Vec<_>>()
    };
    // Where it is not there yet.
    let home = new_home();
    let stream = Stream::of(2, |way| method(home.path(), way));
    for cut in [1, 500, stream.told - 2_000, stream.told - 1].into_iter().chain(stream.about_the_end()) {
        let home = new_home();
        is_cut(cut, |way| method(home.path(), way));
        let is_whole = cut >= stream.program;
        assert_eq!(kept(home.path()) == [&whole[..]], is_whole, "cut after {cut}");
        assert!(is_whole || kept(home.path()).is_empty(), "cut after {cut}");
    }
    // And where it is.
    let end = Stream::of(1, |way| method(home.path(), way)).program;
    for cut in [1, end - 1, end, end + 1, end + SETUP] {
        is_cut(cut, |way| method(home.path(), way));
        assert!(kept(home.path()) == [&whole[..]], "cut after {cut}");
    }
    Ok(())
}

fn what_comes_before_and_between_is_no_obstacle() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let noise = "printf 'Welcome\\r\\n\\033]0;x\\007offshoot0 hello BeOS ppc\\noffshoot0 0 at /\\npassword: '; \
         head -c 300000 /dev/zero; printf 'no line end'; exec \"$@\"";
    let error = fails(by(&["sh", "-c", noise, "sh"], &leaf));
    // Whoever says hello first is believed to be another machine, but nothing is sent there.
    assert_eq!(error.code(), "wrong_machine", "{error}");
    let noise = noise.replace("offshoot0 hello BeOS ppc\\n", "");
    works(by(&["sh", "-c", &noise, "sh"], &leaf));
    Ok(())
}

fn a_program_for_another_machine_is_not_sent() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let tools = tempfile::tempdir().unwrap();
    let uname = tools.path().join("uname");
    fs::write(&uname, "#!/bin/sh\necho Linux s390x\n").unwrap();
    crate::far::run(&["chmod", "+x", uname.to_str().unwrap()]);
    let path = format!("PATH={}:/usr/bin:/bin", tools.path().display());
    let error = fails(by(&["env", &path], &leaf));
    assert!(error.to_string().contains("it is a Linux s390x, and the program is for Linux "), "{error}");
    // One that must be loaded there is not even tried.
    let error = fails(by(&["env", &path], &Payload::file("/bin/ls").unwrap()));
    assert_eq!(error.code(), "not_static", "{error}");
    Ok(())
}

fn of_a_set_the_program_for_the_far_machine_is_sent() -> Result<(), Missing> {
    let here = static_program("leaf")?;
    // The same for a machine that it is not for: its head says so.
    let mut elsewhere = here.clone();
    elsewhere[18..20].copy_from_slice(if here[18] == 183 { &[62, 0] } else { &[183, 0] });
    let set = PayloadSet::new("leaf").with(elsewhere).and_then(|set| set.with(here)).unwrap();
    assert_eq!(set.entries().len(), 2);
    works(sh(&set.clone().into()));
    let router = Router::new().unwrap();
    let child = router.connect(Local::new(set.clone().into())).unwrap();
    assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);

    let tools = tempfile::tempdir().unwrap();
    let uname = tools.path().join("uname");
    fs::write(&uname, "#!/bin/sh\necho Linux riscv64\n").unwrap();
    crate::far::run(&["chmod", "+x", uname.to_str().unwrap()]);
    let path = format!("PATH={}:/usr/bin:/bin", tools.path().display());
    let error = fails(by(&["env", &path], &set.into()));
    assert_eq!(error.code(), "no_payload", "{error}");
    assert!(
        error.to_string().contains("it is a Linux riscv64, and the payload set has x86_64, aarch64; "),
        "{error}"
    );
    Ok(())
}

fn attack_55_a_far_side_that_says_nothing_is_given_up_at_the_deadline() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let silent = by(&["sh", "-c", "echo waiting >&2; exec sleep 1000"], &leaf);
    let flood = by(&["sh", "-c", "yes | tr '\\n' '\\033'"], &leaf);
    attacked(|root| {
        let since = Instant::now();
        let error = root.fails(silent.timeout(Duration::from_millis(300)));
        assert_eq!((error.code(), error.phase()), ("no_answer", Phase::Shell), "{error}");
        assert_eq!(error.last_words(), "waiting");
        assert!(since.elapsed() < Duration::from_secs(3));
        let error = root.fails(flood.timeout(Duration::from_secs(1)));
        assert_eq!((error.code(), error.phase()), ("no_answer", Phase::Shell), "{error}");
    });
    Ok(())
}

fn a_connect_that_is_under_way_ends_with_the_tree() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let sign = folder.path().join("begun");
    let script = format!("touch {}; exec sleep 1000", sign.display());
    let router = Router::new().unwrap();
    let connecting = router.connect_async(by(&["sh", "-c", &script], &leaf));
    eventually("it has begun", Duration::from_secs(10), || Path::new(&sign).exists().then_some(()));
    let since = Instant::now();
    drop(router);
    assert!(since.elapsed() < Duration::from_secs(5));
    assert!(connecting.wait().is_err());
    Ok(())
}

fn many_connects_go_on_side_by_side() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let router = Router::new().unwrap();
    let connecting: Vec<_> = (0..100).map(|_| router.connect_async(sh(&leaf))).collect();
    let children: Vec<Context> = connecting.into_iter().map(|it| it.wait().unwrap()).collect();
    for (n, child) in (0_i64..).zip(&children) {
        assert_eq!(child.call(ADD, (n, 1)).unwrap(), n + 1);
    }
    Ok(())
}
