//! Environment variables of a workspace: secrets that its programs share. They are sealed in the store, and never
//! listed with the workspace nor written to a log.

use futures_util::future::BoxFuture;
use polyfn_core::{Error, ErrorKind, Map, Result, Value};

use crate::workspace::arguments::invalid;
use crate::workspace::keeping;
use crate::workspace::manager::Call;

/// Bytes of a variable's name.
const NAME_MAX: usize = 255;
/// Bytes of a variable's value.
const VALUE_MAX: usize = 64 << 10;

/// `set_env`: nothing as the value takes the variable out.
pub(super) fn set(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let name = call.arguments.text(0, "key")?;
        let value = call.arguments.optional_text(1, "value")?;
        check_name(&name)?;
        if let Some(size) = value.as_ref().map(String::len).filter(|size| *size > VALUE_MAX) {
            let text = format!("an environment variable may have {VALUE_MAX} bytes, this one has {size}");
            return Err(Error::too_large(text));
        }
        let (store, registry) = (&call.manager.store, &call.hub.registry);
        let workspace = &call.caller.workspace;
        keeping::ensure(store, registry, &*keeping::find(registry, workspace)?).await?;
        let _writing = store.writing().await;
        if let Some(value) = &value {
            check_room(&call, name.len() + value.len()).await?;
        }
        let had = store.set_variable(&call.manager.seal, workspace, &name, value.as_deref()).await?;
        if value.is_none() && !had {
            return Err(unknown(&name, workspace));
        }
        Ok(Value::Nil)
    })
}

/// `get_env`: one variable, or all of them by name.
pub(super) fn get(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let name = call.arguments.optional_text(0, "key")?;
        let (store, seal, workspace) = (&call.manager.store, &call.manager.seal, &call.caller.workspace);
        match name {
            Some(name) => {
                let value = store.variable(seal, workspace, &name).await?;
                value.map(Value::from).ok_or_else(|| unknown(&name, workspace))
            }
            None => {
                let all = store.variables(seal, workspace).await?;
                Ok(Value::Map(
                    all.into_iter().map(|(name, value)| (name, Value::from(value))).collect::<Map>(),
                ))
            }
        }
    })
}

async fn check_room(call: &Call, size: usize) -> Result<()> {
    let (max, workspace) = (call.manager.limits.max_variables_per_workspace, &call.caller.workspace);
    if call.manager.store.count_variables(workspace).await? >= max {
        let text = format!("ValueError: Too many environment variables: a workspace may have {max}");
        return Err(call.limited("max_variables_per_workspace", text));
    }
    keeping::check_room(call, workspace, size).await
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(invalid(format!("ValueError: the key of a variable must have 1 to {NAME_MAX} bytes")));
    }
    Ok(())
}

fn unknown(name: &str, workspace: &str) -> Error {
    let name: String = name.chars().take(64).collect();
    let text = format!("KeyError: \"Environment variable '{name}' not found in workspace {workspace}\"");
    Error::new(ErrorKind::NotFound, text)
}
