//! Who is connected, and where messages go.
//!
//! One [`Hub`] for the process. A frame from a client is rewritten ([`polyfn_core::wire::Relayed`]: who sends it is
//! the hub's word, never the client's), its target is looked up, and the same bytes go into the target's queue.
//! Only the routing segment is ever read.

mod alive;
mod announce;
mod callbacks;
mod choose;
mod deliver;
mod gateway;
#[expect(clippy::module_inception, reason = "the file defines `Hub`; the folder is its layer")]
mod hub;
mod line;
mod load;
mod members;
mod narrowed;
mod peer;
mod places;
mod queue;
mod reading;
mod recent;
mod registry;
mod revoked;
mod select;
mod service;
mod shelf;
mod told;
mod vanished;
mod wall;

pub(crate) use announce::tell_subscribers;
pub use callbacks::{Callbacks, Called, Names};
pub use choose::Selection;
pub use gateway::{CallRequest, Gateway};
pub use hub::{Hub, Management, Settings};
pub use load::Load;
pub(crate) use narrowed::check_call;
pub(crate) use peer::OPEN_CALLS_MAX;
pub use peer::{Caller, Peer, encode_user};
pub use queue::{Ending, Item, Next, Queue, Refused};
pub use reading::{Batch, Reader, Reading};
pub use registry::{AddError, Registry, Workspace, WorkspaceInfo};
pub(crate) use revoked::TO_READ_THE_ANSWER;
pub use select::{Criterion, Mode, Question};
pub use service::Service;
pub use told::Told;
