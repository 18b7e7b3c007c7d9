//! Puts the outcome of a full run into the page that is kept: the table, the machine, the plots.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use crate::{
    draw::Scale,
    plot,
    report::{self, Row},
};

/// Between these lines the page is written by the bench.
const BEGIN: &str = "<!-- written by `cargo xtask bench` from here -->";
const END: &str = "<!-- to here -->";

/// Rewrites the part of `page` that is ours, and draws the plots into the folder `plots` beside it.
pub(crate) fn update(page: &Path, rows: &[&Row], seconds: f64) -> Result<()> {
    let text = fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let (before, rest) = text.split_once(BEGIN).context("the page has no place for the table")?;
    let (_, after) = rest.split_once(END).context("the place for the table has no end")?;
    let ours = format!("{}\n\n{}", machine(seconds), report::markdown(rows.iter().copied()));
    fs::write(page, format!("{before}{BEGIN}\n\n{ours}\n{END}{after}"))?;
    let plots = page.with_file_name("plots");
    fs::create_dir_all(&plots)?;
    for (name, prefix, x_title, scale) in [
        ("children.svg", "growth.children.", "children", Scale::Logarithmic),
        ("depth.svg", "growth.depth.", "depth", Scale::Linear),
    ] {
        if let Some(svg) = plot::draw(rows, prefix, x_title, scale) {
            fs::write(plots.join(name), svg)?;
        }
    }
    Ok(())
}

/// One sentence on where and when.
fn machine(seconds: f64) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let virtual_machine = if cpu.contains(" hypervisor") { ", virtual" } else { "" };
    let system = rustix::system::uname();
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!(
        "Taken on {} in {seconds:.0} s, by `cargo xtask bench`: {cpus} CPUs ({}{virtual_machine}), {} {}.",
        date(),
        model.map_or("of unknown model", |(_, model)| model),
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
    )
}

/// Today, as year, month and day.
fn date() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let (year, month, day) = civil(now.as_secs() / 86_400);
    format!("{year}-{month:02}-{day:02}")
}

/// The date so many days after the first of 1970: by years of 400 that begin in March, so that leap days come last
/// (after H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::civil;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_454), (2026, 1, 1));
    }
}
