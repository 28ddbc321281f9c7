//! Which of several services of one name is taken.

use std::str::FromStr;
use std::sync::Arc;

use polyfn_core::wire::ServiceUri;
use polyfn_core::{Error, ErrorKind, Result};

use crate::hub::service::Service;

/// How one of several is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// There must be one only.
    Exact,
    /// Any.
    Random,
    /// The one registered first.
    First,
    /// The one registered last.
    Last,
}

impl Mode {
    /// What holds in `workspace` when nothing is said.
    #[must_use]
    pub fn default_in(workspace: &str) -> Self {
        if workspace == "public" { Self::Random } else { Self::Exact }
    }
}

impl FromStr for Mode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "exact" => Ok(Self::Exact),
            // every client is on this node
            "random" | "native:random" => Ok(Self::Random),
            "first" => Ok(Self::First),
            "last" => Ok(Self::Last),
            "min_load" => Err(Error::invalid(
                "ValueError: Mode 'min_load' is not available on this server: use 'random', 'first', 'last' or 'exact'",
            )),
            _ => Err(Error::invalid(refusal(text))),
        }
    }
}

fn refusal(text: &str) -> String {
    let shown: String = text.chars().take(64).collect();
    match text.strip_prefix("select:") {
        None => format!(
            "ValueError: Invalid mode: {shown}. Mode must be 'random', 'first', 'last', 'exact', 'min_load', \
             'native:random', or 'select:criteria:function' format (e.g., 'select:min:get_load')"
        ),
        Some(rest) if !rest.contains(':') => {
            format!("ValueError: Invalid select mode format: {shown}. Expected 'select:criteria:function'")
        }
        Some(_) => format!(
            "ValueError: Mode '{shown}' is not available on this server: use 'random', 'first', 'last' or 'exact'"
        ),
    }
}

/// Takes one of `found`, which stand in order of registration.
///
/// # Errors
/// `not_found` when there is none, `conflict` when there are several and exactly one was wanted.
pub fn select(found: Vec<Arc<Service>>, uri: &ServiceUri, mode: Mode) -> Result<Arc<Service>> {
    let several = found.len() > 1;
    if several && mode == Mode::Exact {
        return Err(ambiguous(&found, uri));
    }
    let chosen = match mode {
        Mode::Random if several => found.get(fastrand::usize(..found.len())).cloned(),
        Mode::Last => found.last().cloned(),
        _ => found.into_iter().next(),
    };
    chosen.ok_or_else(|| not_found(uri))
}

/// The error for a service that is not there.
#[must_use]
pub(crate) fn not_found(uri: &ServiceUri) -> Error {
    Error::new(ErrorKind::NotFound, format!("KeyError: 'Service not found: {uri}'"))
}

fn ambiguous(found: &[Arc<Service>], uri: &ServiceUri) -> Error {
    let examples: Vec<_> = found.iter().take(3).map(|service| format!("'{}'", service.id())).collect();
    Error::new(
        ErrorKind::Conflict,
        format!(
            "AssertionError: Multiple services found for {}/{}:{}, e.g. [{}]. You can either specify the mode as \
             'random', 'first', 'last', 'native:random', or use 'select:criteria:function' format.",
            uri.workspace,
            uri.client,
            uri.service,
            examples.join(", ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use polyfn_core::Map;
    use polyfn_core::session::Visibility;

    use super::*;

    fn services(clients: &[&str]) -> Vec<Arc<Service>> {
        let make = |client: &&str| Service {
            workspace: "lab".to_owned(),
            client: (*client).to_owned(),
            name: "calc".to_owned(),
            app: "*".to_owned(),
            kind: "generic".to_owned(),
            visibility: Visibility::Protected,
            authorized: Vec::new(),
            singleton: false,
            info: Map::new(),
            packed_schema: None,
            settings: polyfn_core::functions::Settings::default(),
            calls: Arc::default(),
            routes: OnceLock::new(),
        };
        clients.iter().map(make).map(Arc::new).collect()
    }

    fn chosen(clients: &[&str], mode: &str) -> Result<String> {
        let uri = ServiceUri::parse("calc", "lab")?;
        select(services(clients), &uri, mode.parse()?).map(|service| service.client.clone())
    }

    #[test]
    fn each_mode_takes_one() {
        assert_eq!(chosen(&["a", "b", "c"], "first").as_deref(), Ok("a"));
        assert_eq!(chosen(&["a", "b", "c"], "last").as_deref(), Ok("c"));
        assert_eq!(chosen(&["a"], "exact").as_deref(), Ok("a"));
        let seen: std::collections::HashSet<_> =
            (0..200).map(|_| chosen(&["a", "b", "c"], "random").unwrap()).collect();
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn exactly_one_must_be_there() {
        let error = chosen(&["a", "b"], "exact").unwrap_err();
        assert!(
            error.message().starts_with("AssertionError: Multiple services found for lab/*:calc, e.g. [")
        );
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let error = chosen(&[], "exact").unwrap_err();
        assert_eq!(error.message(), "KeyError: 'Service not found: lab/*:calc@*'");
    }

    #[test]
    fn other_modes_are_refused() {
        for (mode, part) in [
            ("bogus", "Invalid mode: bogus. Mode must be"),
            ("select:min", "Invalid select mode format: select:min."),
            ("select:min:get_load", "is not available"),
            ("min_load", "is not available"),
        ] {
            let error = mode.parse::<Mode>().unwrap_err();
            assert!(error.message().contains(part), "{error}");
        }
    }
}
