//! Mitogen and execnet: each a program in Python that answers questions with a figure, one line each.

use std::{
    cell::RefCell,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    rc::Rc,
};

use anyhow::{Context, Result, anyhow};

use crate::{bench::Programs, harness::Sample};

/// A peer that runs, or the reason why it does not. Clones are the same process.
#[derive(Clone)]
pub(crate) struct Python(Rc<Result<RefCell<Process>, String>>);

struct Process {
    name: &'static str,
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Python {
    pub(crate) fn start(name: &'static str, programs: &Programs) -> Result<Self> {
        let Some(python) = &programs.python else {
            return Ok(Self(Rc::new(Err(programs.no_python.clone()))));
        };
        // -B: it leaves nothing beside its source.
        let mut child = Command::new(python)
            .arg("-B")
            .arg(format!("{}/peers/{name}_peer.py", env!("CARGO_MANIFEST_DIR")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", python.display()))?;
        let (questions, answers) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        let answers = answers.context("its output is a pipe")?;
        Ok(Self(Rc::new(Ok(RefCell::new(Process { name, child, questions, answers })))))
    }

    /// What it says to `question`; nothing if it is not here, or has nothing of the kind.
    pub(crate) fn ask(&self, question: &str) -> Result<Sample> {
        match &*self.0 {
            Err(why) => Ok(Sample::Absent(why.clone())),
            Ok(process) => process.borrow_mut().ask(question),
        }
    }
}

impl Process {
    fn ask(&mut self, question: &str) -> Result<Sample> {
        let mut answer = String::new();
        let asked = || -> Result<()> {
            let questions = self.questions.as_mut().context("it has ended")?;
            writeln!(questions, "{question}")?;
            self.answers.read_line(&mut answer)?;
            Ok(())
        };
        // Not ours to fail for: what a peer cannot do here leaves its row without a figure.
        if let Err(error) = { asked }() {
            return Ok(Sample::Absent(format!("`{question}`: {error:#}")));
        }
        match answer.trim().split_once(' ') {
            Some(("is", value)) => {
                let value = value.parse().map_err(|_| anyhow!("{}: no figure: {answer}", self.name))?;
                Ok(Sample::Value(value))
            }
            Some(("no", why)) => Ok(Sample::Absent(why.to_owned())),
            _ => Ok(Sample::Absent(format!("it ended at `{question}`"))),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It ends with its input, and takes its children along.
        self.questions = None;
        let _status = self.child.wait();
    }
}
