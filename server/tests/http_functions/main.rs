//! Functions and services of a connected client, called over HTTP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod narrowed;
mod responses;
mod services;
mod settings;
mod web;

use std::net::SocketAddr;
use std::time::Duration;

use polyfn_core::net::{Client, ClientOptions, Service};
use polyfn_core::{Error, Map, Value};
use polyfn_server::auth::{Scope, UserInfo};
use polyfn_server::{Config, Limits, Running, Seconds, Server, clock};
use web::{Answer, send};

/// A server, and a client in the workspace `lab-one` that offers services to it.
struct Scene {
    running: Running,
    client: Client,
}

/// A map from its entries.
fn map(entries: &[(&str, Value)]) -> Value {
    Value::Map(entries.iter().cloned().collect())
}

impl Scene {
    async fn new(config: Config) -> Self {
        let running = Server::start(Config { port: 0, ..config }).await.unwrap();
        let client = connect(&running, "owner").await;
        Self { running, client }
    }

    fn address(&self) -> SocketAddr {
        self.running.address()
    }

    async fn register(&self, service: Service) {
        self.client.register_service(service).await.unwrap();
    }

    /// Asks below `/lab-one/`.
    async fn ask(&self, method: &str, path: &str, lines: &[&str], body: &[u8]) -> Answer {
        send(self.address(), method, &format!("/lab-one/{path}"), lines, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"").await
    }

    /// A header line with a token for `scope`.
    fn bearer(&self, scope: &str) -> String {
        format!("authorization: Bearer {}", token(&self.running, scope))
    }
}

fn token(running: &Running, scope: &str) -> String {
    let user = UserInfo { id: "maker".into(), scope: Scope::parse(scope), ..UserInfo::default() };
    running.state().tokens.issue(&user, 60, clock::now()).unwrap()
}

async fn connect(running: &Running, name: &str) -> Client {
    let options = ClientOptions {
        server_url: running.url().to_owned(),
        workspace: Some("lab-one".to_owned()),
        client_id: Some(name.to_owned()),
        token: Some(token(running, "ws:lab-one#a wid:lab-one")),
        ..ClientOptions::default()
    };
    Client::connect(options).await.unwrap()
}

/// A service of type `functions` that everybody may call.
fn functions(id: &str) -> Service {
    Service::new(id).entry("type", "functions").config("visibility", "public")
}

/// A function that answers with parts of its event as text.
fn show(service: Service, name: &'static str) -> Service {
    service.function(name, move |call| async move {
        let event = call.argument(0, "event").as_map().cloned().unwrap_or_default();
        let path = event.text("function_path").unwrap_or("-").to_owned();
        Ok(map(&[("body", Value::from(format!("{name} {path}")))]))
    })
}

/// A function that never ends.
fn stuck(service: Service) -> Service {
    service.function("stuck", |_| async {
        std::future::pending::<()>().await;
        Ok(Value::Nil)
    })
}

fn limited(limits: Limits) -> Config {
    Config { limits, ..Config::default() }
}

/// Waits until the server counts so many calls under way.
async fn until_calls(scene: &Scene, number: u64) {
    while scene.running.state().metrics.http_calls.get() != number {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn failing(service: Service) -> Service {
    service.function("fails", |_| async {
        Err(Error::remote("out of cheese").with_class("ValueError").with_trace("File \"/secret/place.py\""))
    })
}

fn keywords(entries: &Map) -> Value {
    Value::Map(entries.clone())
}

const SECOND: Seconds = Seconds::new(1);
