//! Objects whose functions outlive the call that brought them: maps with `_rintf: true` (protocol section 10.7).

use bytes::Bytes;

use super::writer::{Export, Exports, Handle, Writer};
use super::{Promise, Reader, Stub};
use crate::{Error, Result, Value};

/// An object of functions that was given to a peer. The peer may call them until one of the two ends it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interface {
    /// Under this id the functions are called, like those of a service: `services.<id>.<path>`.
    pub id: String,
    /// The path of each function in the object, and the language's function.
    pub functions: Vec<(String, Handle)>,
}

/// Says that a map is an interface.
pub(super) const MARK: &str = "_rintf";
/// Where the receiver finds the id.
const ID: &str = "_rintf_service_id";
/// What every id begins with.
const PREFIX: &str = "_rintf_";
/// What the receiver calls when it needs the object no longer.
pub(crate) const DISPOSE: &str = "_dispose";

impl Writer {
    /// Makes an interface of the map that was begun at byte `start` and has just been closed, when it holds
    /// `_rintf: true` and functions of this side. Gives its id, by which this side may end it: `id`, or a fresh one.
    ///
    /// Languages call this for maps in which they met the key `_rintf`; other maps cost nothing.
    ///
    /// # Errors
    /// `invalid` for an id that does not begin with `_rintf_`.
    ///
    /// ```
    /// use polyfn_core::codec::{Exports, FunctionMeta, Writer};
    /// let exports = Exports { session: "S".into(), takes_interfaces: true, ..Exports::default() };
    /// let mut out = Writer::exporting(exports);
    /// let start = out.len();
    /// out.open_map(2)?;
    /// out.text("_rintf")?;
    /// out.bool(true)?;
    /// out.text("beep")?;
    /// out.function(7, &FunctionMeta { name: "beep", ..FunctionMeta::default() })?;
    /// out.close();
    /// let id = out.interface(start, None)?;
    /// assert_eq!(id.as_deref(), Some("_rintf_S1"));
    /// assert_eq!(out.take_interfaces()[0].functions, [("beep".to_owned(), 7)]);
    /// # Ok::<(), polyfn_core::Error>(())
    /// ```
    pub fn interface(&mut self, start: usize, id: Option<&str>) -> Result<Option<String>> {
        self.settle(start);
        let Some(exports) = self.exports.as_deref_mut().filter(|exports| exports.takes_interfaces) else {
            return Ok(None);
        };
        let bytes = Bytes::copy_from_slice(&self.out[start..]);
        let Value::Map(mut map) = Reader::new(&bytes).value()? else { return Ok(None) };
        if map.get(MARK) != Some(&Value::Bool(true)) {
            return Ok(None);
        }
        let id = match id {
            Some(id) if is_id(id) => id.to_owned(),
            Some(id) => return Err(Error::invalid(format!("`{id}` cannot be the id of an interface"))),
            None => format!("{PREFIX}{}{}", exports.session, exports.interfaces.len() + 1),
        };
        let mut interface = Interface { id: id.clone(), functions: Vec::new() };
        for (key, value) in map.iter_mut().filter(|(key, _)| !key.starts_with('_') && !key.contains('.')) {
            exports.adopt(value, key.clone(), &mut interface);
        }
        if interface.functions.is_empty() {
            return Ok(None);
        }
        map.insert(DISPOSE, exports.member(&id, DISPOSE));
        map.insert(ID, id.as_str());
        exports.interfaces.push(interface);
        self.out.truncate(start);
        super::Walk::walk(&Value::Map(map), self)?;
        Ok(Some(id))
    }

    /// The interfaces written so far. Their functions are not among [`Writer::take_objects`].
    pub fn take_interfaces(&mut self) -> Vec<Interface> {
        self.exports.as_mut().map(|exports| std::mem::take(&mut exports.interfaces)).unwrap_or_default()
    }
}

/// Whether a text is an id as interfaces have them.
pub(crate) fn is_id(text: &str) -> bool {
    const LONGEST: usize = 64;
    let rest = text.strip_prefix(PREFIX).unwrap_or_default();
    !rest.is_empty() && rest.len() <= LONGEST && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl Exports {
    /// Gives the functions in `value` to the interface, and a path below it.
    fn adopt(&mut self, value: &mut Value, path: String, interface: &mut Interface) {
        match value {
            Value::Map(map) => {
                // What has a dot in its name stays a function of the call: its path would be another's.
                for (key, value) in map.iter_mut().filter(|(key, _)| !key.contains('.')) {
                    self.adopt(value, format!("{path}.{key}"), interface);
                }
            }
            Value::List(items) => {
                for (at, item) in items.iter_mut().enumerate() {
                    self.adopt(item, format!("{path}.{at}"), interface);
                }
            }
            Value::Method(stub) => {
                let Some(handle) = self.take_object(stub) else { return };
                let method = format!("services.{}.{path}", interface.id);
                *value = Value::from(Stub { method, ..(**stub).clone() });
                interface.functions.push((path, handle));
            }
            _ => {}
        }
    }

    /// Takes back a function that was written as one of the session.
    fn take_object(&mut self, stub: &Stub) -> Option<Handle> {
        let object = stub.method.strip_prefix(&*self.session)?.strip_prefix('.')?;
        let at =
            self.objects.iter().position(|(id, _)| id == object).filter(|_| stub.target == self.target)?;
        let Export::Function(handle) = self.objects[at].1 else { return None };
        self.objects.remove(at);
        Some(handle)
    }

    fn member(&self, id: &str, name: &str) -> Stub {
        Stub {
            target: self.target.clone(),
            method: format!("services.{id}.{name}"),
            promise: Promise::Star,
            name: Some(name.to_owned()),
            server: Some(self.server.clone()),
            enc_pub: self.enc_pub,
            ..Stub::default()
        }
    }
}
