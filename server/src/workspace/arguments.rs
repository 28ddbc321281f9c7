//! Arguments of the manager's methods: by position or by keyword, checked against the table.

use polyfn_core::{Error, ErrorKind, Map, Result, Value};

use crate::workspace::table::{Method, Need};

/// Arguments in the order of the method's parameters; those not given are absent.
#[derive(Debug)]
pub(super) struct Arguments(Vec<Option<Value>>);

impl Arguments {
    /// Binds what was sent to the parameters of `method`.
    ///
    /// # Errors
    /// `invalid` with the words of a Python `TypeError`, as old clients know them.
    pub(super) fn bind(method: &Method, values: Vec<Value>, keywords: Map) -> Result<Self> {
        let parameters = method.parameters;
        if values.len() > parameters.len() {
            return Err(invalid(format!(
                "TypeError: {}() takes {} positional arguments but {} were given",
                method.name,
                parameters.len(),
                values.len()
            )));
        }
        let mut bound: Vec<Option<Value>> = values.into_iter().map(Some).collect();
        bound.resize(parameters.len(), None);
        for (name, value) in keywords {
            let Some(at) = parameters.iter().position(|parameter| parameter.name == name) else {
                let name: String = name.chars().take(64).collect();
                return Err(invalid(format!("TypeError: got an unexpected keyword argument '{name}'")));
            };
            if bound[at].replace(value).is_some() {
                return Err(invalid(format!(
                    "TypeError: {}() got multiple values for argument '{name}'",
                    method.name
                )));
            }
        }
        let missing =
            parameters.iter().zip(&bound).find(|(p, value)| p.need == Need::Required && value.is_none());
        match missing {
            Some((parameter, _)) => {
                Err(invalid(format!("TypeError: Missing required argument: '{}'", parameter.name)))
            }
            None => Ok(Self(bound)),
        }
    }

    /// The argument at `at`, nil when absent.
    pub(super) fn take(&mut self, at: usize) -> Value {
        self.0.get_mut(at).and_then(Option::take).unwrap_or_default()
    }

    /// The text at `at`.
    pub(super) fn text(&mut self, at: usize, name: &str) -> Result<String> {
        match self.take(at) {
            Value::Text(text) => Ok(text),
            _ => Err(invalid(format!("TypeError: argument '{name}' must be a string"))),
        }
    }

    /// The text at `at`, if there is one.
    pub(super) fn optional_text(&mut self, at: usize, name: &str) -> Result<Option<String>> {
        match self.take(at) {
            Value::Nil => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            _ => Err(invalid(format!("TypeError: argument '{name}' must be a string"))),
        }
    }

    /// The map at `at`; an empty one when absent.
    pub(super) fn map(&mut self, at: usize, name: &str) -> Result<Map> {
        match self.take(at) {
            Value::Nil => Ok(Map::new()),
            Value::Map(map) => Ok(map),
            _ => Err(invalid(format!("TypeError: argument '{name}' must be an object"))),
        }
    }

    /// The truth value at `at`; false when absent.
    pub(super) fn flag(&mut self, at: usize) -> bool {
        self.take(at).as_bool().unwrap_or(false)
    }
}

/// An error about the arguments.
pub(super) fn invalid(text: impl Into<String>) -> Error {
    Error::invalid(text)
}

/// An error about a right that is missing.
pub(super) fn denied(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::PermissionDenied, text)
}

/// A number of 0 or more; `default` where there is none.
///
/// # Errors
/// `invalid` for anything else.
pub(super) fn count(value: Value, name: &str, default: usize) -> Result<usize> {
    match value {
        Value::Nil => Ok(default),
        value => value
            .as_float()
            .filter(|number| *number >= 0.0 && number.fract() == 0.0)
            .map(|number| number as usize)
            .ok_or_else(|| invalid(format!("TypeError: argument '{name}' must be a number of 0 or more"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::table::method;

    fn bind(name: &str, values: Vec<Value>, keywords: &[(&str, &str)]) -> Result<Arguments> {
        let keywords = keywords.iter().map(|(key, value)| (*key, *value)).collect();
        Arguments::bind(method(name).unwrap(), values, keywords)
    }

    #[test]
    fn arguments_come_by_position_or_by_name() {
        assert_eq!(bind("echo", vec!["a".into()], &[]).unwrap().take(0), "a".into());
        assert_eq!(bind("echo", vec![], &[("data", "a")]).unwrap().take(0), "a".into());
        assert_eq!(bind("echo", vec![Value::Nil], &[]).unwrap().take(0), Value::Nil);
    }

    #[test]
    fn wrong_arguments_are_named() {
        let text = |result: Result<Arguments>| result.unwrap_err().message().to_owned();
        assert_eq!(text(bind("echo", vec![], &[])), "TypeError: Missing required argument: 'data'");
        let extra = bind("echo", vec!["a".into()], &[("x", "b")]);
        assert_eq!(text(extra), "TypeError: got an unexpected keyword argument 'x'");
        let twice = bind("echo", vec!["a".into()], &[("data", "b")]);
        assert_eq!(text(twice), "TypeError: echo() got multiple values for argument 'data'");
        let many = bind("echo", vec!["a".into(), "b".into()], &[]);
        assert_eq!(text(many), "TypeError: echo() takes 1 positional arguments but 2 were given");
    }
}
