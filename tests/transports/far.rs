//! Far sides to test with: payloads that run anywhere, shells by the name of `sh`, an sshd of our own, users.

use std::{
    env, fmt, fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use offshoot_parent::{Plan, prelude::*};
use offshoot_tests::real::eventually;
use tempfile::TempDir;

/// Served by the reference leaf.
pub(crate) const ADD: Function<(i64, i64), i64> = Function::new("add");

/// What is not there.
#[derive(Debug)]
pub(crate) struct Missing(String);

impl Missing {
    pub(crate) fn because(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A payload that was built to run anywhere.
pub(crate) fn payload(name: &str) -> Result<Payload, Missing> {
    let file = payload_file(name);
    Payload::file(&file)
        .map_err(|_| Missing(format!("no {}; `cargo xtask payload` builds it", file.display())))
}

/// Its bytes.
pub(crate) fn static_program(name: &str) -> Result<Vec<u8>, Missing> {
    fs::read(payload_file(name)).map_err(|error| Missing(error.to_string()))
}

fn payload_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("payloads").join(name)
}

/// A plan as a method.
#[derive(Debug)]
pub(crate) struct Planned(pub(crate) Plan);

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.method, self.0.place)
    }
}

impl Method for Planned {
    fn plan(&self) -> Plan {
        self.0.clone()
    }
}

/// Where a program is.
pub(crate) fn program(name: &str) -> Result<PathBuf, Missing> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let places = usual.into_iter().chain(env::split_paths(&path));
    let mut files = places.map(|folder| folder.join(name));
    files.find(|file| file.is_file()).ok_or_else(|| Missing(format!("no {name} here")))
}

/// Whether this process may do anything here.
pub(crate) fn as_root() -> Result<(), Missing> {
    if rustix::process::geteuid().is_root() { Ok(()) } else { Err(Missing("not root here".to_owned())) }
}

/// Runs a command that must succeed; what it said.
pub(crate) fn run(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{words:?}: {} {}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// A folder in which `sh` is another shell.
pub(crate) fn shell_named_sh(program: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    symlink(program, folder.path().join("sh")).unwrap();
    folder
}

/// An sshd that is started by each client, without a port.
pub(crate) struct Sshd {
    folder: TempDir,
}

impl Sshd {
    /// With lines for its configuration.
    pub(crate) fn new(lines: &str) -> Result<Self, Missing> {
        as_root()?;
        let (sshd, keygen) = (program("sshd")?, program("ssh-keygen")?);
        // Without "offshoot" in its name: it is not a file that a context left.
        let folder = tempfile::Builder::new().prefix("far-").tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::create_dir_all("/run/sshd").unwrap();
        for key in ["host", "other", "user", "stranger"] {
            run(&[keygen.to_str().unwrap(), "-q", "-t", "ed25519", "-N", "", "-f", &at(key)]);
        }
        fs::copy(at("user.pub"), at("authorized")).unwrap();
        // Whoever logs in reads it as himself.
        run(&["chmod", "a+rx", folder.path().to_str().unwrap()]);
        let config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM yes\nPidFile none\nSubsystem sftp internal-sftp\n{lines}\n",
            at("host"),
            at("authorized")
        );
        fs::write(at("sshd_config"), config).unwrap();
        let host = fs::read_to_string(at("host.pub")).unwrap();
        fs::write(at("known"), format!("far {host}")).unwrap();
        let client = format!(
            "Host far\n  ProxyCommand {} -i -f {}\nHost *\n  IdentityFile {}\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
             UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n",
            sshd.display(),
            at("sshd_config"),
            at("user"),
            at("known")
        );
        fs::write(at("client"), client).unwrap();
        Ok(Self { folder })
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The way to it.
    pub(crate) fn ssh(&self) -> Ssh {
        Ssh::new("far").config(self.file("client"))
    }
}

/// The same sshd at a port of its own, while the value lives.
pub(crate) struct Listening {
    process: Child,
    pub(crate) port: u16,
}

impl Listening {
    pub(crate) fn new(sshd: &Sshd) -> Result<Self, Missing> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(program("sshd")?)
            .args(["-D", "-e", "-f", &sshd.file("sshd_config"), "-o", "ListenAddress=127.0.0.1", "-p"])
            .arg(port.to_string())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, port };
        eventually("it listens", Duration::from_secs(5), || TcpStream::connect(("127.0.0.1", port)).ok());
        Ok(server)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A user of this machine while the value lives.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) home: TempDir,
}

impl User {
    pub(crate) fn new(name: &str, shell: &Path) -> Result<Self, Missing> {
        as_root()?;
        program("useradd")?;
        let home = tempfile::Builder::new().prefix("home-").tempdir().unwrap();
        let name = format!("osh-{name}");
        // One that an ended run has left.
        drop(Command::new("userdel").arg(&name).output());
        run(&["useradd", "-M", "-d", home.path().to_str().unwrap(), "-s", shell.to_str().unwrap(), &name]);
        run(&["chown", &name, home.path().to_str().unwrap()]);
        Ok(Self { name, home })
    }

    pub(crate) fn password(&self, word: &str) {
        let hash = run(&["openssl", "passwd", "-6", word]);
        run(&["usermod", "-p", hash.trim(), &self.name]);
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // Though a process of his may be on its way out.
        drop(Command::new("userdel").args(["-f", &self.name]).output());
    }
}
