//! How large the program is that becomes a leaf. What takes the bytes: `cargo xtask payload --bloat`.

use std::fs;

use anyhow::{Context as _, Result};

use crate::{bench::Bench, harness::Samples, report::Line};

pub(crate) const ROWS: &[&str] = &["payload.leaf", "payload.leaf.gzip"];

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let file = &bench.programs.reference;
    let size = fs::metadata(file).with_context(|| format!("cannot look at {}", file.display()))?.len();
    let kib = |bytes: u64| Samples::of([bytes as f64 / 1024.0]);
    bench.emit(Line::new("payload.leaf", "KiB", &kib(size)))?;
    bench.emit(Line::new("payload.leaf.gzip", "KiB", &kib(bench.programs.gzip)))
}
