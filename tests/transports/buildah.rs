//! Working containers of buildah.

use std::{path::Path, process::Command};

use offshoot_parent::prelude::*;
use offshoot_tests::far::{busybox_root, try_to};
use tempfile::TempDir;

use crate::far::{Missing, Planned, as_root, payload, program, run};

crate::tests![what_keeps_buildah_from_a_container_is_told_by_kind];

/// What runs in a container shares the network of this machine: another one would be made by changes to this one.
const APART: (&str, &str) = ("BUILDAH_ISOLATION", "chroot");

/// A store of its own with one container, `far`. Nothing runs in it by itself.
pub(crate) struct Buildah {
    folder: TempDir,
}

impl Buildah {
    pub(crate) fn new(root: &Path) -> Result<Self, Missing> {
        as_root()?;
        program("buildah")?;
        let engine = Self { folder: tempfile::Builder::new().prefix("buildah-").tempdir().unwrap() };
        let image = engine.file("image.tar");
        run(&["tar", "-C", root.to_str().unwrap(), "-cf", &image, "."]);
        engine.run(&["from", "--name", "far", "scratch"])?;
        engine.run(&["add", "--quiet", "far", &image, "/"])?;
        Ok(engine)
    }

    /// A container of that name.
    pub(crate) fn enter(&self, name: &str, payload: &Payload) -> Planned {
        let [program, options @ ..] = self.words();
        let mut plan =
            Container::buildah(name).program(program).option(options).payload(payload.clone()).plan();
        if let Some(transport) = &mut plan.transport {
            let (name, value) = APART;
            transport.env.push((name.to_owned(), value.to_owned()));
        }
        Planned(plan)
    }

    fn words(&self) -> [String; 5] {
        let folders =
            [("--root", "root"), ("--runroot", "run")].map(|(option, name)| [option.into(), self.file(name)]);
        let [[root, at], [runroot, at_run]] = folders;
        [program("buildah").unwrap().display().to_string(), root, at, runroot, at_run]
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn run(&self, words: &[&str]) -> Result<(), Missing> {
        let [program, options @ ..] = self.words();
        let (name, value) = APART;
        try_to(Command::new(program).args(options).args(words).env(name, value))
    }
}

impl Drop for Buildah {
    fn drop(&mut self) {
        // It unmounts what it has mounted.
        drop(self.run(&["rm", "--all"]));
    }
}

fn what_keeps_buildah_from_a_container_is_told_by_kind() -> Result<(), Missing> {
    let (root, leaf) = (busybox_root()?, payload("leaf")?);
    let engine = Buildah::new(root.path())?;
    let error = |name: &str| Router::new().unwrap().connect(engine.enter(name, &leaf)).unwrap_err();
    assert_eq!(error("nosuch").code(), "no_container");
    engine.run(&["run", "far", "--", "rm", "/bin/sh"]).unwrap();
    let no_shell = error("far");
    assert_eq!(no_shell.code(), "no_shell", "{no_shell}");
    Ok(())
}
