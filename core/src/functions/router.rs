//! From a method and a path to a function.

use std::borrow::Cow;
use std::collections::HashMap;

use super::settings::Signature;
use super::signature::place_of;
use crate::{Map, Value};

/// Names of functions that answer one HTTP method each, when a folder holds them.
/// The methods that a folder may hold functions for.
pub const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match<'a, M> {
    /// To this function.
    Found {
        /// What the router was given for it.
        member: &'a M,
        /// The path from the service on, where `default` answers.
        function_path: Option<String>,
    },
    /// There are functions for other methods only.
    MethodNotAllowed {
        /// The value of the `Allow` header.
        allow: String,
    },
    /// To nothing.
    NotFound {
        /// The path without slashes around it; `index` for the root.
        path: String,
    },
}

/// The functions of a service by their paths. `M` is what the owner keeps of each function.
///
/// A request costs one look-up for each segment of its path, however many functions there are.
///
/// ```
/// use polyfn_core::functions::{Match, Router};
/// let mut router = Router::default();
/// router.insert("api.v1.users", "users");
/// router.insert("default", "anything");
/// assert_eq!(router.route("GET", "/api/v1/users/"), Match::Found { member: &"users", function_path: None });
/// let function_path = Some("/else".to_owned());
/// assert_eq!(router.route("GET", "/else/"), Match::Found { member: &"anything", function_path });
/// ```
#[derive(Clone, Debug)]
pub struct Router<M> {
    root: Node<M>,
}

/// A place in the tree: a function, or a folder of more.
#[derive(Clone, Debug)]
struct Node<M> {
    function: Option<M>,
    entries: HashMap<Box<str>, Self>,
    /// Functions for one HTTP method each.
    methods: Vec<(&'static str, M)>,
    /// Answers what nothing else here or below matches.
    default: Option<M>,
}

impl<M> Default for Router<M> {
    fn default() -> Self {
        Self { root: Node::default() }
    }
}

impl<M> Default for Node<M> {
    fn default() -> Self {
        Self { function: None, entries: HashMap::new(), methods: Vec::new(), default: None }
    }
}

impl Router<String> {
    /// The router of a service, from the `service_schema` that it was registered with; members are method
    /// paths such as `api.v1.users`.
    ///
    /// For functions that take a context, a folder with a function `handle` is what a module of the signature
    /// specification exports: `handle` answers everything there, see [`super::signature`].
    pub fn from_schema(schema: &Value, signature: Signature) -> Self {
        let mut router = Self::default();
        router.add_schema(schema, &mut String::new(), signature);
        router
    }

    fn add_schema(&mut self, schema: &Value, path: &mut String, signature: Signature) {
        match schema {
            Value::Map(leaf) if is_function(leaf) && !path.is_empty() => {
                self.insert(path, path.clone());
            }
            Value::Map(leaf) if leaf.text("type").is_some() => {}
            Value::Map(folder) if signature == Signature::Context && has_handle(folder) => {
                self.add_handle(folder, path);
            }
            Value::Map(folder) => {
                let members = folder.iter().map(|(name, value)| (name.as_str().into(), value));
                self.add_members(members, path, signature);
            }
            Value::List(items) => {
                self.add_members(
                    items.iter().enumerate().map(|(at, item)| (at.to_string().into(), item)),
                    path,
                    signature,
                );
            }
            _ => {}
        }
    }

    fn add_members<'a>(
        &mut self,
        members: impl Iterator<Item = (Cow<'a, str>, &'a Value)>,
        path: &mut String,
        signature: Signature,
    ) {
        let parent = path.len();
        // A dot would make the method path mean another function.
        for (name, value) in members.filter(|(name, _)| !name.is_empty() && !name.contains('.')) {
            if parent > 0 {
                path.push('.');
            }
            path.push_str(&name);
            self.add_schema(value, path, signature);
            path.truncate(parent);
        }
    }

    /// A folder with a `handle`: its members stand where the signature specification has them.
    fn add_handle(&mut self, folder: &Map, path: &mut String) {
        let inside = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let functions = folder.iter().filter(|(_, value)| value.as_map().is_some_and(is_function));
        for (name, _) in functions.filter(|(name, _)| !name.is_empty() && !name.contains('.')) {
            if let Some(place) = place_of(name) {
                self.insert(&inside(place), inside(name));
            }
        }
        let folders = folder.iter().filter(|(_, value)| !value.as_map().is_some_and(is_function));
        let folders = folders.map(|(name, value)| (Cow::Borrowed(name.as_str()), value)).collect::<Vec<_>>();
        self.add_members(folders.into_iter(), path, Signature::Context);
    }
}

fn is_function(schema: &Map) -> bool {
    schema.text("type") == Some("function")
}

fn has_handle(folder: &Map) -> bool {
    folder.get("handle").and_then(Value::as_map).is_some_and(is_function)
}

impl<M> Router<M> {
    /// Adds a function at a path such as `api.v1.users`.
    pub fn insert(&mut self, path: &str, member: M) {
        let (folders, name) = path.rsplit_once('.').unwrap_or(("", path));
        let mut node = &mut self.root;
        for segment in folders.split('.').filter(|segment| !segment.is_empty()) {
            node = node.entries.entry(segment.into()).or_default();
        }
        match METHODS.into_iter().find(|method| *method == name) {
            Some(method) => node.methods.push((method, member)),
            None if name == "default" => node.default = Some(member),
            None => node.entries.entry(name.into()).or_default().function = Some(member),
        }
    }

    /// Finds the function for a request. `path` is as it was sent, percent-encoded, from the service on.
    pub fn route(&self, method: &str, path: &str) -> Match<'_, M> {
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let mut node = &self.root;
        let mut default = node.default.as_ref();
        for segment in segments.clone() {
            let found = decode(segment).and_then(|name| node.entries.get(&*name));
            let Some(found) = found.filter(|_| node.function.is_none()) else {
                // A function takes what is left of the path itself where no `default` asks for it.
                return match (&node.function, default) {
                    (Some(member), None) => Match::Found { member, function_path: None },
                    _ => fallback(default, segments),
                };
            };
            node = found;
            default = node.default.as_ref().or(default);
        }
        node.answer(method).unwrap_or_else(|| fallback(default, segments))
    }
}

impl<M> Node<M> {
    /// What answers here: the function, or in a folder the one for the method, then `index`.
    fn answer(&self, method: &str) -> Option<Match<'_, M>> {
        let own =
            |method: &str| self.methods.iter().find(|(name, _)| *name == method).map(|(_, member)| member);
        let get = || (method == "HEAD").then(|| own("GET")).flatten();
        let index = || self.entries.get("index").and_then(|index| index.function.as_ref());
        if let Some(member) = self.function.as_ref().or_else(|| own(method)).or_else(get).or_else(index) {
            return Some(Match::Found { member, function_path: None });
        }
        let allowed = |name: &&str| own(name).is_some() || (*name == "HEAD" && own("GET").is_some());
        let allow: Vec<&str> = METHODS.into_iter().filter(allowed).collect();
        (!allow.is_empty()).then(|| Match::MethodNotAllowed { allow: allow.join(", ") })
    }
}

/// Nothing matches: the nearest `default`, or 404.
fn fallback<'a, 'p, M>(default: Option<&'a M>, segments: impl Iterator<Item = &'p str>) -> Match<'a, M> {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        path.push_str(&decode(segment).unwrap_or(Cow::Borrowed(segment)));
    }
    match default {
        Some(member) => {
            let function_path = Some(if path.is_empty() { "/".to_owned() } else { path });
            Match::Found { member, function_path }
        }
        None => {
            let path = path.strip_prefix('/').unwrap_or("index").to_owned();
            Match::NotFound { path }
        }
    }
}

/// A segment without its percent signs; `None` when that is not UTF-8. A percent sign that begins no code
/// stands for itself.
fn decode(segment: &str) -> Option<Cow<'_, str>> {
    percent_encoding::percent_decode_str(segment).decode_utf8().ok()
}

#[cfg(test)]
mod tests;
