//! The router as a state machine: events in, one ordered queue of actions out, no world.

mod drops;
mod event;
mod limits;
mod routes;
mod types;

pub use drops::DropKind;
pub use event::{Action, Actions, Event, LinkKey, Note, Tick};
pub use limits::Limits;
pub use routes::{Owner, RouteFrame, Routes, Side, Standing, Step, UpOnly};
pub use types::*;
