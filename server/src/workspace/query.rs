//! What `list_services` is asked for.

use polyfn_core::wire::ServiceUri;
use polyfn_core::{Map, Result, Value};

use crate::hub::Service;
use crate::workspace::arguments::invalid;

const KEYS: [&str; 7] = ["visibility", "workspace", "client_id", "service_id", "id", "type", "app_id"];

/// Parts that must fit; `*` stands for anything.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    uri: ServiceUri,
    kind: Option<String>,
    visibility: Option<String>,
}

impl Query {
    /// Reads a text or an object; `own` is the caller's workspace.
    ///
    /// # Errors
    /// `invalid` for unknown keys and characters that no name has.
    pub(super) fn read(query: Value, own: &str) -> Result<Self> {
        match query {
            Value::Nil => Ok(Self::everything(own)),
            Value::Text(text) => Self::text(&text, own),
            Value::Map(map) => Self::object(&map, own),
            _ => Err(invalid("TypeError: a query must be a string or an object")),
        }
    }

    fn everything(workspace: &str) -> Self {
        let star = || "*".to_owned();
        let uri =
            ServiceUri { workspace: workspace.to_owned(), client: star(), service: star(), app: star() };
        Self { uri, kind: None, visibility: None }
    }

    fn text(text: &str, own: &str) -> Result<Self> {
        if !text.contains(['/', ':']) {
            check_part(text)?;
            return Ok(Self::everything(text));
        }
        let (rest, app) = text.split_once('@').unwrap_or((text, "*"));
        let (workspace, rest) = rest.split_once('/').unwrap_or((own, rest));
        let (client, service) = rest.split_once(':').unwrap_or(("*", rest));
        for part in [workspace, client, service, app] {
            check_part(part)?;
        }
        let [workspace, client, service, app] = [workspace, client, service, app].map(str::to_owned);
        Ok(Self { uri: ServiceUri { workspace, client, service, app }, kind: None, visibility: None })
    }

    fn object(map: &Map, own: &str) -> Result<Self> {
        if let Some((key, _)) = map.iter().find(|(key, _)| !KEYS.contains(&key.as_str())) {
            return Err(invalid(format!("ValueError: Invalid query keys: {{'{key}'}}")));
        }
        let part = |key: &str| map.text(key).filter(|text| !text.is_empty());
        let given = |key: &str| part(key).filter(|text| *text != "*").map(str::to_owned);
        let mut query = Self::everything(part("workspace").unwrap_or(own));
        query.uri.client = part("client_id").unwrap_or("*").to_owned();
        query.uri.app = part("app_id").unwrap_or("*").to_owned();
        query.uri.service = part("service_id").or_else(|| part("id")).unwrap_or("*").to_owned();
        (query.kind, query.visibility) = (given("type"), given("visibility"));
        Ok(query)
    }

    /// The workspace, `*` for all.
    pub(super) fn workspace(&self) -> &str {
        &self.uri.workspace
    }

    /// The parts of the id.
    pub(super) const fn uri(&self) -> &ServiceUri {
        &self.uri
    }

    /// Whether the parts that are not in the id fit.
    pub(super) fn fits(&self, service: &Service) -> bool {
        self.kind.as_ref().is_none_or(|kind| *kind == service.kind)
            && self.visibility.as_ref().is_none_or(|wanted| service.told.visibility() == wanted)
    }
}

fn check_part(part: &str) -> Result<()> {
    if part.contains(['/', ':', '@']) || part.chars().any(char::is_control) {
        let shown: String = part.chars().take(64).collect();
        return Err(invalid(format!("ValueError: Invalid characters in query part: {shown}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> String {
        Query::read(text.into(), "lab").unwrap().uri.to_string()
    }

    #[test]
    fn texts_are_read_as_the_protocol_says() {
        for (text, full) in [
            ("other", "other/*:*@*"),
            ("box:calc", "lab/box:calc@*"),
            ("*:calc", "lab/*:calc@*"),
            ("other/calc", "other/*:calc@*"),
            ("other/box:*", "other/box:*@*"),
            ("*/calc", "*/*:calc@*"),
            ("*", "*/*:*@*"),
        ] {
            assert_eq!(uri(text), full, "{text}");
        }
        assert_eq!(Query::read(Value::Nil, "lab").unwrap().uri.to_string(), "lab/*:*@*");
    }

    #[test]
    fn unknown_keys_are_refused() {
        let query = Map::from_iter([("foo", "x")]);
        let error = Query::read(Value::Map(query), "lab").unwrap_err();
        assert_eq!(error.message(), "ValueError: Invalid query keys: {'foo'}");
        assert!(Query::read("a/b/c".into(), "lab").is_err());
    }
}
