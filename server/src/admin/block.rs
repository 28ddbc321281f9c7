//! Keeping others out, and letting them in again.

use std::net::IpAddr;
use std::sync::Arc;

use polyfn_core::{Error, ErrorKind, Result, Value};

use super::{Asked, remove};
use crate::blocks::{Block, Subject};
use crate::clock;
use crate::hub::{Ending, Peer};

/// Seconds that somebody is kept out, unless it is said for how long.
const SECONDS: u64 = 3600;
/// Characters of a reason, which stands in a close frame.
const REASON_MAX: usize = 80;

/// `block(kind, name, seconds, reason)`; `kind` is `user`, `address` or `workspace`, 0 seconds are for ever.
pub(super) async fn any(asked: Asked) -> Result<Value> {
    let subject = subject(&asked)?;
    put(
        &asked,
        subject,
        asked.text(1, "name")?,
        asked.number(2, "seconds")?,
        asked.optional_text(3, "reason")?,
    )
    .await
}

/// `unblock(kind, name)`: says whether that was news.
pub(super) async fn lift_any(asked: Asked) -> Result<Value> {
    let subject = subject(&asked)?;
    lift(&asked, subject, asked.text(1, "name")?).await
}

/// `block_user(user_id, duration, reason)`.
pub(super) async fn user(asked: Asked) -> Result<Value> {
    let (id, time) = (asked.text(0, "user_id")?, asked.number(1, "duration")?);
    put(&asked, Subject::User, id, time, asked.optional_text(2, "reason")?).await
}

/// `unblock_user(user_id)`.
pub(super) async fn lift_user(asked: Asked) -> Result<Value> {
    lift(&asked, Subject::User, asked.text(0, "user_id")?).await
}

/// `block_ip(ip, duration, reason)`.
pub(super) async fn address(asked: Asked) -> Result<Value> {
    let (address, time) = (asked.text(0, "ip")?, asked.number(1, "duration")?);
    put(&asked, Subject::Address, address, time, asked.optional_text(2, "reason")?).await
}

/// `unblock_ip(ip)`.
pub(super) async fn lift_address(asked: Asked) -> Result<Value> {
    lift(&asked, Subject::Address, asked.text(0, "ip")?).await
}

fn subject(asked: &Asked) -> Result<Subject> {
    let word = asked.text(0, "kind")?;
    Subject::from_word(&word)
        .ok_or_else(|| Error::invalid("ValueError: 'kind' must be 'user', 'address' or 'workspace'"))
}

/// The name in the form in which it is looked up; nobody locks out the root user.
fn checked(subject: Subject, name: String) -> Result<String> {
    match subject {
        Subject::Address => {
            let address: IpAddr = name.parse().map_err(|_| {
                Error::invalid(format!(
                    "ValueError: '{}' is no address",
                    name.chars().take(64).collect::<String>()
                ))
            })?;
            Ok(address.to_canonical().to_string())
        }
        Subject::User if name == "root" => Err(Error::invalid("ValueError: the root user cannot be blocked")),
        Subject::Workspace if [super::WORKSPACE, "public"].contains(&name.as_str()) => {
            Err(Error::invalid(format!("ValueError: the workspace {name} cannot be blocked")))
        }
        _ => Ok(name),
    }
}

async fn put(
    asked: &Asked,
    subject: Subject,
    name: String,
    seconds: Option<u64>,
    reason: Option<String>,
) -> Result<Value> {
    let name = checked(subject, name)?;
    let now = clock::now();
    let seconds = seconds.unwrap_or(SECONDS);
    let block = Block {
        subject,
        name,
        reason: reason.unwrap_or_default().chars().take(REASON_MAX).collect(),
        by: asked.by.clone(),
        at: now,
        until: (seconds > 0).then(|| now.saturating_add(seconds)),
    };
    asked.state.store.block(&block).await.map_err(|error| failed(&error))?;
    let details = format!("for {seconds} s: {}", block.reason);
    asked.state.hub.audit().note(&asked.by, &format!("block {}", subject.word()), &block.name, &details);
    asked.state.blocks.put(block);
    Ok(Value::from(close_blocked(asked) as u64))
}

async fn lift(asked: &Asked, subject: Subject, name: String) -> Result<Value> {
    let name = checked(subject, name)?;
    asked.state.store.unblock(subject, &name).await.map_err(|error| failed(&error))?;
    asked.state.hub.audit().note(&asked.by, &format!("unblock {}", subject.word()), &name, "");
    Ok(Value::Bool(asked.state.blocks.remove(subject, &name)))
}

/// Closes the connections of those who are kept out now. Gives how many.
fn close_blocked(asked: &Asked) -> usize {
    let (state, blocks) = (&asked.state, &asked.state.blocks);
    let clients = state.hub.registry.workspaces().into_iter().flat_map(|workspace| workspace.clients());
    let why = |peer: &Arc<Peer>| blocks.find(&peer.user, peer.workspace(), peer.from());
    let blocked = clients.filter_map(|peer| why(&peer).map(|why| (peer, why)));
    blocked.map(|(peer, why)| remove::close(state, &[peer], &Ending::told(1008, why))).sum()
}

fn failed(error: &crate::store::StoreError) -> Error {
    Error::new(ErrorKind::Internal, error.to_string())
}
