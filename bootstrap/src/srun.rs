//! A child as a step of a Slurm job.

use std::fmt;

use crate::{
    Method, Plan, Text, Transport,
    options::{Options, check_word, common_options, program_option, words_option},
};

/// One task on one node, by `srun`: in the job that this program runs in, else in a job of its own.
///
/// A job that must wait for its turn waits until the deadline of the connect at most.
///
/// ```
/// use offshoot_bootstrap::Srun;
///
/// assert_eq!(Srun::new().node("n17").option(["--overlap"]).to_string(), "srun:n17");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a method does nothing until something connects by it"]
pub struct Srun {
    program: String,
    node: Option<String>,
    extra: Vec<String>,
    options: Options,
}

impl Srun {
    /// On whatever node there is.
    pub fn new() -> Self {
        Self { program: "srun".to_owned(), node: None, extra: Vec::new(), options: Options::default() }
    }

    /// On this node.
    pub fn node(mut self, node: impl Into<String>) -> Self {
        self.node = Some(node.into());
        self
    }

    words_option!("Options of `srun`, such as `--jobid=7`, `--partition=short` or `--overlap`.");

    program_option!();

    common_options!();

    fn place(&self) -> &str {
        self.node.as_deref().unwrap_or("step")
    }

    fn leader(&self) -> Vec<String> {
        let mut argv = vec![self.program.clone()];
        // Without `--unbuffered` nothing comes before a line end does.
        argv.extend(["--quiet", "--unbuffered", "--nodes=1", "--ntasks=1"].map(str::to_owned));
        argv.extend(self.node.iter().map(|node| format!("--nodelist={node}")));
        argv.extend(self.extra.iter().cloned());
        argv.push("--".to_owned());
        argv
    }
}

impl Default for Srun {
    fn default() -> Self {
        Self::new()
    }
}

impl Method for Srun {
    fn plan(&self) -> Plan {
        let flaw = self.node.as_ref().and_then(|node| check_word("node", node));
        self.options.plan("srun", self.place(), Transport { flaw, ..Transport::words(self.leader()) })
    }
}

impl fmt::Display for Srun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "srun:{}", Text::from(self.place()))
    }
}
