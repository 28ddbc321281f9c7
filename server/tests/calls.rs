//! Clients in Rust that call each other: what becomes of a function that nobody waits for any longer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use polyfn_core::net::{Call, CallOptions, Client, ClientOptions, RemoteFunction, Service, now};
use polyfn_core::session::{Extensions, Options};
use polyfn_core::{ErrorKind, Value};
use polyfn_server::auth::{Scope, UserInfo};
use polyfn_server::{Config, Running, Server, clock};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Functions that ran: how each was called, and a channel that ends when the function has.
type Begun = mpsc::UnboundedReceiver<(Call, oneshot::Receiver<()>)>;

struct Scene {
    running: Running,
    caller: Client,
    owner: Client,
    begun: Begun,
}

async fn connect(running: &Running, name: &str, extensions: Extensions) -> Client {
    let scope = Scope::parse("ws:lab-one#a wid:lab-one");
    let user = UserInfo { id: "maker".into(), scope, ..UserInfo::default() };
    let options = ClientOptions {
        server_url: running.url().to_owned(),
        workspace: Some("lab-one".to_owned()),
        client_id: Some(name.to_owned()),
        token: Some(running.state().tokens.issue(&user, 60, clock::now()).unwrap()),
        session: Options { extensions, ..Options::default() },
        ..ClientOptions::default()
    };
    Client::connect(options).await.unwrap()
}

/// A server, a caller, and the owner of a service whose function `wait` never ends by itself.
async fn scene(extensions: Extensions) -> Scene {
    let running = Server::start(Config { port: 0, ..Config::default() }).await.unwrap();
    let owner = connect(&running, "owner", Extensions::ALL).await;
    let (begin, begun) = mpsc::unbounded_channel();
    let begin = Arc::new(begin);
    let service = Service::new("svc").entry("type", "functions").config("visibility", "public");
    let service = service.function("wait", move |call| {
        let begin = Arc::clone(&begin);
        async move {
            let (held, ended) = oneshot::channel::<()>();
            begin.send((call, ended)).unwrap();
            pending::<()>().await;
            drop(held);
            Ok(Value::Nil)
        }
    });
    owner.register_service(service).await.unwrap();
    let caller = connect(&running, "caller", extensions).await;
    Scene { running, caller, owner, begun }
}

impl Scene {
    async fn function(&self) -> RemoteFunction {
        self.caller.get_service("owner:svc").await.unwrap().function("wait").unwrap()
    }
}

async fn next(begun: &mut Begun) -> (Call, oneshot::Receiver<()>) {
    timeout(PATIENCE, begun.recv()).await.unwrap().unwrap()
}

/// Waits until the function has been dropped.
async fn broken_off(scene: &Scene, ended: oneshot::Receiver<()>) {
    assert!(timeout(PATIENCE, ended).await.unwrap().is_err());
    timeout(PATIENCE, async {
        while scene.owner.connection().statistics().runs > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_call_that_is_dropped_breaks_its_function_off() {
    let mut scene = scene(Extensions::ALL).await;
    let function = scene.function().await;
    let waiting = tokio::spawn(async move { function.call([]).await });
    let (call, ended) = next(&mut scene.begun).await;
    assert_eq!((call.deadline, call.trace), (None, None));
    waiting.abort();
    broken_off(&scene, ended).await;
    assert_eq!(scene.caller.connection().statistics().calls, 0);
}

#[tokio::test]
async fn a_deadline_and_a_trace_reach_the_function() {
    let mut scene = scene(Extensions::ALL).await;
    let function = scene.function().await;
    let mut deadline = Duration::from_millis(100);
    let (call, ended, waiting) = loop {
        let options = CallOptions { deadline: Some(deadline), trace: Some(TRACE.to_owned()) };
        let function = function.clone().with_options(options);
        let mut waiting = tokio::spawn(async move { function.call([]).await });
        tokio::select! {
            (call, ended) = next(&mut scene.begun) => break (call, ended, waiting),
            // over before the function has begun, which takes as long as it takes
            _ = &mut waiting => deadline *= 2,
        }
    };
    assert!(call.deadline.is_some_and(|at| at <= now() + deadline));
    assert_eq!(call.trace.as_deref(), Some(TRACE));
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    broken_off(&scene, ended).await;
}

#[tokio::test]
async fn a_caller_without_extensions_has_its_deadline_to_itself() {
    let mut scene = scene(Extensions::NONE).await;
    let options = CallOptions { deadline: Some(Duration::from_millis(100)), ..CallOptions::default() };
    let function = scene.function().await.with_options(options);
    assert_eq!(function.call([]).await.unwrap_err().kind(), ErrorKind::Timeout);
    let (call, mut ended) = next(&mut scene.begun).await;
    assert_eq!(call.deadline, None);
    scene.caller.manager("echo", [Value::Nil]).await.unwrap();
    assert_eq!(ended.try_recv(), Err(oneshot::error::TryRecvError::Empty), "it goes on, as of old");
}

#[tokio::test]
async fn a_client_that_leaves_breaks_its_functions_off() {
    let mut scene = scene(Extensions::ALL).await;
    let function = scene.function().await;
    let waiting = tokio::spawn(async move { function.call([]).await });
    let (_, ended) = next(&mut scene.begun).await;
    scene.caller.disconnect().await;
    broken_off(&scene, ended).await;
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::PeerGone);
}

#[tokio::test]
async fn calls_end_with_the_client_that_they_were_made_to() {
    let mut scene = scene(Extensions::ALL).await;
    let stranger =
        ClientOptions { client_id: Some("stranger".into()), ..ClientOptions::new(scene.running.url()) };
    let stranger = Client::connect(stranger).await.unwrap();
    let near = scene.function().await;
    let far = stranger.get_service("lab-one/owner:svc").await.unwrap().function("wait").unwrap();
    let calls = [near, far].map(|function| tokio::spawn(async move { function.call([]).await }));
    for _ in 0..calls.len() {
        next(&mut scene.begun).await;
    }
    scene.owner.disconnect().await;
    for call in calls {
        let error = timeout(PATIENCE, call).await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PeerGone);
    }
}

#[tokio::test]
async fn an_http_request_that_is_dropped_breaks_its_function_off() {
    let mut scene = scene(Extensions::ALL).await;
    for path in ["apps/owner:svc/wait", "services/owner:svc/wait"] {
        let mut socket = TcpStream::connect(scene.running.address()).await.unwrap();
        let request = format!("GET /lab-one/{path} HTTP/1.1\r\nhost: x\r\ntraceparent: {TRACE}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let (call, ended) = next(&mut scene.begun).await;
        assert_eq!(call.trace.as_deref(), Some(TRACE));
        assert!(call.deadline.is_some());
        drop(socket);
        broken_off(&scene, ended).await;
    }
}
