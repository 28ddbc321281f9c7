//! Functions on the wire: the `method` form (protocol section 10.3).

use crate::Value;
use crate::wire::PublicKey;

/// How a remote function wants to be called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Promise {
    /// `"*"`: the reply goes to methods derived from the session id.
    Star,
    /// `true`: the reply's methods are written out in full.
    Full,
    /// `false` or absent: no reply is wanted.
    #[default]
    Never,
}

/// A function of another peer, as it was described to us.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stub {
    /// The owner, `workspace/client`, made absolute on receipt.
    pub target: String,
    /// The method path at the owner, for example `services.calc.add`.
    pub method: String,
    /// How it is to be called.
    pub promise: Promise,
    /// The function's own name.
    pub name: Option<String>,
    /// Its documentation.
    pub doc: Option<String>,
    /// Its JSON schema: `{name, description, parameters}`.
    pub schema: Option<Box<Value>>,
    /// Whether the owner declared it `async`.
    pub is_async: Option<bool>,
    /// The owner's server.
    pub server: Option<String>,
    /// The owner's public key: calls are sealed to it, where the caller encrypts at all.
    pub enc_pub: Option<PublicKey>,
    /// The session of the message that brought it, when the owner sent it itself (protocol section 8.1).
    pub parent: Option<String>,
    /// The key, known from elsewhere, of the owner of the functions in its results: calls of them are sealed to it.
    pub answer_key: Option<PublicKey>,
}

/// A generator of another peer, as it was described to us (protocol section 10.5): its items are asked for through
/// the session, see [`crate::session::Session::open_stream`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamStub {
    /// The owner, `workspace/client`, made absolute on receipt.
    pub target: String,
    /// The method that gives the next item.
    pub method: String,
    /// The method that closes the generator.
    pub close_method: String,
    /// The owner's documentation of it.
    pub doc: Option<String>,
    /// The owner's server.
    pub server: Option<String>,
    /// The owner's public key: items are asked for under its seal, and come under that of the one who asks.
    pub enc_pub: Option<PublicKey>,
    /// The session of the message that brought it, when the owner sent it itself (protocol section 8.1).
    pub parent: Option<String>,
    /// Whether the owner sends items ahead: it sent the generator itself, and we both know how.
    pub pushes: bool,
}

/// What a language says of a function that it offers.
#[derive(Clone, Copy, Debug, Default)]
pub struct FunctionMeta<'a> {
    /// The function's name.
    pub name: &'a str,
    /// Its documentation.
    pub doc: Option<&'a str>,
    /// Its JSON schema.
    pub schema: Option<&'a Value>,
    /// Whether it is declared `async`; said for members of services only.
    pub is_async: Option<bool>,
    /// Whether its arguments are checked against the schema before it runs; for members of services only.
    pub checks_arguments: bool,
}
