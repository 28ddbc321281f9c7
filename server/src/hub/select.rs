//! Which of several services of one name is taken.

use std::str::FromStr;
use std::sync::Arc;

use polyfn_core::wire::ServiceUri;
use polyfn_core::{Error, ErrorKind, Result};

use crate::hub::load::Load;
use crate::hub::service::Service;

/// How one of several is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// There must be one only.
    Exact,
    /// Any.
    Random,
    /// The one registered first.
    First,
    /// The one registered last.
    Last,
    /// The one whose client sent the fewest messages in the last minute.
    MinLoad,
    /// Of two taken by chance the one whose client has fewer calls under way.
    LeastLoaded,
    /// The one whose answer to a question is best.
    Asked(Question),
}

/// What services are asked before one is chosen: `select:criterion:function`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Which answer is best.
    pub criterion: Criterion,
    /// The function of the services that is called, without arguments.
    pub function: String,
}

/// Which answer is best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// The smallest number.
    Min,
    /// The largest number.
    Max,
    /// The first one that is no error.
    FirstSuccess,
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
            "min_load" => Ok(Self::MinLoad),
            "least_loaded" => Ok(Self::LeastLoaded),
            _ => match text.strip_prefix("select:") {
                Some(rest) => Question::read(rest, text).map(Self::Asked),
                None => Err(Error::invalid(format!(
                    "ValueError: Invalid mode: {}. Mode must be 'random', 'first', 'last', 'exact', 'min_load', \
                     'native:random', or 'select:criteria:function' format (e.g., 'select:min:get_load')",
                    shown(text)
                ))),
            },
        }
    }
}

impl Question {
    fn read(rest: &str, whole: &str) -> Result<Self> {
        let parts =
            rest.split_once(':').filter(|(_, function)| !function.is_empty() && !function.contains(':'));
        let Some((criterion, function)) = parts else {
            return Err(Error::invalid(format!(
                "ValueError: Invalid select mode format: {}. Expected 'select:criteria:function'",
                shown(whole)
            )));
        };
        let criterion = match criterion {
            "min" => Criterion::Min,
            "max" => Criterion::Max,
            "first_success" => Criterion::FirstSuccess,
            other => {
                return Err(Error::invalid(format!(
                    "ValueError: Unknown selection criteria: {}, use 'min', 'max' or 'first_success'",
                    shown(other)
                )));
            }
        };
        Ok(Self { criterion, function: function.to_owned() })
    }
}

fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Takes one of `found`, which stand in order of registration; `load` tells how busy the owner of one is.
///
/// Services that are to be asked first were asked already: what is left of them is taken by chance.
///
/// # Errors
/// `not_found` when there is none, `conflict` when there are several and exactly one was wanted.
pub(super) fn select(
    found: Vec<Arc<Service>>,
    uri: &ServiceUri,
    mode: &Mode,
    load: impl Fn(&Service) -> Load,
) -> Result<Arc<Service>> {
    let several = found.len() > 1;
    if several && *mode == Mode::Exact {
        return Err(ambiguous(&found, uri));
    }
    let chosen = match mode {
        Mode::Random | Mode::Asked(_) if several => found.get(fastrand::usize(..found.len())).cloned(),
        Mode::Last => found.last().cloned(),
        Mode::MinLoad if several => fewest_messages(&found, load),
        Mode::LeastLoaded if several => freer_of_two(&found, load),
        _ => found.into_iter().next(),
    };
    chosen.ok_or_else(|| not_found(uri))
}

/// Any of those with the fewest, so that not all callers run to the same one.
fn fewest_messages(found: &[Arc<Service>], load: impl Fn(&Service) -> Load) -> Option<Arc<Service>> {
    let loads: Vec<u64> = found.iter().map(|service| load(service).messages_per_minute).collect();
    let least = loads.iter().min()?;
    let least: Vec<_> = found.iter().zip(&loads).filter(|(_, load)| *load == least).collect();
    least.get(fastrand::usize(..least.len())).map(|(service, _)| Arc::clone(service))
}

/// Two choices are nearly as good as looking at all, and keep callers from running to the same one.
fn freer_of_two(found: &[Arc<Service>], load: impl Fn(&Service) -> Load) -> Option<Arc<Service>> {
    let one = fastrand::usize(..found.len());
    let other = (one + 1 + fastrand::usize(..found.len() - 1)) % found.len();
    let [one, other] = [found.get(one)?, found.get(other)?];
    let freer = if load(other).calls < load(one).calls { other } else { one };
    Some(Arc::clone(freer))
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

    use polyfn_core::session::Visibility;

    use super::*;
    use crate::hub::told::Told;

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
            told: Told::default(),
            kept: None,
            settings: polyfn_core::functions::Settings::default(),
            calls: Arc::default(),
            routes: OnceLock::new(),
            number: 0,
            adopted: tokio::sync::OnceCell::new(),
        };
        clients.iter().map(make).map(Arc::new).collect()
    }

    fn chosen(clients: &[&str], mode: &str) -> Result<String> {
        let uri = ServiceUri::parse("calc", "lab")?;
        let load = |service: &Service| match service.client.as_str() {
            "a" => Load { messages_per_minute: 9, calls: 9 },
            "b" => Load { messages_per_minute: 1, calls: 5 },
            _ => Load { messages_per_minute: 1, calls: 1 },
        };
        select(services(clients), &uri, &mode.parse()?, load).map(|service| service.client.clone())
    }

    fn seen(clients: &[&str], mode: &str) -> String {
        let seen: std::collections::BTreeSet<_> = (0..200).map(|_| chosen(clients, mode).unwrap()).collect();
        seen.into_iter().collect()
    }

    #[test]
    fn each_mode_takes_one() {
        assert_eq!(chosen(&["a", "b", "c"], "first").as_deref(), Ok("a"));
        assert_eq!(chosen(&["a", "b", "c"], "last").as_deref(), Ok("c"));
        assert_eq!(chosen(&["a"], "exact").as_deref(), Ok("a"));
        assert_eq!(seen(&["a", "b", "c"], "random"), "abc");
        assert_eq!(seen(&["a", "b", "c"], "native:random"), "abc");
    }

    #[test]
    fn the_load_decides() {
        assert_eq!(seen(&["a", "b", "c"], "min_load"), "bc");
        // the busiest of all is never the freer one of two
        assert_eq!(seen(&["a", "b", "c"], "least_loaded"), "bc");
        for mode in ["min_load", "least_loaded", "select:min:f"] {
            assert_eq!(chosen(&["a"], mode).as_deref(), Ok("a"));
            assert_eq!(chosen(&[], mode).unwrap_err().kind(), ErrorKind::NotFound);
        }
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
    fn questions_are_read() {
        let asked = |criterion, function: &str| {
            Ok(Mode::Asked(Question { criterion, function: function.to_owned() }))
        };
        assert_eq!("select:min:get_load".parse(), asked(Criterion::Min, "get_load"));
        assert_eq!("select:max:a.b".parse(), asked(Criterion::Max, "a.b"));
        assert_eq!("select:first_success:f".parse(), asked(Criterion::FirstSuccess, "f"));
    }

    #[test]
    fn other_modes_are_refused() {
        for (mode, part) in [
            ("bogus", "Invalid mode: bogus. Mode must be"),
            ("select:min", "Invalid select mode format: select:min. Expected 'select:criteria:function'"),
            ("select:min:", "Invalid select mode format: select:min:."),
            ("select:min:a:b", "Invalid select mode format: select:min:a:b."),
            ("select:best:f", "Unknown selection criteria: best"),
        ] {
            let error = mode.parse::<Mode>().unwrap_err();
            assert!(error.message().starts_with("ValueError: ") && error.message().contains(part), "{error}");
        }
    }
}
