//! A client program for the tests in Rust: JSON lines in, JSON lines out, as `peer.py` and `peer.mjs`.

mod behaviours;
mod streams;
mod values;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use polyfn_core::codec::Tagged;
use polyfn_core::net::{Call, Client, ClientOptions, RemoteService, Service};
use polyfn_core::{Error, ErrorKind, Map, Result, Value};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::Mutex;

#[derive(Default)]
struct Program {
    clients: Mutex<HashMap<String, Client>>,
    services: Mutex<HashMap<String, (Client, RemoteService)>>,
    handles: AtomicUsize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let program = Arc::new(Program::default());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut tasks = tokio::task::JoinSet::new();
    while let Some(line) = lines.next_line().await? {
        let program = program.clone();
        tasks.spawn(async move {
            let request: Json = serde_json::from_str(&line).unwrap_or_default();
            let answer = match program.run(&request).await {
                Ok(value) => json!({"answer": request["number"], "value": value}),
                Err(error) => json!({"answer": request["number"], "error": describe(&error)}),
            };
            println!("{answer}");
        });
    }
    tasks.abort_all();
    let clients = std::mem::take(&mut *program.clients.lock().await);
    for client in clients.into_values() {
        client.disconnect().await;
    }
    Ok(())
}

fn describe(error: &Error) -> Json {
    json!({
        "name": error.class().unwrap_or("RpcError"),
        "message": error.message(),
        "code": error.kind().code(),
        "trace": error.trace().unwrap_or_default(),
    })
}

impl Program {
    async fn run(&self, request: &Json) -> Result<Json> {
        let text = |key: &str| request[key].as_str().unwrap_or_default();
        match text("op") {
            "connect" => self.connect(text("name"), &request["config"]).await,
            "register" => {
                let client = self.client(text("name")).await?;
                let service = offered(&client, text("what"), text("service"), &request["config"])?;
                client.register_service(service).await.map(|_| Json::Null)
            }
            "get" => {
                let client = self.client(text("name")).await?;
                let service = match request["key"].as_str() {
                    Some(key) => client.get_sealed_service(text("service"), key.parse()?).await?,
                    None => client.get_service(text("service")).await?,
                };
                let handle = format!("{}:{}", text("service"), self.handles.fetch_add(1, Ordering::Relaxed));
                self.services.lock().await.insert(handle.clone(), (client, service));
                Ok(json!(handle))
            }
            "public_key" => {
                let key = self.client(text("name")).await?.public_key();
                Ok(json!(key.map(|key| key.to_string())))
            }
            "call" => self.call(text("handle"), text("method"), request).await,
            "told" => {
                let (client, service) = self.service(text("handle")).await?;
                let (args, _) = arguments(&client, request);
                Ok(json!(values::describe(&service.call(text("method"), args).await?)))
            }
            "value" => {
                let (_, service) = self.service(text("handle")).await?;
                let found =
                    text("path").split('.').try_fold(service.value(), |value, key| value.as_map()?.get(key));
                found.map(plain).ok_or_else(|| Error::new(ErrorKind::NotFound, "no such member"))
            }
            "manager" => self.manager(text("name"), text("method"), request).await,
            "disconnect" => {
                let client = self.clients.lock().await.remove(text("name"));
                if let Some(client) = client {
                    client.disconnect().await;
                }
                Ok(Json::Null)
            }
            other => Err(Error::invalid(format!("unknown operation {other}"))),
        }
    }

    async fn client(&self, name: &str) -> Result<Client> {
        let found = self.clients.lock().await.get(name).cloned();
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no client {name}")))
    }

    async fn service(&self, handle: &str) -> Result<(Client, RemoteService)> {
        let found = self.services.lock().await.get(handle).cloned();
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no service {handle}")))
    }

    async fn connect(&self, name: &str, config: &Json) -> Result<Json> {
        let text = |key: &str| config[key].as_str().map(str::to_owned);
        let mut options = ClientOptions {
            workspace: text("workspace"),
            client_id: text("client_id"),
            token: text("token"),
            ..ClientOptions::new(text("server_url").unwrap_or_default())
        };
        if let Some(seconds) = config["method_timeout"].as_f64() {
            options.session.method_timeout = std::time::Duration::from_secs_f64(seconds);
        }
        if let Some(seconds) = config["connect_timeout"].as_f64() {
            options.connect_timeout = std::time::Duration::from_secs_f64(seconds);
        }
        let key = |name: &str| config[name].as_str().map(|key| key.as_bytes().to_vec());
        options.encryption = config["encryption"].as_bool().unwrap_or_default();
        options.encryption_private_key = key("encryption_private_key");
        options.encryption_public_key = key("encryption_public_key");
        if let Some(transport) = text("transport") {
            options.transport = transport.parse()?;
        }
        let client = Client::connect(options).await?;
        let info = client.connection().connection_info();
        self.clients.lock().await.insert(name.to_owned(), client);
        let user = info.raw.as_map().and_then(|map| map.get("user")).map_or(Json::Null, plain);
        Ok(json!({"workspace": info.workspace, "client_id": info.client_id, "user": user}))
    }

    async fn call(&self, handle: &str, method: &str, request: &Json) -> Result<Json> {
        let (client, service) = self.service(handle).await?;
        let (args, keywords) = arguments(&client, request);
        let result = service.function(method)?.call_with(args, keywords).await?;
        if let Value::Stream(stub) = &result {
            let take = request["take"].as_u64().and_then(|take| usize::try_from(take).ok());
            return Ok(streams::collect(client.items(stub), take).await);
        }
        match behaviours::results(&client, result).await? {
            Value::Method(stub) => Ok(json!({"$then": plain(&client.call(&stub, [Value::from(21)]).await?)})),
            value => Ok(plain(&value)),
        }
    }

    async fn manager(&self, name: &str, method: &str, request: &Json) -> Result<Json> {
        let client = self.client(name).await?;
        let (args, keywords) = arguments(&client, request);
        let stub = polyfn_core::codec::Stub {
            target: "*/manager".to_owned(),
            method: format!("services.default.{method}"),
            promise: polyfn_core::codec::Promise::Star,
            ..Default::default()
        };
        client.call_with(&stub, args, keywords).await.map(|value| plain(&value))
    }
}

fn arguments(client: &Client, request: &Json) -> (Vec<Value>, Map) {
    let args = request["args"].as_array().map_or(&[][..], Vec::as_slice);
    let args = args.iter().map(|arg| revive(client, arg)).collect();
    let keywords = request["kwargs"].as_object().into_iter().flatten();
    (args, keywords.map(|(key, value)| (key.clone(), revive(client, value))).collect())
}

/// Turns the stand-ins of a request into values.
fn revive(client: &Client, json: &Json) -> Value {
    match json {
        Json::Array(items) => Value::List(items.iter().map(|item| revive(client, item)).collect()),
        Json::Object(map) if map.contains_key("$interface") => behaviours::interface(client),
        Json::Object(map) if map.contains_key("$stream") => streams::given(client, &map["$stream"]),
        Json::Object(map) if map.contains_key("$plain_stream") => {
            streams::given(client, &map["$plain_stream"])
        }
        Json::Object(map) if map.contains_key("$make") => {
            values::make(map["$make"].as_str().unwrap_or_default())
        }
        Json::Object(map) => match (map.get("$bytes"), map.get("$fill"), map.get("$callback")) {
            (Some(hex), _, _) => Value::Bytes(bytes_of(hex.as_str().unwrap_or_default())),
            (_, Some(size), _) => Value::Bytes(fill(size.as_u64().unwrap_or_default())),
            (_, _, Some(name)) => behaviours::callback(client, name.as_str().unwrap_or_default()),
            _ => Value::Map(map.iter().map(|(key, value)| (key.clone(), revive(client, value))).collect()),
        },
        other => Value::from(other.clone()),
    }
}

/// Turns a result into JSON.
fn plain(value: &Value) -> Json {
    match value {
        Value::Bytes(data) => blob(data),
        Value::Tagged(tagged) => match &**tagged {
            Tagged::Memory(data) => blob(data),
            other => json!({"$tagged": format!("{other:?}")}),
        },
        Value::List(items) => Json::Array(items.iter().map(plain).collect()),
        Value::Map(map) => Json::Object(map.iter().map(|(key, value)| (key.clone(), plain(value))).collect()),
        Value::Method(_) => json!({"$function": true}),
        other => other.to_json().unwrap_or_else(|error| json!({"$unknown": error.to_string()})),
    }
}

fn blob(data: &Bytes) -> Json {
    if data.len() > 1024 {
        return json!({"$length": data.len(), "$sha256": digest(data)});
    }
    json!({"$bytes": data.iter().map(|byte| format!("{byte:02x}")).collect::<String>()})
}

fn digest(data: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(hex: &str) -> Bytes {
    let pair = |at| u8::from_str_radix(hex.get(at..at + 2).unwrap_or_default(), 16).unwrap_or_default();
    (0..hex.len()).step_by(2).map(pair).collect()
}

fn fill(size: u64) -> Bytes {
    (0..size).map(|at| (at % 256) as u8).collect()
}

/// What every program offers for calls.
fn offered(client: &Client, what: &str, id: &str, config: &Json) -> Result<Service> {
    let mut service = Service::new(id).overwrite(config["overwrite"] == true);
    for (key, value) in config.as_object().into_iter().flatten().filter(|(key, _)| *key != "overwrite") {
        service = service.config(key, Value::from(value.clone()));
    }
    match what {
        "rpc" => Ok(rpc(service, client)),
        "context" => Ok(service
            .config("require_context", true)
            .function("whoami", |call| async move { whoami(&call) })
            .function("sealed_by", |call| async move {
                let context = call.context.clone().unwrap_or_default();
                let key = context.as_map().and_then(|map| map.get("caller_public_key"));
                Ok(key.cloned().unwrap_or_default())
            })
            .function("trace_of", |call| async move {
                let context = call.context.clone().unwrap_or_default();
                Ok(context.as_map().and_then(|map| map.get("trace")).cloned().unwrap_or_default())
            })
            .function("came_by", |call| async move {
                let context = call.context.clone().unwrap_or_default();
                Ok(context.as_map().and_then(|map| map.get("connection_type")).cloned().unwrap_or_default())
            })),
        other => Err(Error::invalid(format!("this program has no service {other}"))),
    }
}

fn whoami(call: &Call) -> Result<Value> {
    let context = call.context.clone().unwrap_or_default();
    let entry = |key: &str| context.as_map().and_then(|map| map.get(key)).cloned().unwrap_or_default();
    let user = entry("user").as_map().and_then(|user| user.get("id")).cloned().unwrap_or_default();
    Ok(Value::from(Map::from_iter([
        ("tag", call.argument(0, "tag").clone()),
        ("ws", entry("ws")),
        ("from", entry("from")),
        ("user", user),
    ])))
}

fn rpc(service: Service, client: &Client) -> Service {
    let (repeating, giving) = (client.clone(), client.clone());
    streams::add(behaviours::add(service, client), client)
        .function("add", |call| async move { add(&call) })
        .function("greet", |call| async move {
            let greeting = call.argument(1, "greeting").as_text().unwrap_or("Hello");
            Ok(Value::from(format!("{greeting} {}", text(&call, 0, "name"))))
        })
        .function("echo", |call| async move { Ok(call.argument(0, "value").clone()) })
        .function("echo_later", |call| async move {
            tokio::task::yield_now().await;
            Ok(call.argument(0, "value").clone())
        })
        .function("fail", |call| async move { Err(failed("ValueError", text(&call, 0, "message"))) })
        .function("fail_later", |call| async move {
            tokio::task::yield_now().await;
            Err(failed("ValueError", text(&call, 0, "message")))
        })
        .function(
            "fail_as",
            |call| async move { Err(failed(text(&call, 0, "kind"), text(&call, 1, "message"))) },
        )
        .function("wants", |call| async move {
            Ok(Value::from(vec![
                call.argument(0, "workspace").clone(),
                call.argument(1, "service_id").clone(),
            ]))
        })
        .function("repeat", move |call| {
            let client = repeating.clone();
            async move { repeat(&client, &call).await }
        })
        .function("size", |call| async move {
            Ok(Value::from(match call.argument(0, "content") {
                Value::Bytes(data) => data.len() as u64,
                other => other.as_text().map_or(0, |text| text.chars().count() as u64),
            }))
        })
        .function("make", |call| async move {
            let size = call.argument(0, "size").as_int().unwrap_or_default();
            Ok(Value::Bytes(fill(size.unsigned_abs())))
        })
        .function("pause", |call| async move {
            let seconds = call.argument(0, "seconds").as_float().unwrap_or_default();
            tokio::time::sleep(std::time::Duration::from_secs_f64(seconds)).await;
            Ok(call.argument(0, "seconds").clone())
        })
        .function("multiplier", move |call| {
            let client = giving.clone();
            async move {
                let factor = call.argument(0, "factor").as_int().unwrap_or_default();
                Ok(behaviours::multiplier(&client, factor))
            }
        })
        .function(
            "shelve",
            |call| async move { Ok(Value::from(format!("shelf: {}", text(&call, 0, "title")))) },
        )
        .function(
            "describe",
            |call| async move { Ok(Value::from(values::describe(call.argument(0, "value")))) },
        )
        .function("produce", |call| async move { Ok(values::make(text(&call, 0, "name"))) })
        .folder("nest", |nest| {
            nest.folder("deep", |deep| {
                deep.function("hello", |call| async move {
                    Ok(Value::from(format!("hello {}", text(&call, 0, "name"))))
                })
            })
        })
        .entry("answer", 42)
}

fn text<'a>(call: &'a Call, at: usize, name: &str) -> &'a str {
    call.argument(at, name).as_text().unwrap_or_default()
}

fn failed(class: &str, message: &str) -> Error {
    let trace = format!("in fail\n{class}: {message}");
    Error::remote(message).with_class(class).with_trace(trace)
}

fn add(call: &Call) -> Result<Value> {
    let (a, b) = (call.argument(0, "a"), call.argument(1, "b"));
    match (a.as_int(), b.as_int()) {
        (Some(a), Some(b)) => Ok(Value::from(a + b)),
        _ => Ok(Value::from(a.as_float().unwrap_or_default() + b.as_float().unwrap_or_default())),
    }
}

async fn repeat(client: &Client, call: &Call) -> Result<Value> {
    let Value::Method(function) = call.argument(0, "function") else {
        return Err(Error::invalid("`function` must be a function"));
    };
    let mut results = Vec::new();
    for number in 0..call.argument(1, "count").as_int().unwrap_or_default() {
        results.push(client.call(function, [Value::from(number)]).await?);
    }
    Ok(Value::List(results))
}
