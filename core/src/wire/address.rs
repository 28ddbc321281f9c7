//! Addresses: `workspace/client` and `workspace/client:service@app` with its short forms.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// A peer: `workspace/client`. The client may be `*`, meaning everyone in the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// The workspace.
    pub workspace: String,
    /// The client in it.
    pub client: String,
}

impl Address {
    /// The address of `client` in `workspace`.
    pub fn new(workspace: impl Into<String>, client: impl Into<String>) -> Self {
        Self { workspace: workspace.into(), client: client.into() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workspace, self.client)
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('/') {
            Some((workspace, client))
                if !workspace.is_empty() && !client.is_empty() && !client.contains('/') =>
            {
                Ok(Self::new(workspace, client))
            }
            _ => Err(Error::invalid(format!("`{text}` is not an address, expected `workspace/client`"))),
        }
    }
}

/// A target made complete as the server does it: `*` and bare client ids belong to `workspace`.
pub fn absolute(target: &str, workspace: &str) -> String {
    if target.contains('/') { target.to_owned() } else { format!("{workspace}/{target}") }
}

/// Where a service is: `workspace/client:service@app`. A part that is not given is `*`.
///
/// ```
/// use polyfn_core::wire::ServiceUri;
/// let uri = ServiceUri::parse("calc", "lab")?;
/// assert_eq!(uri.to_string(), "lab/*:calc@*");
/// assert_eq!(ServiceUri::parse("other/box:calc@app", "lab")?.client, "box");
/// # Ok::<(), polyfn_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceUri {
    /// The workspace; never `*` except for the server itself.
    pub workspace: String,
    /// The client, or `*` for any.
    pub client: String,
    /// The service.
    pub service: String,
    /// The application, or `*` for any.
    pub app: String,
}

impl ServiceUri {
    /// Reads every form of protocol section 2.2; `workspace` is the caller's.
    ///
    /// # Errors
    /// `invalid` for more than one `/`, `:` or `@`, an empty part, or a workspace of `*`.
    pub fn parse(text: &str, workspace: &str) -> Result<Self> {
        let wrong = |what: &str| {
            Error::invalid(format!(
                "`{text}` is not a service id: {what}; expected `workspace/client:service@app`"
            ))
        };
        if ['/', ':', '@'].iter().any(|mark| text.matches(*mark).count() > 1) {
            return Err(wrong("at most one each of `/`, `:` and `@` is allowed"));
        }
        let (rest, app) = text.split_once('@').unwrap_or((text, "*"));
        let (workspace, rest) = rest.split_once('/').unwrap_or((workspace, rest));
        let (client, service) = rest.split_once(':').unwrap_or(("*", rest));
        if [workspace, client, service, app].iter().any(|part| part.is_empty()) {
            return Err(wrong("a part is empty"));
        }
        if workspace.contains(':') || app.contains(['/', ':']) {
            return Err(wrong("the parts stand in another order"));
        }
        if workspace == "*" {
            return Err(wrong("a concrete workspace is required"));
        }
        Ok(Self {
            workspace: workspace.into(),
            client: client.into(),
            service: service.into(),
            app: app.into(),
        })
    }
}

impl fmt::Display for ServiceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}@{}", self.workspace, self.client, self.service, self.app)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_are_completed() {
        for (text, full) in [
            ("svc", "ws/*:svc@*"),
            ("other/svc", "other/*:svc@*"),
            ("c:svc", "ws/c:svc@*"),
            ("other/c:svc", "other/c:svc@*"),
            ("svc@app", "ws/*:svc@app"),
            ("other/*:svc@*", "other/*:svc@*"),
        ] {
            assert_eq!(
                ServiceUri::parse(text, "ws").map(|uri| uri.to_string()),
                Ok(full.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn bad_forms_are_refused() {
        for text in ["", "a/b/c", "a:b:c", "*/svc", "ws/", ":svc", "svc@", "c:svc/x", "svc@app/x"] {
            assert!(ServiceUri::parse(text, "ws").is_err(), "{text}");
        }
        for text in ["", "ws", "ws/", "/c", "a/b/c"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
