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

pub(crate) fn visit(router: &Router, host: &Host, options: &Options, say: &mut Say) -> anyhow::Result<()> {
    // As bytes: the files are here, and not there.
    let (hop, leaf) = (bytes(&options.hop)?, bytes(&options.leaf)?);
    let ssh = |name: &str| {
        let ssh = Ssh::new(name).payload(hop.clone());
        host.config.iter().fold(ssh, |ssh, file| ssh.config(file))
    };
    let mut made = router.here();
    for name in host.via.iter().chain([&host.name]) {
        made = reached(&made, ssh(name), say)?;
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
