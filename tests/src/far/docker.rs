//! A Docker of a test's own: one image, of a root folder, and one container that runs.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{Apart, Daemon, Missing, program, run, try_to};
use crate::real::Signal;

/// With a network of its own it makes neither interfaces nor rules here. In /run it would look for a containerd.
const APART: Apart<'_> = Apart {
    namespaces: &["--mount", "--net"],
    hidden: &["/run", "/etc/docker"],
    end: (Signal::TERM, "TERM"),
};

/// A dockerd with one image, `far:1`, and one container of that, `far`.
#[derive(Debug)]
pub struct Docker {
    daemon: Daemon,
    client: PathBuf,
}

impl Docker {
    /// What is said of each new container: it has no network, nobody is asked for its image, and it ends at once when the
    /// daemon does.
    pub const RUN: [&str; 6] = ["--network", "none", "--pull", "never", "--stop-signal", "KILL"];

    /// With an image that is made of that root folder.
    ///
    /// # Errors
    /// If there is no docker, or it does not run here.
    ///
    /// # Panics
    /// If the root folder cannot be read.
    pub fn new(root: &Path) -> Result<Self, Missing> {
        let (dockerd, client) = (program("dockerd")?, program("docker")?);
        let mut engine = Self { daemon: Daemon::new("docker")?, client };
        let at = |name: &str| engine.daemon.file(name);
        let files = [("--data-root", at("data")), ("--exec-root", at("exec")), ("--pidfile", at("pid"))];
        let flags = "--bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --group=root";
        let mut words = vec![dockerd.display().to_string(), format!("--host={}", engine.host())];
        words.extend(files.into_iter().flat_map(|(flag, file)| [flag.to_owned(), file]));
        words.extend(flags.split_whitespace().map(str::to_owned));
        words.push(format!("--cgroup-parent=/{}", engine.daemon.group()));
        let mut asked = engine.command(&["version"]);
        engine.daemon.start(APART, &words, || try_to(&mut asked).is_ok())?;
        let image = engine.daemon.file("image.tar");
        run(&["tar", "-C", root.to_str().unwrap(), "-cf", &image, "."]);
        engine.run(&["import", &image, "far:1"])?;
        engine.run(
            &[&["run", "-d", "--name", "far"][..], &Self::RUN, &["far:1", "/bin/sleep", "1000"]].concat(),
        )?;
        Ok(engine)
    }

    /// Where its clients find it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.daemon.file("socket"))
    }

    /// Its client, with the words that lead it there.
    #[must_use]
    pub fn words(&self) -> [String; 3] {
        [self.client.display().to_string(), "-H".to_owned(), self.host()]
    }

    /// The command of a client with those words.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let [client, there @ ..] = self.words();
        let mut command = Command::new(client);
        command.args(there).args(words);
        command
    }

    /// Runs such a command.
    ///
    /// # Errors
    /// What it says if it fails.
    pub fn run(&self, words: &[&str]) -> Result<(), Missing> {
        try_to(&mut self.command(words))
    }
}
