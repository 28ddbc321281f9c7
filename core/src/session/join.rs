//! Joining a workspace: what is registered, in which order, after every handshake (protocol section 5.3).

use bytes::Bytes;

use super::calls::Owner;
use super::draft::CallSpec;
use super::event::{Event, Payload, State, Time};
use super::options::ConnectionInfo;
use super::services::short_id;
use super::session::Session;
use crate::codec::{Promise, Walk};
use crate::{Error, ErrorKind, Map, Result, Value};

/// How far the connection is.
#[derive(Debug, Default)]
pub(super) enum Phase {
    /// Not connected; what is sent waits.
    #[default]
    Offline,
    /// Connected, registering.
    Joining {
        /// Registrations that are not answered yet.
        pending: usize,
        failed: Vec<(String, Error)>,
    },
    Ready,
    Closed(Error),
}

/// A step of joining, named by the service that it registers; `None` for the subscription.
#[derive(Debug)]
pub(super) struct JoinStep {
    pub(super) service: Option<String>,
}

impl Phase {
    pub(super) const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }

    pub(super) fn check_open(&self) -> Result<()> {
        match self {
            Self::Closed(error) => Err(Error::new(
                ErrorKind::PeerGone,
                format!("Connection is closed: {}; connect again", error.message()),
            )),
            _ => Ok(()),
        }
    }
}

/// The service that every client has; it makes the client known to others.
const BUILT_IN: &str = "built-in";

impl Session {
    /// The handshake is done: registers everything, then tells [`State::Ready`].
    pub fn connected(&mut self, info: ConnectionInfo, now: Time) {
        if let Some(sealer) = &mut self.sealer {
            sealer.begin_anew(now);
        }
        self.rename_manager(&info, now);
        self.set_identity(info);
        self.add_built_in();
        self.phase = Phase::Joining { pending: 1, failed: Vec::new() };
        self.is_lost = false;
        self.register_step(BUILT_IN, now);
    }

    /// The connection broke. Calls stay until their deadline: an answer may still come after a reconnect.
    pub fn disconnected(&mut self, reason: &str) {
        // Frames of the joining that did not end would be sent twice by the next one.
        if self.phase.is_ready() {
            self.keep_unsent();
        } else {
            while self.poll_send().is_some() {}
        }
        self.calls.forget_joining();
        self.phase = Phase::Offline;
        self.runs.absent.pause();
        let error = Error::new(ErrorKind::PeerGone, format!("the connection broke: {reason}"));
        self.break_off_pushed(&error);
        self.end_pushed_streams(&error);
        self.emit(Event::State(State::Disconnected { reason: reason.to_owned() }));
    }

    /// A manager under another name knows nothing of what was asked of the old one.
    fn rename_manager(&mut self, info: &ConnectionInfo, now: Time) {
        let old = std::mem::take(&mut self.manager);
        if old.is_empty() || old == format!("*/{}", info.manager_id) {
            return;
        }
        for call in self.calls.take_for(&old) {
            let error = Error::new(ErrorKind::PeerGone, format!("the server was restarted, {old} is gone"));
            self.end_call(call, Err(error), now);
        }
    }

    fn register_step(&mut self, service: &str, now: Time) {
        let Some(info) = self.services.info(service) else { return };
        let step = Owner::Join(JoinStep { service: Some(service.to_owned()) });
        self.call_manager("register_service", &Value::Map(info), step, now);
    }

    pub(super) fn join_step_done(&mut self, step: JoinStep, end: Result<()>, now: Time) {
        let Some(service) = step.service else { return };
        let Phase::Joining { pending, failed } = &mut self.phase else { return };
        *pending -= 1;
        let is_built_in = service == BUILT_IN;
        if let Err(error) = end {
            failed.push((service, error));
        }
        if is_built_in {
            // The server ignores services of a client whose built-in service it does not know.
            let others: Vec<String> =
                self.services.announced().filter(|id| *id != BUILT_IN).map(str::to_owned).collect();
            if let Phase::Joining { pending, .. } = &mut self.phase {
                *pending += others.len();
            }
            others.iter().for_each(|id| self.register_step(id, now));
            self.subscribe_again(now);
        }
        self.join_done(now);
    }

    fn join_done(&mut self, now: Time) {
        let Phase::Joining { pending: 0, failed } = &mut self.phase else { return };
        let failed = std::mem::take(failed);
        self.phase = Phase::Ready;
        self.send_waiting();
        let first = !std::mem::replace(&mut self.calls.joined_before, true);
        self.runs.absent.resume(now);
        if !first {
            self.say_that_we_are_back(now);
        }
        self.emit(Event::State(State::Ready { failed, first }));
    }

    /// Calls a method of the manager with one argument.
    pub(super) fn call_manager(&mut self, method: &str, argument: &Value, owner: Owner, now: Time) {
        let manager = self.manager.clone();
        let method = format!("services.default.{method}");
        let spec = CallSpec {
            target: &manager,
            method: &method,
            promise: Promise::Star,
            args: 1,
            ..CallSpec::default()
        };
        let sent = self.begin_call(&spec).and_then(|mut draft| {
            argument.walk(&mut draft.writer)?;
            Ok(draft)
        });
        match sent {
            Ok(draft) => {
                if let Err((owner, error)) = self.try_send_call(owner, draft, now) {
                    self.fail(owner, error, now);
                }
            }
            Err(error) => self.fail(owner, error, now),
        }
    }

    fn fail(&mut self, owner: Owner, error: Error, now: Time) {
        let call = super::calls::Call::failed(owner);
        self.end_call(call, Err(error), now);
    }

    /// Takes a service back, here and at the server; one that is local ends at once.
    ///
    /// # Errors
    /// `not_found` when it is not registered here.
    pub fn unregister_service(&mut self, call: super::CallId, id: &str, now: Time) -> Result<()> {
        let short = short_id(id).split('@').next().unwrap_or(id).to_owned();
        if self.end_interface(&short) {
            self.finish_unanswered(&Owner::Language(call));
            return Ok(());
        }
        let is_local = self.services.is_local(&short);
        self.remove_service(&short)?;
        if is_local {
            // an empty list: nil
            let value = Payload { args: Bytes::from_static(&[0x90]), ..Payload::default() };
            self.emit(Event::Resolved { call, value });
        } else {
            let full = format!("{}:{short}", self.address);
            self.call_manager("unregister_service", &Value::from(full), Owner::Language(call), now);
        }
        Ok(())
    }

    /// Takes a service back here and says nothing to the server.
    ///
    /// # Errors
    /// `not_found` when it is not registered here.
    pub fn remove_service(&mut self, id: &str) -> Result<()> {
        let short = short_id(id).split('@').next().unwrap_or(id);
        if !self.services.contains(short) || short == BUILT_IN {
            return Err(Error::new(ErrorKind::NotFound, format!("Service not found: {short}")));
        }
        let released = self.services.remove(short);
        released.into_iter().for_each(|handle| self.let_go(handle));
        Ok(())
    }

    /// Tells the server of a service of ours.
    pub(super) fn announce_service(&mut self, call: super::CallId, info: Map, now: Time) {
        let value = Value::Map(info.clone());
        self.call_manager("register_service", &value, Owner::Registration(call, info), now);
    }
}
