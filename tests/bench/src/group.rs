//! The groups of rows: what belongs together because it shares processes.

use anyhow::Result;

use crate::{
    bench::Bench, beside_bulk, bulk, calls, fleet, growth, idle, latch, line, many, memory, payload, reach,
    round_trip, start,
};

/// Rows that are measured in one process.
pub(crate) struct Group {
    /// What its rows begin with.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) rows: &'static [&'static str],
    /// It is measured twice, free and on one CPU.
    pub(crate) twice: bool,
    /// It takes too long for a quick run.
    pub(crate) slow: bool,
    pub(crate) run: fn(&Bench) -> Result<()>,
}

/// All of them, in the order in which they run.
pub(crate) const ALL: &[Group] = &[
    Group {
        name: "round_trip",
        about: "a call that does nothing, from one to three hops away",
        rows: round_trip::ROWS,
        twice: true,
        slow: false,
        run: round_trip::run,
    },
    Group {
        name: "calls",
        about: "calls a second with 512 in flight",
        rows: calls::ROWS,
        twice: true,
        slow: false,
        run: calls::run,
    },
    Group {
        name: "bulk",
        about: "bytes one way in messages of 128 KiB, under flow control",
        rows: bulk::ROWS,
        twice: true,
        slow: false,
        run: bulk::run,
    },
    Group {
        name: "beside_bulk",
        about: "a small call beside a saturating stream on the same link",
        rows: beside_bulk::ROWS,
        twice: true,
        slow: false,
        run: beside_bulk::run,
    },
    Group {
        name: "latch",
        about: "the queue that threads sleep on, by itself",
        rows: latch::ROWS,
        twice: true,
        slow: false,
        run: latch::run,
    },
    Group {
        name: "start",
        about: "from asking for a local child to the end of its first call",
        rows: start::ROWS,
        twice: true,
        slow: false,
        run: start::run,
    },
    Group {
        name: "reach",
        about: "from asking for a child elsewhere to the end of its first call, and what a link by ssh carries",
        rows: reach::ROWS,
        twice: false,
        slow: false,
        run: reach::run,
    },
    Group {
        name: "memory",
        about: "what an idle leaf takes, and what a child costs the root",
        rows: memory::ROWS,
        twice: false,
        slow: false,
        run: memory::run,
    },
    Group {
        name: "payload",
        about: "the program that is sent",
        rows: payload::ROWS,
        twice: false,
        slow: false,
        run: payload::run,
    },
    Group {
        name: "many",
        about: "1,000 and 10,000 children of one root",
        rows: many::ROWS,
        twice: false,
        slow: true,
        run: many::run,
    },
    Group {
        name: "growth.children",
        about: "how cost grows with children",
        rows: growth::OF_CHILDREN,
        twice: false,
        slow: true,
        run: growth::children,
    },
    Group {
        name: "growth.depth",
        about: "how cost grows with depth",
        rows: growth::OF_DEPTH,
        twice: true,
        slow: true,
        run: growth::depth,
    },
    Group {
        name: "fleet",
        about: "one command on many hosts by ssh, and trees that grow by helpers",
        rows: fleet::ROWS,
        twice: false,
        slow: false,
        run: fleet::run,
    },
    Group {
        name: "line",
        about: "hosts by ssh to which each packet takes 5 ms, and trees of them",
        rows: line::ROWS,
        twice: false,
        slow: true,
        run: line::run,
    },
    Group {
        name: "idle",
        about: "1,000 links on which nothing is said for a minute",
        rows: idle::ROWS,
        twice: false,
        slow: true,
        run: idle::run,
    },
];

impl Group {
    /// Whether some of its rows are among those that are named; all are if nothing is.
    pub(crate) fn is_wanted(&self, wanted: &[String]) -> bool {
        // A name can also say more than the list: where a row was taken, or for how many children.
        let is = |row: &str, name: &str| row_is(row, name) || row_is(name, row);
        wanted.is_empty() || wanted.iter().any(|name| self.rows.iter().any(|row| is(row, name)))
    }
}

/// Whether the row is, or lies under, `name`: `bulk.hop1.up` is under `bulk` and under `bulk.hop1`.
pub(crate) fn row_is(row: &str, name: &str) -> bool {
    row.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_lies_under_its_group_and_no_name_is_used_twice() {
        let mut names = std::collections::BTreeSet::new();
        for group in ALL {
            assert!(
                group.rows.iter().all(|row| row_is(row, group.name) && names.insert(*row)),
                "{}",
                group.name
            );
        }
    }

    #[test]
    fn a_row_is_found_by_each_part_of_its_name() {
        assert!(row_is("bulk.hop1.up", "bulk") && row_is("bulk.hop1.up", "bulk.hop1.up"));
        assert!(!row_is("bulk.hop1.up", "bulk.hop"));
    }
}
