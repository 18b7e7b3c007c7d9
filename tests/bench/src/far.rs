//! An sshd of the bench's own, started by each client without a port, and a plain client of it.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};
use offshoot_parent::prelude::*;

/// Its keys and configurations; all goes when it is dropped.
pub(crate) struct Sshd {
    folder: PathBuf,
}

impl Sshd {
    /// Only root can have one that lets anybody in.
    pub(crate) fn new() -> Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "not root here");
        let sshd = Path::new("/usr/sbin/sshd");
        ensure!(sshd.exists(), "no sshd here");
        let folder = std::env::temp_dir().join(format!("bench-far-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        fs::create_dir_all("/run/sshd")?;
        let far = Self { folder };
        for key in ["host", "user"] {
            let file = far.file(key);
            if !Path::new(&file).exists() {
                run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &file]))?;
            }
        }
        let server = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\nAcceptEnv XDG_CACHE_HOME\n",
            far.file("host"),
            far.file("user.pub")
        );
        fs::write(far.file("sshd_config"), server)?;
        let key = fs::read_to_string(far.file("host.pub"))?;
        fs::write(far.file("known"), format!("far {key}"))?;
        let client = format!(
            "Host *\n  HostKeyAlias far\n  ProxyCommand tee -a {4} | {} -i -f {} | tee -a {4}\n  IdentityFile {}\n  IdentitiesOnly yes\n  \
             IdentityAgent none\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  LogLevel ERROR\n",
            sshd.display(),
            far.file("sshd_config"),
            far.file("user"),
            far.file("known"),
            far.file("wire"),
        );
        fs::write(far.file("counted"), &client)?;
        let bare = format!("ProxyCommand {} -i -f {}", sshd.display(), far.file("sshd_config"));
        let counted =
            client.lines().find(|line| line.contains("ProxyCommand")).unwrap_or_default().to_owned();
        fs::write(far.file("client"), client.replace(counted.trim(), &bare))?;
        Ok(far)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The way there with one of its configurations: `client`, or `counted`, which keeps all bytes that pass.
    pub(crate) fn ssh(&self, config: &str, program: &Path) -> Result<Ssh> {
        Ok(Ssh::new("far").config(self.file(config)).payload(Payload::file(program)?))
    }

    /// What passed both ways since this was asked the last time, in bytes.
    pub(crate) fn passed(&self) -> Result<u64> {
        let file = self.file("wire");
        let passed = fs::metadata(&file).map_or(0, |file| file.len());
        fs::write(&file, "")?;
        Ok(passed)
    }

    /// The command of a plain client that runs this there.
    pub(crate) fn plain(&self, command: &str) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-T", "-F", &self.file("client"), "far", command]);
        ssh
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Runs a command that must succeed; how long it takes, in milliseconds.
pub(crate) fn run(command: &mut Command) -> Result<f64> {
    let start = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// A `cat` at the other end of a plain client: what a stream there and back takes at least.
pub(crate) struct Cat(Child);

impl Cat {
    pub(crate) fn start(sshd: &Sshd) -> Result<Self> {
        let child = sshd.plain("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut cat = Self(child);
        cat.round_trip()?;
        Ok(cat)
    }

    /// As many bytes there and back as a small call has.
    pub(crate) fn round_trip(&mut self) -> Result<()> {
        let mut answer = [0; 64];
        self.0.stdin.as_mut().context("its input is a pipe")?.write_all(&answer)?;
        self.0.stdout.as_mut().context("its output is a pipe")?.read_exact(&mut answer)?;
        Ok(())
    }
}

impl Drop for Cat {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}
