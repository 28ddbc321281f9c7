//! One server with a workspace in it, and everybody who asks.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use polyfn_core::net::{Client, ClientOptions, Service};
use polyfn_core::{Map, Value};
use polyfn_server::auth::{Scope, Tokens, UserInfo};
use polyfn_server::{Config, Running, Server, clock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::table::{Method, Route};

/// Kinds of tokens that are never good.
pub(crate) const BAD: [&str; 5] = ["expired", "revoked", "forged", "changed", "alg=none"];

const LAB: &str = "ws:lab-one#a wid:lab-one";
const NARROWED: &str = "polyfn:ws:lab-one#rw polyfn:svc:shop polyfn:svc:web polyfn:fn:get_*";

pub(crate) struct World {
    running: Running,
    /// By column of the table.
    pub(crate) tokens: [Option<String>; 7],
    /// By column of the table; nobody has no connection.
    pub(crate) clients: Vec<Option<Client>>,
    /// By [`BAD`].
    pub(crate) bad: [String; 5],
    made: AtomicUsize,
    _owner: Client,
}

fn service(id: &str, visibility: &str, kind: &str) -> Service {
    let service = Service::new(id).entry("type", kind).config("visibility", visibility);
    ["get_it", "set_it", "get_page", "set_page"]
        .into_iter()
        .fold(service, |service, name| service.function(name, |_| async { Ok("done".into()) }))
}

impl World {
    pub(crate) async fn new() -> Self {
        let config = Config { port: 0, jwt_secret: Some("a key".into()), ..Config::default() };
        let running = Server::start(config).await.unwrap();
        let token = |user: &str, scope: &str| issue(&running.state().tokens, user, scope, clock::now());
        let owner = connect(&running, "owner", Some(&token("owner", LAB))).await.unwrap();
        for (id, visibility, kind) in [
            ("shop", "protected", "generic"),
            ("bank", "protected", "generic"),
            ("OPEN", "public", "generic"),
            ("web", "protected", "functions"),
        ] {
            owner.register_service(service(id, visibility, kind)).await.unwrap();
        }
        let kind = Map::from_iter([("id", Value::from("kind")), ("definition", Value::Map(Map::new()))]);
        owner.manager("register_service_type", [Value::Map(kind)]).await.unwrap();
        let third = token("third", "ws:lab-three#a wid:lab-three");
        let third = connect(&running, "third", Some(&third)).await.unwrap();
        let lab = [("id", Value::from("lab-three")), ("persistent", Value::Bool(true))];
        let lab = [Value::Map(Map::from_iter(lab)), Value::Bool(true)];
        _ = third.manager("create_workspace", lab).await;
        let scopes = [
            "ws:lab-one#r wid:lab-one",
            "ws:lab-one#rw wid:lab-one",
            LAB,
            "ws:lab-two#a wid:lab-two",
            NARROWED,
        ];
        let [read, write, admin, foreign, narrowed] =
            scopes.map(|scope| Some(token(&scope.replace([' ', '#'], "-"), scope)));
        let tokens = [None, None, read, write, admin, foreign, narrowed];
        let mut clients = vec![None];
        for (at, token) in tokens.iter().enumerate().skip(1) {
            clients.push(Some(connect(&running, &format!("client-{at}"), token.as_deref()).await.unwrap()));
        }
        let bad = bad(&running);
        Self { running, tokens, clients, bad, made: AtomicUsize::new(0), _owner: owner }
    }

    pub(crate) fn issue(&self, scope: &str) -> String {
        let user = format!("user-{}", self.made.fetch_add(1, Ordering::Relaxed));
        issue(&self.running.state().tokens, &user, scope, clock::now())
    }

    pub(crate) async fn connect(&self, name: &str, token: Option<&str>) -> polyfn_core::Result<Client> {
        connect(&self.running, name, token).await
    }

    fn filled(&self, text: &str) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed).to_string();
        let text = text.replace("RANDOM", &format!("r{number}"));
        if text.contains("TOKEN") {
            text.replace("TOKEN", &self.issue("ws:lab-one#r wid:lab-one"))
        } else {
            text
        }
    }

    pub(crate) fn arguments(&self, text: &str) -> Vec<Value> {
        let json: serde_json::Value = serde_json::from_str(&self.filled(text)).unwrap();
        match Value::from(json) {
            Value::List(arguments) => arguments,
            other => panic!("expected a list, found {other:?}"),
        }
    }

    pub(crate) async fn post_method(&self, method: &Method, token: Option<&str>) -> u16 {
        let path = format!("/lab-one/services/ws/{}", method.name);
        let body = self.filled(method.args);
        self.send("POST", &path, token, "application/json", body.as_bytes()).await.0
    }

    pub(crate) async fn ask(&self, route: &Route, token: Option<&str>) -> u16 {
        let client = format!("nobody-{}", self.made.fetch_add(1, Ordering::Relaxed));
        let path = route.path.replace("CLIENT", &client);
        let (verb, _) = route.route.split_once(' ').unwrap();
        let call = [("type", "method"), ("to", "owner:shop"), ("method", "get_it")];
        let call = Value::Map(Map::from_iter(call)).to_msgpack().unwrap();
        let (kind, body) = match (verb, route.path) {
            ("post", path) if path.starts_with("/rpc") => ("application/msgpack", &call[..]),
            ("post", path) if path.contains("hypha-login") => {
                ("application/x-www-form-urlencoded", &b"a=b"[..])
            }
            ("post", _) => ("application/json", &b"[]"[..]),
            _ => ("", &b""[..]),
        };
        self.send(&verb.to_uppercase(), &path, token, kind, body).await.0
    }

    /// The routes that the server describes.
    pub(crate) async fn described_routes(&self) -> BTreeSet<String> {
        let (status, body) = self.send("GET", "/openapi.json", None, "", b"").await;
        assert_eq!(status, 200);
        let described: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let paths = described["paths"].as_object().unwrap().iter();
        let verbs = paths.flat_map(|(path, entry)| {
            let verbs = entry.as_object().unwrap().keys().filter(|key| *key != "parameters");
            verbs.map(move |verb| format!("{verb} {path}"))
        });
        verbs.collect()
    }

    /// The routes of the router itself: its paths stand in what it shows of itself for debugging, and it answers a
    /// method that no route has with those that there are.
    pub(crate) async fn routes(&self) -> BTreeSet<String> {
        let router = format!("{:?}", polyfn_server::http::router(self.running.state()));
        let listed = router.split("Node { paths: {").nth(1).unwrap().split('}');
        // braces stand in the paths as well
        let listed = listed.take_while(|part| !part.starts_with(" }")).collect::<Vec<_>>().join("}");
        let paths: Vec<&str> = listed.split('"').filter(|part| part.starts_with('/')).collect();
        assert!(paths.len() > 20, "{router}");
        let mut found = BTreeSet::new();
        for path in paths {
            let asked = path.replace("{workspace}", "lab-one").replace("{service}", "OPEN");
            let asked = asked.replace("{function}", "get_it").replace("{file}", "x");
            match self.allowed(&asked).await {
                Some(verbs) => found.extend(
                    verbs
                        .split(',')
                        .filter(|verb| *verb != "HEAD")
                        .map(|verb| format!("{} {path}", verb.trim().to_lowercase())),
                ),
                // it takes every method, and looks at them itself
                None => drop(found.insert(format!("get {path}"))),
            }
        }
        found
    }

    /// What `allow` says when a path is asked by a method that it does not take.
    async fn allowed(&self, path: &str) -> Option<String> {
        let head = format!("TRACE {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        let mut socket = TcpStream::connect(self.running.address()).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut read = String::new();
        socket.read_to_string(&mut read).await.unwrap();
        let line = read.lines().find_map(|line| line.strip_prefix("allow: "));
        line.map(str::to_owned)
    }

    /// The functions of the service for administrators.
    pub(crate) async fn administration(&self) -> BTreeSet<String> {
        let token = self.issue("ws:ws-user-root#a wid:ws-user-root");
        let path = "/ws-user-root/services/admin-utils";
        let (status, body) = self.send("GET", path, Some(&token), "", b"").await;
        assert_eq!(status, 200);
        let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
        told["service_schema"].as_object().unwrap().keys().cloned().collect()
    }

    pub(crate) async fn post_administration(&self, method: &Method, token: Option<&str>) -> u16 {
        let path = format!("/ws-user-root/services/admin-utils/{}", method.name);
        let body = self.filled(method.args);
        self.send("POST", &path, token, "application/json", body.as_bytes()).await.0
    }

    /// The status of an answer, and its body unless that does not end.
    async fn send(
        &self,
        verb: &str,
        path: &str,
        token: Option<&str>,
        kind: &str,
        body: &[u8],
    ) -> (u16, Vec<u8>) {
        let mut head = format!("{verb} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
        if let Some(token) = token {
            head += &format!("authorization: Bearer {token}\r\n");
        }
        if !kind.is_empty() {
            head += &format!("content-type: {kind}\r\ncontent-length: {}\r\n", body.len());
        }
        let mut socket = TcpStream::connect(self.running.address()).await.unwrap();
        socket.write_all(&[head.as_bytes(), b"\r\n", body].concat()).await.unwrap();
        let mut read = Vec::new();
        let end = loop {
            if let Some(end) = read.windows(4).position(|part| part == b"\r\n\r\n") {
                break end;
            }
            let count =
                timeout(Duration::from_secs(20), socket.read_buf(&mut read)).await.expect(path).unwrap();
            assert_ne!(count, 0, "{path}: no answer");
        };
        let head = String::from_utf8(read[..end].to_vec()).unwrap();
        if head.to_lowercase().contains("content-length:") {
            socket.read_to_end(&mut read).await.unwrap();
        }
        (head.split(' ').nth(1).unwrap().parse().unwrap(), read.split_off(end + 4))
    }
}

fn issue(tokens: &Tokens, user: &str, scope: &str, now: u64) -> String {
    let roles = vec!["user".to_owned()];
    let user = UserInfo { id: user.to_owned(), roles, scope: Scope::parse(scope), ..UserInfo::default() };
    tokens.issue(&user, 600, now).unwrap()
}

/// Tokens for all rights in the workspace, if they were good.
fn bad(running: &Running) -> [String; 5] {
    let (tokens, now) = (&running.state().tokens, clock::now());
    let good = issue(tokens, "lost", LAB, now);
    let revocation = tokens.revocation(&UserInfo::root("*"), &good, now).unwrap();
    tokens.revoked().load([revocation]);
    let forged = issue(&Tokens::new(&Config::default(), b"another key"), "forger", LAB, now);
    let reader = issue(tokens, "reader", "ws:lab-one#r wid:lab-one", now);
    let parts: Vec<_> = reader.split('.').collect();
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let raised = URL_SAFE_NO_PAD.encode(claims.replace("#r ", "#a "));
    let changed = format!("{}.{raised}.{}", parts[0], parts[2]);
    let unsigned = format!("{}.{raised}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#));
    [issue(tokens, "late", LAB, now - 700), good, forged, changed, unsigned]
}

async fn connect(running: &Running, name: &str, token: Option<&str>) -> polyfn_core::Result<Client> {
    let options = ClientOptions {
        server_url: running.url().to_owned(),
        client_id: Some(name.to_owned()),
        token: token.map(str::to_owned),
        ..ClientOptions::default()
    };
    Client::connect(options).await
}
