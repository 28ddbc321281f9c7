//! What a caller gets when a function fails, and when there is none.

use polyfn_core::net::{Client, ClientOptions, Service};
use polyfn_core::{Error, ErrorKind, Result};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = std::env::var("POLYFN_SERVER_URL").unwrap_or_else(|_| "http://localhost:9527".to_owned());
    let owner = Client::connect(ClientOptions::new(&url)).await?;
    let cheeses = Service::new("cheeses").config("visibility", "public").function("buy", |call| async move {
        Err(Error::remote(format!("out of {}", call.argument(0, "thing").as_text().unwrap_or_default())))
    });
    owner.register_service(cheeses).await?;

    let caller = Client::connect(ClientOptions::new(&url)).await?;
    let workspace = owner.connection().connection_info().workspace;
    let cheeses = caller.get_service(&format!("{workspace}/cheeses")).await?;
    if let Err(error) = cheeses.call("buy", ["cheese".into()]).await {
        println!("{}: {error}", error.kind().code());
    }
    match caller.get_service(&format!("{workspace}/hams")).await {
        Err(error) if error.kind() == ErrorKind::NotFound => println!("{}", error.kind().code()),
        other => println!("unexpected: {other:?}"),
    }

    caller.disconnect().await;
    owner.disconnect().await;
    Ok(())
}
