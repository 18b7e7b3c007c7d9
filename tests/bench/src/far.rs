//! An sshd of the bench's own, started by each client without a port or listening at one, and a plain client of it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use offshoot_parent::prelude::*;

use crate::wire::Wire;

/// How long a connect may take: with many at once each has the CPUs only by turns.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// Where it is.
const PROGRAM: &str = "/usr/sbin/sshd";
/// At which it listens, in a namespace of its own.
pub(crate) const PORT: u16 = 22;
/// How long it may take until it does.
const UP: Duration = Duration::from_secs(10);

/// Its keys and configurations; all goes when it is dropped.
pub(crate) struct Sshd {
    folder: PathBuf,
    /// What passes when the configuration is `counted`.
    pub(crate) wire: Wire,
}

impl Sshd {
    /// Only root can have one that lets anybody in.
    pub(crate) fn new() -> Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "not root here");
        ensure!(Path::new(PROGRAM).exists(), "no sshd here");
        let folder = std::env::temp_dir().join(format!("bench-far-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        fs::create_dir_all("/run/sshd")?;
        let far = Self { folder, wire: Wire::new("ssh")? };
        for key in ["host", "user"] {
            let file = far.file(key);
            if !Path::new(&file).exists() {
                run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &file]))?;
            }
        }
        // The home is ours: what the account runs at each login is no part of the way.
        let server = format!(
            "SetEnv HOME={}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\nAcceptEnv XDG_CACHE_HOME\n",
            far.folder.display(),
            far.file("host"),
            far.file("user.pub")
        );
        fs::write(far.file("sshd_config"), server)?;
        let key = fs::read_to_string(far.file("host.pub"))?;
        fs::write(far.file("known"), format!("far {key}"))?;
        let bare = format!("{PROGRAM} -i -f {}", far.file("sshd_config"));
        for (name, way) in [("client", &bare), ("counted", &far.wire.client(&bare)?)] {
            far.lead(name, &format!("ProxyCommand {way}"))?;
        }
        Ok(far)
    }

    /// Writes the configuration of a client that goes this way.
    fn lead(&self, name: &str, way: &str) -> Result<()> {
        let client = format!(
            "Host *\n  HostKeyAlias far\n  {way}\n  IdentityFile {}\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
             UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  LogLevel ERROR\n",
            self.file("user"),
            self.file("known"),
        );
        Ok(fs::write(self.file(name), client)?)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The way there with one of its configurations: `client`, `counted`, which keeps all bytes that pass, or that of a
    /// [`Listening`].
    pub(crate) fn ssh(&self, config: &str, program: &Path) -> Result<Ssh> {
        Ok(Ssh::new("far").config(self.file(config)).timeout(PATIENCE).payload(Payload::file(program)?))
    }

    /// The command of a plain client that runs this there, with one of its configurations.
    pub(crate) fn plain(&self, config: &str, command: &str) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-T", "-F", &self.file(config), "far", command]);
        ssh
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// The same sshd, listening in the network namespace of the thread that started it, while the value lives. It has a
/// namespace of processes, so that all whom it has let in go with it, and it goes with that thread.
pub(crate) struct Listening(Child);

impl Listening {
    /// Waits until it answers at `address`. What leads there is the configuration `line`.
    pub(crate) fn new(sshd: &Sshd, address: Ipv4Addr) -> Result<Self> {
        sshd.lead("line", &format!("HostName {address}\n  Port {PORT}"))?;
        let process = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                PROGRAM,
            ])
            .args(["-D", "-q", "-f", &sshd.file("sshd_config"), "-p", &PORT.to_string()])
            .args(["-o", "MaxStartups=1000"])
            .stdin(Stdio::null())
            .spawn()
            .context("there is no setpriv")?;
        let listening = Self(process);
        let end = Instant::now() + UP;
        // A refusal takes as long as the way there and back.
        while let Err(error) = TcpStream::connect((address, PORT)) {
            ensure!(Instant::now() < end, "sshd does not listen: {error}");
        }
        Ok(listening)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Whether it had ended by itself makes no difference.
        let _killed = self.0.kill();
        let _status = self.0.wait();
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
        let child = sshd.plain("client", "cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
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
