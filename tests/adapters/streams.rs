//! What the program in Rust does with generators in tests/suites.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use polyfn_core::net::{Call, Client, Items, Service};
use polyfn_core::{Error, Map, Result, Value};
use serde_json::{Value as Json, json};

use crate::{failed, fill, plain};

/// Counts the generators that are not closed.
#[derive(Clone, Default)]
struct Open(Arc<AtomicI64>);

/// One of them.
struct Counted(Open);

impl Open {
    fn one(&self) -> Counted {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(self.clone())
    }

    /// Gives the items, and an error behind them if there is one.
    fn give(&self, client: &Client, items: Vec<Value>, error: Option<Error>) -> Value {
        let (mut counted, open) = (None, self.clone());
        let items = items.into_iter().map(Ok).chain(error.map(Err));
        client.generator(stream::iter(items.inspect(move |_| {
            counted.get_or_insert_with(|| open.one());
        })))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Adds everything to the service.
pub(crate) fn add(service: Service, client: &Client) -> Service {
    taking(giving(service, client), client)
}

/// Functions that give generators.
fn giving(service: Service, client: &Client) -> Service {
    let open = Open::default();
    let with = |service: Service, name: &str, work: fn(&Call) -> (Vec<Value>, Option<Error>)| {
        let (client, open) = (client.clone(), open.clone());
        service.function(name, move |call| {
            let (items, error) = work(&call);
            let generator = open.give(&client, items, error);
            async move { Ok(generator) }
        })
    };
    let service = with(service, "count_up", |call| (upto(call), None));
    let service = with(service, "count_plainly", |call| (upto(call), None));
    let service = with(service, "kinds", |_| {
        let map = Map::from_iter([("a", Value::List(vec![Value::Nil]))]);
        (vec![1.into(), "text".into(), map.into(), Bytes::from_static(&[0, 0xff]).into()], None)
    });
    let service =
        with(service, "fail_after", |call| (upto(call), Some(failed("ValueError", "out of items"))));
    let service = with(service, "large_items", |call| {
        let size = call.argument(1, "size").as_int().unwrap_or_default();
        (upto(call).iter().map(|_| Value::Bytes(fill(size.unsigned_abs()))).collect(), None)
    });
    let (client, ticking) = (client.clone(), open.clone());
    let service = service.function("ticks", move |_| {
        let generator = client.generator(ticks(ticking.one()));
        async move { Ok(generator) }
    });
    let begun = open.clone();
    let service = service.function("stream_is_open", move |_| {
        let open = begun.clone();
        async move {
            while open.0.load(Ordering::Relaxed) == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(Value::from(true))
        }
    });
    service.function("open_streams", move |_| {
        let open = open.clone();
        async move {
            for _ in 0..200 {
                if open.0.load(Ordering::Relaxed) == 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(Value::from(open.0.load(Ordering::Relaxed)))
        }
    })
}

/// Numbers without end, one every 10 ms.
fn ticks(counted: Counted) -> impl Stream<Item = Result<Value>> {
    stream::unfold((0, counted), |(item, counted)| async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Some((Ok(Value::from(item)), (item + 1, counted)))
    })
}

fn upto(call: &Call) -> Vec<Value> {
    (0..call.argument(0, "number").as_int().unwrap_or_default()).map(Value::from).collect()
}

/// Functions that take generators.
fn taking(service: Service, client: &Client) -> Service {
    let (summing, zipping, first) = (client.clone(), client.clone(), client.clone());
    service
        .function("sum_stream", move |call| {
            let client = summing.clone();
            async move {
                let (mut items, mut total) = (items(&client, call.argument(0, "stream"))?, 0);
                while let Some(item) = items.next().await {
                    total += item?.as_int().unwrap_or_default();
                }
                Ok(Value::from(total))
            }
        })
        .function("zip_streams", move |call| {
            let client = zipping.clone();
            async move {
                let mut first = items(&client, call.argument(0, "first"))?;
                let mut second = items(&client, call.argument(1, "second"))?;
                let mut pairs = Vec::new();
                while let Some(item) = first.next().await {
                    let other = second.next().await.transpose()?.unwrap_or_default();
                    pairs.push(Value::List(vec![item?, other]));
                }
                Ok(Value::List(pairs))
            }
        })
        .function("first_of", move |call| {
            let client = first.clone();
            async move {
                let mut items = items(&client, call.argument(0, "stream"))?;
                items.next().await.transpose().map(Option::unwrap_or_default)
            }
        })
}

fn items(client: &Client, value: &Value) -> Result<Items> {
    match value {
        Value::Stream(stub) => Ok(client.items(stub)),
        other => Err(Error::invalid(format!("expected a generator, found {other:?}"))),
    }
}

/// A generator to give along.
pub(crate) fn given(client: &Client, items: &Json) -> Value {
    let items: Vec<_> = items.as_array().into_iter().flatten().cloned().map(Value::from).map(Ok).collect();
    client.generator(stream::iter(items))
}

/// What comes out of a generator, and the error that it ends with.
pub(crate) async fn collect(mut items: Items, take: Option<usize>) -> Json {
    let mut told = json!({});
    let mut found = Vec::new();
    while take.is_none_or(|take| found.len() < take)
        && let Some(item) = items.next().await
    {
        match item {
            Ok(item) => found.push(plain(&item)),
            Err(error) => {
                told["$error"] = json!(error.message());
                told["$code"] = json!(error.kind().code());
            }
        }
    }
    told["$items"] = Json::Array(found);
    told
}
