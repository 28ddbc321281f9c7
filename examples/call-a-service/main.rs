//! A service, called with arguments by position and by name.

use polyfn_core::net::{Client, ClientOptions, Service};
use polyfn_core::{Map, Result, Value};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = std::env::var("POLYFN_SERVER_URL").unwrap_or_else(|_| "http://localhost:9527".to_owned());
    let owner = Client::connect(ClientOptions::new(&url)).await?;
    let tools = Service::new("tools")
        .config("visibility", "public")
        .function("add", |call| async move {
            let number = |at, name| call.argument(at, name).as_int().unwrap_or_default();
            Ok(Value::from(number(0, "a") + number(1, "b")))
        })
        .function("greet", |call| async move {
            let name = call.argument(0, "name").as_text().unwrap_or_default();
            let greeting = call.argument(1, "greeting").as_text().unwrap_or("Hello");
            Ok(Value::from(format!("{greeting} {name}")))
        });
    owner.register_service(tools).await?;

    let caller = Client::connect(ClientOptions::new(&url)).await?;
    let id = format!("{}/tools", owner.connection().connection_info().workspace);
    let tools = caller.get_service(&id).await?;
    println!("{}", tools.call("add", [1.into(), 2.into()]).await?.as_int().unwrap_or_default());
    let greet = tools.function("greet")?;
    println!("{}", greet.call(["ann".into()]).await?.as_text().unwrap_or_default());
    let keywords = Map::from_iter([("greeting", "Good day")]);
    println!("{}", greet.call_with(["bob".into()], keywords).await?.as_text().unwrap_or_default());

    caller.disconnect().await;
    owner.disconnect().await;
    Ok(())
}
