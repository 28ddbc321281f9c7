//! Frames and what is in them (protocol sections 2, 6 and 11).

mod address;
mod chunk;
mod event;
mod extras;
mod message;
mod part;
mod relay;
mod seal;
mod stream;

pub use address::{Address, ServiceUri, absolute};
pub use chunk::{ChunkLimits, ChunkStore};
pub use event::{is_client_event, is_server_event};
pub use extras::{Extras, is_trace};
pub(crate) use extras::{FURTHEST, without_extras};
pub use message::{Body, CANCEL, Header, PULL, PUSH, Reply, Route, is_extension};
pub(crate) use message::{begin_body, end_body};
pub use part::{FirstPart, REMOVE_PARTS, SET_PART, first_part, part_key};
pub use relay::{Relayed, Sender, rewrite};
pub use seal::{Cipher, Content, Envelope, KEY_BYTES, KeyPair, Number, Opened, PublicKey};
pub(crate) use stream::{Pull, Push, PushDraft, StreamRoute};
