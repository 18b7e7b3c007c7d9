//! What is said to the far side: the command that starts stage 0, and the lines that it reads.

use offshoot_wire::clean_name;

use crate::{loan::Loan, machine::Machine, quote::quoted};

/// The command. Between single quotes it passes every login shell: there is no `!` in it (tcsh), no backslash (fish),
/// no quote and no line end. `sudo -i` leaves each dollar to the login shell if a letter follows, so none does. It obeys lines as an
/// [`Errand`] says them: an answer to a question that nobody waits for any more is none.
const COMMAND: &str = "o() { echo \"offsh\"\"oot0 $*\"; }; u=$(uname -sm) w=; \
     for t in gzip gunzip tee sha256sum perl python3; do command -v ${t} >/dev/null && w=\"${w} ${t}\"; done; \
     o hello ${u} ${w}; while IFS= read -r l; do case ${l} in n=*) eval \"${l}\";; esac; done";

const LENT: &str = include_str!("lent.sh");
const CACHE: &str = include_str!("cache.sh");
const PREPLACED: &str = include_str!("preplaced.sh");
const PLACE: &str = include_str!("place.sh");
const RECEIVE: &str = include_str!("receive.sh");
const CHECKED: &str = include_str!("checked.sh");
const MEMORY: &str = include_str!("memory.sh");
const PERL: &str = include_str!("memory.pl");
const PYTHON: &str = include_str!("memory.py");

/// Sets N to a line end, which a shell takes away where it ends what a command says.
const LINE_END: &str = "N=$(printf \"\\nx\"); N=${N%x}; ";

/// The folders in which a program is put where the user did not name others, the most private first.
const FOLDERS: &str = "${XDG_RUNTIME_DIR:+\"$XDG_RUNTIME_DIR\"} ${TMPDIR:+\"$TMPDIR\"} /tmp /var/tmp \
     ${HOME:+\"$HOME\"} /dev/shm";

/// The command as one line, for a method that hands a line to a shell of the far side.
pub(crate) fn command_line() -> String {
    format!("sh -c '{COMMAND}'")
}

/// The command as words, for a method that runs a program.
pub(crate) fn command_words() -> [&'static str; 3] {
    ["sh", "-c", COMMAND]
}

/// What is to be put on the far side and run there.
#[derive(Clone, Debug)]
pub(crate) struct Errand {
    /// Marks the answers to this errand, and the folder that is made for it. Hexadecimal.
    pub(crate) nonce: String,
    /// What the far side says that it is.
    pub(crate) host: String,
    /// The SHA-256 of the program, hexadecimal.
    pub(crate) hash: String,
    /// What the program is called where its file is kept: some go by that.
    pub(crate) name: String,
    /// The arguments of the program.
    pub(crate) args: Vec<String>,
    /// What is put before the program, which takes it by its descriptor to another place; empty where it runs there.
    pub(crate) enter: Vec<String>,
    /// The folders to try; empty for those that there usually are.
    pub(crate) folders: Vec<String>,
    /// Whether its file stays while it runs.
    pub(crate) keep: bool,
    /// Whether it stays there for the next connect.
    pub(crate) cache: bool,
    /// Whether it is taken into memory, and nowhere else.
    pub(crate) memory: bool,
    /// Where somebody else has put it; nothing is sent then.
    pub(crate) preplaced: Option<String>,
    /// Whether it may be run from our own memory.
    pub(crate) is_lent: bool,
    /// Whether it goes nowhere but to this machine.
    pub(crate) is_near: bool,
    /// What machine it is, whatever the far side says.
    pub(crate) machine: Option<Machine>,
}

/// How a program is sent, by what the far side has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrapping {
    /// What unpacks it there, if it is packed by gzip.
    pub(crate) unpacker: Option<&'static str>,
    /// Whether it can be hashed while it comes.
    pub(crate) is_checked: bool,
}

impl Errand {
    /// The line that runs the program that is lent.
    pub(crate) fn lent(&self, loan: &Loan) -> String {
        let [token, image] = loan.paths();
        format!("n={} g={token} q={image}; {}; {}\n", self.nonce, self.runner(), one_line(LENT))
    }

    /// The line that runs the program if it has stayed there.
    pub(crate) fn cached(&self) -> String {
        let Self { nonce, host, hash, .. } = self;
        let (kept, runner) = (self.kept(), self.runner());
        format!("n={nonce} t={} h={hash} {kept}; {runner}; {}\n", quoted(host), one_line(CACHE))
    }

    /// Whether it is to have a file while it runs, and of which name.
    fn kept(&self) -> String {
        let keep = if self.keep { "yes" } else { "no" };
        format!("k={keep} p={}", quoted(&clean_name(&self.name)))
    }

    /// The line that runs the program that somebody else has put there.
    pub(crate) fn preplaced(&self, path: &str) -> String {
        let Self { nonce, hash, .. } = self;
        format!("n={nonce} h={hash} q={}; {}; {}\n", quoted(path), self.runner(), one_line(PREPLACED))
    }

    /// The line after which `size` bytes of the program are read, wrapped so. The folders in `failed` are not tried again.
    pub(crate) fn place(&self, size: usize, wrapping: Wrapping, failed: &[String]) -> String {
        let Self { nonce, host, hash, .. } = self;
        let unpacker = quoted(wrapping.unpacker.unwrap_or("cat"));
        let receive = one_line(if wrapping.is_checked { CHECKED } else { RECEIVE });
        let folders = if self.folders.is_empty() { FOLDERS.to_owned() } else { words(&self.folders) };
        let failed: String = failed.iter().map(|folder| format!(":{folder}:")).collect();
        format!(
            "n={nonce} t={} s={size} h={hash} z={unpacker} {} x={} {}; {}; {receive}; set -- {folders}; {}\n",
            quoted(host),
            self.kept(),
            quoted(&failed),
            // What the line for the cache has left in it.
            if self.cache { "" } else { "c=" },
            self.runner(),
            one_line(PLACE)
        )
    }

    /// The line after which `size` bytes of the program are read into memory.
    pub(crate) fn memory(&self, size: usize, machine: Machine, by: Interpreter) -> String {
        let (interpreter, code) = match by {
            Interpreter::Perl => ("perl -e", PERL),
            Interpreter::Python => ("python3 -c", PYTHON),
        };
        format!(
            "n={} s={size} i={} x='{interpreter}' c=\"$(printf %b {})\"; {}; {}\n",
            self.nonce,
            machine.memfd_create(),
            quoted(&escaped_lines(code)),
            self.runner(),
            one_line(MEMORY)
        )
    }

    /// The function that adds the program's own arguments. What enters another place has the descriptor too, which some
    /// shells close unless it is named. The shell is told by lines: the end of one in an argument is said by a variable.
    fn runner(&self) -> String {
        let args = words(&self.args).replace('\n', "'\"$N\"'");
        let line_end = if self.args.iter().any(|arg| arg.contains('\n')) { LINE_END } else { "" };
        if self.enter.is_empty() {
            return format!("{line_end}a() {{ \"$@\" {args}; }}");
        }
        format!(
            "{line_end}a() {{ if [ \"$1\" = exec ]; then shift; fi; exec {} \"$@\" {args} 9<&9; }}",
            words(&self.enter)
        )
    }
}

/// What can put a program into memory there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interpreter {
    Perl,
    Python,
}

fn words(all: &[String]) -> String {
    all.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A script as one line: without its comments, a space for each line end.
pub(crate) fn one_line(script: &str) -> String {
    code(script).collect::<Vec<_>>().join(" ")
}

/// A program with its line ends as `printf %b` writes them.
fn escaped_lines(program: &str) -> String {
    code(program).map(|line| line.replace('\\', "\\\\")).collect::<Vec<_>>().join("\\n")
}

fn code(script: &str) -> impl Iterator<Item = &str> {
    script.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        os::fd::AsRawFd as _,
        process::{Command, Stdio},
    };

    use super::*;
    use crate::payload::Program;

    fn errand() -> Errand {
        Errand {
            nonce: "ab".into(),
            host: "Linux x86_64".into(),
            hash: "00".into(),
            name: "a b".into(),
            args: vec!["it's".into(), "$(id)".into()],
            enter: Vec::new(),
            folders: vec!["/a b".into()],
            keep: false,
            cache: false,
            memory: false,
            preplaced: None,
            is_lent: false,
            is_near: false,
            machine: None,
        }
    }

    #[test]
    fn the_command_is_short_and_passes_every_login_shell() {
        let line = command_line();
        assert!(line.len() < 250 && line.starts_with("sh -c '"), "{} bytes", line.len());
        assert!(!COMMAND.contains(['!', '\\', '\'', '\n']), "{COMMAND}");
        assert!(!COMMAND.split('$').skip(1).any(|rest| rest.starts_with(|c: char| c.is_alphanumeric())));
        assert!(!COMMAND.contains("offshoot0"), "an echo of the command must not be taken for its answer");
    }

    #[test]
    fn an_errand_is_one_line_and_what_is_in_it_stays_a_word() {
        let errand = errand();
        let program = Program::new("x".into(), std::fs::read("/proc/self/exe").unwrap().into()).unwrap();
        let packed = Wrapping { unpacker: Some("gzip -d"), is_checked: true };
        for line in [
            errand.lent(&Loan::new(&program, &errand.nonce).unwrap()),
            errand.cached(),
            errand.preplaced("/usr/lib/it's"),
            errand.place(7, packed, &["/c d".into()]),
            errand.place(7, Wrapping { unpacker: None, is_checked: false }, &[]),
            errand.memory(7, Machine::X86_64, Interpreter::Perl),
            errand.memory(7, Machine::X86_64, Interpreter::Python),
        ] {
            assert_eq!(line.matches('\n').count(), 1);
            assert!(line.contains("'it'\\''s' '$(id)'"), "{line}");
        }
    }

    /// What a shell says to a line, behind its hello.
    fn said(line: &str) -> String {
        let [shell, flag, command] = command_words();
        let mut child = Command::new(shell)
            .args([flag, command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap().split_once('\n').unwrap().1.to_owned()
    }

    #[test]
    fn what_is_lent_is_taken_from_nobody_else() {
        let errand = Errand { nonce: "ab".into(), args: vec!["it runs".into()], ..errand() };
        let echo = Program::new("echo".into(), std::fs::read("/bin/echo").unwrap().into()).unwrap();
        let ours = Loan::new(&echo, "ab").unwrap();
        assert_eq!(said(&errand.lent(&ours)), "offshoot0 ab run\nit runs\n");
        // Where processes have other numbers there may be anything: another's memory, or a pipe that somebody waits for.
        let theirs = Loan::new(&echo, "cd").unwrap();
        assert_eq!(said(&errand.lent(&theirs)), "offshoot0 ab missing\n");
        let (read, write) = std::io::pipe().unwrap();
        (&write).write_all(b": ab\n").unwrap();
        let [token, _] = ours.paths();
        let pipe = format!("/proc/{}/fd/{}", std::process::id(), read.as_raw_fd());
        assert_eq!(said(&errand.lent(&ours).replace(&token, &pipe)), "offshoot0 ab missing\n");
        drop(write);
        assert_eq!(std::io::read_to_string(read).unwrap(), ": ab\n");
    }
}
