//! What a far side says before the program runs and is not so: an older answer, another machine, too much, too slowly.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use offshoot_parent::{Phase, prelude::*};

use crate::{
    beside::attacked,
    far::{Missing, payload, program, run, static_program},
};

crate::tests![
    attack_53_what_an_earlier_connect_was_answered_is_no_answer,
    attack_53_an_echo_or_a_guess_is_no_marker,
    attack_54_a_machine_is_one_of_a_list_to_the_last_letter,
    attack_54_a_machine_that_is_not_what_it_says_does_not_run_the_program,
    attack_55_after_a_hundred_megabytes_the_last_words_are_kept,
    attack_55_a_far_side_that_drips_has_no_more_time,
];

/// A way by a script, in which `"$@"` is our command.
fn by(script: &str, payload: &Payload) -> Wrapped {
    Wrapped::new(["sh", "-c", script, "sh"]).name("there").payload(payload.clone())
}

fn attack_53_what_an_earlier_connect_was_answered_is_no_answer() -> Result<(), Missing> {
    let (leaf, folder) = (payload("leaf")?, tempfile::tempdir().unwrap());
    let heard = folder.path().join("heard").display().to_string();
    attacked(|root| {
        // All that a far side has said, its marker and frames too.
        let there = root.works(by(&format!("\"$@\" | tee {heard}"), &leaf));
        there.shutdown().wait_timeout(Duration::from_secs(5)).unwrap();
        let said = fs::read(&heard).unwrap();
        for word in ["offshoot0 hello ", " run\n", "offshoot-up "] {
            assert!(said.windows(word.len()).any(|window| window == word.as_bytes()), "{word:?} was said");
        }
        let error =
            root.fails(by(&format!("cat {heard}; exec sleep 1000"), &leaf).timeout(Duration::from_secs(1)));
        assert_eq!(error.code(), "no_answer", "{error}");
        // Before one that answers it is a banner like any other.
        root.works(by(&format!("cat {heard}; exec \"$@\""), &leaf));
    });
    Ok(())
}

fn attack_53_an_echo_or_a_guess_is_no_marker() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    /// What it takes to be told that the program runs.
    const RUNS: &str = "printf 'offshoot0 hello Linux %s\\n' \"$(uname -m)\"; read -r errand; nonce=${errand#*n=}; \
         nonce=${nonce%% *}; printf 'offshoot0 %s at /\\noffshoot0 %s run\\n' $nonce $nonce";
    let zeros = "0".repeat(32);
    let runs = |what: &str| format!("{RUNS}; {what}; exec cat");
    attacked(|root| {
        let lies = [
            // Our command as a terminal shows it, and whatever it is told.
            ("printf '%s\\n' \"$*\"; exec cat".to_owned(), Phase::Shell),
            // The same by one who knows how it begins: our errand comes back.
            ("printf 'offshoot0 hello Linux %s\\n' \"$(uname -m)\"; exec cat".to_owned(), Phase::Place),
            // The opening comes back; a marker that was guessed, or made of the nonce that the errand holds.
            (runs(":"), Phase::Marker),
            (runs(&format!("echo offshoot-up {zeros}")), Phase::Marker),
            (runs("echo offshoot-up $nonce"), Phase::Marker),
        ];
        // All at once: each waits for its deadline, unless the opening comes back.
        let method = |script: &str| by(script, &leaf).timeout(Duration::from_secs(8));
        let connects =
            lies.map(|(script, phase)| (root.router().connect_async(method(&script)), script, phase));
        for (connecting, script, phase) in connects {
            let error = root.keep(connecting.wait()).unwrap_err();
            let code = if phase == Phase::Marker { "bad_stream" } else { "no_answer" };
            assert_eq!((error.code(), error.phase()), (code, phase), "{script}: {error}");
        }
    });
    Ok(())
}

/// A way to a machine that calls itself what is in that file.
fn calling_itself(says: &Path, payload: Payload) -> Wrapped {
    let uname = says.with_file_name("uname");
    fs::write(&uname, format!("#!/bin/sh\ncat {}\n", says.display())).unwrap();
    run(&["chmod", "+x", uname.to_str().unwrap()]);
    let path = format!("PATH={}:/usr/bin:/bin", says.parent().unwrap().display());
    Wrapped::new(["env", &path]).name("there").payload(payload)
}

fn attack_54_a_machine_is_one_of_a_list_to_the_last_letter() -> Result<(), Missing> {
    let (leaf, folder) = (payload("leaf")?, tempfile::tempdir().unwrap());
    let says = folder.path().join("says");
    let here = std::env::consts::ARCH;
    attacked(|root| {
        for machine in ["../../x".to_owned(), format!("{here}/../x"), format!("{here}x"), "x".repeat(10_000)]
        {
            fs::write(&says, format!("Linux {machine}\n")).unwrap();
            let error = root.fails(calling_itself(&says, leaf.clone()));
            assert_eq!(error.code(), "wrong_machine", "{error}");
            assert!(error.to_string().contains(&machine[..7]), "{error}");
        }
        // What is longer than any answer is none.
        fs::write(&says, format!("Linux {}\n", "../".repeat(350_000))).unwrap();
        let method = calling_itself(&says, leaf.clone()).timeout(Duration::from_secs(1));
        let error = root.fails(method);
        assert_eq!((error.code(), error.phase()), ("no_answer", Phase::Shell), "{error}");
    });
    Ok(())
}

fn attack_54_a_machine_that_is_not_what_it_says_does_not_run_the_program() -> Result<(), Missing> {
    let folder = tempfile::tempdir().unwrap();
    let says = folder.path().join("says");
    let here = static_program("leaf")?;
    let (mut elsewhere, is_arm) = (here.clone(), here[18] == 183);
    elsewhere[18..20].copy_from_slice(if is_arm { &[62, 0] } else { &[183, 0] });
    let set = PayloadSet::new("leaf").with(elsewhere).and_then(|set| set.with(here)).unwrap();
    fs::write(&says, if is_arm { "Linux x86_64\n" } else { "Linux aarch64\n" }).unwrap();
    let method = calling_itself(&says, set.into());
    // To pack the program is our own work, done once, and no part of the attack.
    Router::new().unwrap().connect(method.clone()).unwrap_err();
    attacked(|root| {
        let error = root.fails(method);
        assert_eq!((error.code(), error.phase()), ("wrong_format", Phase::Marker), "{error}");
    });
    Ok(())
}

fn attack_55_after_a_hundred_megabytes_the_last_words_are_kept() -> Result<(), Missing> {
    /// What is kept of what comes before the program runs, in bytes.
    const KEPT: usize = 64 << 10;
    let leaf = payload("leaf")?;
    program("tr")?;
    let flood = |front: &str, end: &str| {
        let script =
            format!("head -c 100M /dev/zero | tr '\\0' x{front}; echo; echo the last word{front}; {end}");
        by(&script, &leaf).timeout(Duration::from_secs(120))
    };
    attacked(|root| {
        for front in ["", " >&2"] {
            let error = root.fails(flood(front, "exit 7"));
            assert_eq!(error.code(), "exited", "{error}");
            let words = error.last_words();
            assert!(words.ends_with("the last word") && words.len() <= KEPT, "{} bytes", words.len());
            root.works(flood(front, "exec \"$@\""));
        }
    });
    Ok(())
}

fn attack_55_a_far_side_that_drips_has_no_more_time() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let drips = by("while printf .; do sleep 1; done", &leaf).timeout(Duration::from_secs(4));
    attacked(|root| {
        let since = Instant::now();
        let error = root.fails(drips);
        assert_eq!((error.code(), error.phase()), ("no_answer", Phase::Shell), "{error}");
        assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
        assert!(error.last_words().starts_with(".."), "{error}");
    });
    Ok(())
}
