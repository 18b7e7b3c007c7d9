//! Says which crates and which served functions the bytes of a program come from, by the symbols that `nm` lists.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::run;

/// What is not Rust: libc, the start-up code, the unwinder.
const NOT_RUST: &str = "(not Rust)";

/// The bytes of `file` by crate, and those of each function that it serves, largest first. A generic function counts for the
/// crate that defines it; a served one has what was compiled for it alone: itself, and the types that it takes and gives.
pub(crate) fn report(name: &str, file: &Path) -> Result<String> {
    let listing = run::output(Command::new("nm").args(["--print-size", "--size-sort"]).arg(file))
        .context("`--bloat` reads symbols with nm: install binutils")?;
    let symbols: Vec<(u64, &str)> = listing.lines().filter_map(in_file).collect();
    let mut by_crate = BTreeMap::<String, u64>::new();
    let mut by_function = BTreeMap::<String, u64>::new();
    for (size, symbol) in &symbols {
        *by_crate.entry(crate_of(symbol)).or_default() += size;
        if let Some(served) = served_of(symbol) {
            *by_function.entry(served).or_default() += size;
        }
    }
    let total = by_crate.values().sum();
    let mut out = format!("{name}: {total} bytes of code and data by crate\n");
    list(&mut out, by_crate, total);
    out.push_str("of these by served function\n");
    if by_function.is_empty() {
        out.push_str("         - the symbols of this compiler leave out the types by which they are known\n");
    }
    list(&mut out, by_function, total);
    Ok(out)
}

fn list(out: &mut String, sizes: BTreeMap<String, u64>, total: u64) {
    let mut rows: Vec<_> = sizes.into_iter().collect();
    rows.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    for (name, size) in rows {
        let _ = writeln!(out, "{size:10} {:5.1} %  {name}", percent(size, total));
    }
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

/// What was served by a symbol that was compiled for it: the last type of a method `serve` or `serve_to`, with those before it.
fn served_of(symbol: &str) -> Option<String> {
    let full = format!("{:#}", rustc_demangle::try_demangle(symbol).ok()?);
    let (_, types) = full.split_once(">::serve_to::<").or_else(|| full.split_once(">::serve::<"))?;
    let types = &types[..closing(types)?];
    let handler = types.rsplit_once(", ").map_or(types, |(_, handler)| handler);
    let signature = types.strip_suffix(handler).unwrap_or_default().trim_end_matches(", ");
    Some(format!("{handler} ({signature})"))
}

/// Where the bracket closes that was open at the beginning.
fn closing(types: &str) -> Option<usize> {
    let mut open = 1;
    let ends = |(at, c): (usize, char)| {
        match c {
            '<' => open += 1,
            // Not that of an arrow.
            '>' if !types[..at].ends_with('-') => open -= 1,
            _ => {}
        }
        (open == 0).then_some(at)
    };
    types.char_indices().find_map(ends)
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
    fn what_was_compiled_for_a_served_function_is_its_own() {
        let types = "alloc::string::String, u64, u64, smallest::main::{closure#0}>::{closure#0}";
        assert_eq!(closing(types), types.rfind('>'));
        assert_eq!(closing("(u8, fn(u8) -> u8), demo::add>"), Some(29));
        assert_eq!(served_of("_RNvCsgStHSCytQ6I_7mycrate3foo"), None);
    }

    #[test]
    fn what_this_very_program_is_made_of_is_told() {
        let report = report("this", &std::env::current_exe().unwrap()).unwrap();
        for of in ["xtask", "std", NOT_RUST] {
            assert!(report.lines().any(|line| line.ends_with(&format!(" %  {of}"))), "no {of} in {report}");
        }
    }

    #[test]
    fn zeroed_memory_is_not_in_the_file() {
        assert_eq!(in_file("0000000000401000 0000000000000012 t malloc"), Some((0x12, "malloc")));
        assert_eq!(in_file("0000000000401000 0000000000000012 b arena"), None);
    }
}
