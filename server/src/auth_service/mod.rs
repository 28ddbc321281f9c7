//! A login provider of one's own: a service of the root user that is asked who comes with which token.
//!
//! It is a service like others, so that it comes back with its client. Functions with these names are hooks; all others
//! are members of `public/hypha-login` as long as the service is there.
//!
//! | function | asked |
//! | --- | --- |
//! | `parse_token(token)` | whose a token is that is not the server's own: a user, or nothing |
//! | `get_token(scope)` | for the token of a request that has none where tokens are usually found |
//! | `generate_token(user, expires_in)` | to make the token that `generate_token` of the manager gives |
//!
//! Who is asked may be slow or gone: it is waited for no longer than `--auth-service-timeout`, by no more than
//! [`ASKED_MAX`] at once, and what it says of a token counts for `--auth-service-cache`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use polyfn_core::codec::Walk;
use polyfn_core::wire::ServiceUri;
use polyfn_core::{Error, ErrorKind, Map, Result, Value};
use tokio::sync::{Semaphore, watch};

use crate::auth::{Permission, UserInfo};
use crate::hub::{CallRequest, Hub, Peer, Service};

mod hooks;
mod user;

/// The type of services that are taken for this as soon as the root user registers them.
pub(crate) const KIND: &str = "auth-service";
/// Where they may be: nobody but the root user is in there, so nobody else can call their functions.
pub(crate) const WORKSPACES: [&str; 2] = ["public", "ws-user-root"];
/// Questions at the same time; others wait.
const ASKED_MAX: usize = 256;
/// How long tokens are refused as "not now" after the service has gone; then it is forgotten.
const GRACE: Duration = Duration::from_secs(60);
/// Functions with a meaning of their own.
const HOOKS: [&str; 3] = ["parse_token", "get_token", "generate_token"];

/// The service that is in charge, if there is one.
pub(crate) struct AuthService {
    hub: Weak<Hub>,
    timeout: Duration,
    asking: Semaphore,
    current: RwLock<Option<Arc<Current>>>,
    /// Whether there is one: most servers have none, and need not look further.
    some: AtomicBool,
    /// How often the members of the login service were to change, and how often they did.
    wanted: watch::Sender<u64>,
    done: watch::Sender<u64>,
}

/// Where it is, and what it offers.
struct Current {
    uri: ServiceUri,
    /// What its functions are for, and what they are called there.
    functions: BTreeMap<String, String>,
    gone_since: Mutex<Option<Instant>>,
}

impl fmt::Debug for AuthService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthService").finish_non_exhaustive()
    }
}

fn not_connected() -> Error {
    Error::new(ErrorKind::PeerGone, "the login service is not connected: try again later")
}

impl AuthService {
    /// None yet. Its functions are waited for `timeout`.
    pub(crate) fn new(hub: &Arc<Hub>, timeout: Duration) -> Self {
        Self {
            hub: Arc::downgrade(hub),
            timeout,
            asking: Semaphore::new(ASKED_MAX),
            current: RwLock::default(),
            some: AtomicBool::new(false),
            wanted: watch::Sender::new(0),
            done: watch::Sender::new(0),
        }
    }

    /// Puts `service` of `peer` in charge, in the place of another one.
    ///
    /// # Errors
    /// `permission_denied` unless the peer may do all everywhere and the service is where nobody else comes; `invalid`
    /// for one without functions.
    pub(crate) fn register(&self, hub: &Hub, peer: &Peer, service: &Service) -> Result<()> {
        check_right(&peer.user)?;
        if !WORKSPACES.contains(&&*service.workspace) {
            let text = format!(
                "PermissionError: an auth service must be in the workspace `{}` or `{}`, where nobody else can call it: \
                 connect there",
                WORKSPACES[0], WORKSPACES[1]
            );
            return Err(Error::new(ErrorKind::PermissionDenied, text));
        }
        let functions = functions(service);
        if functions.is_empty() {
            let text = "ValueError: the service has no functions: give it parse_token, get_token, generate_token or \
                        functions of the login service such as start, check, report and index";
            return Err(Error::invalid(text));
        }
        let (workspace, client) = (service.workspace.clone(), service.client.clone());
        let uri = ServiceUri { workspace, client, service: service.name.clone(), app: "*".to_owned() };
        let named = functions.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let is_new = {
            let mut current = self.current.write();
            let known =
                current.as_ref().is_some_and(|known| known.uri == uri && known.functions == functions);
            *current = Some(Arc::new(Current { uri, functions, gone_since: Mutex::default() }));
            self.some.store(true, Ordering::Release);
            !known
        };
        if is_new {
            tracing::info!(service = service.id(), functions = named, "an auth service is in charge");
            hub.audit().note(&peer.user.id, "register_auth_service", &service.id(), &named);
        }
        self.wanted.send_modify(|times| *times += 1);
        Ok(())
    }

    /// Nobody is in charge any longer; says whether somebody was.
    pub(crate) fn unregister(&self, hub: &Hub, by: &UserInfo) -> Result<bool> {
        check_right(by)?;
        let gone = self.current.write().take();
        self.some.store(false, Ordering::Release);
        if let Some(gone) = &gone {
            hub.audit().note(&by.id, "unregister_auth_service", &gone.uri.to_string(), "");
            self.wanted.send_modify(|times| *times += 1);
        }
        Ok(gone.is_some())
    }

    /// Waits until the login service has the members that were asked for.
    pub(crate) async fn settled(&self) {
        let times = *self.wanted.borrow();
        let mut done = self.done.subscribe();
        let settled = done.wait_for(|done| *done >= times);
        _ = tokio::time::timeout(self.timeout, settled).await;
    }

    /// Is told when the members of the login service are to change; whoever did it says [`AuthService::note_done`].
    pub(crate) fn wanted(&self) -> watch::Receiver<u64> {
        self.wanted.subscribe()
    }

    pub(crate) fn note_done(&self, times: u64) {
        self.done.send_replace(times);
    }

    /// The functions that it has for the login service.
    pub(crate) fn members(&self) -> Vec<String> {
        let current = self.current.read();
        let functions = current.iter().flat_map(|current| current.functions.keys());
        functions.filter(|name| !HOOKS.contains(&name.as_str())).cloned().collect()
    }

    /// Whether the service is there and has a function of this name.
    pub(crate) fn has(&self, function: &str) -> bool {
        self.offering(function)
            .is_some_and(|current| self.hub.upgrade().is_some_and(|hub| current.is_there(&hub)))
    }

    /// The one in charge, connected or not, if it has the function.
    fn offering(&self, function: &str) -> Option<Arc<Current>> {
        if !self.some.load(Ordering::Acquire) {
            return None;
        }
        let current = self.current.read();
        current.as_ref().filter(|current| current.functions.contains_key(function)).cloned()
    }

    /// The same; one that has gone for good is forgotten.
    fn lasting(&self, function: &str) -> Option<Arc<Current>> {
        let current = self.offering(function)?;
        let hub = self.hub.upgrade()?;
        let mut gone_since = current.gone_since.lock();
        if current.is_there(&hub) {
            *gone_since = None;
        } else if gone_since.get_or_insert_with(Instant::now).elapsed() > GRACE {
            let mut known = self.current.write();
            if known.as_ref().is_some_and(|known| Arc::ptr_eq(known, &current)) {
                tracing::warn!(service = %current.uri, "the auth service has gone and is forgotten");
                *known = None;
                self.some.store(false, Ordering::Release);
                self.wanted.send_modify(|times| *times += 1);
            }
            return None;
        }
        drop(gone_since);
        Some(current)
    }

    /// Calls one of its functions as `user`.
    ///
    /// # Errors
    /// `not_found` when it has none of this name; `peer_gone`, `timeout`, or that of the function.
    pub(crate) async fn call(
        &self,
        function: &str,
        user: &[u8],
        args: Vec<Value>,
        keywords: Map,
    ) -> Result<Value> {
        let none = || Error::new(ErrorKind::NotFound, format!("{function} not found."));
        let (current, hub) =
            (self.offering(function).ok_or_else(none)?, self.hub.upgrade().ok_or_else(none)?);
        if !current.is_there(&hub) {
            return Err(not_connected());
        }
        let asked = async {
            let _turn = self.asking.acquire().await;
            let uri = &current.uri;
            let name = current.functions.get(function).map_or(function, String::as_str);
            let with_kwargs = !keywords.is_empty();
            let count = args.len() + usize::from(with_kwargs);
            let request = CallRequest {
                user,
                workspace: &uri.workspace,
                target: &format!("{}/{}", uri.workspace, uri.client),
                method: &format!("services.{}.{name}", uri.service),
                args: count,
                with_kwargs,
                write: |out: &mut polyfn_core::codec::Writer| {
                    args.iter().try_for_each(|value| value.walk(out))?;
                    if with_kwargs { Value::Map(keywords).walk(out) } else { Ok(()) }
                },
                timeout: self.timeout,
                trace: None,
            };
            hub.gateway.call(&hub, request).await?.value()
        };
        match tokio::time::timeout(self.timeout, asked).await {
            Ok(Err(error)) if error.kind() == ErrorKind::Timeout => Err(self.late()),
            Ok(answer) => answer,
            Err(_) => Err(self.late()),
        }
    }

    fn late(&self) -> Error {
        let seconds = self.timeout.as_secs_f64();
        let text = format!("the login service has not answered within {seconds} s: try again later");
        Error::new(ErrorKind::Timeout, text)
    }
}

impl Current {
    /// Whether it is registered now, by somebody who may be in charge: another client may have taken its name.
    fn is_there(&self, hub: &Hub) -> bool {
        let peer = hub.registry.client(&self.uri.workspace, &self.uri.client);
        peer.is_some_and(|peer| check_right(&peer.user).is_ok()) && !hub.registry.find(&self.uri).is_empty()
    }
}

/// # Errors
/// `permission_denied` for everybody but the root user, its like, and tokens for all that they have made.
pub(crate) fn check_right(user: &UserInfo) -> Result<()> {
    if user.scope.narrow.is_none() && user.may(Permission::Admin, "*") {
        return Ok(());
    }
    let text = "PermissionError: Permission denied: only the root user may register an auth service";
    Err(Error::new(ErrorKind::PermissionDenied, text))
}

/// The functions of a service that are in no folder. With the reference those of the login service are given as
/// `index_handler` and so on; here they may have these names, too.
fn functions(service: &Service) -> BTreeMap<String, String> {
    let info = service.told.read();
    let schema = info.get("service_schema").and_then(Value::as_map);
    let is_function = |value: &Value| value.as_map().and_then(|map| map.text("type")) == Some("function");
    let named = schema.into_iter().flat_map(Map::iter).filter(|(_, value)| is_function(value));
    let names = named.map(|(name, _)| name).filter(|name| !name.starts_with('_'));
    names.map(|name| (name.strip_suffix("_handler").unwrap_or(name).to_owned(), name.to_owned())).collect()
}
