//! Who calls: the context, which the caller cannot forge.

use polyfn_core::net::{Client, ClientOptions, Service};
use polyfn_core::{Map, Result, Value};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = std::env::var("POLYFN_SERVER_URL").unwrap_or_else(|_| "http://localhost:9527".to_owned());
    let owner = Client::connect(ClientOptions::new(&url)).await?;
    let door = Service::new("door").config("visibility", "public").config("require_context", true).function(
        "whoami",
        |call| async move {
            let context = call.context.unwrap_or_default();
            let from = context.as_map().and_then(|map| map.text("from")).unwrap_or_default();
            let client = from.split('/').nth(1).unwrap_or_default();
            Ok(Value::from(Map::from_iter([("user", user_id(&context)), ("client", client)])))
        },
    );
    owner.register_service(door).await?;

    let options = ClientOptions { client_id: Some("reader".to_owned()), ..ClientOptions::new(&url) };
    let caller = Client::connect(options).await?;
    let id = format!("{}/door", owner.connection().connection_info().workspace);
    let me = caller.get_service(&id).await?.call("whoami", []).await?;
    let info = caller.connection().connection_info().raw;
    let text = |key| me.as_map().and_then(|map| map.text(key)).unwrap_or_default();
    let known = if text("user") == user_id(&info) { "True" } else { "False" };
    println!("called by {}: {known}", text("client"));

    caller.disconnect().await;
    owner.disconnect().await;
    Ok(())
}

fn user_id(map: &Value) -> &str {
    map.as_map().and_then(|map| map.get("user")?.as_map()?.text("id")).unwrap_or_default()
}
