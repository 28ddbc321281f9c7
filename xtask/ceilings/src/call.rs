//! Measures an echo over one websocket: one at a time, many at a time, and large frames.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::Ended;

const FRAME: usize = 250;
const IN_FLIGHT: u32 = 64;
const LARGE: usize = 10_000_000;
const WARM_UP: usize = 500;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) async fn measure(url: &str, seconds: f64) -> Ended {
    let settings = WebSocketConfig::default().max_frame_size(None).max_message_size(None);
    let (mut socket, _) = tokio_tungstenite::connect_async_with_config(url, Some(settings), true).await?;
    let window = Duration::from_secs_f64(seconds);
    let frame = Bytes::from(vec![7; FRAME]);
    for _ in 0..WARM_UP {
        trip(&mut socket, &frame).await?;
    }
    let mut times = one_at_a_time(&mut socket, &frame, window).await?;
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    let (p50, p99) = (at(0.5), at(0.99));
    let rate = many_at_a_time(&mut socket, &frame, window).await?;
    let large = Bytes::from(random(LARGE));
    let speed = large_frames(&mut socket, &large, window).await?;
    println!(
        "{}",
        serde_json::json!({ "p50_ms": p50, "p99_ms": p99, "calls_per_s": rate, "mb_per_s": speed })
    );
    Ok(())
}

async fn trip(socket: &mut Socket, frame: &Bytes) -> Ended {
    socket.send(Message::Binary(frame.clone())).await?;
    receive(socket).await
}

async fn receive(socket: &mut Socket) -> Ended {
    socket.next().await.ok_or("the echo closed the connection")??;
    Ok(())
}

async fn one_at_a_time(
    socket: &mut Socket,
    frame: &Bytes,
    window: Duration,
) -> Result<Vec<Duration>, Box<dyn std::error::Error>> {
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < window {
        let sent = Instant::now();
        trip(socket, frame).await?;
        times.push(sent.elapsed());
    }
    Ok(times)
}

async fn many_at_a_time(
    socket: &mut Socket,
    frame: &Bytes,
    window: Duration,
) -> Result<f64, Box<dyn std::error::Error>> {
    for _ in 0..IN_FLIGHT {
        socket.feed(Message::Binary(frame.clone())).await?;
    }
    socket.flush().await?;
    let (mut calls, begun) = (0_u32, Instant::now());
    while begun.elapsed() < window {
        // a batch of half the window: what is sent together leaves in one write
        for _ in 0..IN_FLIGHT / 2 {
            receive(socket).await?;
            socket.feed(Message::Binary(frame.clone())).await?;
            calls += 1;
        }
        socket.flush().await?;
    }
    let rate = f64::from(calls) / begun.elapsed().as_secs_f64();
    for _ in 0..IN_FLIGHT {
        receive(socket).await?;
    }
    Ok(rate)
}

async fn large_frames(
    socket: &mut Socket,
    large: &Bytes,
    window: Duration,
) -> Result<f64, Box<dyn std::error::Error>> {
    let (mut trips, begun) = (0_u32, Instant::now());
    while begun.elapsed() < window || trips == 0 {
        trip(socket, large).await?;
        trips += 1;
    }
    Ok(f64::from(trips) * LARGE as f64 / 1e6 / begun.elapsed().as_secs_f64())
}

/// Bytes that do not compress.
fn random(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}
