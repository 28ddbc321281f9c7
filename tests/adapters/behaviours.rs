//! What the program in Rust does with functions and errors in tests/suites.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use polyfn_core::codec::Stub;
use polyfn_core::net::{Call, Client, Service};
use polyfn_core::{Error, Map, Result, Value};
use tokio::sync::Mutex;

use crate::{failed, fill, text};

/// A function among the arguments.
fn function(call: &Call, at: usize) -> Result<Arc<Stub>> {
    as_function(call.argument(at, "function"))
}

fn as_function(value: &Value) -> Result<Arc<Stub>> {
    match value {
        Value::Method(stub) => Ok(stub.clone()),
        other => Err(Error::invalid(format!("expected a function, found {other:?}"))),
    }
}

fn number(call: &Call, at: usize) -> i64 {
    call.argument(at, "number").as_int().unwrap_or_default()
}

/// How long a value is, in whatever it is made of.
fn length(value: &Value) -> Value {
    Value::from(match value {
        Value::Bytes(data) => data.len() as i64,
        Value::Text(text) => text.chars().count() as i64,
        Value::List(items) => items.len() as i64,
        _ => 0,
    })
}

pub(crate) fn multiplier(client: &Client, factor: i64) -> Value {
    client.function("multiply", move |call| async move { Ok(Value::from(number(&call, 0) * factor)) })
}

/// Adds everything to the service.
pub(crate) fn add(service: Service, client: &Client) -> Service {
    let service = service
        .function("strictly_two", |call| async move {
            match call.args.as_slice() {
                [Value::Int(first), Value::Int(second)] => Ok(Value::from(first + second)),
                _ => Err(Error::invalid("expected two numbers")),
            }
        })
        .function("fail_deep", |call| async move {
            let error = failed("ValueError", text(&call, 0, "message"));
            Err(error.with_trace("in deep_down"))
        })
        .function("sizes", |call| async move { Ok(Value::List(call.args.iter().map(length).collect())) })
        .function("length_of_text", |call| async move { Ok(length(call.argument(0, "text"))) })
        .function("length_of_list", |call| async move { Ok(length(call.argument(0, "items"))) });
    keeping(giving(taking(service, client), client), client)
}

/// Functions that take functions.
fn taking(service: Service, client: &Client) -> Service {
    let with = |service: Service, name: &str, work: fn(Client, Call) -> Work| {
        let client = client.clone();
        service.function(name, move |call| work(client.clone(), call))
    };
    let service = with(service, "apply", |client, call| {
        Box::pin(async move { client.call(&*function(&call, 0)?, call.args[1..].to_vec()).await })
    });
    let service = with(service, "apply_keywords", |client, call| {
        Box::pin(async move {
            let keywords = call.argument(1, "keywords").as_map().cloned().unwrap_or_default();
            client.call_with(&*function(&call, 0)?, [], keywords).await
        })
    });
    let service = with(service, "both", |client, call| {
        Box::pin(async move {
            let number = call.argument(2, "number");
            let first = client.call(&*function(&call, 0)?, [number.clone()]).await?;
            Ok(Value::List(vec![first, client.call(&*function(&call, 1)?, [number.clone()]).await?]))
        })
    });
    let service = with(service, "apply_inside", |client, call| {
        Box::pin(async move {
            let work = call.argument(0, "holder").as_map().and_then(|holder| holder.get("work")).cloned();
            let first = work.as_ref().and_then(Value::as_list).and_then(<[Value]>::first).cloned();
            client.call(&*as_function(&first.unwrap_or_default())?, [Value::from(number(&call, 1))]).await
        })
    });
    let service = with(service, "call_what_it_gives", |client, call| {
        Box::pin(async move {
            let made = client.call(&*function(&call, 0)?, [Value::from(number(&call, 1))]).await?;
            client.call(&*as_function(&made)?, [Value::from(21)]).await
        })
    });
    with(service, "apply_filled", |client, call| {
        Box::pin(async move {
            let content = fill(number(&call, 1).unsigned_abs());
            client.call(&*function(&call, 0)?, [Value::Bytes(content)]).await
        })
    })
}

type Work = std::pin::Pin<Box<dyn Future<Output = Result<Value>> + Send>>;

/// Functions that give functions.
fn giving(service: Service, client: &Client) -> Service {
    let (counting, making) = (client.clone(), client.clone());
    service
        .function("make_counter", move |call| {
            let (client, total) = (counting.clone(), Arc::new(AtomicI64::new(number(&call, 0))));
            async move {
                let raised = total.clone();
                let increase = client.function("increase", move |_| {
                    let total = raised.fetch_add(1, Ordering::Relaxed) + 1;
                    async move { Ok(Value::from(total)) }
                });
                let value = client.function("value", move |_| {
                    let total = total.load(Ordering::Relaxed);
                    async move { Ok(Value::from(total)) }
                });
                Ok(Value::Map(Map::from_iter([("increase", increase), ("value", value)])))
            }
        })
        .function("makers", move |call| {
            let client = making.clone();
            async move {
                let factors = call.argument(0, "factors").as_list().unwrap_or_default();
                let make = |factor: &Value| multiplier(&client, factor.as_int().unwrap_or_default());
                Ok(Value::List(factors.iter().map(make).collect()))
            }
        })
}

/// Functions that keep what they get beyond their call.
fn keeping(service: Service, client: &Client) -> Service {
    let callback = Arc::new(Mutex::new(Value::Nil));
    let interface = Arc::new(Mutex::new(Value::Nil));
    let (kept, held) = (callback.clone(), interface.clone());
    let (using, calling) = (client.clone(), client.clone());
    service
        .function("keep_callback", move |call| {
            let kept = kept.clone();
            async move {
                *kept.lock().await = call.argument(0, "function").clone();
                Ok(Value::from("kept"))
            }
        })
        .function("use_kept", move |call| {
            let (client, callback) = (using.clone(), callback.clone());
            async move {
                let stub = as_function(&*callback.lock().await)?;
                client.call(&stub, [Value::from(number(&call, 0))]).await
            }
        })
        .function("keep_interface", move |call| {
            let held = held.clone();
            async move {
                *held.lock().await = call.argument(0, "interface").clone();
                Ok(Value::from("kept"))
            }
        })
        .function("use_interface", move |call| {
            let (client, interface) = (calling.clone(), interface.clone());
            async move {
                let held = interface.lock().await.clone();
                let double = held.as_map().and_then(|held| held.get("double")).cloned().unwrap_or_default();
                client.call(&*as_function(&double)?, [Value::from(number(&call, 0))]).await
            }
        })
}

/// A function to give along, by its name.
pub(crate) fn callback(client: &Client, name: &str) -> Value {
    let giving = client.clone();
    match name {
        "raise" => client.function("raise", |_| async { Err(failed("ValueError", "callback refused")) }),
        "add" => {
            client.function("add", |call| async move { Ok(Value::from(number(&call, 0) + number(&call, 1))) })
        }
        "describe_pair" => client.function("describe_pair", |call| async move {
            let (a, b) = (call.argument(0, "a").as_int(), call.argument(1, "b").as_int());
            Ok(Value::from(format!("a={} b={}", a.unwrap_or_default(), b.unwrap_or_default())))
        }),
        "length" => client.function("length", |call| async move { Ok(length(call.argument(0, "content"))) }),
        "multiplier" => client.function("multiplier", move |call| {
            let client = giving.clone();
            async move { Ok(multiplier(&client, number(&call, 0))) }
        }),
        _ => client.function(name, |call| async move { Ok(Value::from(number(&call, 0) * 2)) }),
    }
}

/// An interface to give along: an object that lives on after the call.
pub(crate) fn interface(client: &Client) -> Value {
    let double = client.function("double", |call| async move { Ok(Value::from(number(&call, 0) * 2)) });
    Value::Map(Map::from_iter([("_rintf", Value::Bool(true)), ("double", double)]))
}

/// Functions in a result are called; what they give stands in their place.
pub(crate) async fn results(client: &Client, value: Value) -> Result<Value> {
    match &value {
        Value::List(items) if !items.is_empty() && items.iter().all(is_function) => {
            let mut found = Vec::new();
            for item in items {
                found.push(client.call(&*as_function(item)?, [Value::from(21)]).await?);
            }
            Ok(Value::List(found))
        }
        Value::Map(members) if !members.is_empty() && members.iter().all(|(_, item)| is_function(item)) => {
            let mut found = Map::new();
            for (name, method) in members.iter() {
                found.insert(name.as_str(), client.call(&*as_function(method)?, []).await?);
            }
            Ok(Value::Map(Map::from_iter([("$methods", Value::Map(found))])))
        }
        _ => Ok(value),
    }
}

const fn is_function(value: &Value) -> bool {
    matches!(value, Value::Method(_))
}
