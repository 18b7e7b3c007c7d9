//! What pipes do otherwise than a socket at the end of a way, and what they do not.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use offshoot_bootstrap::{Spawned, launch};
use offshoot_parent::prelude::*;
use offshoot_tests::real::{PATIENCE, Signal, descendants, eventually, is_gone, kill, ticks_of};

use crate::far::{Missing, payload, program};

crate::tests![
    with_pipes_the_same_user_can_open_its_stdout_anew,
    what_is_written_to_a_pipe_that_nobody_reads_is_an_error_and_no_signal,
    a_child_that_dies_while_it_is_written_to_sends_no_signal,
    who_still_holds_the_stdout_of_a_child_that_has_gone_does_not_hide_its_loss,
];

const ECHO: Function<String, String> = Function::new("echo");

/// What hands its stdin and stdout on.
fn nice() -> Wrapped {
    Wrapped::new(["nice"])
}

/// Runs a busybox with these words at the end of a way.
fn busybox(method: Wrapped, words: &[&str]) -> Result<Spawned, Missing> {
    let busybox = Payload::bytes("busybox", fs::read(program("busybox")?).unwrap()).unwrap();
    let plan = method.payload(busybox).args(words.iter().copied()).keep_file().plan();
    Ok(launch(&plan, Instant::now() + PATIENCE, None).unwrap())
}

fn with_pipes_the_same_user_can_open_its_stdout_anew() -> Result<(), Missing> {
    let words = ["sh", "-c", "echo again >/dev/stdout"];
    let heard = |method| {
        let Spawned { mut link, mut said, stderr, mut stderr_said, process, .. } = busybox(method, &words)?;
        link.read_to_end(&mut said).unwrap();
        fs::File::from(stderr).read_to_end(&mut stderr_said).unwrap();
        drop(process);
        Ok::<_, Missing>([said, stderr_said].map(|words| String::from_utf8(words).unwrap()))
    };
    assert_eq!(heard(nice())?, ["again\n", ""]);
    let [said, why] = heard(Wrapped::new::<&str>([]))?;
    assert!(said.is_empty() && why.contains("No such device"), "{said} {why}");
    Ok(())
}

/// Set once there was a SIGPIPE.
fn signalled() -> Arc<AtomicBool> {
    let flag = Arc::default();
    signal_hook::flag::register(signal_hook::consts::SIGPIPE, Arc::clone(&flag)).unwrap();
    flag
}

fn what_is_written_to_a_pipe_that_nobody_reads_is_an_error_and_no_signal() -> Result<(), Missing> {
    let flag = signalled();
    let Spawned { mut link, mut process, .. } = busybox(nice(), &["true"])?;
    eventually("it ends", PATIENCE, || process.try_wait().unwrap());
    assert_eq!(link.write(b"?").unwrap_err().kind(), ErrorKind::BrokenPipe);
    let mut writer = link.take_writer().unwrap();
    assert_eq!(writer.write(b"?").unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(link.take_writer().unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert!(!flag.load(Ordering::Relaxed));
    Ok(())
}

fn a_child_that_dies_while_it_is_written_to_sends_no_signal() -> Result<(), Missing> {
    let (flag, hop) = (signalled(), payload("hop")?);
    let router = Router::new().unwrap();
    for _ in 0..10 {
        let child = router.connect(nice().payload(hop.clone())).unwrap();
        let pid = router.tree().pid(child.id()).unwrap();
        let calls: Vec<_> = (0..64).map(|_| child.call_async(ECHO, "x".repeat(100_000))).collect();
        kill(pid, Signal::KILL);
        for call in calls {
            // Some were answered before.
            drop(call.wait_timeout(PATIENCE));
        }
        assert!(child.call(ECHO, String::new()).unwrap_err().is_lost());
    }
    assert!(!flag.load(Ordering::Relaxed));
    Ok(())
}

/// He reads nothing, and so whoever writes finds out.
fn who_still_holds_the_stdout_of_a_child_that_has_gone_does_not_hide_its_loss() -> Result<(), Missing> {
    const LIMIT: Duration = Duration::from_secs(5);

    let hop = payload("hop")?;
    let router = Router::new().unwrap();
    for is_told in [true, false] {
        let beside = Wrapped::new(["sh", "-c", "sleep 1000 2>/dev/null & echo $! >&2; exec \"$@\"", "sh"]);
        let child = router.connect(beside.payload(hop.clone())).unwrap();
        let pid = router.tree().pid(child.id()).unwrap();
        let holder = eventually("somebody holds it", LIMIT, || {
            descendants().into_iter().filter(|pid| !is_gone(*pid)).find(|pid| {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
            })
        });
        if is_told {
            assert!(child.shutdown().wait_timeout(LIMIT).is_ok(), "it does not end");
        } else {
            kill(pid, Signal::KILL);
            eventually("it is gone", LIMIT, || is_gone(pid).then_some(()));
            // Nobody reads what this one would write: that is no news each time it is looked for.
            let before = ticks_of(process::id());
            #[expect(clippy::disallowed_methods, reason = "what it does in such a time is looked at")]
            thread::sleep(Duration::from_secs(1));
            let ticks = ticks_of(process::id()) - before;
            assert!(ticks < 50, "it was busy for {ticks} hundredths of a second");
            let lost = child.call_async(ECHO, "lost".into()).wait_timeout(LIMIT).unwrap_err();
            assert!(lost.is_lost(), "{lost}");
        }
        kill(holder, Signal::KILL);
    }
    Ok(())
}
