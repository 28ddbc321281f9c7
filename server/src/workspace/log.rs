//! The log: lines for people who run the server, and events that users find again.

use futures_util::future::BoxFuture;
use polyfn_core::{Map, Result, Value};
use time::format_description::well_known::Iso8601;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::clock;
use crate::store::events::{Asked, Logged};
use crate::workspace::arguments::{Arguments, invalid};
use crate::workspace::keeping;
use crate::workspace::manager::Call;

/// Characters of a line in the log.
const LINE_MAX: usize = 4096;
/// Bytes of the type of an event.
const KIND_MAX: usize = 255;
/// Bytes of an event's data, as JSON.
const DATA_MAX: usize = 16 << 10;
/// Events that `get_events` gives at once.
const GIVEN_MAX: usize = 1000;

/// `log`: a line, or a record of a function with its level and the request's id. A line is an event, too.
pub(super) fn log(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let message = call.arguments.take(0);
        match message.as_map().filter(|record| record.text("level").is_some()) {
            Some(record) => log_record(&call, record),
            None => {
                log_line(&call, &message);
                write(&call, "log", message).await?;
            }
        }
        Ok(Value::Nil)
    })
}

fn log_line(call: &Call, message: &Value) {
    let text = match message {
        Value::Text(text) => text.clone(),
        other => other.to_json().map_or_else(|_| "(not text)".to_owned(), |json| json.to_string()),
    };
    let message: String = text.chars().take(LINE_MAX).collect();
    let workspace = &call.caller.workspace;
    tracing::info!(target: "polyfn::client", workspace, user = call.caller.user.id, ?message);
}

/// What a function logged: `{level, message, request_id, service, fields}`. All of it is the client's word, so it is
/// written with quotes and without line breaks.
fn log_record(call: &Call, record: &Map) {
    let text = |key: &str| record.text(key).unwrap_or_default().chars().take(LINE_MAX).collect::<String>();
    let (message, request, service, level) =
        (text("message"), text("request_id"), text("service"), text("level"));
    let fields = record.get("fields").and_then(|fields| fields.to_json().ok()).map(|json| json.to_string());
    let fields: String = fields.unwrap_or_default().chars().take(LINE_MAX).collect();
    let (workspace, user) = (&call.caller.workspace, &call.caller.user.id);
    macro_rules! write {
        ($level:ident) => {
            tracing::event!(target: "polyfn::functions", tracing::Level::$level,
                workspace, user, ?service, ?request, severity = level, ?message, fields)
        };
    }
    match level.as_str() {
        "trace" => write!(TRACE),
        "debug" => write!(DEBUG),
        "warn" => write!(WARN),
        "error" | "fatal" => write!(ERROR),
        _ => write!(INFO),
    }
}

/// `log_event`.
pub(super) fn log_event(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let kind = call.arguments.text(0, "event_type")?;
        let data = call.arguments.take(1);
        check_kind(&kind)?;
        write(&call, &kind, data).await?;
        Ok(Value::Nil)
    })
}

fn check_kind(kind: &str) -> Result<()> {
    if kind.is_empty() || kind.len() > KIND_MAX || kind.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(invalid(format!(
            "ValueError: Event type must not contain spaces, and have 1 to {KIND_MAX} bytes"
        )));
    }
    Ok(())
}

async fn write(call: &Call, kind: &str, data: Value) -> Result<()> {
    let data = match data {
        Value::Nil => None,
        data => Some(data.to_json().map_err(|error| invalid(format!("TypeError: {}", error.message())))?),
    };
    let data = data.map(|data| data.to_string());
    if let Some(size) = data.as_ref().map(String::len).filter(|size| *size > DATA_MAX) {
        let text = format!("the data of an event may have {DATA_MAX} bytes as JSON, these have {size}");
        return Err(polyfn_core::Error::too_large(text));
    }
    let (store, registry) = (&call.manager.store, &call.hub.registry);
    let workspace = keeping::find(registry, &call.caller.workspace)?;
    keeping::ensure(store, registry, &workspace).await?;
    let event = Logged {
        id: 0,
        workspace: call.caller.workspace.clone(),
        kind: kind.to_owned(),
        user: call.caller.user.id.clone(),
        at: clock::microseconds(),
        data,
    };
    Ok(store.log_event(event, call.manager.limits.max_events_per_workspace).await?)
}

/// `get_events`: the caller's own, the newest thousand that fit.
pub(super) fn get(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let asked = asked(&call.caller.workspace.clone(), &call.caller.user.id.clone(), &mut call.arguments)?;
        let events = call.manager.store.events(&asked, GIVEN_MAX).await?;
        Ok(Value::List(events.iter().map(described).collect()))
    })
}

/// `get_event_stats`.
pub(super) fn statistics(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let asked = asked(&call.caller.workspace.clone(), &call.caller.user.id.clone(), &mut call.arguments)?;
        let counts = call.manager.store.count_events(&asked).await?;
        let told = counts.into_iter().map(|(kind, count)| {
            Value::Map(Map::from_iter([("event_type", Value::from(kind)), ("count", Value::from(count))]))
        });
        Ok(Value::List(told.collect()))
    })
}

fn asked(workspace: &str, user: &str, arguments: &mut Arguments) -> Result<Asked> {
    Ok(Asked {
        workspace: workspace.to_owned(),
        user: user.to_owned(),
        kind: arguments.optional_text(0, "event_type")?,
        from: instant(arguments.take(1), "start_time")?,
        until: instant(arguments.take(2), "end_time")?,
    })
}

/// Microseconds since 1970, from seconds since then or from a text as `2026-11-21T00:22:17`, UTC unless it says
/// otherwise.
fn instant(value: Value, name: &str) -> Result<Option<i64>> {
    let wrong = || {
        invalid(format!("ValueError: '{name}' must be a time as 2026-11-21T00:22:17, or seconds since 1970"))
    };
    let text = match value {
        Value::Nil => return Ok(None),
        Value::Text(text) => text,
        number => {
            let seconds = number.as_float().filter(|seconds| seconds.abs() < 1e12).ok_or_else(wrong)?;
            return Ok(Some((seconds * 1e6) as i64));
        }
    };
    let zoned = OffsetDateTime::parse(&text, &Iso8601::DEFAULT);
    let local = || PrimitiveDateTime::parse(&text, &Iso8601::DEFAULT).map(PrimitiveDateTime::assume_utc);
    let time = zoned.or_else(|_| local()).map_err(|_| wrong())?;
    i64::try_from(time.unix_timestamp_nanos() / 1000).map(Some).map_err(|_| wrong())
}

fn described(event: &Logged) -> Value {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(event.at) * 1000);
    let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let text = format!(
        "{}T{:02}:{:02}:{:02}.{:06}",
        time.date(),
        time.hour(),
        time.minute(),
        time.second(),
        time.microsecond()
    );
    let data = event.data.as_deref().and_then(|data| serde_json::from_str::<serde_json::Value>(data).ok());
    Value::Map(Map::from_iter([
        ("id", Value::from(event.id)),
        ("event_type", Value::from(event.kind.as_str())),
        ("workspace", Value::from(event.workspace.as_str())),
        ("user_id", Value::from(event.user.as_str())),
        ("timestamp", Value::from(text)),
        ("data", data.map_or(Value::Nil, Value::from)),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_and_programs_write_them() {
        for (given, microseconds) in [
            (Value::from("1970-01-01T00:00:01"), Some(1_000_000)),
            (Value::from("1970-01-01T00:00:01.5"), Some(1_500_000)),
            (Value::from("1970-01-01T01:00:01+01:00"), Some(1_000_000)),
            (Value::from("1970-01-01T00:00:01Z"), Some(1_000_000)),
            (Value::from(1.25), Some(1_250_000)),
            (Value::from(2), Some(2_000_000)),
            (Value::Nil, None),
        ] {
            assert_eq!(instant(given.clone(), "start_time").unwrap(), microseconds, "{given:?}");
        }
        for wrong in [Value::from("yesterday"), Value::Bool(true), Value::from(1e300), Value::from("")] {
            assert!(instant(wrong.clone(), "start_time").is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn times_are_written_as_the_reference_does() {
        let event = Logged {
            id: 1,
            workspace: "w".into(),
            kind: "k".into(),
            user: "u".into(),
            at: 1_795_220_537_628_252,
            data: None,
        };
        let told = described(&event);
        assert_eq!(told.as_map().unwrap().text("timestamp"), Some("2026-11-21T00:22:17.628252"));
    }
}
