//! What the settings of a service say of those who call it (protocol sections 12.4 and 13.4).

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Arc;

use crate::wire::PublicKey;
use crate::{Error, Map, Result, Value};

/// Who may see and call a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody; listed.
    Public,
    /// Everybody who knows the id; not listed.
    Unlisted,
    /// The own workspace, and those that `authorized_workspaces` names.
    #[default]
    Protected,
}

impl FromStr for Visibility {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "public" => Ok(Self::Public),
            "unlisted" => Ok(Self::Unlisted),
            // `private` of older texts means what `protected` does.
            "protected" | "private" => Ok(Self::Protected),
            other => Err(Error::invalid(format!(
                "visibility `{other}` is not known, expected `public`, `unlisted` or `protected`"
            ))),
        }
    }
}

impl Visibility {
    pub(super) fn read(value: Option<&Value>) -> Result<Self> {
        match value {
            None | Some(Value::Nil) => Ok(Self::default()),
            Some(Value::Text(text)) => text.parse(),
            Some(_) => Err(Error::invalid("`visibility` must be `public`, `unlisted` or `protected`")),
        }
    }
}

/// Which functions are told who calls.
#[derive(Debug)]
pub(super) enum ContextRule {
    Never,
    Always,
    Paths(HashSet<String>),
}

impl ContextRule {
    /// A list names functions; of anything else Python's truth counts, as with the reference. Who means yes and is taken
    /// to mean no would let callers say who they are.
    pub(super) fn read(value: Option<&Value>) -> Result<Self> {
        Ok(match value {
            None | Some(Value::Nil | Value::Bool(false) | Value::Int(0)) => Self::Never,
            Some(Value::List(paths)) => Self::Paths(texts("require_context", paths)?.into_iter().collect()),
            Some(Value::Text(text)) if text.is_empty() => Self::Never,
            Some(_) => Self::Always,
        })
    }

    pub(super) fn covers(&self, path: &str) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Paths(paths) => paths.contains(path),
        }
    }
}

/// The keys that callers may have; any, and none, where there is no list.
pub(super) type Trusted = Option<Arc<[PublicKey]>>;

pub(super) fn authorized_workspaces(config: &Map, visibility: Visibility) -> Result<Vec<String>> {
    let list = match config.get("authorized_workspaces") {
        None | Some(Value::Nil) => return Ok(Vec::new()),
        Some(Value::List(list)) => list,
        Some(_) => {
            return Err(Error::invalid("`authorized_workspaces` must be a list of names of workspaces"));
        }
    };
    if visibility != Visibility::Protected {
        return Err(Error::invalid(format!(
            "authorized_workspaces can only be set when visibility is 'protected', got visibility='{}'",
            config.text("visibility").unwrap_or_default()
        )));
    }
    texts("authorized_workspaces", list)
}

/// The texts of the list that `name` is.
fn texts(name: &str, list: &[Value]) -> Result<Vec<String>> {
    let text = |item: &Value| item.as_text().map(str::to_owned);
    let texts: Option<Vec<String>> = list.iter().map(text).collect();
    texts.ok_or_else(|| Error::invalid(format!("`{name}` must hold texts only")))
}

/// The keys of those that a service trusts (protocol section 12.4).
pub(super) fn trusted_keys(config: &Map) -> Result<Trusted> {
    let keys = match config.get("trusted_keys") {
        None | Some(Value::Nil) => return Ok(None),
        Some(Value::List(keys)) if !keys.is_empty() => keys,
        Some(_) => {
            return Err(Error::invalid(
                "trusted_keys must be a list of hex-encoded public keys; leave it out to trust everybody",
            ));
        }
    };
    let key = |key: &Value| {
        let key = key.as_text().ok_or_else(|| {
            Error::invalid(format!("Each trusted key must be a 64-char hex string, got: {key:?}"))
        })?;
        key.parse().map_err(|error| {
            Error::invalid(format!("Each trusted key must be a 64-char hex string, got: '{key}' ({error})"))
        })
    };
    keys.iter().map(key).collect::<Result<_>>().map(Some)
}
