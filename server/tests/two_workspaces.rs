//! Two workspaces side by side: whatever is done in one, nothing of it is ever heard in the other.
//!
//! In process, without sockets: frames go to the hub as connections would take them there, and all that waits to be
//! written to anybody is looked at. What a workspace says carries its mark, in names, descriptions, types and events;
//! nobody asks by the mark of the other, except to compare the answers for what is there and for what is not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use futures_util::FutureExt;
use polyfn_core::session::Extensions;
use polyfn_core::{Map, Value};
use polyfn_server::auth::{Identity, Permission, Scope, UserInfo};
use polyfn_server::hub::{Ending, Item, Next, Peer};
use polyfn_server::store::{Place, Store};
use polyfn_server::{Config, State, http};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

const CASES: u32 = 8;
/// In each workspace and case: ten thousand in all.
const OPERATIONS: usize = 1250;
const CLIENTS: usize = 3;

/// Workspace and mark.
const PLACES: [(&str, &str); 2] = [("lab-one", "redmark"), ("lab-two", "bluemark")];

/// Questions to the manager after what is, or is not, in the other workspace. Services of even numbers are protected;
/// whoever knows the name of one of an odd number may have it.
const PROBES: [(&str, &str); 15] = [
    ("get_service_type", r#"["PLACE/MARK-NUMBER"]"#),
    ("ping", r#"["PLACE/MARK-0", 1]"#),
    ("ping_client", r#"["PLACE/MARK-0", 1]"#),
    ("get_service", r#"["PLACE/MARK-0:MARK-0"]"#),
    ("get_service", r#"["PLACE/*:MARK-0"]"#),
    ("get_service", r#"["PLACE/MARK-0@app"]"#),
    ("get_service_info", r#"["PLACE/MARK-0:MARK-2"]"#),
    ("get_service_info", r#"["PLACE/MARK-1:*"]"#),
    ("get_service_info", r#"["PLACE/MARK-4", {"mode": "random"}]"#),
    ("get_service", r#"["PLACE/MARK-2:built-i"]"#),
    ("list_services", r#"["PLACE/MARK-0:*"]"#),
    ("list_services", r#"[{"workspace": "PLACE", "service_id": "MARK-4"}]"#),
    ("bookmark", r#"[{"bookmark_type": "service", "id": "PLACE/MARK-0:MARK-0"}]"#),
    ("unregister_service", r#"["PLACE/MARK-0:MARK-0"]"#),
    ("revoke_token", r#"["MARK"]"#),
];

/// The same over HTTP.
const PATHS: [&str; 13] = [
    "/PLACE/services/MARK-0",
    "/PLACE/services/MARK-0:MARK-2",
    "/PLACE/services/MARK-0@app",
    "/PLACE/services/MARK-0:MARK-0/run",
    "/PLACE/services/MARK-2/run?_mode=random",
    "/PLACE/services/MARK-0:MARK-0/openapi.json",
    "/PLACE/services/MARK-0:MARK-0/docs",
    "/PLACE/services/",
    "/PLACE/apps/MARK-0/x",
    "/PLACE/apps/MARK-0:MARK-4/x",
    "/PLACE/info",
    "/PLACE/overview",
    "/PLACE/services/MARK-0:*",
];

#[derive(Clone, Copy, Debug)]
struct Operation {
    client: usize,
    action: u8,
    number: u8,
}

fn operation() -> impl Strategy<Value = Operation> {
    (0..CLIENTS, 0..19_u8, 0..6_u8).prop_map(|(client, action, number)| Operation { client, action, number })
}

struct World {
    state: Arc<State>,
    router: Router,
    /// A token for each place, and none.
    tokens: [Option<String>; 3],
    peers: [Vec<Arc<Peer>>; 2],
    calls: usize,
    /// How often each place heard its own mark: otherwise the test would prove nothing.
    heard: [usize; 2],
}

impl World {
    async fn new() -> Self {
        let store = Store::open(&Place::Memory).await.unwrap();
        let config = Config { database: Place::Memory, ..Config::default() }.checked().unwrap();
        let state = Arc::new(State::new(config, "127.0.0.1:1".parse().unwrap(), store).unwrap());
        let token = |(workspace, mark): (&str, &str)| {
            let scope = Scope::parse(&format!("ws:{workspace}#a wid:{workspace}"));
            let user = UserInfo { id: format!("{mark}-user"), scope, ..UserInfo::default() };
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            Some(state.tokens.issue(&user, 600, now).unwrap())
        };
        let tokens = [token(PLACES[0]), token(PLACES[1]), None];
        let (router, peers) = (http::router(&state), [Vec::new(), Vec::new()]);
        let mut world = Self { state, router, tokens, peers, calls: 0, heard: [0; 2] };
        for place in 0..2 {
            for at in 0..CLIENTS {
                let peer = world.join(place, at).await;
                world.peers[place].push(peer);
            }
            for at in 0..CLIENTS {
                world.announce(place, at).await;
            }
        }
        world
    }

    async fn join(&self, place: usize, at: usize) -> Arc<Peer> {
        let (workspace, mark) = PLACES[place];
        // one reads, one writes, one does all
        let permission = [Permission::Admin, Permission::ReadWrite, Permission::Read][at % 3];
        let scope = Scope::parse(&format!("ws:{workspace}#{} wid:{workspace}", permission.letter()));
        let identity = Identity {
            user: UserInfo { id: format!("{mark}-user-{at}"), scope, ..UserInfo::default() },
            workspace: workspace.to_owned(),
            permission,
            client_id: format!("{mark}-{at}"),
            reconnecting: false,
            extensions: Extensions::ALL,
        };
        self.state.hub.join(identity, None, "welcome".to_owned()).await.unwrap()
    }

    async fn announce(&mut self, place: usize, at: usize) {
        let id = format!("{}:built-in", self.peers[place][at].address());
        let info = json!({"id": id, "config": {"visibility": "public"}, "service_schema": {}});
        self.manager(place, at, "register_service", json!([info])).await;
        let kinds = [
            "client_connected",
            "client_disconnected",
            "client_updated",
            "service_added",
            "noise",
            "service_removed",
            "service_updated",
            "workspace_changed",
        ];
        self.manager(place, at, "subscribe", json!([kinds])).await;
    }

    /// Sends a frame of the client, then hears what came of it everywhere.
    async fn send(&mut self, place: usize, at: usize, head: &Value, body: Option<&Value>) -> Vec<Bytes> {
        let mut frame = head.to_msgpack().unwrap();
        frame.extend(body.map(|body| body.to_msgpack().unwrap()).unwrap_or_default());
        let peer = Arc::clone(&self.peers[place][at]);
        self.state.hub.deliver(&peer, &Bytes::from(frame)).await;
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        self.listen(place, at)
    }

    /// Takes what waits for anybody and looks for the mark of the other place; answers what the asking client got.
    fn listen(&mut self, place: usize, at: usize) -> Vec<Bytes> {
        let mut answers = Vec::new();
        for (own, peers) in self.peers.iter().enumerate() {
            for (index, peer) in peers.iter().enumerate() {
                while let Some(Next::Batch(items)) = peer.queue.next().now_or_never() {
                    for item in items {
                        let Item::Frame(frame) = item else { continue };
                        self.heard[own] += usize::from(holds(&frame, PLACES[own].1));
                        if (own, index) == (place, at) {
                            answers.push(frame);
                        } else {
                            assert_quiet(&frame, own);
                        }
                    }
                }
            }
        }
        answers
    }

    async fn ask(&mut self, place: usize, at: usize, to: &str, method: &str, args: Json) -> Vec<Bytes> {
        self.calls += 1;
        let session = format!("call{}", self.calls);
        let head = [("type", "method"), ("from", ""), ("to", to), ("method", method), ("session", &session)];
        let body = Map::from_iter([("args", Value::from(args)), ("promise", Value::from("*"))]);
        let head = Value::Map(Map::from_iter(head));
        let mut answers = self.send(place, at, &head, Some(&Value::Map(body))).await;
        for answer in &mut answers {
            // answers that differ in nothing else are to be equal
            let text = String::from_utf8_lossy(answer).replace(&session, "call");
            *answer = Bytes::from(text);
        }
        answers
    }

    async fn manager(&mut self, place: usize, at: usize, method: &str, args: Json) {
        let answers = self.ask(place, at, "*/manager", &format!("services.default.{method}"), args).await;
        answers.iter().for_each(|answer| assert_quiet(answer, place));
    }

    /// Asks for what is there in the other workspace, and for what is not: the answers must not tell which is which.
    async fn probe(&mut self, place: usize, at: usize, to: &str, method: &str, args: &str) {
        let there = PLACES[1 - place].1;
        let mut told = Vec::new();
        // of the same length, which is told before a text
        for name in [there, &"nosuchmark"[..there.len()]] {
            let fill = |text: &str| text.replace("MARK", name);
            let args = serde_json::from_str(&fill(args)).unwrap();
            let answers = self.ask(place, at, &fill(to), method, args).await;
            let texts: Vec<_> =
                answers.iter().map(|answer| String::from_utf8_lossy(answer).replace(name, "MARK")).collect();
            told.push(texts.concat());
        }
        assert_eq!(told[0], told[1], "{method} {args} tells whether it is there");
        assert!(!told[0].is_empty(), "{method} {args} was not answered");
        self.assert_undisturbed(1 - place);
    }

    /// The same over HTTP, with the token of the own place or with none. What is asked with is never what is looked
    /// for: no message may reach the other place, however a question is answered.
    async fn probe_http(&mut self, place: usize, number: u8, path: &str) {
        let (other, there) = PLACES[1 - place];
        let absent = [&"nowhere"[..other.len()], &"nosuchmark"[..there.len()]];
        let token = self.tokens[if number.is_multiple_of(2) { place } else { 2 }].clone();
        let mut told = Vec::new();
        for [workspace, name] in [[other, there], [other, absent[1]], [absent[0], there]] {
            let uri = path.replace("PLACE", workspace).replace("MARK", name);
            let mut request = Request::builder().uri(&uri);
            if let Some(token) = &token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let request = request.body(Body::empty()).unwrap();
            let answer = http::answer(Arc::clone(&self.state), self.router.clone(), request).await;
            let status = answer.status();
            let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            let text = String::from_utf8_lossy(&body).replace(workspace, "PLACE").replace(name, "MARK");
            told.push(format!("{status} {text}"));
        }
        assert_eq!(told[0], told[1], "{path} tells whether there is such a service");
        assert_eq!(told[0], told[2], "{path} tells whether there is such a workspace");
        assert!(told[0].starts_with("40") || path.ends_with("/overview"), "{path}: {}", told[0]);
        self.assert_undisturbed(1 - place);
    }

    /// Nobody in `place` was told anything by a question from elsewhere.
    fn assert_undisturbed(&self, place: usize) {
        for peer in &self.peers[place] {
            assert!(peer.queue.next().now_or_never().is_none(), "{} was asked something", peer.address());
        }
    }

    async fn leave_and_return(&mut self, place: usize, at: usize) {
        let old = Arc::clone(&self.peers[place][at]);
        self.state.hub.leave(&old);
        assert_eq!(old.queue.end().now_or_never(), Some(Ending::Cut));
        self.listen(place, at);
        self.peers[place][at] = self.join(place, at).await;
        self.announce(place, at).await;
    }

    async fn run(&mut self, place: usize, operation: Operation) {
        let Operation { client: at, action, number } = operation;
        let ((own, mark), (other, _)) = (PLACES[place], PLACES[1 - place]);
        let id = format!("{}:{mark}-{number}", self.peers[place][at].address());
        let visibility = ["protected", "unlisted"][usize::from(number % 2)];
        let described = json!({"id": id, "description": format!("{mark} {number}"), "config": {"visibility": visibility},
            "service_schema": {"run": {"type": "function", "function": {"name": mark}}}});
        match action {
            0..=3 => self.manager(place, at, "register_service", json!([described])).await,
            4 => self.manager(place, at, "unregister_service", json!([id])).await,
            5 => self.leave_and_return(place, at).await,
            6 => self.manager(place, at, "list_services", json!([own, true])).await,
            7 => {
                let queries = [
                    json!("*/*"),
                    json!(other),
                    json!({"workspace": "*"}),
                    json!(format!("{other}/*:*")),
                    json!({"workspace": "*", "visibility": "unlisted"}),
                    json!({"workspace": other, "type": "*"}),
                ];
                let query = queries[usize::from(number)].clone();
                self.manager(place, at, "list_services", json!([query, number % 2 == 0])).await;
            }
            8 => {
                let methods = [
                    "list_clients",
                    "list_service_types",
                    "get_workspace_info",
                    "check_status",
                    "get_summary",
                    "list_workspaces",
                ];
                let args = if number < 3 { json!([other]) } else { json!([]) };
                self.manager(place, at, methods[usize::from(number)], args).await;
            }
            9 => {
                let kind =
                    json!({"id": format!("{mark}-{number}"), "definition": {mark: {"type": "function"}}});
                self.manager(place, at, "register_service_type", json!([kind])).await;
            }
            10 => self.event(place, at, "*", "noise").await,
            11 => self.event(place, at, &format!("{other}/*"), "noise").await,
            12 => self.event(place, at, "*", "service_added").await,
            13 => self.manager(place, at, "subscribe", json!([format!("{mark}-{number}")])).await,
            14 => self.manager(place, at, "get_service_info", json!([format!("*:{mark}-{number}")])).await,
            15 => {
                let asked = format!("{other}/*:*-{number}");
                self.manager(place, at, "get_service_info", json!([asked])).await;
            }
            16 => {
                let (method, args) = PROBES[(usize::from(number) * CLIENTS + at) % PROBES.len()];
                let args = args.replace("PLACE", other).replace("NUMBER", &number.to_string());
                self.probe(place, at, "*/manager", &format!("services.default.{method}"), &args).await;
            }
            17 => {
                let path = PATHS[(usize::from(number) * CLIENTS + at) % PATHS.len()];
                self.probe_http(place, number, &path.replace("NUMBER", &number.to_string())).await;
            }
            _ => {
                let methods = [format!("services.MARK-{number}.run"), "call1.resolve".to_owned()];
                let method = methods[usize::from(number % 2)].replace("MARK", "x");
                self.probe(place, at, &format!("{other}/MARK-{at}"), &method, "[1]").await;
            }
        }
    }

    async fn event(&mut self, place: usize, at: usize, to: &str, kind: &str) {
        let head = [("type", kind), ("to", to), ("from", ""), ("data", PLACES[place].1)];
        let answers = self.send(place, at, &Value::Map(Map::from_iter(head)), None).await;
        answers.iter().for_each(|answer| assert_quiet(answer, place));
    }
}

fn holds(frame: &[u8], text: &str) -> bool {
    frame.windows(text.len()).any(|part| part == text.as_bytes())
}

fn assert_quiet(frame: &[u8], place: usize) {
    let other = PLACES[1 - place].1;
    assert!(
        !holds(frame, other),
        "{} hears of the other: {}",
        PLACES[place].0,
        String::from_utf8_lossy(frame)
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: CASES,
        max_shrink_iters: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_of_one_appears_in_the_other(
        operations in prop::collection::vec((operation(), operation()), OPERATIONS)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for (one, other) in operations {
                world.run(0, one).await;
                world.run(1, other).await;
            }
            assert!(world.heard.iter().all(|times| *times > OPERATIONS / 4), "{:?}", world.heard);
        });
    }
}
