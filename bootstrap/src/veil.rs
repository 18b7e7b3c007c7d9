//! Keeps what opens doors out of what is told: a far side may echo what it was answered.

use std::sync::{Mutex, PoisonError};

use offshoot_wire::Secret;

use crate::{ConnectErrorKind, Launch, Notice, Observer, Plan, Prompter, Query, Step, Text};

/// What stands in the place of a secret.
const HIDDEN: &[u8] = b"(secret)";
/// The shortest typed answer that is one, in bytes: what is shorter chooses from a menu or consents, and stands everywhere.
const SHORTEST: usize = 4;

/// The secrets of a connect: the passwords of its plan, and what its prompter has answered.
#[derive(Debug)]
pub(crate) struct Veil<'a> {
    plan: &'a Plan,
    prompter: Option<&'a dyn Prompter>,
    observer: Option<&'a dyn Observer>,
    typed: Mutex<Vec<Secret>>,
}

impl<'a> Veil<'a> {
    pub(crate) fn new(launch: &Launch<'a>) -> Self {
        let (prompter, observer) = (launch.prompter, launch.observer);
        Self { plan: launch.plan, prompter, observer, typed: Mutex::default() }
    }

    /// The same connect, whose prompter is overheard, and whose observer is told nothing that opens doors.
    pub(crate) fn over<'b>(&'b self, launch: &Launch<'b>) -> Launch<'b> {
        let launch = if self.prompter.is_some() { launch.asking(self) } else { *launch };
        if self.observer.is_some() { launch.seen_by(self) } else { launch }
    }

    /// What was said, without the secrets in it.
    pub(crate) fn hide(&self, said: &[u8]) -> Vec<u8> {
        let typed = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut secrets: Vec<_> = self.plan.secrets().chain(&*typed).map(Secret::expose).collect();
        secrets.retain(|secret| !secret.is_empty());
        // A part of another must not hide the rest of it.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.iter().fold(said.to_vec(), |said, secret| without(said, secret.as_bytes()))
    }

    /// The reason, of which a question may be a part.
    pub(crate) fn hide_in(&self, kind: ConnectErrorKind) -> ConnectErrorKind {
        let ConnectErrorKind::Unanswered { question } = &kind else { return kind };
        ConnectErrorKind::Unanswered { question: self.hide_text(question) }
    }

    fn hide_text(&self, text: &Text) -> Text {
        Text::from(&*String::from_utf8_lossy(&self.hide(text.as_bytes())))
    }
}

/// What a far side says is shown without the secrets in it.
impl Observer for Veil<'_> {
    fn saw(&self, plan: &Plan, step: &Step) {
        let Some(observer) = self.observer else { return };
        let shown = match step {
            Step::Asked { question, is_answered } => {
                Step::Asked { question: self.hide_text(question), is_answered: *is_answered }
            }
            Step::Told { notice } => Step::Told { notice: self.hide_text(notice) },
            Step::Spoke { host } => Step::Spoke { host: self.hide_text(host) },
            Step::Placed { place } => Step::Placed { place: self.hide_text(place) },
            Step::Refused { reason } => Step::Refused { reason: self.hide_text(reason) },
            Step::Started { .. } | Step::NotCached | Step::Sending { .. } | Step::Running => step.clone(),
        };
        observer.saw(plan, &shown);
    }
}

impl Prompter for Veil<'_> {
    fn answer(&self, query: &Query) -> Option<Secret> {
        let answer = self.prompter?.answer(query)?;
        if answer.expose().len() >= SHORTEST {
            self.typed.lock().unwrap_or_else(PoisonError::into_inner).push(answer.clone());
        }
        Some(answer)
    }

    fn notice(&self, notice: &Notice) {
        if let Some(prompter) = self.prompter {
            prompter.notice(notice);
        }
    }
}

fn without(said: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    let mut rest = &*said;
    let mut kept = Vec::new();
    while let Some(at) = rest.windows(secret.len()).position(|window| window == secret) {
        let (before, from) = rest.split_at(at);
        kept.extend_from_slice(before);
        kept.extend_from_slice(HIDDEN);
        rest = from.get(secret.len()..).unwrap_or_default();
    }
    if kept.is_empty() { said } else { [&kept, rest].concat() }
}
