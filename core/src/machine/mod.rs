//! The router as a state machine: events in, one ordered queue of actions out, no world.

mod drops;
mod event;
mod limits;
mod types;

pub use drops::DropKind;
pub use event::{Action, Actions, Event, LinkKey, Note, Tick};
pub use limits::Limits;
pub use types::*;
