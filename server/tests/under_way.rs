//! Limits of what clients may have under way, and of what is kept of a workspace: who is over is slowed or refused,
//! and stays connected.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use polyfn_core::net::{Client, ClientOptions, RemoteFunction, Service};
use polyfn_core::{ErrorKind, Map, Result, Value};
use polyfn_server::auth::{Scope, UserInfo};
use polyfn_server::limits::Limits;
use polyfn_server::{Config, Running, Server, clock};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

async fn connect(running: &Running, name: &str) -> Client {
    connect_to(running, name, "lab-one").await
}

async fn connect_to(running: &Running, name: &str, workspace: &str) -> Client {
    let scope = Scope::parse(&format!("ws:{workspace}#a wid:{workspace}"));
    let user = UserInfo { id: "maker".into(), scope, ..UserInfo::default() };
    let options = ClientOptions {
        server_url: running.url().to_owned(),
        client_id: Some(name.to_owned()),
        token: Some(running.state().tokens.issue(&user, 60, clock::now()).unwrap()),
        ..ClientOptions::default()
    };
    Client::connect(options).await.unwrap()
}

/// A caller with a service of its own, and the owner of a function that waits for its turn to end.
struct Scene {
    running: Running,
    caller: Client,
    owner: Client,
    begun: mpsc::UnboundedReceiver<Value>,
    turns: Arc<Semaphore>,
}

impl Scene {
    async fn new(limits: Limits) -> Self {
        let running = Server::start(Config { port: 0, limits, ..Config::default() }).await.unwrap();
        let (owner, caller) = (connect(&running, "owner").await, connect(&running, "caller").await);
        let (begin, begun) = mpsc::unbounded_channel();
        let turns = Arc::new(Semaphore::new(0));
        let ends = Arc::clone(&turns);
        let service = Service::new("svc").function("wait", move |call| {
            let (begin, ends) = (begin.clone(), Arc::clone(&ends));
            async move {
                begin.send(call.argument(0, "number").clone()).unwrap();
                ends.acquire().await.unwrap().forget();
                Ok(Value::Nil)
            }
        });
        let service = service.function("long", |_| async { Ok(long()) });
        owner.register_service(service).await.unwrap();
        let service = Service::new("back").function("here", |_| async { Ok(true.into()) });
        caller.register_service(service).await.unwrap();
        Self { running, caller, owner, begun, turns }
    }

    async fn function(&self, client: &Client) -> RemoteFunction {
        client.get_service("owner:svc").await.unwrap().function("wait").unwrap()
    }

    async fn begin(&self, client: &Client, numbers: std::ops::Range<i64>) -> Vec<JoinHandle<Result<Value>>> {
        let function = self.function(client).await;
        let mut calls = Vec::new();
        for number in numbers {
            let function = function.clone();
            let before = client.connection().statistics().calls;
            calls.push(tokio::spawn(async move { function.call([Value::from(number)]).await }));
            // one behind the other, so that their order is known
            while client.connection().statistics().calls == before {
                tokio::task::yield_now().await;
            }
        }
        calls
    }

    /// The numbers of the functions that run once all that was sent before has been looked at.
    async fn running(&mut self) -> Vec<Value> {
        // its answer stands behind the calls in the caller's socket, and passes by those that wait
        let back = self.owner.get_service("caller:back").await.unwrap();
        timeout(PATIENCE, back.call("here", [])).await.unwrap().unwrap();
        self.owner.manager("echo", [Value::Nil]).await.unwrap();
        let mut running = Vec::new();
        while let Ok(number) = self.begun.try_recv() {
            running.push(number);
        }
        running
    }

    /// Returns as soon as so many calls are counted.
    async fn until_under_way(&self, count: usize) {
        let counted = async {
            while self.running.state().hub.calls_under_way() != count {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, counted).await.unwrap();
    }

    fn limited(&self, name: &str) -> bool {
        self.running.state().metrics.text(0.0).contains(&format!("limited_total{{limit=\"{name}\"}} "))
    }
}

fn numbers(numbers: std::ops::Range<i64>) -> Vec<Value> {
    numbers.map(Value::from).collect()
}

#[tokio::test]
async fn calls_wait_for_their_turn_and_answers_pass_by() {
    let mut scene = Scene::new(Limits { max_calls_per_client: 2, ..Limits::default() }).await;
    let calls = scene.begin(&scene.caller, 0..5).await;
    assert_eq!(scene.running().await, numbers(0..2));
    assert!(scene.limited("max_calls_per_client"));
    scene.turns.add_permits(5);
    for call in calls {
        timeout(PATIENCE, call).await.unwrap().unwrap().unwrap();
    }
    assert_eq!(scene.running().await, numbers(2..5), "in their order");
    // all places were given back
    scene.turns.add_permits(2);
    for call in scene.begin(&scene.caller, 0..2).await {
        timeout(PATIENCE, call).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test]
async fn who_calls_itself_does_not_wait_for_itself() {
    let limits = Limits { max_calls_per_client: 2, max_queued_bytes: 1 << 20, ..Limits::default() };
    let scene = Scene::new(limits).await;
    let here = scene.caller.get_service("caller:back").await.unwrap().function("here").unwrap();
    // more than the line holds: what it cannot hold is refused, and its own answers are read on
    let calls: Vec<_> = (0..10_000).map(|_| tokio::spawn(call(here.clone()))).collect();
    let (mut done, mut refused) = (0, 0);
    for call in calls {
        match timeout(PATIENCE, call).await.unwrap().unwrap() {
            Ok(_) => done += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
                refused += 1;
            }
        }
    }
    assert!(done > 1000 && done + refused == 10_000, "{done} done, {refused} refused");
}

/// More than one part holds.
fn long() -> Value {
    Value::Bytes(vec![7; 1 << 20].into())
}

#[tokio::test]
async fn a_call_in_parts_is_counted_once() {
    let mut scene = Scene::new(Limits { max_calls_per_client: 1, ..Limits::default() }).await;
    let function = scene.function(&scene.caller).await;
    let calls = [0, 1].map(|number| {
        let function = function.clone();
        tokio::spawn(async move { function.call([Value::from(number), long()]).await })
    });
    let first = timeout(PATIENCE, scene.begun.recv()).await.unwrap();
    let limited = async {
        while !scene.limited("max_calls_per_client") {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, limited).await.unwrap();
    scene.until_under_way(1).await;
    assert!(scene.begun.try_recv().is_err(), "the second one waits");
    scene.turns.add_permits(2);
    let second = timeout(PATIENCE, scene.begun.recv()).await.unwrap();
    assert_ne!(first, second);
    for call in calls {
        timeout(PATIENCE, call).await.unwrap().unwrap().unwrap();
    }
    scene.until_under_way(0).await;
}

#[tokio::test]
async fn an_answer_in_parts_gives_the_place_back() {
    let scene = Scene::new(Limits { max_calls_per_client: 1, ..Limits::default() }).await;
    let svc = scene.caller.get_service("owner:svc").await.unwrap();
    for _ in 0..3 {
        assert_eq!(timeout(PATIENCE, svc.call("long", [])).await.unwrap().unwrap(), long());
    }
    scene.until_under_way(0).await;
}

#[tokio::test]
async fn a_call_that_is_given_up_between_its_parts_gives_the_place_back() {
    let scene = Scene::new(Limits::default()).await;
    let function = scene.function(&scene.caller).await;
    let padding = Value::Bytes(vec![7; 16 << 20].into());
    let call = tokio::spawn(async move { function.call([Value::from(0), padding]).await });
    scene.until_under_way(1).await;
    call.abort();
    scene.until_under_way(0).await;
}

async fn call(function: RemoteFunction) -> Result<Value> {
    function.call([]).await
}

#[tokio::test]
async fn clients_of_a_user_a_workspace_and_an_address_share_their_places() {
    let base = Limits { call_wait_timeout: Duration::from_millis(50).into(), ..Limits::default() };
    for (name, limits) in [
        ("max_calls_per_user", Limits { max_calls_per_user: 1, ..base.clone() }),
        ("max_calls_per_workspace", Limits { max_calls_per_workspace: 1, ..base.clone() }),
        ("max_calls_per_address", Limits { max_calls_per_address: 1, ..base }),
    ] {
        let mut scene = Scene::new(limits).await;
        let other = connect(&scene.running, "other").await;
        let first = scene.begin(&scene.caller, 0..1).await;
        assert_eq!(timeout(PATIENCE, scene.begun.recv()).await.unwrap(), Some(0.into()));
        // who waits in vain is told so
        for call in scene.begin(&other, 1..2).await {
            let error = timeout(PATIENCE, call).await.unwrap().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
        }
        assert!(scene.limited(name) && scene.limited("call_wait_timeout"));
        // nobody waits for the calls of a client that has left
        scene.caller.disconnect().await;
        drop(first);
        scene.turns.add_permits(1);
        for call in scene.begin(&other, 2..3).await {
            timeout(PATIENCE, call).await.unwrap().unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn a_function_that_is_gone_gives_its_places_back() {
    let mut scene = Scene::new(Limits { max_calls_per_client: 1, ..Limits::default() }).await;
    let first = scene.begin(&scene.caller, 0..1).await;
    assert_eq!(scene.running().await, numbers(0..1));
    scene.owner.disconnect().await;
    for call in first {
        assert_eq!(timeout(PATIENCE, call).await.unwrap().unwrap().unwrap_err().kind(), ErrorKind::PeerGone);
    }
    let own = scene.caller.get_service("caller:back").await.unwrap();
    timeout(PATIENCE, own.call("here", [])).await.unwrap().unwrap();
}

#[tokio::test]
async fn services_of_a_user_and_of_an_address_are_limited() {
    // the scene has two
    for (name, limits) in [
        ("max_services_per_user", Limits { max_services_per_user: 3, ..Limits::default() }),
        ("max_services_per_address", Limits { max_services_per_address: 3, ..Limits::default() }),
    ] {
        let scene = Scene::new(limits).await;
        let other = connect_to(&scene.running, "other", "lab-two").await;
        let service = |name: &str| Service::new(name).function("here", |_| async { Ok(true.into()) });
        other.register_service(service("third")).await.unwrap();
        let error = scene.caller.register_service(service("fourth")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Overloaded);
        assert!(error.message().contains("Too many services") && scene.limited(name), "{error}");
        // in the place of another one, and where one was, there is room
        scene.caller.register_service(service("back").overwrite(true)).await.unwrap();
        other.unregister_service("third").await.unwrap();
        scene.caller.register_service(service("fourth")).await.unwrap();
        scene.caller.disconnect().await;
        other.register_service(service("third")).await.unwrap();
    }
}

#[tokio::test]
async fn the_workspaces_of_a_user_keep_so_many_bytes_together() {
    let scene = Scene::new(Limits { max_stored_bytes_per_user: 3000, ..Limits::default() }).await;
    let own = connect_to(&scene.running, "keeper", "ws-user-maker").await;
    let lab = Map::from_iter([("id", Value::from("lab-kept")), ("persistent", true.into())]);
    own.manager("create_workspace", [Value::Map(lab)]).await.unwrap();
    let lab = connect_to(&scene.running, "keeper", "lab-kept").await;
    let long = Value::from("x".repeat(1200));
    own.manager("set_env", ["A".into(), long.clone()]).await.unwrap();
    lab.manager("set_env", ["A".into(), "short".into()]).await.unwrap();
    let error = lab.manager("set_env", ["B".into(), long.clone()]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(error.message().contains("of 3000 bytes are used"), "{error}");
    assert!(scene.limited("max_stored_bytes_per_user"));
    own.manager("set_env", ["A".into(), Value::Nil]).await.unwrap();
    lab.manager("set_env", ["B".into(), long]).await.unwrap();
}

#[tokio::test]
async fn a_workspace_keeps_so_many_bytes() {
    let scene = Scene::new(Limits { max_stored_bytes_per_workspace: 3000, ..Limits::default() }).await;
    // the user's own workspace is one that stays
    let keeper = connect_to(&scene.running, "keeper", "ws-user-maker").await;
    let long = "x".repeat(1000);
    let set = |key: &'static str| keeper.manager("set_env", [key.into(), long.as_str().into()]);
    set("A").await.unwrap();
    let mut refused = Ok(Value::Nil);
    for key in ["B", "C", "D"] {
        refused = set(key).await;
    }
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(error.message().contains("of 3000 bytes are used"), "{error}");
    let kind =
        [("id", Value::from("kind")), ("docs", long.repeat(3).into()), ("definition", Map::new().into())];
    let kind = Value::Map(Map::from_iter(kind));
    let error = keeper.manager("register_service_type", [kind]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    // what is taken out makes room
    keeper.manager("set_env", ["A".into(), Value::Nil]).await.unwrap();
    keeper.manager("set_env", ["E".into(), "short".into()]).await.unwrap();
    assert!(scene.limited("max_stored_bytes_per_workspace"));
}
