//! The soak: random trees of real processes are grown and lost for minutes, under load and faults, beside a root and one
//! hop that live all the time and must be the same afterwards.
//!
//! What happens to calls and streams is checked by the very [`History`](crate::world::History) that checks the simulator.

pub mod chaos;
pub mod jobs;
mod ledger;
mod load;
mod report;
mod run;
mod stand;

pub use jobs::functions;
pub use run::{Failure, Plan, run};
