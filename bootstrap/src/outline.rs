//! What a plan comes down to, for people, before anything of it is done.

use std::fmt::Write as _;

use crate::{Account, Dialect, Plan, Text, Transport, client, quote::quoted};

impl Plan {
    /// What will run, what may be asked, what is written where, and who may record it: for whoever must allow it, and
    /// without connecting. Passwords are not in it.
    ///
    /// ```
    /// use offshoot_bootstrap::{Method as _, Sudo};
    ///
    /// let text = Sudo::new().user("www").explain();
    /// assert!(text.starts_with("sudo: www\n  runs here: LC_MESSAGES=C sudo -n -u www -- sh -c '"));
    /// assert!(text.contains("\n  may be asked: nothing\n"));
    /// ```
    #[must_use]
    pub fn explain(&self) -> String {
        let Self { method, place, payload, timeout, .. } = self;
        let mut text = format!("{method}: {place}\n");
        let mut say = |what: &str, how: &str| {
            let _ = writeln!(text, "  {what}: {how}");
        };
        match &self.transport {
            None => say("runs here", &payload.to_string()),
            Some(transport) => {
                say("runs here", &command(transport));
                if transport.dialect == Dialect::Ssh {
                    say(
                        "with, from OpenSSH 8.7 on",
                        &client::SINCE_8_7.map(|it| format!("-o {it}")).join(" "),
                    );
                }
                if !transport.enter.is_empty() {
                    say("enters by", &words(&transport.enter));
                }
                say("may be asked", &questions(transport));
                if let Some(machine) = transport.machine {
                    say("is taken for", &format!("{machine}, whatever it says itself"));
                }
                if transport.is_whole {
                    say("is sent", "nothing: it is the program, or becomes it");
                } else {
                    say("is sent", &payload.to_string());
                }
                say("is written there", &placement(transport));
                say("may be recorded", recorders(transport.dialect));
            }
        }
        say("time", &format!("{} s at most", timeout.as_secs_f64()));
        text
    }
}

/// The command, to be pasted into a shell.
fn command(transport: &Transport) -> String {
    let variables = transport.env.iter().map(|(name, value)| format!("{name}={} ", shown(value)));
    Text::from(variables.collect::<String>() + &words(&transport.argv())).to_string()
}

fn words(all: &[String]) -> String {
    Text::from(all.iter().map(|word| shown(word)).collect::<Vec<_>>().join(" ")).to_string()
}

/// The word as a shell takes it.
fn shown(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    let needs_quotes = word.is_empty() || !word.chars().all(is_plain);
    if needs_quotes { quoted(word) } else { word.to_owned() }
}

fn questions(transport: &Transport) -> String {
    let mut all = Vec::new();
    let is_silent = transport.leader.iter().any(|word| word == "-n");
    if let Some(question) = transport.question.as_ref().filter(|_| !is_silent) {
        let words = Text::from(question.words.trim());
        let first = if question.answer.is_some() { "answered once on its stdin" } else { UNKNOWN };
        all.push(format!("`{words}` on its stderr, {first}; anything else there, {UNKNOWN}"));
        if transport.terminal {
            all.push("the same on a terminal of its own".to_owned());
        }
    }
    for login in transport.logins.iter().flatten() {
        all.push(match &login.account {
            Account::Place(None) => "the password of the place, answered once by a helper".to_owned(),
            Account::Place(Some(user)) => {
                format!(
                    "the password of {} at the place, answered once by a helper",
                    Text::from(user.as_str())
                )
            }
            Account::Jump(account) => {
                format!(
                    "the password of {} on the way, answered once by a helper",
                    Text::from(account.as_str())
                )
            }
        });
    }
    match (&transport.logins, transport.asks) {
        (Some(_), true) => all.push(format!("anything else by a helper, {UNKNOWN}")),
        // It tells its own clients nothing of what it may not do.
        (Some(_), false) => {
            all.push(format!("nothing by the client itself; by that of a jump host anything, {UNKNOWN}"));
        }
        (None, _) => {}
    }
    if all.is_empty() { "nothing".to_owned() } else { all.join("; ") }
}

/// What becomes of a question that nothing was said about beforehand.
const UNKNOWN: &str = "answered by the prompter of whoever connects if there is one, else refused";

fn placement(transport: &Transport) -> String {
    if transport.is_whole {
        return "nothing".to_owned();
    }
    if let Some(path) = &transport.preplaced {
        return format!("nothing; {} is run, if it has the right hash", Text::from(path.as_str()));
    }
    if transport.memory {
        return "nothing: the program is taken into sealed memory, by the perl or python3 there".to_owned();
    }
    let folders = match &transport.folders[..] {
        [] => "$XDG_RUNTIME_DIR, $TMPDIR, /tmp, /var/tmp, $HOME or /dev/shm, else in memory".to_owned(),
        named => Text::from(named.join(", ")).to_string(),
    };
    let until = if transport.keep { "it is removed at the end" } else { "it is removed as soon as it runs" };
    let lent = if transport.is_lent() {
        "nothing, if it can be run from the memory of this process; else "
    } else {
        ""
    };
    let cache = if transport.cache { "; a copy stays in ~/.cache/offshoot for the next connect" } else { "" };
    format!(
        "{lent}the program, in a private folder in the first of {folders} where it can be run; {until}{cache}"
    )
}

const fn recorders(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sudo => {
            "all of the link by sudo, where log_input or log_output is set (`sudo -n -l` shows it)"
        }
        Dialect::Ssh => "the command by sshd and by audit; the link is not readable on its way",
        Dialect::Container => "the command by the engine and by audit",
        Dialect::Other => "the command by audit",
    }
}

#[cfg(test)]
mod tests {
    use crate::{Local, Machine, Method as _, Payload, Ssh, Sudo};

    #[test]
    fn whatever_may_be_asked_of_a_prompter_is_said() {
        let asked = |ssh: Ssh| {
            let text = ssh.explain();
            text.lines().find_map(|line| line.strip_prefix("  may be asked: ")).unwrap().to_owned()
        };
        let any = "anything else by a helper, answered by the prompter of whoever connects if there is one, else refused";
        assert_eq!(asked(Ssh::new("web").ask()), any);
        let password = "the password of the place, answered once by a helper";
        assert_eq!(asked(Ssh::new("web").password("x")), format!("{password}; {any}"));
        let silent = asked(Ssh::new("web"));
        assert!(
            silent.starts_with("nothing by the client itself; by that of a jump host anything, "),
            "{silent}"
        );
    }

    #[test]
    fn it_says_what_is_asked_and_holds_no_password() {
        let ssh = Ssh::new("web").user("me").password("geheim").jump_password("me@jump", "geheim");
        let text = ssh.keep_file().folder("/opt/run").explain();
        for part in [
            "ssh: web\n  runs here: ssh -T ",
            " -l me -o ForwardAgent=no ",
            " -- web 'sh -c '\\''",
            "the password of me at the place, answered once by a helper; the password of me@jump on the way",
            "in the first of /opt/run where it can be run; it is removed at the end",
            "time: 30 s at most",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let sudo = Sudo::new().password("geheim").explain();
        assert!(sudo.contains("`[offshoot] password:` on its stderr, answered once on its stdin"), "{sudo}");
        assert!(sudo.contains("log_input"), "{sudo}");
        assert!(sudo.contains("written there: nothing, if it can be run from the memory of this"), "{sudo}");
        assert!(!Sudo::new().keep_file().explain().contains("from the memory"));
        assert!(!text.contains("geheim") && !sudo.contains("geheim"));
        let forced = Ssh::new("web").taken_for(Machine::Aarch64).explain();
        assert!(forced.contains("\n  is taken for: aarch64, whatever it says itself\n"), "{forced}");
        assert_eq!(
            Local::new(Payload::this_program()).explain(),
            "local: self\n  runs here: this program\n  time: 30 s at most\n"
        );
    }
}
