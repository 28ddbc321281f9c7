//! A function among the arguments, called back while the call runs.

use polyfn_core::net::{Client, ClientOptions, Service};
use polyfn_core::{Error, Result, Value};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = std::env::var("POLYFN_SERVER_URL").unwrap_or_else(|_| "http://localhost:9527".to_owned());
    let owner = Client::connect(ClientOptions::new(&url)).await?;
    let calls = owner.clone();
    let sums = Service::new("sums").config("visibility", "public").function("total", move |call| {
        let calls = calls.clone();
        // Runs at the owner; `double` runs at the caller.
        async move {
            let Value::Method(double) = call.argument(1, "double") else {
                return Err(Error::invalid("`double` must be a function"));
            };
            let mut sum = 0;
            for item in call.argument(0, "items").as_list().unwrap_or_default() {
                sum += calls.call(double, [item.clone()]).await?.as_int().unwrap_or_default();
            }
            Ok(Value::from(sum))
        }
    });
    owner.register_service(sums).await?;

    let caller = Client::connect(ClientOptions::new(&url)).await?;
    let id = format!("{}/sums", owner.connection().connection_info().workspace);
    let sums = caller.get_service(&id).await?;
    let double = caller.function("double", |call| async move {
        let item = call.args[0].as_int().unwrap_or_default();
        println!("item {item}");
        Ok(Value::from(item * 2))
    });
    let items = vec![Value::from(1), Value::from(2), Value::from(3)];
    println!("{}", sums.call("total", [items.into(), double]).await?.as_int().unwrap_or_default());

    caller.disconnect().await;
    owner.disconnect().await;
    Ok(())
}
