//! What a method of the manager is: name, parameters, the right it needs, the handler.

use futures_util::future::BoxFuture;
use polyfn_core::{Map, Result, Value};

use crate::auth::Permission;
use crate::workspace::manager::Call;
use crate::workspace::methods::METHODS;

/// Whether a parameter must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
}

/// One parameter of a method.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// Its JSON type; empty for any.
    kind: &'static str,
    pub(super) need: Need,
    description: &'static str,
}

/// What runs a method.
pub(super) enum Handler {
    /// Answers at once.
    Now(fn(&mut Call) -> Result<Value>),
    /// Has to ask somebody.
    Later(fn(Call) -> BoxFuture<'static, Result<Value>>),
}

/// One method.
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// The right that the caller needs in its current workspace; further checks are the handler's.
    pub(super) right: Permission,
    pub(super) parameters: &'static [Parameter],
    pub(super) handler: Handler,
}

pub(super) const fn required(name: &'static str, kind: &'static str, description: &'static str) -> Parameter {
    Parameter { name, kind, need: Need::Required, description }
}

pub(super) const fn optional(name: &'static str, kind: &'static str, description: &'static str) -> Parameter {
    Parameter { name, kind, need: Need::Optional, description }
}

/// The method of this name.
pub(super) fn method(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

impl Method {
    pub(super) const fn description(&self) -> &'static str {
        self.description
    }

    /// `{name, description, parameters}` with the parameters as a JSON schema.
    pub(super) fn schema(&self) -> Value {
        let properties: Map = self.parameters.iter().map(|p| (p.name, p.schema())).collect();
        let needed = self.parameters.iter().filter(|p| p.need == Need::Required);
        let needed: Vec<Value> = needed.map(|p| Value::from(p.name)).collect();
        let parameters = Map::from_iter([
            ("type", Value::from("object")),
            ("properties", Value::Map(properties)),
            ("required", Value::List(needed)),
        ]);
        Value::Map(Map::from_iter([
            ("name", Value::from(self.name)),
            ("description", Value::from(self.description)),
            ("parameters", Value::Map(parameters)),
        ]))
    }
}

impl Parameter {
    fn schema(&self) -> Value {
        let mut schema = Map::new();
        if !self.kind.is_empty() {
            schema.insert("type", self.kind);
        }
        schema.insert("description", self.description);
        Value::Map(schema)
    }
}
