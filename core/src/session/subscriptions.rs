//! Which events the server is to send: it forgets them with the connection, the session does not.

use std::collections::BTreeSet;

use super::calls::Owner;
use super::event::{CallId, Event, Payload, Time};
use super::join::JoinStep;
use super::session::Session;
use crate::{Result, Value};

/// Types of events that the language asked for.
pub(super) type Subscriptions = BTreeSet<String>;

impl Session {
    /// Asks the server for events of these types, and asks again after each reconnect; ends like a call.
    pub fn subscribe(&mut self, call: CallId, types: &[String], now: Time) {
        let asked = Owner::Subscription(call, types.to_vec());
        self.call_manager("subscribe", &list(types), asked, now);
    }

    /// Asks for no more of them; ends like a call.
    pub fn unsubscribe(&mut self, call: CallId, types: &[String], now: Time) {
        for kind in types {
            self.subscriptions.remove(kind);
        }
        self.call_manager("unsubscribe", &list(types), Owner::Language(call), now);
    }

    /// Only what the server granted is asked for again: one refusal would refuse all.
    pub(super) fn end_subscription(&mut self, call: CallId, types: Vec<String>, end: Result<Payload>) {
        let event = match end {
            Ok(value) => {
                self.subscriptions.extend(types);
                Event::Resolved { call, value }
            }
            Err(error) => Event::Rejected { call, error },
        };
        self.emit(event);
    }

    /// Part of joining: what every session wants, and what its language asked for.
    pub(super) fn subscribe_again(&mut self, now: Time) {
        let step = || Owner::Join(JoinStep { service: None });
        self.call_manager("subscribe", &list(&["client_disconnected".to_owned()]), step(), now);
        if !self.subscriptions.is_empty() {
            let types: Vec<String> = self.subscriptions.iter().cloned().collect();
            self.call_manager("subscribe", &list(&types), step(), now);
        }
    }
}

fn list(types: &[String]) -> Value {
    Value::List(types.iter().map(|kind| Value::from(kind.as_str())).collect())
}
