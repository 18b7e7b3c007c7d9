//! What `docs/protocol.md` asks of a context, tried on its machine: one file a chapter.

mod bed;
mod callers;
mod calls;
mod control;
mod credit;
mod frames;
mod limits;
mod routing;
mod streams;
