//! Programs that stay on the far side for the next connect: sent once, checked each time, and trusted only where nobody else can
//! have changed them.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use offshoot_parent::prelude::*;
use offshoot_tests::real::eventually;

use crate::{
    beside::attacked,
    far::{ADD, Missing, as_root, keeps, payload, program, shell_named_sh},
    shells::{by, works},
};

crate::tests![
    a_program_that_may_stay_is_sent_once,
    a_program_that_may_stay_goes_by_its_name_each_time,
    what_killed_shells_have_left_in_the_cache_is_put_away_by_a_later_one,
    attack_59_a_cache_that_others_could_have_changed_is_not_trusted,
    attack_59_what_was_checked_is_what_runs_though_another_was_put_in_its_place,
];

/// A way with a cache below `home`, by which [`sent`] is known.
fn with_cache(home: &Path, leaf: &Payload) -> Wrapped {
    with_cache_and(&[], home, leaf)
}

/// The same with further variables.
fn with_cache_and(variables: &[&str], home: &Path, leaf: &Payload) -> Wrapped {
    let wire = home.join("wire").display().to_string();
    let variable = format!("HOME={}", home.display());
    let env = ["env", "-u", "XDG_CACHE_HOME", &variable];
    by(&[&env, variables, &keeps(&wire)[..]].concat(), leaf).cache(true)
}

/// How many bytes the last connect by such a way has sent.
fn sent(home: &Path) -> u64 {
    fs::metadata(home.join("wire")).unwrap().len()
}

fn a_program_that_may_stay_is_sent_once() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    program("sha256sum")?;
    for shell in ["dash", "bash", "busybox", "mksh", "zsh"] {
        let (tools, home) = (shell_named_sh(&program(shell)?), tempfile::tempdir().unwrap());
        let path = format!("PATH={}:/usr/bin:/bin", tools.path().display());
        let variable = format!("HOME={}", home.path().display());
        works(by(&["env", "-u", "XDG_CACHE_HOME", &path, &variable], &leaf).cache(true));
        let kept: Vec<_> = fs::read_dir(home.path().join(".cache/offshoot")).unwrap().flatten().collect();
        assert_eq!(kept.len(), 1, "{shell}");
        let sent_again = || {
            works(with_cache(home.path(), &leaf));
            sent(home.path())
        };
        assert!(sent_again() < 8_000, "{shell}");
        // One that was damaged is sent anew.
        fs::write(kept[0].path(), "damaged").unwrap();
        assert!(sent_again() > 100_000, "{shell}");
        assert!(sent_again() < 8_000, "{shell}");
    }
    Ok(())
}

fn a_program_that_may_stay_goes_by_its_name_each_time() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    program("sha256sum")?;
    for shell in ["dash", "bash", "busybox", "mksh", "zsh"] {
        let (tools, home) = (shell_named_sh(&program(shell)?), tempfile::tempdir().unwrap());
        let path = format!("PATH={}:/usr/bin:/bin", tools.path().display());
        let cache = home.path().join(".cache/offshoot");
        for is_sent in [true, false] {
            let router = Router::new().unwrap();
            let method = with_cache_and(&[&path], home.path(), &leaf).keep_file();
            let child = router.connect(method).unwrap();
            assert_eq!(child.call(ADD, (2, 3)), Ok(5), "{shell}");
            assert_eq!(sent(home.path()) > 100_000, is_sent, "{shell}");
            let pid = router.tree().pid(child.id()).unwrap();
            let runs = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
            assert!(runs.ends_with("leaf") && runs.exists(), "{shell}: {}", runs.display());
            drop(router);
            eventually("its file goes with it", Duration::from_secs(5), || (!runs.exists()).then_some(()));
        }
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1, "{shell}");
    }
    Ok(())
}

fn what_killed_shells_have_left_in_the_cache_is_put_away_by_a_later_one() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    program("sha256sum")?;
    for shell in ["dash", "bash", "busybox", "mksh", "zsh"] {
        let (tools, home) = (shell_named_sh(&program(shell)?), tempfile::tempdir().unwrap());
        let path = format!("PATH={}:/usr/bin:/bin", tools.path().display());
        let connects = || works(with_cache_and(&[&path], home.path(), &leaf));
        let cache = home.path().join(".cache/offshoot");
        let names = || {
            let names = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name());
            names
                .map(|name| name.into_string().unwrap())
                .filter(|name| name.len() < 64)
                .collect::<BTreeSet<_>>()
        };
        connects();
        for (name, age) in [("0a.part", "2 hours ago"), ("0b.part", "now"), ("mine", "2 hours ago")] {
            crate::far::run(&["touch", "-d", age, cache.join(name).to_str().unwrap()]);
        }
        let left = || BTreeSet::from(["0b.part", "mine"].map(str::to_owned));
        // Whether it is sent or not; what another has just begun stays.
        connects();
        assert_eq!(names(), left(), "{shell}");
        assert!(sent(home.path()) < 8_000, "{shell}");
    }
    Ok(())
}

fn attack_59_a_cache_that_others_could_have_changed_is_not_trusted() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".cache/offshoot");
    let is_root = as_root();
    attacked(|root| {
        let sent_again = || {
            root.works(with_cache(home.path(), &leaf));
            sent(home.path())
        };
        sent_again();
        crate::far::run(&["chmod", "755", folder.to_str().unwrap()]);
        assert!(sent_again() > 100_000);
        // A link that leads to a good one is none.
        crate::far::run(&["chmod", "700", folder.to_str().unwrap()]);
        let aside = home.path().join("aside");
        fs::rename(&folder, &aside).unwrap();
        std::os::unix::fs::symlink(&aside, &folder).unwrap();
        assert!(sent_again() > 100_000);
        // Neither is one of somebody else.
        is_root?;
        fs::remove_file(&folder).unwrap();
        fs::rename(&aside, &folder).unwrap();
        assert!(sent_again() < 8_000);
        crate::far::run(&["chown", "nobody", folder.to_str().unwrap()]);
        assert!(sent_again() > 100_000);
        Ok(())
    })
}

fn attack_59_what_was_checked_is_what_runs_though_another_was_put_in_its_place() -> Result<(), Missing> {
    let (leaf, sums) = (payload("leaf")?, program("sha256sum")?);
    let (home, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (cache, ran) = (home.path().join(".cache/offshoot"), home.path().join("ran"));
    let evil = format!("#!/bin/sh\ntouch {}\nexit 1\n", ran.display());
    let ours = home.path().join("evil");
    fs::write(&ours, &evil).unwrap();
    // Once it has been looked at, and before anything runs: nobody can be quicker.
    let swaps = format!(
        "#!/bin/sh\nsum=$({})\nfor kept in {}/*; do\n[ -f \"$kept\" ] && cp {ours} {ours}.new && chmod 700 {ours}.new && \
         mv {ours}.new \"$kept\"\ndone\necho \"$sum\"\n",
        sums.display(),
        cache.display(),
        ours = ours.display()
    );
    let swapping = tools.path().join("sha256sum");
    fs::write(&swapping, swaps).unwrap();
    crate::far::run(&["chmod", "+x", swapping.to_str().unwrap()]);
    let path = format!("PATH={}:/usr/bin:/bin", tools.path().display());
    attacked(|root| {
        let sent_by = |variables: &[&str]| {
            root.works(with_cache_and(variables, home.path(), &leaf));
            sent(home.path())
        };
        let kept = || {
            let files = fs::read_dir(&cache).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
            files.collect::<Vec<_>>()
        };
        sent_by(&[]);
        assert!(sent_by(&[&path]) < 8_000, "it is there, and runs from there");
        assert_eq!(kept(), [evil.as_bytes()], "and is not there any more");
        // Whoever comes next finds the other one, and has it sent.
        assert!(sent_by(&[]) > 100_000);
        assert_ne!(kept(), [evil.as_bytes()]);
    });
    assert!(!ran.exists());
    Ok(())
}
