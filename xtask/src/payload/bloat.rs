//! Says which crates the bytes of a program come from, by the symbols that `nm` lists.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::run;

/// What is not Rust: libc, the start-up code, the unwinder.
const NOT_RUST: &str = "(not Rust)";

/// The bytes of `file` by crate, largest first. A generic function counts for the crate that defines it.
pub(crate) fn report(name: &str, file: &Path) -> Result<String> {
    let listing = run::output(Command::new("nm").args(["--print-size", "--size-sort"]).arg(file))
        .context("`--bloat` reads symbols with nm: install binutils")?;
    let mut by_crate = BTreeMap::<String, u64>::new();
    for (size, symbol) in listing.lines().filter_map(in_file) {
        *by_crate.entry(crate_of(symbol)).or_default() += size;
    }
    let total: u64 = by_crate.values().sum();
    let mut rows: Vec<_> = by_crate.into_iter().collect();
    rows.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let mut out = format!("{name}: {total} bytes of code and data by crate\n");
    for (name, size) in rows {
        let _ = writeln!(out, "{size:10} {:5.1} %  {name}", percent(size, total));
    }
    Ok(out)
}

/// Size and symbol of a line of nm, if its bytes are in the file (those of zeroed memory are not).
fn in_file(line: &str) -> Option<(u64, &str)> {
    let mut words = line.split_whitespace();
    let (_address, size, kind, symbol) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let stored = !matches!(kind, "b" | "B" | "U");
    stored.then_some((u64::from_str_radix(size, 16).ok()?, symbol))
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// The crate whose code a symbol is: the first path in its name, or that of the trait if the type is a builtin one.
fn crate_of(symbol: &str) -> String {
    let Ok(demangled) = rustc_demangle::try_demangle(symbol) else { return NOT_RUST.to_owned() };
    let full = format!("{demangled:#}");
    let mut rest = full.as_str();
    loop {
        if let Some(name) = first_crate(rest) {
            return name.to_owned();
        }
        match rest.split_once(" as ") {
            Some((_, of_trait)) => rest = of_trait,
            None => return "core".to_owned(),
        }
    }
}

/// `a` of `a::b`, behind whatever makes a type of it.
fn first_crate(path: &str) -> Option<&str> {
    let mut path = path.trim_start_matches(|c: char| !(c.is_alphanumeric() || c == '_'));
    for word in ["mut ", "const ", "dyn ", "impl "] {
        path = path.strip_prefix(word).unwrap_or(path);
    }
    let end = path.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
    let (name, rest) = path.split_at_checked(end)?;
    rest.starts_with("::").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_belongs_to_the_crate_that_begins_its_path() {
        assert_eq!(crate_of("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE"), "core");
        assert_eq!(crate_of("_RNvCsgStHSCytQ6I_7mycrate3foo"), "mycrate");
        assert_eq!(crate_of("malloc"), NOT_RUST);
    }

    #[test]
    fn an_impl_belongs_to_its_type_or_else_to_its_trait() {
        assert_eq!(first_crate("<&mut offshoot_core::Link as core::fmt::Debug>::fmt"), Some("offshoot_core"));
        assert_eq!(first_crate("<str as core::fmt::Debug>::fmt"), None);
        let str_as_debug = "_ZN40_$LT$str$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE";
        assert_eq!(crate_of(str_as_debug), "core");
    }

    #[test]
    fn zeroed_memory_is_not_in_the_file() {
        assert_eq!(in_file("0000000000401000 0000000000000012 t malloc"), Some((0x12, "malloc")));
        assert_eq!(in_file("0000000000401000 0000000000000012 b arena"), None);
    }
}
