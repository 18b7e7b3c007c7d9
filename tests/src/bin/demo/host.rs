//! A host of the user's, by ssh: a hop there and a leaf below it, by way of another host if one is named.

use std::{fs, path::Path, time::Instant};

use anyhow::ensure;
use offshoot_parent::prelude::*;
use offshoot_tests::real::PATIENCE;
use serde_json::json;

use crate::{Options, functions::ADD, grow::ms, say::Say};

/// What the user's client is to reach, and with which configuration if not the usual.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) via: Option<String>,
    pub(crate) config: Option<String>,
}

impl Host {
    /// The hosts on the way, this one the last.
    fn way(&self, options: &Options) -> anyhow::Result<Vec<Ssh>> {
        // As bytes: the files are here, and not there.
        let hop = bytes(&options.hop)?;
        let ssh = |name: &String| {
            let ssh = Ssh::new(name).payload(hop.clone());
            self.config.iter().fold(ssh, |ssh, file| ssh.config(file))
        };
        Ok(self.via.iter().chain([&self.name]).map(ssh).collect())
    }
}

/// Tries the way there, and says what it saw.
pub(crate) fn examine(host: &Host, options: &Options, say: &mut Say) -> anyhow::Result<()> {
    let report = Router::builder().doctor(host.way(options)?);
    let event = json!({ "event": "report", "good": report.is_good(), "text": report.to_string() });
    say.plain(&report.to_string(), event);
    ensure!(report.is_good(), "{} cannot be reached so", host.name);
    Ok(())
}

pub(crate) fn visit(router: &Router, host: &Host, options: &Options, say: &mut Say) -> anyhow::Result<()> {
    let leaf = bytes(&options.leaf)?;
    let mut made = router.here();
    for ssh in host.way(options)? {
        made = reached(&made, ssh, say)?;
    }
    let below = reached(&made, Local::new(leaf).name("below"), say)?;
    let start = Instant::now();
    let sum = below.with_timeout(PATIENCE).call(ADD, (2, 3))?;
    ensure!(sum == 5, "2 + 3 came back as {sum}");
    say.good(
        &format!("{below} added two numbers in {:.2} ms", ms(start.elapsed())),
        json!({ "event": "remote_call", "ms": ms(start.elapsed()) }),
    );
    made.shutdown().wait_timeout(PATIENCE)?;
    let lost = below.call(ADD, (2, 3)).is_err_and(|error| error.is_lost());
    ensure!(lost, "{below} outlived {made}");
    say.good("both have ended, and nothing of them is left there", json!({ "event": "left" }));
    Ok(())
}

fn reached(from: &Context, method: impl Method, say: &mut Say) -> anyhow::Result<Context> {
    let (way, start) = (method.to_string(), Instant::now());
    let child = from.connect(method)?;
    let took = ms(start.elapsed());
    say.good(
        &format!("{child} is up by {way} from {from}, in {took:.1} ms"),
        json!({ "event": "reached", "by": way, "name": child.name(), "ms": took }),
    );
    Ok(child)
}

fn bytes(file: &Path) -> anyhow::Result<Payload> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Payload::bytes(name, fs::read(file)?)?)
}
