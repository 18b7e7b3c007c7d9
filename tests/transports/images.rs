//! Programs that run from memory, and whoever would change them there.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    process::Command,
    time::Duration,
};

use offshoot_parent::prelude::*;

use crate::{
    beside::{Beside, attacked},
    far::{Missing, as_root, payload, program, static_program},
    shells::where_nothing_runs,
};

crate::tests![attack_61_who_holds_the_image_that_it_ran_from_cannot_overwrite_it];

fn attack_61_who_holds_the_image_that_it_ran_from_cannot_overwrite_it() -> Result<(), Missing> {
    as_root()?;
    for tool in ["unshare", "setpriv", "perl", "dd"] {
        program(tool)?;
    }
    let image = static_program("leaf")?;
    // Ours, from which this machine's children run; and one of a far side that has no place for files, as somebody else.
    let ours = Local::new(Payload::bytes("leaf", image.clone()).unwrap());
    let nobody = where_nothing_runs("setpriv --reuid nobody --clear-groups");
    let theirs = Wrapped::new(nobody).payload(payload("leaf")?);
    attacked(|root| {
        let child = root.works(ours.clone());
        overwrite(root, &child, &image);
        let child = root.works(theirs);
        overwrite(root, &child, &image);
        // Whoever comes next runs from what he would run from.
        root.works(ours);
    });
    Ok(())
}

/// Tries to, once nothing runs from it any more, since until then nobody could.
fn overwrite(root: &Beside, child: &Context, image: &[u8]) {
    let pid = root.router().tree().pid(child.id()).unwrap();
    let exe = format!("/proc/{pid}/exe");
    let name = fs::read_link(&exe).unwrap().display().to_string();
    assert!(name.starts_with("/memfd:"), "{name} is no image in memory");
    let held = File::open(exe).unwrap();
    child.shutdown().wait_timeout(Duration::from_secs(5)).unwrap();
    for user in ["root", "nobody"] {
        for deed in [
            "exec 3<&0; exec dd if=/dev/zero of=/proc/self/fd/3 bs=1 count=1 conv=notrunc",
            "exec 3<&0; exec dd if=/dev/zero of=/proc/self/fd/3 bs=1 count=1 conv=notrunc oflag=append",
            "exec 3<&0; : >/proc/self/fd/3",
        ] {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", user, "--clear-groups", "sh", "-c", deed]).env("LC_ALL", "C");
            let done = command.stdin(held.try_clone().unwrap()).output().unwrap();
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(
                !done.status.success() && said.contains("Operation not permitted"),
                "{user}, {deed}: {said}"
            );
        }
    }
    let mut now = vec![0; image.len()];
    held.read_exact_at(&mut now, 0).unwrap();
    assert!(now == image && held.metadata().unwrap().len() == image.len() as u64);
}
