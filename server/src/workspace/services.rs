//! Services: register, look up, list, get.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use polyfn_core::wire::ServiceUri;
use polyfn_core::{Error, ErrorKind, Map, Result, Value};

use crate::auth::Permission;
use crate::auth_service;
use crate::hub::{AddError, CallRequest, Caller, Hub, Peer, Selection, Service};
use crate::workspace::arguments::{count, denied, invalid};
use crate::workspace::manager::Call;
use crate::workspace::naming::Naming;
use crate::workspace::narrowed;
use crate::workspace::query::Query;
use crate::workspace::registration;

/// Seconds to wait for the owner of a service.
const OWNER_SECONDS: f64 = 10.0;
/// Seconds that a caller may ask to wait at most.
const OWNER_SECONDS_MAX: f64 = 600.0;
/// Seconds that services that are asked before one is chosen may be given at most.
const SELECT_SECONDS_MAX: f64 = 60.0;

/// `register_service`.
pub(super) fn register(call: &mut Call) -> Result<Value> {
    let peer = call.peer()?;
    let info = call.arguments.map(0, "service")?;
    let Some(service) = registration::read(info, &peer)? else { return Ok(Value::Nil) };
    narrowed::check_registration(&call.caller, &service.client, &service.name)?;
    let (hub, name, built_in) = (Arc::clone(&call.hub), service.name.clone(), service.is_built_in());
    let info = if built_in { Map::new() } else { service.told.read() };
    let is_auth = service.kind == auth_service::KIND;
    let has_setup = name == "default" && has_member(&info, "setup");
    let added = hub.registry.add_service(&peer, service).map_err(|error| refusal(error, &name, call))?;
    let workspace = peer.workspace();
    if added.replaced.is_none() {
        hub.count_services(1);
    }
    if built_in {
        hub.announce_client(&peer, added.replaced.is_some());
        return Ok(Value::Nil);
    }
    hub.announce_service(workspace, info, added.replaced.as_deref());
    if is_auth {
        take_charge(call, &peer, &name);
    }
    if has_setup {
        set_up(&hub, workspace, peer.address());
    }
    Ok(Value::Nil)
}

/// A service of this type is in charge of logins as soon as the root user registers it, also when its client comes back.
fn take_charge(call: &Call, peer: &Peer, name: &str) {
    let Ok(service) = own_service(call, peer, name) else { return };
    match call.manager.auth.register(&call.hub, peer, &service) {
        Ok(()) => call.manager.tokens.answers().forget(),
        Err(error) => tracing::info!(service = service.id(), %error, "not taken as an auth service"),
    }
}

fn has_member(info: &Map, name: &str) -> bool {
    info.get("service_schema").and_then(Value::as_map).is_some_and(|schema| schema.contains(name))
}

/// Calls `setup` of a service named `default`; nobody waits for its end.
fn set_up(hub: &Arc<Hub>, workspace: &str, owner: &str) {
    let (hub, workspace, owner) = (Arc::clone(hub), workspace.to_owned(), owner.to_owned());
    tokio::spawn(async move {
        let user = hub.root_user();
        let request = CallRequest {
            user: &user,
            workspace: &workspace,
            target: &owner,
            method: "services.default.setup",
            args: 0,
            with_kwargs: false,
            write: |_: &mut _| Ok(()),
            timeout: Duration::from_secs(30),
            trace: None,
        };
        if let Err(error) = hub.gateway.call(&hub, request).await {
            tracing::debug!(client = owner, %error, "setup failed");
        }
    });
}

fn refusal(error: AddError, name: &str, call: &Call) -> Error {
    let workspace = &call.caller.workspace;
    let limits = &call.manager.limits;
    match error {
        AddError::WorkspaceFull => {
            let text = format!(
                "ValueError: Too many services: a workspace may have {}",
                limits.max_services_per_workspace
            );
            call.limited("max_services_per_workspace", text)
        }
        AddError::Full(limit, max) => {
            call.limited(limit, format!("ValueError: Too many services: {limit} allows {max}"))
        }
        AddError::Gone => Error::new(ErrorKind::PeerGone, "the connection has ended"),
        AddError::NotAnnounced => Error::new(
            ErrorKind::Conflict,
            format!(
                "RuntimeError: service '{name}' needs the client's `built-in` service: register that first"
            ),
        ),
        AddError::Singleton => Error::new(
            ErrorKind::Conflict,
            format!(
                "ValueError: A singleton service with the same name ({name}) already exists in the workspace \
                 ({workspace}), please remove it first or use a different name"
            ),
        ),
        AddError::TooMany => {
            let max = limits.max_services_per_client;
            call.limited(
                "max_services_per_client",
                format!("ValueError: Too many services: a client may register {max}"),
            )
        }
    }
}

/// `unregister_service`: only the caller's own.
pub(super) fn unregister(call: &mut Call) -> Result<Value> {
    let peer = call.peer()?;
    let id = call.arguments.text(0, "service_id")?;
    let service = own_service(call, &peer, &id)?;
    let workspace = call.hub.registry.workspace(peer.workspace());
    if !workspace.is_some_and(|workspace| workspace.remove_service(&service)) {
        return Err(not_found(&id, peer.workspace()));
    }
    call.hub.count_services(-1);
    if service.is_built_in() {
        call.hub.announce_withdrawal(&peer);
    } else {
        call.hub.announce_removal(&service);
    }
    Ok(Value::Nil)
}

/// The service of `peer` that `id` means.
pub(super) fn own_service(call: &Call, peer: &Peer, id: &str) -> Result<Arc<Service>> {
    let own = own_name(id, peer).map(|name| ServiceUri {
        workspace: peer.workspace().to_owned(),
        client: peer.client_id.clone(),
        service: name.to_owned(),
        app: "*".to_owned(),
    });
    if let Some(service) = own.and_then(|uri| call.hub.registry.find(&uri).into_iter().next()) {
        return Ok(service);
    }
    let uri = ServiceUri::parse(id, peer.workspace()).ok();
    let of_others =
        uri.filter(|uri| uri.workspace == peer.workspace()).map(|uri| call.hub.registry.find(&uri));
    if of_others.is_some_and(|found| !found.is_empty()) {
        return Err(denied(format!(
            "PermissionError: Service '{id}' belongs to another client: only its owner may unregister it"
        )));
    }
    Err(not_found(id, peer.workspace()))
}

/// The service's own name in an id that may mean a service of `peer`.
fn own_name<'a>(id: &'a str, peer: &Peer) -> Option<&'a str> {
    let id = id.split('@').next().unwrap_or_default();
    let rest = id.strip_prefix(peer.workspace()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(id);
    let named = [peer.client_id.as_str(), "*"];
    let name = named.iter().find_map(|client| rest.strip_prefix(client)?.strip_prefix(':'));
    name.or_else(|| (!rest.contains(['/', ':'])).then_some(rest)).filter(|name| *name != "*")
}

fn not_found(id: &str, workspace: &str) -> Error {
    let uri = ServiceUri::parse(id, workspace).map_or_else(|_| id.to_owned(), |uri| uri.to_string());
    Error::new(ErrorKind::NotFound, format!("KeyError: 'Service not found: {uri}'"))
}

/// `list_services`.
pub(super) fn list(call: &mut Call) -> Result<Value> {
    let query = Query::read(call.arguments.take(0), &call.caller.workspace)?;
    let include_unlisted = call.arguments.flag(1);
    if include_unlisted && query.workspace() != call.caller.workspace {
        let text = "PermissionError: include_unlisted is only for the own workspace";
        return Err(denied(text));
    }
    let workspaces = match query.workspace() {
        "*" => call.hub.registry.workspaces(),
        name => call.hub.registry.workspace(name).into_iter().collect(),
    };
    let offset = count(call.arguments.take(4), "offset", 0)?;
    let limit = count(call.arguments.take(5), "limit", usize::MAX)?;
    let (all, caller) = (query.workspace() == "*", &call.caller);
    let listed = |service: &Arc<Service>| {
        let foreign = all && service.workspace != caller.workspace;
        query.fits(service)
            && service.is_within(caller)
            && !hides_client(service, caller)
            && is_listed(service, caller, include_unlisted, foreign)
    };
    let (mut passed, mut found) = (0, Vec::new());
    for workspace in workspaces {
        let open_only =
            workspace.name != caller.workspace && caller.permission(&workspace.name) < Permission::Read;
        let end = workspace.visit(query.uri(), open_only, |service| {
            if found.len() >= limit {
                return ControlFlow::Break(());
            }
            if listed(service) {
                passed += 1;
                if passed > offset {
                    found.push(Arc::clone(service));
                }
            }
            ControlFlow::Continue(())
        });
        if end.is_break() {
            break;
        }
    }
    Ok(Value::List(found.iter().map(|service| Value::Map(info_for(service, caller))).collect()))
}

/// Every client has a public `built-in` service, which would tell strangers who is in a workspace.
fn hides_client(service: &Service, caller: &Caller) -> bool {
    service.is_built_in() && caller.permission(&service.workspace) < Permission::Read
}

fn is_listed(service: &Service, caller: &Caller, include_unlisted: bool, public_only: bool) -> bool {
    use polyfn_core::session::Visibility;
    match service.visibility {
        Visibility::Public => true,
        Visibility::Unlisted => include_unlisted && service.workspace == caller.workspace,
        Visibility::Protected if public_only => service.is_authorized(&caller.workspace),
        Visibility::Protected => service.admits(caller),
    }
}

/// Who else is authorised is not the business of those who are.
fn info_for(service: &Service, caller: &Caller) -> Map {
    let mut info = service.described();
    if caller.permission(&service.workspace) < Permission::Read
        && let Some(config) = info.iter_mut().find(|(key, _)| key == "config")
        && let Value::Map(config) = &mut config.1
    {
        config.remove("authorized_workspaces");
    }
    info
}

/// Settings of a look-up.
struct Options {
    mode: Option<String>,
    /// How long the owner has to describe the service.
    timeout: Duration,
    /// How long services have that are asked before one is chosen.
    select_timeout: Duration,
}

impl Options {
    fn read(config: &Map) -> Result<Self> {
        let mode = match config.get("mode") {
            None | Some(Value::Nil) => None,
            Some(Value::Text(mode)) => Some(mode.clone()),
            Some(_) => return Err(invalid("TypeError: 'mode' must be a string")),
        };
        let timeout = seconds(config, "timeout", OWNER_SECONDS, OWNER_SECONDS_MAX);
        let usual = Selection::TIMEOUT.as_secs_f64();
        let select_timeout = seconds(config, "select_timeout", usual, SELECT_SECONDS_MAX);
        Ok(Self { mode, timeout, select_timeout })
    }

    fn how(&self) -> Selection<'_> {
        Selection { mode: self.mode.as_deref(), timeout: self.select_timeout }
    }
}

fn seconds(config: &Map, key: &str, usual: f64, most: f64) -> Duration {
    let given = config.get(key).and_then(Value::as_float).filter(|seconds| seconds.is_finite());
    Duration::from_secs_f64(given.unwrap_or(usual).clamp(0.1, most))
}

/// `get_service_info`.
pub(super) fn info(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let id = call.arguments.text(0, "service_id")?;
        let options = Options::read(&call.arguments.map(1, "config")?)?;
        let service = call.hub.find_service(&id, &call.caller, options.how()).await?;
        Ok(Value::Map(info_for(&service, &call.caller)))
    })
}

/// `get_service`.
pub(super) fn get(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let id = call.arguments.text(0, "service_id")?;
        let config = call.arguments.map(1, "config")?;
        let (options, naming) = (Options::read(&config)?, Naming::read(&config)?);
        if id == "~" || id.ends_with("/~") {
            return Ok(naming.apply(call.manager.description.clone()));
        }
        let service = match call.hub.find_service(&id, &call.caller, options.how()).await {
            Err(error) if id == "default" && error.kind() == ErrorKind::NotFound => {
                return Ok(naming.apply(call.manager.description.clone()));
            }
            found => found?,
        };
        let described = call.hub.described_by_owner(&service, options.timeout).await?;
        complete(naming.apply(described), &service, &call.manager.public_base_url)
    })
}

fn complete(described: Value, service: &Service, base: &str) -> Result<Value> {
    let Value::Map(mut described) = described else {
        return Err(Error::remote(format!("the owner of '{}' did not describe it", service.id())));
    };
    let mut config = match described.remove("config") {
        Some(Value::Map(config)) => config,
        _ => Map::new(),
    };
    config.insert("workspace", service.workspace.as_str());
    config
        .insert("url", format!("{base}/{}/services/{}:{}", service.workspace, service.client, service.name));
    let mut out = Map::from_iter([("config", Value::Map(config)), ("id", Value::from(service.id()))]);
    for (key, value) in described {
        if key != "id" {
            out.insert(key, value);
        }
    }
    Ok(Value::Map(out))
}
