//! A websocket server that sends every frame back.

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::Ended;

pub(crate) async fn serve() -> Ended {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::ready(&[("ws", listener.local_addr()?)])?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = echo(stream).await {
                eprintln!("a client left: {error}");
            }
        });
    }
}

async fn echo(stream: TcpStream) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    stream.set_nodelay(true)?;
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        let mut message = Some(message?);
        // what has arrived together is answered together
        while let Some(frame) = message.take() {
            if frame.is_binary() {
                socket.feed(frame).await?;
            }
            message = socket.next().now_or_never().flatten().transpose()?;
        }
        socket.flush().await?;
    }
    Ok(())
}
