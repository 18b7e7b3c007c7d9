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
pub(crate) use offshoot_tests::far::{Missing, as_root, program, run};
use offshoot_tests::real::eventually;
use tempfile::TempDir;

/// Served by the reference leaf.
pub(crate) const ADD: Function<(i64, i64), i64> = Function::new("add");

/// What a panic may leave behind: it panics once more when it is dropped.
pub(crate) struct Twice;

impl Drop for Twice {
    fn drop(&mut self) {
        panic!("and again");
    }
}

/// A payload that was built to run anywhere.
pub(crate) fn payload(name: &str) -> Result<Payload, Missing> {
    let file = payload_file(name);
    Payload::file(&file)
        .map_err(|_| Missing::because(format!("no {}; `cargo xtask payload` builds it", file.display())))
}

/// Its bytes.
pub(crate) fn static_program(name: &str) -> Result<Vec<u8>, Missing> {
    fs::read(payload_file(name)).map_err(|error| Missing::because(error.to_string()))
}

/// Where it is.
pub(crate) fn payload_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("payloads").join(name)
}

/// A plan as a method.
#[derive(Clone, Debug)]
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

/// A folder in which `sh` is another shell.
pub(crate) fn shell_named_sh(program: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    symlink(program, folder.path().join("sh")).unwrap();
    folder
}

/// Words of a way that keep in `file` what is sent to what they lead to, and end with it: in a pipe line `tee` would be
/// there until the way itself is given up.
pub(crate) fn keeps(file: &str) -> [&str; 4] {
    const SCRIPT: &str = "rm -f \"$0.way\"; mkfifo \"$0.way\" || exit; exec 3<&0; tee \"$0\" <&3 >\"$0.way\" & exec 3<&-; \
                          \"$@\" <\"$0.way\"; set -- $?; kill $!; exit $1";

    ["sh", "-c", SCRIPT, file]
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
        // What this account runs at each login is its own affair. A match holds to the end.
        let home = at("home");
        fs::create_dir(&home).unwrap();
        let config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM yes\nPidFile none\nSubsystem sftp internal-sftp\n\
             PermitUserRC no\n{lines}\nMatch User root\n  SetEnv HOME={home}\n",
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
        run(&[
            "useradd",
            "-M",
            "-U",
            "-d",
            home.path().to_str().unwrap(),
            "-s",
            shell.to_str().unwrap(),
            &name,
        ]);
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
