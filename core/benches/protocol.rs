//! What one message costs: encode, decode, relay, route, and an event with its response.

#![expect(clippy::expect_used, reason = "a benchmark that cannot run says so")]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use polyfn_core::codec::{Promise, Reader, Tagged, Walk, Writer};
use polyfn_core::functions::{HttpRequest, Response, Router};
use polyfn_core::session::{CallSpec, ConnectionInfo, Options, Session};
use polyfn_core::wire::{Sender, rewrite};
use polyfn_core::{Map, Value};

fn user() -> Value {
    let scope = Map::from_iter([("current_workspace", "ws-user-ann"), ("client_id", "client-a")]);
    Value::Map(Map::from_iter([
        ("id", Value::from("anonymouz-panoramic-skull-94715356")),
        ("roles", Value::from(vec![Value::from("anonymous")])),
        ("is_anonymous", true.into()),
        ("scope", Value::Map(scope)),
        ("email", Value::Nil),
        ("expires_at", Value::Float(1_795_221_188.0)),
    ]))
}

/// A value like those that people send: nested, with texts and numbers.
fn record() -> Value {
    let row = |at: i64| {
        Value::Map(Map::from_iter([
            ("id", Value::Int(at)),
            ("name", Value::from(format!("row number {at}"))),
            ("score", Value::Float(at as f64 / 3.0)),
            ("tags", Value::from(vec!["red".into(), "green".into(), Value::Nil])),
        ]))
    };
    Value::Map(Map::from_iter([("rows", Value::List((0..50).map(row).collect())), ("total", Value::Int(50))]))
}

fn encode(value: &Value) -> Bytes {
    value.to_msgpack().expect("a plain value is encoded").into()
}

/// One value of each family of types: a thousand scalars, or a megabyte.
fn families() -> Vec<(&'static str, Value)> {
    let many = |one: fn(i64) -> Value| Value::List((0..1000).map(one).collect());
    let megabyte = || Bytes::from(vec![7; 1 << 20]);
    let array = Tagged::Array { data: megabyte(), shape: Some(vec![1 << 18]), dtype: Some("float32".into()) };
    vec![
        ("small", Value::from(vec![1.into(), 2.into()])),
        ("record", record()),
        ("integers", many(|at| Value::Int(at * 1_000_003))),
        ("floats", many(|at| Value::Float(at as f64 / 3.0))),
        ("texts", many(|at| Value::from(format!("text number {at}")))),
        ("maps", many(|at| Value::Map(Map::from_iter([("id", Value::Int(at)), ("ok", Value::Bool(true))])))),
        ("set", Value::Tagged(Box::new(Tagged::Set((0..1000).map(Value::Int).collect())))),
        ("bytes", Value::Bytes(megabyte())),
        ("array", Value::Tagged(Box::new(array))),
    ]
}

fn values(criterion: &mut Criterion) {
    for (name, value) in families() {
        let bytes = encode(&value);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("encode", |bencher| bencher.iter(|| encode(black_box(&value))));
        group.bench_function("decode", |bencher| bencher.iter(|| Reader::new(black_box(&bytes)).value()));
        group.bench_function("skip", |bencher| {
            bencher.iter(|| Reader::new(black_box(&bytes)).skip().map(<[u8]>::len));
        });
        group.finish();
    }
}

/// A call as a client sends it, with one argument.
fn call(argument: &Value) -> Bytes {
    let info = ConnectionInfo {
        workspace: "ws-user-ann".to_owned(),
        client_id: "client-a".to_owned(),
        manager_id: "manager".to_owned(),
        ..ConnectionInfo::default()
    };
    let mut session = Session::local(Options { chunk_size: 64 << 20, ..Options::default() }, info);
    let spec = CallSpec {
        target: "client-b",
        method: "services.calc.add",
        promise: Promise::Star,
        args: 1,
        ..CallSpec::default()
    };
    let mut draft = session.begin_call(&spec).expect("a call begins");
    argument.walk(&mut draft.writer).expect("an argument is written");
    session.finish_call(1, draft, Duration::ZERO).expect("a call is sent");
    session.poll_send().expect("one frame").frame
}

fn relay(criterion: &mut Criterion) {
    let sender = Sender {
        workspace: "ws-user-ann".to_owned(),
        address: "ws-user-ann/client-a".to_owned(),
        user: encode(&user()),
    };
    let mut group = criterion.benchmark_group("relay");
    for (name, argument) in [("small", Value::Int(1)), ("100 kB", Value::Bytes(vec![7; 100_000].into()))] {
        let frame = call(&argument);
        group.bench_function(name, |bencher| {
            bencher.iter(|| rewrite(black_box(&frame), &sender, "ws-user-ann"));
        });
    }
    group.finish();
}

fn route(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    for count in [10, 10_000] {
        let mut router = Router::default();
        (0..count).for_each(|at| router.insert(&format!("api.v1.member{at}"), at));
        router.insert("default", count);
        for (name, path) in [("found", "/api/v1/member7"), ("default", "/nothing/of/this/kind")] {
            let id = format!("{name} of {count}");
            group.bench_function(id, |bencher| {
                bencher.iter(|| drop(black_box(router.route("GET", black_box(path)))));
            });
        }
    }
    group.finish();
}

fn http(criterion: &mut Criterion) {
    let user = encode(&user());
    let headers: [(&str, &[u8]); 8] = [
        ("host", b"localhost:9527"),
        ("user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("accept-language", b"en-GB,en;q=0.5"),
        ("accept-encoding", b"gzip, deflate, br, zstd"),
        ("content-type", b"application/json"),
        ("cookie", b"access_token=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9; theme=dark"),
        ("connection", b"keep-alive"),
    ];
    criterion.bench_function("event", |bencher| {
        bencher.iter(|| {
            let request = HttpRequest {
                method: "POST",
                scheme: "http",
                http_version: "1.1",
                path: "/api/v1/users",
                raw_path: "/api/v1/users",
                query_string: "a=1&b=2",
                headers: black_box(headers),
                body: Bytes::from_static(br#"{"name": "ann", "age": 44}"#),
                client: Some(([127, 0, 0, 1], 51962).into()),
                server: Some(("127.0.0.1", 9527)),
                workspace: "ws-user-ann",
                service_id: "client-a:users",
                user: &user,
                context: polyfn_core::functions::Context {
                    ws: "ws-user-ann",
                    user: Some(&user),
                    ..Default::default()
                },
                function_path: None,
                cloudevent: None,
            };
            let mut out = Writer::new();
            request.write(&mut out).map(|()| out.into_bytes())
        });
    });
    let parts = Map::from_iter([
        ("status", Value::Int(200)),
        ("headers", Value::Map(Map::from_iter([("Content-Type", "application/json")]))),
        ("body", Value::from("{\"message\": \"Hello World\"}")),
    ]);
    for (name, value) in [("response of parts", Value::Map(parts)), ("response of a record", record())] {
        let bytes = encode(&value);
        criterion.bench_function(name, |bencher| bencher.iter(|| Response::from_value(black_box(&bytes))));
    }
}

criterion_group!(benches, values, relay, route, http);
criterion_main!(benches);
