//! What we offer: register, look up, access (protocol section 13).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use super::access::{ContextRule, Trusted, Visibility, authorized_workspaces, trusted_keys};
use super::builtin;
use super::draft::ServiceDraft;
use super::event::{CallId, Payload, Time};
use super::session::Session;
use crate::codec::{Export, Exports, Handle, Promise, Stub, Writer};
use crate::functions::{Settings, Signature};
use crate::schema::{Arguments, SchemaLimits, without_context};
use crate::{Error, ErrorKind, Map, Result, Value};

#[derive(Debug)]
struct Service {
    visibility: Visibility,
    authorized: Vec<String>,
    /// The keys of those that may call it; everybody where there are none.
    trusted: Trusted,
    context: ContextRule,
    /// How its functions take events of HTTP requests, where they answer them.
    events: Option<Signature>,
    functions: HashMap<String, Member>,
    /// The encoded answer to `get_service`.
    description: Bytes,
    /// What the server is told at registration.
    info: Map,
    /// Answered by the session itself.
    is_built_in: bool,
    /// The server is not told of it.
    is_local: bool,
}

/// A function of a service.
#[derive(Debug)]
struct Member {
    handle: Handle,
    /// What its arguments must be, when it wants to have them checked.
    arguments: Option<Arc<Arguments>>,
}

/// A function found for a call.
pub(super) enum Target {
    Language {
        handle: Handle,
        wants_context: bool,
        takes_events: Option<Signature>,
        arguments: Option<Arc<Arguments>>,
        trusted: Trusted,
    },
    BuiltIn(Handle),
}

/// All services of one client.
#[derive(Debug, Default)]
pub(super) struct Services {
    by_id: HashMap<String, Service>,
    order: Vec<String>,
}

/// Entries of a service that describe it and are not part of its API.
const DESCRIPTIVE: [&str; 8] =
    ["id", "config", "name", "description", "type", "docs", "app_id", "service_schema"];

/// Session name under which functions of a service are written before their paths are known.
const DRAFT: &str = "draft";

impl Services {
    pub(super) fn contains(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// The ids of those that the server is told of, in order of registration.
    pub(super) fn announced(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(String::as_str).filter(|id| !self.is_local(id))
    }

    /// Whether the server is not told of this one.
    pub(super) fn is_local(&self, id: &str) -> bool {
        self.by_id.get(id).is_some_and(|service| service.is_local)
    }

    pub(super) fn info(&self, id: &str) -> Option<Map> {
        self.by_id.get(id).map(|service| service.info.clone())
    }

    /// Forgets a service: the functions to let go of.
    pub(super) fn remove(&mut self, id: &str) -> Vec<Handle> {
        let Some(service) = self.by_id.remove(id) else { return Vec::new() };
        self.order.retain(|other| other != id);
        service.into_handles()
    }

    pub(super) fn take_all(&mut self) -> Vec<Handle> {
        let order = std::mem::take(&mut self.order);
        let services = order.iter().filter_map(|id| self.by_id.remove(id));
        services.flat_map(Service::into_handles).collect()
    }

    /// The function at `path` (`service.a.b`) for a caller in workspace `ws`.
    pub(super) fn find(
        &self,
        path: &str,
        ws: &str,
        own: &str,
        from_manager: bool,
    ) -> Result<Target, Refused> {
        let (id, function) = path.split_once('.').ok_or(Refused::NotFound)?;
        let service = self.by_id.get(id).ok_or(Refused::NotFound)?;
        if !from_manager && !service.admits(ws, own) {
            return Err(Refused::Protected);
        }
        let member = service.functions.get(function).ok_or(Refused::NotFound)?;
        let handle = member.handle;
        Ok(if service.is_built_in {
            Target::BuiltIn(handle)
        } else {
            let (trusted, arguments) = (service.trusted.clone(), member.arguments.clone());
            let wants_context = service.context.covers(function);
            Target::Language { handle, wants_context, takes_events: service.events, arguments, trusted }
        })
    }

    /// The encoded description of a service for a caller in workspace `ws`.
    pub(super) fn describe(&self, id: &str, ws: &str, own: &str) -> Result<Bytes> {
        let service = self.by_id.get(id).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("Service not found: {id}")).with_class("KeyError")
        })?;
        if !service.admits(ws, own) {
            let text = format!(
                "Permission denied for getting protected service: {id}, workspace mismatch: {own} != {ws}"
            );
            return Err(Error::new(ErrorKind::PermissionDenied, text).with_class("PermissionError"));
        }
        Ok(service.description.clone())
    }

    fn insert(&mut self, id: String, service: Service) {
        if !self.by_id.contains_key(&id) {
            self.order.push(id.clone());
        }
        self.by_id.insert(id, service);
    }
}

/// Why a function is not called.
pub(super) enum Refused {
    NotFound,
    Protected,
}

impl Service {
    /// The functions that the language holds for it.
    fn into_handles(self) -> Vec<Handle> {
        if self.is_built_in {
            return Vec::new();
        }
        self.functions.into_values().map(|member| member.handle).collect()
    }

    fn admits(&self, ws: &str, own: &str) -> bool {
        self.visibility != Visibility::Protected
            || ws == own
            || self.authorized.iter().any(|other| other == ws)
    }
}

impl Session {
    /// Begins the registration of a service: the language walks one map into the draft.
    pub fn begin_service(&self) -> ServiceDraft {
        let exports = Exports { target: DRAFT.to_owned(), session: DRAFT.to_owned(), ..Exports::default() };
        ServiceDraft { writer: Writer::exporting(exports), is_local: false }
    }

    /// Registers a service: here at once, at the server by a call that ends like any other; its result is the
    /// service's info. One that is local ends at once.
    ///
    /// # Errors
    /// `invalid` for a service without id or with settings that make no sense, `conflict` when the id is taken
    /// and may not be replaced, `peer_gone` when the connection is over.
    pub fn finish_service(
        &mut self,
        call: CallId,
        draft: ServiceDraft,
        overwrite: bool,
        now: Time,
    ) -> Result<()> {
        let info = self.add_service(draft, overwrite)?;
        if info.text("id").is_some_and(|id| self.services.is_local(short_id(id))) {
            self.end_registration(call, info, Ok(Payload::default()));
        } else {
            self.announce_service(call, info, now);
        }
        Ok(())
    }

    /// Registers a service here; the server is told of it at the next handshake.
    ///
    /// # Errors
    /// As [`Session::finish_service`].
    pub fn add_service(&mut self, mut draft: ServiceDraft, overwrite: bool) -> Result<Map> {
        let objects = draft.writer.take_objects();
        let written =
            Written { objects: &objects, checked: draft.writer.take_checked().into_iter().collect() };
        let bytes = Bytes::from(draft.writer.into_bytes());
        let value = self.phase.check_open().and_then(|()| crate::codec::Reader::new(&bytes).value());
        let added = value.and_then(|value| match value {
            Value::Map(map) => self.add_service_map(map, &written, overwrite, draft.is_local),
            _ => Err(Error::invalid("a service must be a map, an object or an instance of a class")),
        });
        if added.is_err() {
            self.release(objects);
        }
        added
    }

    fn add_service_map(
        &mut self,
        map: Map,
        written: &Written<'_>,
        overwrite: bool,
        is_local: bool,
    ) -> Result<Map> {
        let id =
            map.text("id").ok_or_else(|| Error::invalid("Service id not found: give the service an `id`"))?;
        let id = check_id(id)?;
        if self.services.contains(&id) && !overwrite {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "Service already exists: {id}, please specify a different id (not {id}) or overwrite=True"
                ),
            ));
        }
        let mut service = self.make_service(&id, map, &|stub| written.find(stub), false)?;
        service.is_local |= is_local;
        let info = service.info.clone();
        self.services.remove(&id).into_iter().for_each(|handle| self.let_go(handle));
        self.services.insert(id, service);
        Ok(info)
    }

    /// The service that every client has.
    pub(super) fn add_built_in(&mut self) {
        let map = builtin::service(&self.address);
        let by_number = |stub: &Stub| {
            stub.method
                .parse()
                .map(|handle| (handle, false))
                .map_err(|_| Error::invalid("not a built-in function"))
        };
        if let Ok(service) = self.make_service("built-in", map, &by_number, true) {
            self.services.by_id.insert("built-in".to_owned(), service);
            self.services.order.retain(|id| id != "built-in");
            self.services.order.insert(0, "built-in".to_owned());
        }
    }

    fn make_service(&self, id: &str, map: Map, resolve: &Resolve<'_>, is_built_in: bool) -> Result<Service> {
        let mut config = match map.get("config") {
            Some(Value::Map(config)) => config.clone(),
            None | Some(Value::Nil) => Map::new(),
            Some(_) => return Err(Error::invalid(format!("`config` of service {id} must be a map"))),
        };
        let visibility = Visibility::read(config.get("visibility"))?;
        if !config.contains("visibility") {
            config.insert("visibility", "protected");
        }
        let authorized = authorized_workspaces(&config, visibility)?;
        let trusted = trusted_keys(&config)?;
        config.insert("workspace", self.info.workspace.as_str());
        let context = ContextRule::read(config.get("require_context"))?;
        let kind = map.text("type").unwrap_or_default();
        let settings = Settings::read(kind, &config)?;
        let events = (kind == "functions").then_some(settings.signature);
        let mut tree = Tree {
            id,
            address: &self.address,
            server: &self.info.public_base_url,
            resolve,
            context: &context,
            limits: &self.options.schemas,
            functions: HashMap::new(),
        };
        let mut description = Map::new();
        let mut schema = Map::new();
        for (key, value) in map {
            let hidden =
                key.starts_with('_') && !matches!(key.as_str(), "__enter__" | "__exit__" | "_dispose");
            if hidden {
                continue;
            }
            if DESCRIPTIVE.contains(&key.as_str()) {
                description.insert(key, value);
            } else {
                let (described, leaf) = tree.add(value, &key)?;
                description.insert(key.clone(), described);
                schema.insert(key, leaf);
            }
        }
        complete(&mut description, id, &config, &self.options.app_id);
        let info = self.info_of(id, &description, config.clone(), schema);
        let is_local = config.get("_local_only") == Some(&Value::Bool(true));
        let encoded = Bytes::from(Value::Map(description).to_msgpack()?);
        Ok(Service {
            visibility,
            authorized,
            trusted,
            functions: tree.functions,
            context,
            events,
            description: encoded,
            info,
            is_built_in,
            is_local,
        })
    }

    /// What the server is told of a service (protocol section 13.7).
    fn info_of(&self, id: &str, description: &Map, config: Map, schema: Map) -> Map {
        let part = |key: &str| description.get(key).cloned().unwrap_or_default();
        let mut info = Map::new();
        info.insert("config", config);
        info.insert("id", format!("{}:{id}", self.address));
        info.insert("name", part("name"));
        info.insert("description", part("description"));
        info.insert("type", part("type"));
        info.insert("docs", part("docs"));
        info.insert("app_id", part("app_id"));
        info.insert("service_schema", schema);
        info
    }
}

fn complete(description: &mut Map, id: &str, config: &Map, app_id: &str) {
    description.insert("id", id);
    for (key, default) in [("name", id), ("type", "generic"), ("app_id", app_id)] {
        if description.text(key).is_none() {
            description.insert(key, default);
        }
    }
    description.insert("config", config.clone());
}

/// Clients pass on what they got: the full id of a service is as good as its short one.
pub(super) fn short_id(id: &str) -> &str {
    id.rsplit_once(':').map_or(id, |(_, short)| short)
}

fn check_id(id: &str) -> Result<String> {
    let id = short_id(id);
    if id.is_empty() || id.contains(['.', '/', ':', '@', '*']) {
        return Err(Error::invalid(format!(
            "`{id}` cannot be a service id: it may not be empty or hold any of . / : @ *"
        )));
    }
    if id == "built-in" {
        return Err(Error::invalid(
            "`built-in` cannot be a service id: every client has that service already",
        ));
    }
    if id.starts_with("_rintf_") {
        return Err(Error::invalid(format!(
            "`{id}` cannot be a service id: `_rintf_` marks objects given to one peer"
        )));
    }
    Ok(id.to_owned())
}

/// The functions that were written into a service.
struct Written<'a> {
    objects: &'a [(String, Export)],
    checked: HashSet<Handle>,
}

impl Written<'_> {
    /// The function that was written as `stub`, and whether its arguments are to be checked.
    fn find(&self, stub: &Stub) -> Result<(Handle, bool)> {
        let object = stub.method.strip_prefix(DRAFT).and_then(|rest| rest.strip_prefix('.'));
        self.objects
            .iter()
            .find(|(id, _)| stub.target == DRAFT && Some(id.as_str()) == object)
            .map(|(_, export)| (export.handle(), self.checked.contains(&export.handle())))
            .ok_or_else(|| {
                Error::invalid(format!(
                    "Local method not found: {}: a service may hold functions of this client only",
                    stub.method
                ))
            })
    }
}

/// From how a function was written to its number, and whether its arguments are to be checked.
type Resolve<'a> = dyn Fn(&Stub) -> Result<(Handle, bool)> + 'a;

/// Gives each function of a service its path.
struct Tree<'a> {
    id: &'a str,
    address: &'a str,
    server: &'a str,
    resolve: &'a Resolve<'a>,
    context: &'a ContextRule,
    limits: &'a SchemaLimits,
    functions: HashMap<String, Member>,
}

impl Tree<'_> {
    /// What is described to callers, and the same as a schema.
    fn add(&mut self, value: Value, path: &str) -> Result<(Value, Value)> {
        Ok(match value {
            Value::Method(stub) => self.function(&stub, path)?,
            Value::Stream(_) => {
                return Err(Error::invalid(format!(
                    "`{path}` is a generator: a service may hold functions that return one"
                )));
            }
            Value::Map(map) => {
                let (mut described, mut schema) = (Map::new(), Map::new());
                for (key, value) in map {
                    let (value, leaf) = self.add(value, &format!("{path}.{key}"))?;
                    described.insert(key.clone(), value);
                    schema.insert(key, leaf);
                }
                (Value::Map(described), Value::Map(schema))
            }
            Value::List(items) => {
                let mut described = Vec::with_capacity(items.len());
                let mut schema = Vec::with_capacity(items.len());
                for (at, item) in items.into_iter().enumerate() {
                    let (value, leaf) = self.add(item, &format!("{path}.{at}"))?;
                    described.push(value);
                    schema.push(leaf);
                }
                (Value::List(described), Value::List(schema))
            }
            other => {
                let leaf = scalar_leaf(&other);
                (other, leaf)
            }
        })
    }

    fn function(&mut self, stub: &Stub, path: &str) -> Result<(Value, Value)> {
        let (handle, is_checked) = (self.resolve)(stub)?;
        let mut stub = Stub {
            target: self.address.to_owned(),
            method: format!("services.{}.{path}", self.id),
            promise: Promise::Star,
            server: Some(self.server.to_owned()),
            ..stub.clone()
        };
        if let Some(schema) = &mut stub.schema
            && self.context.covers(path)
        {
            without_context(schema);
        }
        let arguments = match &stub.schema {
            _ if !is_checked => None,
            Some(schema) => Some(Arguments::compile(schema, self.limits).map_err(|error| error.at(path))?),
            None => return Err(Error::invalid("a function without a schema cannot be checked").at(path)),
        };
        self.functions.insert(path.to_owned(), Member { handle, arguments: arguments.map(Arc::new) });
        let leaf = function_leaf(&stub);
        Ok((Value::from(stub), leaf))
    }
}

fn function_leaf(stub: &Stub) -> Value {
    let function = match stub.schema.as_deref() {
        Some(Value::Map(schema)) => schema.clone(),
        _ => {
            let mut described = Map::from_iter([("name", stub.name.clone())]);
            if let Some(doc) = &stub.doc {
                described.insert("description", doc.as_str());
            }
            described
        }
    };
    Value::Map(Map::from_iter([("type", Value::from("function")), ("function", Value::Map(function))]))
}

fn scalar_leaf(value: &Value) -> Value {
    let kind = match value {
        Value::Nil => "null",
        Value::Bool(_) => "boolean",
        Value::Int(_) | Value::Uint(_) | Value::Float(_) => "number",
        Value::Text(_) => "string",
        _ => "object",
    };
    Value::Map(Map::from_iter([("type", kind)]))
}
