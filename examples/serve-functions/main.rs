//! Functions that answer HTTP requests.

use polyfn_core::net::{Client, ClientOptions, Service};
use polyfn_core::{Map, Result, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("POLYFN_SERVER_URL").unwrap_or_else(|_| "http://localhost:9527".to_owned());
    let client = Client::connect(ClientOptions::new(&url)).await?;
    let event = |call: &polyfn_core::net::Call, key: &str| {
        call.args[0].as_map().and_then(|event| event.text(key)).unwrap_or_default().to_owned()
    };
    let service = Service::new("shop")
        .entry("type", "functions")
        .config("visibility", "public")
        .function("index", |_| async { Ok(Value::from("Home page")) })
        .function("greet", move |call| async move {
            Ok(Value::from(Map::from_iter([("message", format!("hello {}", event(&call, "query_string")))])))
        })
        .function("default", move |call| async move {
            let body = format!("no {} here", event(&call, "function_path"));
            Ok(Value::from(Map::from_iter([("status", Value::from(404)), ("body", Value::from(body))])))
        })
        .folder("items", |folder| {
            folder.function("POST", |_| async {
                Ok(Value::from(Map::from_iter([("status", Value::from(201)), ("body", Value::from("made"))])))
            })
        });
    client.register_service(service).await?;
    let workspace = client.connection().connection_info().workspace;
    for (method, path) in [("GET", "/"), ("GET", "/greet?ann"), ("POST", "/items"), ("GET", "/elsewhere")] {
        let (status, body) = ask(&url, method, &format!("/{workspace}/apps/shop{path}")).await?;
        println!("{status} {body}");
    }
    client.disconnect().await;
    Ok(())
}

/// A request by hand: one connection, one answer.
async fn ask(url: &str, method: &str, path: &str) -> std::io::Result<(String, String)> {
    let host = url.trim_start_matches("http://");
    let mut socket = tokio::net::TcpStream::connect(host).await?;
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    Ok((head.split(' ').nth(1).unwrap_or_default().to_owned(), body.to_owned()))
}
