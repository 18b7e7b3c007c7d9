//! Accounts and starts that give a process less than it is used to, or more than it asked for: a root under each, and a
//! child under each.

use std::{
    env,
    process::{Command, ExitCode},
    thread,
};

use offshoot_parent::prelude::*;
use offshoot_tests::real::{
    PATIENCE, Watch,
    behind::Behind,
    table::{ADD, COUNT, ECHO_BYTES},
};

use crate::{
    far::{self, Signs},
    needs,
};

/// What the first argument of a small program is that is a whole root.
const SMALL: &str = "--small";

/// How a program is started.
#[derive(Clone, Copy)]
enum Start {
    /// By this script of a shell, whose arguments it is.
    Shell(&'static str),
    /// The same, by a user of whom there is no other process. Only root can.
    Stranger(&'static str),
    /// The same, by a line of perl whose arguments it is.
    Perl(&'static str, &'static str),
    /// By these words.
    Words(&'static [&'static str]),
}

const ACCOUNTS: &[(&str, Start)] = &[
    ("nofile_32", Start::Shell("ulimit -n 32; exec \"$@\"")),
    ("nproc_10", Start::Stranger("ulimit -u 10; exec \"$@\"")),
    ("address_space_64_mib", Start::Shell("ulimit -v 65536; exec \"$@\"")),
    ("sigpipe_and_sigchld_ignored", Start::Shell("trap '' PIPE CHLD; exec \"$@\"")),
    (
        "signals_blocked",
        Start::Perl(
            "exec \"$@\"",
            "use POSIX; my $all = POSIX::SigSet->new; $all->fillset; sigprocmask(SIG_BLOCK, $all); exec @ARGV",
        ),
    ),
    (
        "5000_descriptors_open",
        Start::Perl(
            "ulimit -n 6000 && exec \"$@\"",
            "$^F = 9999; for (1 .. 5000) { open(my $file, '<', '/dev/null') or die $!; push @files, $file } exec @ARGV",
        ),
    ),
    ("umask_000", Start::Shell("umask 000; exec \"$@\"")),
    ("umask_077", Start::Shell("umask 077; exec \"$@\"")),
    ("deleted_working_directory", Start::Shell("d=$(mktemp -d) && cd \"$d\" && rmdir \"$d\" && exec \"$@\"")),
    ("empty_environment", Start::Words(&["env", "-i"])),
];
/// Of a child 0 and 1 are its link.
const CLOSED: [(&str, Start); 2] = [
    ("descriptors_0_to_2_closed", Start::Shell("exec \"$@\" <&- >&- 2>&-")),
    ("stderr_closed", Start::Shell("exec \"$@\" 2>&-")),
];

impl Start {
    fn words(self) -> Vec<&'static str> {
        match self {
            Self::Shell(script) => vec!["sh", "-c", script, "sh"],
            Self::Stranger(script) => {
                let mut words = vec!["setpriv", "--reuid", "64321", "--regid", "64321", "--clear-groups"];
                words.extend(Self::Shell(script).words());
                words
            }
            Self::Perl(script, line) => {
                let mut words = Self::Shell(script).words();
                words.extend(["perl", "-e", line]);
                words
            }
            Self::Words(words) => words.to_vec(),
        }
    }

    /// Why no program can be started so here, if none can.
    fn lack(self) -> Option<String> {
        let words = self.words();
        needs::lack(words.iter().copied())
            .or_else(|| (!self.is_possible()).then(|| format!("nothing can be started so here: {words:?}")))
    }

    fn is_possible(self) -> bool {
        let words = self.words();
        let this = env::current_exe().expect("this program is a file");
        let test = Command::new(words[0]).args(&words[1..]).args(["test", "-x"]).arg(this).status();
        test.is_ok_and(|status| status.success())
    }
}

/// The tests, by name.
pub(crate) fn tests() -> impl Iterator<Item = (String, Box<dyn FnOnce()>)> {
    let both = ACCOUNTS.iter().flat_map(|account| [(account, true), (account, false)]);
    let closed = [(&CLOSED[0], true), (&CLOSED[1], false)];
    both.chain(closed).map(|((name, start), is_root)| {
        let (start, who) = (*start, if is_root { "root" } else { "child" });
        let name = format!("account_{name}_of_a_{who}");
        let title = name.clone();
        let test = move || {
            if let Some(reason) = start.lack() {
                return println!("SKIPPED {title}: {reason}");
            }
            let watch = Watch::begin();
            let body = move || if is_root { of_root(start) } else { of_child(start) };
            thread::spawn(body).join().expect("it works under such an account");
            watch.end();
        };
        (name, Box::new(test) as Box<dyn FnOnce()>)
    })
}

/// A whole root under an account: it works, or says why not.
fn of_root(start: Start) {
    let (words, this) = (start.words(), env::current_exe().expect("this program is a file"));
    let folder = folder();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(this).arg(SMALL).arg(folder.path());
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
}

/// If this program is to be a small root: is it.
pub(crate) fn play(words: &[String]) -> Option<ExitCode> {
    let [SMALL, folder] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] else { return None };
    let router = Router::new().expect("a router");
    works(&router.connect(Local::new(Payload::this_program())).expect("a local child"));
    works(&router.connect(behind(&[], folder)).expect("a child behind a shell"));
    drop(router);
    Some(ExitCode::SUCCESS)
}

fn of_child(start: Start) {
    let (router, folder) = (Router::new().expect("a router"), folder());
    works(&router.connect(behind(&start.words(), folder.path().to_str().expect("text"))).expect("a child"));
}

fn behind(leader: &[&str], folder: &str) -> Behind {
    Behind::new(leader.iter().copied(), far::far(&Signs(folder.into()), "leaf"))
}

/// A folder in which everybody can leave signs.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("account-").tempdir().expect("a folder");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), open).expect("a folder for everybody");
    folder
}

/// A child does what children do, and ends.
fn works(child: &Context) {
    assert_eq!(child.call(ADD, (2, 3)), Ok(5));
    assert_eq!(child.call(ECHO_BYTES, vec![7; 300_000].into()).map(|bytes| bytes.len()), Ok(300_000));
    let items: Vec<_> = child.call(COUNT, 1_000).expect("a stream").into_iter().collect();
    assert_eq!(items.len(), 1_000);
    child.shutdown().wait_timeout(PATIENCE).expect("it ends");
}
