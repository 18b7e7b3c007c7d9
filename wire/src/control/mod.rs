//! The typed bodies of control frames, and the heads of calls, replies and streams: one file each (protocol 5 to 7).

mod add_route;
mod allocate_id;
mod call;
mod credit;
mod dead;
mod del_route;
mod hello;
mod rebind;
mod reply;
mod setup;
mod shutdown;
mod stream;

pub use add_route::AddRoute;
pub use allocate_id::AllocateId;
pub use call::{CallHead, CallId};
pub use credit::{Credit, Window};
pub use dead::{Dead, DeadCode, MAX_DEAD_TEXT};
pub use del_route::DelRoute;
pub use hello::{Hello, Role};
pub use rebind::Rebind;
pub use reply::{Failed, ReplyHead};
pub use setup::{Setup, VERSION};
pub use shutdown::Shutdown;
pub use stream::{Direction, End, StreamHead};
