//! JSON Schema of a function: its arguments are checked before its code runs.
//!
//! A function that declares a schema (`{name, description, parameters}`, protocol section 10.4) may ask for the
//! check. Positional arguments are named by the order of `parameters.properties`, keywords by themselves; the whole
//! is then an object that `parameters` must admit. A schema is compiled once, at registration.
//!
//! What JSON cannot hold still has to satisfy the schema:
//!
//! | value | counts as |
//! | --- | --- |
//! | bytes, raw memory, arrays, functions, streams | an object without members, which satisfies untyped parameters and `type: object`; also `type: string` with `format: binary` |
//! | a set | an array |
//! | a time | a string |
//! | a model of pydantic | its values |
//! | infinities | the largest and smallest float, but no integer |
//! | NaN | any float: it satisfies neither bounds nor `type: integer` |

use jsonschema::paths::LocationSegment;
use jsonschema::{PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Value as Json, json};

use crate::codec::Tagged;
use crate::{Error, Map, Result, Value};

/// Limits on schemas that functions declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaLimits {
    /// How many bytes a schema may have as JSON. Default 65,536.
    pub bytes: usize,
    /// How deep it may nest. Default 32.
    pub depth: usize,
    /// How often the match of a `pattern` may go back; past it the argument is refused. Default 100,000.
    pub backtracks: usize,
}

impl Default for SchemaLimits {
    fn default() -> Self {
        Self { bytes: 65_536, depth: 32, backtracks: 100_000 }
    }
}

/// What the arguments of one function must be.
///
/// ```
/// use polyfn_core::{Map, Value, schema::{Arguments, SchemaLimits}};
/// let schema = Value::from(serde_json::json!({
///     "name": "add",
///     "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
/// }));
/// let add = Arguments::compile(&schema, &SchemaLimits::default())?;
/// assert!(add.check(&[1.into()], &Map::from_iter([("b", 2)])).is_ok());
/// let error = add.check(&[1.into(), "2".into()], &Map::new()).unwrap_err();
/// assert_eq!(error.message(), "at args[1]: `b` of add(a, b): \
///     the value is not of type \"integer\", found \"2\"");
/// # Ok::<(), polyfn_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Arguments {
    function: String,
    /// All names; those that may be given by position come first.
    names: Vec<String>,
    /// How many of them, for a function that takes more by position: for the others a schema has no names.
    before_rest: Option<usize>,
    /// The name in the schema of all that follows, where the function says what it must be.
    rest: Option<String>,
    validator: Validator,
}

impl Arguments {
    /// Compiles `{name, parameters}`; with `positional`, the function takes any number of arguments behind so many names,
    /// each of which must be as the schema `items` in `rest: {name, items}` says.
    ///
    /// # Errors
    /// `invalid` for what is not a JSON Schema of an object, or points outside of itself; `too_large` past a limit.
    pub fn compile(schema: &Value, limits: &SchemaLimits) -> Result<Self> {
        let map = schema.as_map().ok_or_else(|| Error::invalid("a schema must be a map"))?;
        let function = map.text("name").unwrap_or("function").to_owned();
        let mut parameters = match map.get("parameters") {
            Some(parameters @ Value::Map(_)) => parameters.to_json()?,
            _ => return Err(Error::invalid("a schema needs `parameters`, the JSON Schema of an object")),
        };
        check_size(&parameters, limits)?;
        if let Some(rest) = map.get("rest") {
            check_size(&rest.to_json()?, limits)?;
        }
        let names = match parameters.get("properties") {
            Some(Json::Object(properties)) => properties.keys().cloned().collect(),
            None => Vec::new(),
            Some(_) => return Err(Error::invalid("`parameters.properties` must be a map")),
        };
        let before_rest = map.get("positional").and_then(Value::as_int);
        let before_rest = before_rest.map(|count| usize::try_from(count).unwrap_or_default());
        let rest = match map.get("rest") {
            Some(Value::Map(rest)) if before_rest.is_some() => Some(add_rest(&mut parameters, rest)?),
            _ => None,
        };
        admit_bytes(&mut parameters);
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(limits.backtracks))
            .build(&parameters)
            .map_err(|error| Error::invalid(format!("`parameters` is not a JSON Schema: {error}")))?;
        Ok(Self { function, names, before_rest, rest, validator })
    }

    /// Checks a call.
    ///
    /// # Errors
    /// `invalid`, with the place of the argument, what was asked and what was found.
    pub fn check(&self, positional: &[Value], keywords: &Map) -> Result<()> {
        if self.before_rest.is_none() && positional.len() > self.names.len() {
            let (most, found) = (self.names.len(), positional.len());
            let error = format!("{} takes {most} arguments by position, found {found}", self.signature());
            return Err(Error::invalid(error).at(&format!("args[{most}]")));
        }
        if let Some((name, _)) =
            keywords.iter().find(|(name, _)| self.by_position(positional).any(|known| known == name))
        {
            let error = format!("{} got `{name}` twice", self.signature());
            return Err(Error::invalid(error).at(name));
        }
        if let Some(rest) = self.rest.as_deref().filter(|rest| keywords.contains(rest)) {
            return Err(Error::invalid(format!("{} takes no `{rest}` by name", self.signature())));
        }
        let mut odd = false;
        let given = self.given(positional, keywords, |number| {
            odd = true;
            if number.is_nan() { f64::MAX } else { f64::MAX.copysign(number) }
        });
        let refusal = |error: ValidationError<'_>| self.refusal(&error, positional, keywords);
        self.validator.validate(&given).map_err(refusal)?;
        if odd {
            // NaN is neither less nor more than anything, and like the infinities no integer
            let low = |number: f64| if number.is_nan() { f64::MIN } else { f64::MAX.copysign(number) };
            self.validator.validate(&self.given(positional, keywords, low)).map_err(refusal)?;
            let broken = self.given(positional, keywords, |_| 0.5);
            let is_type =
                |error: &ValidationError<'_>| matches!(error.kind(), ValidationErrorKind::Type { .. });
            return self
                .validator
                .iter_errors(&broken)
                .find(is_type)
                .map_or(Ok(()), |error| Err(refusal(error)));
        }
        Ok(())
    }

    /// The arguments by name, as JSON; numbers that JSON has not are what `odd` makes of them.
    fn given(&self, positional: &[Value], keywords: &Map, mut odd: impl FnMut(f64) -> f64) -> Json {
        let by_place =
            self.by_position(positional).zip(positional).map(|(name, value)| (name.clone(), value));
        let by_name = keywords.iter().map(|(name, value)| (name.clone(), value));
        let mut given: serde_json::Map<String, Json> =
            by_place.chain(by_name).map(|(name, value)| (name, stand_in(value, &mut odd))).collect();
        if let Some(rest) = &self.rest {
            let items = positional.iter().skip(self.before_rest.unwrap_or_default());
            given.insert(rest.clone(), items.map(|value| stand_in(value, &mut odd)).collect());
        }
        Json::Object(given)
    }

    /// The names of those that are given by position.
    fn by_position(&self, positional: &[Value]) -> impl Iterator<Item = &String> {
        self.names.iter().take(self.before_rest.unwrap_or(usize::MAX)).take(positional.len())
    }

    fn signature(&self) -> String {
        let (before, behind) =
            self.names.split_at(self.before_rest.unwrap_or_default().min(self.names.len()));
        let names: Vec<&str> = before.iter().chain(&self.rest).chain(behind).map(String::as_str).collect();
        format!("{}({})", self.function, names.join(", "))
    }

    fn refusal(&self, error: &ValidationError<'_>, positional: &[Value], keywords: &Map) -> Error {
        let path: Vec<LocationSegment<'_>> = error.instance_path().into_iter().collect();
        let Some((LocationSegment::Property(name), inner)) = path.split_first() else {
            return Error::invalid(match error.kind() {
                ValidationErrorKind::Required { property } => {
                    format!("{} needs {property}, which was not given", self.signature())
                }
                ValidationErrorKind::AdditionalProperties { unexpected } => {
                    format!("{} takes no `{}`", self.signature(), unexpected.join("`, `"))
                }
                _ => format!("{}: {}", self.signature(), error.masked_with("the whole of its arguments")),
            });
        };
        let (at, inner) = match inner {
            [LocationSegment::Index(index), inner @ ..] if self.rest.as_deref() == Some(name) => {
                (Some(self.before_rest.unwrap_or_default() + index), inner)
            }
            _ => (self.by_position(positional).position(|known| *known == **name), inner),
        };
        let value = at.map_or_else(|| keywords.get(name), |at| positional.get(at));
        let place = at.map_or_else(|| name.to_string(), |at| format!("args[{at}]"));
        let found = value.and_then(|value| member(value, inner)).map_or_else(String::new, describe);
        let expected = error.masked_with("the value");
        let text = format!("`{name}` of {}: {expected}, found {found}", self.signature());
        Error::invalid(text).at(&inner.iter().fold(place, |place, step| match step {
            LocationSegment::Property(name) => format!("{place}.{name}"),
            LocationSegment::Index(index) => format!("{place}[{index}]"),
        }))
    }
}

/// Adds to a schema what the arguments behind the named ones must be, as one array; gives its name there.
fn add_rest(parameters: &mut Json, rest: &Map) -> Result<String> {
    let name = format!("*{}", rest.text("name").unwrap_or("rest"));
    let items = rest.get("items").map_or(Ok(Json::Bool(true)), Value::to_json)?;
    if let Json::Object(parameters) = parameters
        && let Json::Object(properties) = parameters.entry("properties").or_insert_with(|| json!({}))
    {
        properties.insert(name.clone(), json!({"type": "array", "items": items}));
    }
    Ok(name)
}

/// Takes the context out of a schema: callers do not give it.
pub(crate) fn without_context(schema: &mut Value) {
    let Value::Map(map) = schema else { return };
    let Some((_, Value::Map(parameters))) = map.iter_mut().find(|(key, _)| key == "parameters") else {
        return;
    };
    for (key, part) in parameters.iter_mut() {
        match (key.as_str(), part) {
            ("properties", Value::Map(properties)) => drop(properties.remove("context")),
            ("required", Value::List(names)) => names.retain(|name| name.as_text() != Some("context")),
            _ => {}
        }
    }
}

fn check_size(schema: &Json, limits: &SchemaLimits) -> Result<()> {
    let bytes = schema.to_string().len();
    if bytes > limits.bytes {
        let text = format!("a schema may have {} bytes as JSON, this one has {bytes}", limits.bytes);
        return Err(Error::too_large(text));
    }
    if is_deeper(schema, limits.depth) {
        return Err(Error::too_large(format!("a schema may nest {} levels deep", limits.depth)));
    }
    Ok(())
}

fn is_deeper(json: &Json, levels: usize) -> bool {
    match json {
        Json::Array(_) | Json::Object(_) if levels == 0 => true,
        Json::Array(items) => items.iter().any(|item| is_deeper(item, levels - 1)),
        Json::Object(members) => members.values().any(|member| is_deeper(member, levels - 1)),
        _ => false,
    }
}

/// Bytes have no form in JSON, so schemas write them as strings with a format; here they are what stands for them.
fn admit_bytes(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(admit_bytes),
        Json::Object(members) => {
            let text = |key: &str| members.get(key).and_then(Json::as_str);
            if text("type") == Some("string") && matches!(text("format"), Some("binary" | "byte")) {
                *schema = json!({"type": ["string", "object"]});
            } else {
                members.values_mut().for_each(admit_bytes);
            }
        }
        _ => {}
    }
}

/// The value as JSON, with something in place of what JSON cannot hold.
fn stand_in(value: &Value, odd: &mut dyn FnMut(f64) -> f64) -> Json {
    match value {
        Value::Float(number) if !number.is_finite() => Json::from(odd(*number)),
        Value::List(items) => Json::Array(items.iter().map(|item| stand_in(item, odd)).collect()),
        Value::Map(map) if map.text("_rtype") == Some("pydantic_model") => {
            map.get("_rvalue").map_or(Json::Null, |value| stand_in(value, odd))
        }
        Value::Map(map) => map.iter().map(|(key, value)| (key.clone(), stand_in(value, odd))).collect(),
        // An extension of this number is a time.
        Value::Extension(-1, _) => Json::from("1970-01-01T00:00:00Z"),
        Value::Tagged(tagged) => match &**tagged {
            Tagged::Set(items) => Json::Array(items.iter().map(|item| stand_in(item, odd)).collect()),
            Tagged::Pairs(pairs) => members(pairs, odd),
            _ => Json::Object(serde_json::Map::new()),
        },
        Value::Pairs(pairs) => members(pairs, odd),
        plain => plain.to_json().unwrap_or_else(|_| Json::Object(serde_json::Map::new())),
    }
}

fn members(pairs: &[(Value, Value)], odd: &mut dyn FnMut(f64) -> f64) -> Json {
    let mut members = serde_json::Map::new();
    for (key, value) in pairs {
        let name = key.as_text().map_or_else(|| stand_in(key, odd).to_string(), str::to_owned);
        members.insert(name, stand_in(value, odd));
    }
    Json::Object(members)
}

fn member<'a>(value: &'a Value, path: &[LocationSegment<'_>]) -> Option<&'a Value> {
    let Some((step, inner)) = path.split_first() else { return Some(value) };
    let found = match (value, step) {
        (Value::Map(map), LocationSegment::Property(name)) => map.get(name),
        (Value::List(items), LocationSegment::Index(index)) => items.get(*index),
        _ => None,
    };
    member(found?, inner)
}

/// How many characters of a refused value are shown.
const SHOWN: usize = 60;

fn describe(value: &Value) -> String {
    match value {
        Value::Bytes(_) => "bytes".to_owned(),
        Value::Method(_) | Value::Function(_) => "a function".to_owned(),
        Value::Float(number) if !number.is_finite() => number.to_string(),
        Value::Tagged(tagged) => tagged.describe().to_owned(),
        other => {
            let text = stand_in(other, &mut |_| 0.0).to_string();
            match text.char_indices().nth(SHOWN) {
                Some((end, _)) => format!("{}...", &text[..end]),
                None => text,
            }
        }
    }
}
