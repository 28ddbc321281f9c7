//! Finding a service for somebody: by its name, by the application it belongs to, by what services answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use polyfn_core::session::Visibility;
use polyfn_core::wire::ServiceUri;
use polyfn_core::{Error, ErrorKind, Result, Value};

use crate::auth::Permission;
use crate::hub::gateway::CallRequest;
use crate::hub::hub::Hub;
use crate::hub::load::Load;
use crate::hub::peer::{Caller, encode_user};
use crate::hub::select::{self, Criterion, Mode, Question};
use crate::hub::service::Service;

/// Services that are asked for one look-up; of more, so many are taken by chance.
const ASKED_MAX: usize = 64;
/// How long owners may take to tell which applications their services belong to.
const TO_ADOPT: Duration = Duration::from_secs(2);

/// How a caller wants one of several services to be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// The mode as it is written; `None` for the one that holds in the workspace.
    pub mode: Option<&'a str>,
    /// How long services that are asked have for their answers.
    pub timeout: Duration,
}

impl<'a> Selection<'a> {
    /// How long services that are asked have, unless the caller says so.
    pub const TIMEOUT: Duration = Duration::from_secs(2);

    /// The mode, with the time that is usual.
    #[must_use]
    pub const fn new(mode: Option<&'a str>) -> Self {
        Self { mode, timeout: Self::TIMEOUT }
    }
}

impl Hub {
    /// The service that `id` names for `caller`. Every form of a service id is understood.
    ///
    /// # Errors
    /// `not_found`, `conflict` when there are several and the mode is exact, `permission_denied`, `invalid` for an id
    /// or a mode that makes no sense.
    pub async fn find_service(
        self: &Arc<Self>,
        id: &str,
        caller: &Caller,
        how: Selection<'_>,
    ) -> Result<Arc<Service>> {
        let uri = ServiceUri::parse(id, &caller.workspace);
        let uri = uri.map_err(|error| Error::invalid(format!("ValueError: {}", error.message())))?;
        self.find(&uri, caller, how).await
    }

    /// The service at `uri` for `caller`.
    ///
    /// # Errors
    /// As [`Hub::find_service`].
    pub async fn find(
        self: &Arc<Self>,
        uri: &ServiceUri,
        caller: &Caller,
        how: Selection<'_>,
    ) -> Result<Arc<Service>> {
        let mut mode = how.mode.map(str::parse).transpose()?;
        let mut found = match admitted(self.registry.find(uri), uri, caller) {
            Err(error) if error.kind() == ErrorKind::NotFound && uri.app != "*" => {
                let by_app = Box::pin(self.find_in_app(uri, caller)).await?;
                if !by_app.named {
                    // the caller named no instance, so any will do
                    mode = mode.or(Some(Mode::Random));
                }
                by_app.services
            }
            found => found?,
        };
        if found.len() > 1 && found.iter().any(|service| !service.is_fallback()) {
            found.retain(|service| !service.is_fallback());
        }
        let mode = mode.unwrap_or_else(|| Mode::default_in(&uri.workspace));
        if let Mode::Asked(question) = &mode
            && found.len() > 1
            // to ask is to call, which such a caller may do with what its token names
            && caller.user.scope.narrow.is_none()
            && let Some(best) = Box::pin(self.ask(&found, question, caller, how.timeout)).await
        {
            return Ok(best);
        }
        select::select(found, uri, &mode, |service| self.load_of(service))
    }

    /// How busy the owner of a service is.
    #[must_use]
    pub fn load_of(&self, service: &Service) -> Load {
        let owner = self.registry.client(&service.workspace, &service.client);
        owner.map(|owner| owner.load(self.elapsed())).unwrap_or_default()
    }

    /// Calls to functions of all clients that wait for their answers.
    #[must_use]
    pub fn calls_under_way(&self) -> usize {
        let now = self.elapsed();
        let workspaces = self.registry.workspaces();
        workspaces.iter().flat_map(|workspace| workspace.clients()).map(|peer| peer.load(now).calls).sum()
    }

    /// Services of an application that no service of the name asked for belongs to, as far as was known.
    async fn find_in_app(self: &Arc<Self>, uri: &ServiceUri, caller: &Caller) -> Result<InApp> {
        self.adopt(uri, caller).await;
        match admitted(self.registry.find(uri), uri, caller) {
            Ok(services) => return Ok(InApp { services, named: true }),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        let of_app = self.registry.find(&ServiceUri { service: "*".to_owned(), ..uri.clone() });
        // half a name is not the name of an unlisted service
        let reads = caller.permission(&uri.workspace) >= Permission::Read;
        let fits = |service: &Arc<Service>| {
            is_instance(service, &uri.service) && (reads || service.visibility != Visibility::Unlisted)
        };
        let services = admitted(of_app.into_iter().filter(fits).collect(), uri, caller)?;
        Ok(InApp { services, named: false })
    }

    /// Old clients do not tell the server which application a service belongs to, though their owners say so in its
    /// description: what they send is the application of the connection. Those that may be meant are asked, each until
    /// it has answered once. Nobody is asked for a caller who may not have the service: how long that takes would tell
    /// that there is one.
    async fn adopt(self: &Arc<Self>, uri: &ServiceUri, caller: &Caller) {
        let any = ServiceUri { service: "*".to_owned(), app: "*".to_owned(), ..uri.clone() };
        let unsaid = self.registry.find(&any).into_iter().filter(|service| {
            !service.adopted.initialized() && is_instance(service, &uri.service) && service.admits(caller)
        });
        let asked: FuturesUnordered<_> = unsaid
            .take(ASKED_MAX)
            .map(|service| async move {
                // an owner that is busy now is asked again for the next one who looks
                _ = service.adopted.get_or_try_init(|| self.app_told_by_owner(&service)).await;
            })
            .collect();
        _ = tokio::time::timeout(TO_ADOPT, asked.collect::<()>()).await;
    }

    async fn app_told_by_owner(self: &Arc<Self>, service: &Service) -> Result<Option<String>> {
        let Some(owner) = self.registry.client(&service.workspace, &service.client) else { return Ok(None) };
        if !owner.extensions.is_empty() {
            return Ok(None);
        }
        let described = self.described_by_owner(service, TO_ADOPT).await?;
        let app = described.as_map().and_then(|described| described.text("app_id")).unwrap_or_default();
        Ok((!matches!(app, "" | "*") && app.len() <= 255).then(|| app.to_owned()))
    }

    /// Asks the owner for its service. The owner sees the server, from its own workspace: whether the caller may have
    /// it was looked at before.
    ///
    /// # Errors
    /// `peer_gone`, `timeout`, or what the owner answers.
    pub async fn described_by_owner(self: &Arc<Self>, service: &Service, timeout: Duration) -> Result<Value> {
        let user = self.root_user();
        let request = CallRequest {
            user: &user,
            workspace: &service.workspace,
            target: &service.address(),
            method: "services.built-in.get_service",
            args: 1,
            with_kwargs: false,
            write: |out: &mut polyfn_core::codec::Writer| out.text(&service.name),
            timeout,
            trace: None,
        };
        self.gateway.call(self, request).await?.value()
    }

    /// The one of `found` with the best answer; `None` when none answers what was asked.
    async fn ask(
        self: &Arc<Self>,
        found: &[Arc<Service>],
        question: &Question,
        caller: &Caller,
        timeout: Duration,
    ) -> Option<Arc<Service>> {
        let user = encode_user(&caller.user);
        let mut asked: Vec<_> = found.to_vec();
        if asked.len() > ASKED_MAX {
            fastrand::shuffle(&mut asked);
            asked.truncate(ASKED_MAX);
        }
        let mut answers: FuturesUnordered<_> = asked
            .into_iter()
            .map(|service| async {
                let answer = self.question(&service, &question.function, &user, caller, timeout).await;
                (service, answer)
            })
            .collect();
        let mut best: Option<(f64, Arc<Service>)> = None;
        while let Some((service, answer)) = answers.next().await {
            let Ok(value) = answer else { continue };
            if question.criterion == Criterion::FirstSuccess {
                return Some(service);
            }
            let Some(number) = value.as_float().filter(|number| !number.is_nan()) else { continue };
            let cost = if question.criterion == Criterion::Max { -number } else { number };
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, service));
            }
        }
        best.map(|(_, service)| service)
    }

    /// The caller asks in its own name: to be chosen gives nobody a right.
    async fn question(
        self: &Arc<Self>,
        service: &Service,
        function: &str,
        user: &[u8],
        caller: &Caller,
        timeout: Duration,
    ) -> Result<Value> {
        let workspace = match service.visibility {
            Visibility::Protected => &service.workspace,
            _ => &caller.workspace,
        };
        let request = CallRequest {
            user,
            workspace,
            target: &service.address(),
            method: &format!("services.{}.{function}", service.name),
            args: 0,
            with_kwargs: false,
            write: |_: &mut polyfn_core::codec::Writer| Ok(()),
            timeout,
            trace: None,
        };
        self.gateway.call(self, request).await?.value()
    }
}

/// Services of an application.
struct InApp {
    services: Vec<Arc<Service>>,
    /// Whether they have the name that was asked for.
    named: bool,
}

/// Whether a service may be what `name@app` means when no service of the application has that name: one of several
/// instances, `name-1`, `name-2`, or one of that type.
fn is_instance(service: &Service, name: &str) -> bool {
    !service.is_built_in() && (service.name.starts_with(name) || service.kind == name)
}

/// Those that `caller` may have.
///
/// Who may not look into the workspace is told the same of a service that is not there and of one that is somebody
/// else's. Who may is told that a right is missing, unless the owner wants nothing to be known at all.
fn admitted(mut found: Vec<Arc<Service>>, uri: &ServiceUri, caller: &Caller) -> Result<Vec<Arc<Service>>> {
    let reads = caller.permission(&uri.workspace) >= Permission::Read;
    // who does not must know the name of an unlisted service
    let by_name = uri.service != "*" || reads;
    let is_secret = !reads || found.iter().all(|service| service.is_private());
    found.retain(|service| {
        let is_shown = by_name || service.visibility != Visibility::Unlisted;
        // every client has this one, and says that everybody may have it: it would tell who is connected
        service.admits(caller) && is_shown && (reads || !service.is_built_in())
    });
    if !found.is_empty() {
        return Ok(found);
    }
    if is_secret {
        return Err(select::not_found(uri));
    }
    let text =
        format!("PermissionError: Permission denied for non-public service in workspace {}", uri.workspace);
    Err(Error::new(ErrorKind::PermissionDenied, text))
}
