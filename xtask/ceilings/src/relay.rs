//! An HTTP front that hands every request to one worker over one websocket: an id and the path, no protocol.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;

use crate::Ended;

const ID: usize = 8;

struct Relay {
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Bytes>>>,
    outgoing: Mutex<Option<mpsc::UnboundedSender<Bytes>>>,
}

pub(crate) async fn serve() -> Ended {
    let (front, back) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    crate::ready(&[("http", front.local_addr()?), ("worker", back.local_addr()?)])?;
    let relay = Arc::new(Relay {
        next: AtomicU64::new(0),
        waiting: Mutex::new(HashMap::new()),
        outgoing: Mutex::new(None),
    });
    tokio::spawn(accept_workers(back, Arc::clone(&relay)));
    axum::serve(front, Router::new().fallback(answer).with_state(relay)).await?;
    Ok(())
}

async fn answer(State(relay): State<Arc<Relay>>, uri: Uri) -> Result<Bytes, StatusCode> {
    let id = relay.next.fetch_add(1, Ordering::Relaxed);
    let (done, result) = oneshot::channel();
    relay.waiting.lock().insert(id, done);
    let mut frame = BytesMut::with_capacity(ID + uri.path().len());
    frame.extend_from_slice(&id.to_le_bytes());
    frame.extend_from_slice(uri.path().as_bytes());
    let sent = relay.outgoing.lock().as_ref().is_some_and(|worker| worker.send(frame.freeze()).is_ok());
    if !sent {
        relay.waiting.lock().remove(&id);
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    result.await.map_err(|_| StatusCode::BAD_GATEWAY)
}

async fn accept_workers(back: TcpListener, relay: Arc<Relay>) {
    while let Ok((stream, _)) = back.accept().await {
        if let Err(error) = serve_worker(stream, &relay).await {
            eprintln!("worker left: {error}");
        }
        *relay.outgoing.lock() = None;
    }
}

async fn serve_worker(stream: TcpStream, relay: &Relay) -> Ended {
    stream.set_nodelay(true)?;
    let (mut writer, mut reader) = tokio_tungstenite::accept_async(stream).await?.split();
    let (send, mut frames) = mpsc::unbounded_channel::<Bytes>();
    *relay.outgoing.lock() = Some(send);
    // frames that wait together leave in one write
    let write = async move {
        while let Some(frame) = frames.recv().await {
            writer.feed(Message::Binary(frame)).await?;
            while let Ok(more) = frames.try_recv() {
                writer.feed(Message::Binary(more)).await?;
            }
            writer.flush().await?;
        }
        Ended::Ok(())
    };
    let read = async {
        while let Some(message) = reader.next().await {
            let mut frame = message?.into_data();
            if frame.len() < ID {
                continue;
            }
            let id = frame.split_to(ID).as_ref().try_into().map(u64::from_le_bytes)?;
            let waiting = relay.waiting.lock().remove(&id);
            if let Some(done) = waiting {
                let _ = done.send(frame);
            }
        }
        Ended::Ok(())
    };
    tokio::select! { ended = write => ended, ended = read => ended }
}
