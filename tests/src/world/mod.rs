//! The small world: the machines of core and parent in every order of deliveries, and by seed where those are too many.
//!
//! A [`World`] is a tree of the very machines that run in processes, joined by queues in memory. A script sets it up,
//! and [`check`] tries every order of what can happen from there on; after each step and whenever nothing is left to do
//! it checks the [`invariants`]. What fails is told as the shortest story that leads there.
//!
//! ```
//! use offshoot_tests::world::{End, Op, check};
//!
//! check("0>1 1>2", |world| {
//!     let call = world.call(0, 2);
//!     world.may(Op::Cut(1, 2));
//!     world.expect(call, &[End::Value, End::Lost, End::Dead]);
//! });
//! ```

pub mod arrival;
pub mod birth;
pub mod context;
pub mod dice;
pub mod explore;
pub mod forge;
pub mod history;
pub mod invariants;
pub mod job;
pub mod router;
pub mod sabotage;
pub mod script;
pub mod seeded;
pub mod story;
pub mod trace;
pub mod tree;
pub mod whole;

pub use context::Context;
pub use dice::Dice;
pub use explore::{Failure, Report, Scenario, check, explore};
pub use history::{CallEnd, CallNo, CallRecord, History, StreamNo, StreamRecord, Violation};
pub use job::{Job, Plan, Taste, Then};
pub use sabotage::Sabotage;
pub use script::{Call, End, Op, OpNo};
pub use seeded::{REFUSALS, Seen, seeded};
pub use whole::{Settings, Step, World};
