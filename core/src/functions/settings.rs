//! What a service that answers over HTTP says of itself in its `config`.

use std::time::Duration;

use super::cors::Cors;
use crate::{Error, Map, Result, Value};

/// The types of services that answer over HTTP; `config` of others is their own affair.
const KINDS: [&str; 4] = ["functions", "asgi", "wsgi", "fetch"];

/// How a function wants to be called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signature {
    /// `function(event, context)`.
    #[default]
    Event,
    /// `function(context)`, as the signature specification says.
    Context,
}

/// The settings of a service that answers over HTTP, read once when it is registered.
///
/// ```
/// use polyfn_core::Map;
/// use polyfn_core::functions::Settings;
/// let config = Map::from_iter([("http_call_timeout", 2.5)]);
/// let settings = Settings::read("functions", &config)?;
/// assert_eq!(settings.http_call_timeout.unwrap().as_millis(), 2500);
/// assert!(Settings::read("functions", &Map::from_iter([("http_call_timeout", "soon")])).is_err());
/// # Ok::<_, polyfn_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// `signature`: how functions are called.
    pub signature: Signature,
    /// `cors`: what browsers may do for pages of other origins; without it the server decides.
    pub cors: Option<Cors>,
    /// `max_request_body`: bytes of a request's body.
    pub max_request_body: Option<usize>,
    /// `http_call_timeout`: seconds that a call may take.
    pub http_call_timeout: Option<Duration>,
    /// `max_http_calls`: calls at the same time.
    pub max_http_calls: Option<usize>,
}

impl Settings {
    /// The settings in the `config` of a service of this type.
    ///
    /// # Errors
    /// `invalid`, with the key, for a value that makes no sense.
    pub fn read(kind: &str, config: &Map) -> Result<Self> {
        if !KINDS.contains(&kind) {
            return Ok(Self::default());
        }
        Ok(Self {
            signature: signature(config)?,
            cors: config.get("cors").map_or(Ok(None), Cors::read).map_err(|error| error.at("config.cors"))?,
            max_request_body: count(config, "max_request_body")?,
            http_call_timeout: seconds(config, "http_call_timeout")?,
            max_http_calls: count(config, "max_http_calls")?,
        })
    }
}

fn signature(config: &Map) -> Result<Signature> {
    match config.get("signature") {
        None | Some(Value::Nil) => Ok(Signature::Event),
        Some(Value::Text(name)) if name == "event" => Ok(Signature::Event),
        Some(Value::Text(name)) if name == "context" => Ok(Signature::Context),
        Some(_) => Err(Error::invalid("use `event` or `context`").at("config.signature")),
    }
}

fn count(config: &Map, key: &str) -> Result<Option<usize>> {
    let value = match config.get(key) {
        None | Some(Value::Nil) => return Ok(None),
        Some(value) => value,
    };
    let whole = value.as_int().and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
    let wrong = || Error::invalid("expected a whole number above 0").at(&format!("config.{key}"));
    whole.map(Some).ok_or_else(wrong)
}

fn seconds(config: &Map, key: &str) -> Result<Option<Duration>> {
    let value = match config.get(key) {
        None | Some(Value::Nil) => return Ok(None),
        Some(value) => value,
    };
    let time = value.as_float().and_then(|time| Duration::try_from_secs_f64(time).ok());
    let wrong = || Error::invalid("expected a number of seconds above 0").at(&format!("config.{key}"));
    time.filter(|time| !time.is_zero()).map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &Map) -> Result<Settings> {
        Settings::read("functions", config)
    }

    #[test]
    fn what_is_not_said_is_not_set() {
        assert_eq!(read(&Map::new()).unwrap(), Settings::default());
        let other = Map::from_iter([("signature", "sha256:...")]);
        assert_eq!(Settings::read("generic", &other).unwrap(), Settings::default());
    }

    #[test]
    fn limits_and_the_signature_are_read() {
        let mut config = Map::from_iter([("max_request_body", 10), ("max_http_calls", 2)]);
        config.insert("http_call_timeout", 3);
        config.insert("signature", "context");
        let settings = read(&config).unwrap();
        assert_eq!((settings.max_request_body, settings.max_http_calls), (Some(10), Some(2)));
        assert_eq!(settings.http_call_timeout, Some(Duration::from_secs(3)));
        assert_eq!(settings.signature, Signature::Context);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (key, value) in [
            ("max_request_body", Value::Int(0)),
            ("max_request_body", Value::from("1 MB")),
            ("max_http_calls", Value::Int(-1)),
            ("http_call_timeout", Value::Float(f64::NAN)),
            ("http_call_timeout", Value::Int(0)),
            ("signature", Value::from("other")),
            ("cors", Value::Int(1)),
        ] {
            let error = read(&Map::from_iter([(key, value)])).unwrap_err();
            assert!(error.message().starts_with(&format!("at config.{key}")), "{}", error.message());
        }
    }
}
