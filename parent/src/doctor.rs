//! Tries a way to a place step by step, by the very connect that a program would make, and reports what it saw.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use offshoot_bootstrap::{ConnectError, Method, Notice, Observer, Plan, Prompter, Query, Secret, Step};
use offshoot_core::Context;

use crate::{ContextExt as _, RouterBuilder, nursery::lock};

/// How long the place may take to be left.
const LEAVING: Duration = Duration::from_secs(10);

/// The shortest secret that is looked for in a report, in bytes. What is shorter may be a part of any word, which would tell it
/// by what is left of that; where a far side has said it, it is hidden already.
const SHORTEST: usize = 8;

impl RouterBuilder {
    /// Tries a way to a place: each method from where the one before it has led, the first from here. All that is tried has
    /// ended when this returns.
    ///
    /// ```no_run
    /// use offshoot_parent::prelude::*;
    ///
    /// let sudo_on_web1: [Box<dyn Method>; 2] = [Box::new(Ssh::new("web1")), Box::new(Sudo::new().user("www"))];
    /// let report = Router::builder().doctor(sudo_on_web1);
    /// println!("{report}");
    /// assert!(report.is_good());
    /// ```
    #[must_use]
    pub fn doctor<M: Method>(self, way: impl IntoIterator<Item = M>) -> Report {
        let notes = Arc::new(Notes::new());
        let failed = self.try_way(way, &notes);
        notes.note(match &failed {
            Ok(()) => "all is well".to_owned(),
            Err(text) => format!("FAILED: {text}"),
        });
        Report { text: notes.text(), is_good: failed.is_ok() }
    }

    fn try_way<M: Method>(
        mut self,
        way: impl IntoIterator<Item = M>,
        notes: &Arc<Notes>,
    ) -> Result<(), String> {
        self.company.observer = Some(Arc::clone(notes) as Arc<dyn Observer>);
        self.company.prompter = self.company.prompter.map(|prompter| {
            let notes = Arc::clone(notes);
            Arc::new(Overheard { prompter, notes }) as Arc<dyn Prompter>
        });
        let router = self.build().map_err(|error| format!("no router: {error}"))?;
        let mut here = router.here();
        for method in way {
            here = notes.visit(&here, &method.plan(), &method).map_err(told)?;
            notes.look_at(&here)?;
        }
        let since = Instant::now();
        router.shutdown().wait_timeout(LEAVING).map_err(|error| format!("it does not end: {error}"))?;
        notes.note(format!("ended, within {}", short(since.elapsed())));
        Ok(())
    }
}

/// With the word by which the reason is known.
fn told(error: ConnectError) -> String {
    format!("{}: {error}", error.code())
}

/// What came of a way that was tried: to be printed, and pasted where somebody can help. No password is in it.
#[derive(Clone, Debug)]
pub struct Report {
    text: String,
    is_good: bool,
}

impl Report {
    /// Whether all went well.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.is_good
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What was seen, and what must not be told of it.
struct Notes {
    since: Instant,
    lines: Mutex<Vec<Line>>,
    secrets: Mutex<Vec<Secret>>,
}

enum Line {
    Text(String),
    Note(Duration, String),
    /// One of many of which only the last counts.
    Sending(Duration, String),
}

impl Notes {
    fn new() -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let title = format!("offshoot {version} on {} {}", std::env::consts::OS, std::env::consts::ARCH);
        Self { since: Instant::now(), lines: Mutex::new(vec![Line::Text(title)]), secrets: Mutex::default() }
    }

    /// Goes there, after it has said what it is about to do.
    fn visit(&self, from: &Context, plan: &Plan, method: &impl Method) -> Result<Context, ConnectError> {
        lock(&self.secrets).extend(plan.secrets().cloned());
        let explained = plan.explain();
        lock(&self.lines).push(Line::Text(format!("\nfrom {from} by {}", explained.trim_end())));
        from.connect(Chosen { plan: plan.clone(), shown: method.to_string() })
    }

    /// Looks whether what came up answers.
    fn look_at(&self, there: &Context) -> Result<(), String> {
        self.note(format!("it has said who it is: {there}, context {}", there.id()));
        let took = there.ping().map_err(|error| format!("it does not answer: {error}"))?;
        self.note(format!("it answers, within {}", short(took)));
        Ok(())
    }

    fn note(&self, text: String) {
        lock(&self.lines).push(Line::Note(self.since.elapsed(), text));
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for line in &*lock(&self.lines) {
            let _ = match line {
                Line::Text(line) => writeln!(text, "{line}"),
                Line::Note(at, line) | Line::Sending(at, line) => {
                    writeln!(text, "{:>9} {}", short(*at), line.replace('\n', "\n          "))
                }
            };
        }
        // What the far side has echoed, or somebody has put into an option.
        let secrets = lock(&self.secrets);
        let told = secrets.iter().map(Secret::expose).filter(|secret| secret.len() >= SHORTEST);
        told.fold(text, |text, secret| text.replace(secret, "(secret)"))
    }
}

impl Observer for Notes {
    fn saw(&self, _plan: &Plan, step: &Step) {
        let at = self.since.elapsed();
        let mut lines = lock(&self.lines);
        if !matches!(step, Step::Sending { .. }) {
            return lines.push(Line::Note(at, step.to_string()));
        }
        if let Some(Line::Sending(..)) = lines.last() {
            lines.pop();
        }
        lines.push(Line::Sending(at, step.to_string()));
    }
}

/// The plan that was explained, and no other, is carried out.
#[derive(Debug)]
struct Chosen {
    plan: Plan,
    shown: String,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Method for Chosen {
    fn plan(&self) -> Plan {
        self.plan.clone()
    }
}

/// Remembers what a prompter has answered, so that it is kept out of the report.
struct Overheard {
    prompter: Arc<dyn Prompter>,
    notes: Arc<Notes>,
}

impl Prompter for Overheard {
    fn answer(&self, query: &Query) -> Option<Secret> {
        let answer = self.prompter.answer(query)?;
        lock(&self.notes.secrets).push(answer.clone());
        Some(answer)
    }

    fn notice(&self, notice: &Notice) {
        self.prompter.notice(notice);
    }
}

/// A duration for people.
fn short(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use offshoot_bootstrap::{Local, Payload, Ssh};

    use super::*;

    #[test]
    fn a_report_holds_no_secret_whoever_echoes_it() {
        let notes = Notes::new();
        let plan = Ssh::new("web").password("geheimnis").jump_password("me@jump", "leise sein").plan();
        lock(&notes.secrets).extend(plan.secrets().cloned());
        notes.note("asked `geheimnis leise sein?`".to_owned());
        assert!(notes.text().contains("asked `(secret) (secret)?`"), "{}", notes.text());
    }

    #[test]
    fn a_secret_that_is_a_part_of_words_is_not_told_by_its_holes() {
        let notes = Notes::new();
        let plan = Ssh::new("web").password("x").jump_password("root@jump", "root").plan();
        lock(&notes.secrets).extend(plan.secrets().cloned());
        notes.note("from root by ssh: root on linux".to_owned());
        assert!(notes.text().contains("from root by ssh: root on linux"), "{}", notes.text());
    }

    #[test]
    fn of_what_was_sent_only_the_last_is_told() {
        let (notes, plan) = (Notes::new(), Local::new(Payload::this_program()).plan());
        for sent in [1, 2, 3] {
            notes.saw(&plan, &Step::Sending { sent, size: 3 });
        }
        notes.saw(&plan, &Step::Running);
        let text = notes.text();
        assert!(text.contains("3 of 3 bytes") && text.contains("the program runs"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
    }
}
