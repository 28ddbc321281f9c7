use super::*;

fn router(paths: &[&str]) -> Router<String> {
    let mut router = Router::default();
    paths.iter().for_each(|path| router.insert(path, (*path).to_owned()));
    router
}

/// `member`, `member path` for one that got a `function_path`, `405 ALLOW` or `404 path`.
fn route(router: &Router<String>, method: &str, path: &str) -> String {
    match router.route(method, path) {
        Match::Found { member, function_path: None } => member.clone(),
        Match::Found { member, function_path: Some(path) } => format!("{member} {path}"),
        Match::MethodNotAllowed { allow } => format!("405 {allow}"),
        Match::NotFound { path } => format!("404 {path}"),
    }
}

fn assert_routes(paths: &[&str], expected: &[(&str, &str)]) {
    let router = router(paths);
    for (path, answer) in expected {
        assert_eq!(route(&router, "GET", path), *answer, "{path}");
    }
}

#[test]
fn a_path_walks_the_tree() {
    let tree = ["index", "leaf", "api.index", "api.v1.users", "api.v1.posts", "api.v2.users", "list.0"];
    assert_routes(
        &tree,
        &[
            ("", "index"),
            ("/", "index"),
            ("//", "index"),
            ("/index", "index"),
            ("/index/", "index"),
            ("leaf", "leaf"),
            ("/leaf/", "leaf"),
            ("//leaf", "leaf"),
            ("/api", "api.index"),
            ("/api/", "api.index"),
            ("/api/index", "api.index"),
            ("/api/v1/users", "api.v1.users"),
            ("/api//v1///users//", "api.v1.users"),
            ("/api/v2/users/", "api.v2.users"),
            ("/list/0", "list.0"),
            ("/api/v1", "404 api/v1"),
            ("/api/v9/users", "404 api/v9/users"),
            ("/api.v1.users", "404 api.v1.users"),
            ("/nope", "404 nope"),
            ("/Leaf", "404 Leaf"),
        ],
    );
    assert_routes(&["leaf"], &[("/", "404 index"), ("/index", "404 index")]);
}

#[test]
fn percent_signs_are_decoded_before_matching() {
    assert_routes(
        &["grüße", "a b", "50%", "%zz", "api.users"],
        &[
            ("/gr%C3%BC%c3%9fe", "grüße"),
            ("/grüße", "grüße"),
            ("/a%20b", "a b"),
            ("/50%25", "50%"),
            ("/50%", "50%"),
            ("/%zz", "%zz"),
            ("/%61pi/%75sers", "api.users"),
            ("/api%2Fusers", "404 api/users"),
            ("/%ff", "404 %ff"),
            ("/api%2eusers", "404 api.users"),
            ("/%E4%B8%96", "404 世"),
        ],
    );
}

#[test]
fn default_answers_what_nothing_else_matches() {
    assert_routes(
        &["hello", "default", "deep.known", "deep.default", "deep.er.leaf", "flat.known"],
        &[
            ("/", "default /"),
            ("/hello", "hello"),
            ("/anything-else/", "default /anything-else"),
            ("//a//b/c/", "default /a/b/c"),
            ("/%E4%B8%96/50%25", "default /世/50%"),
            ("/%ff", "default /%ff"),
            ("/deep", "deep.default /deep"),
            ("/deep/known", "deep.known"),
            ("/deep/x/y", "deep.default /deep/x/y"),
            ("/deep/er", "deep.default /deep/er"),
            ("/deep/er/leaf/tail", "deep.default /deep/er/leaf/tail"),
            ("/flat", "default /flat"),
            ("/flat/x", "default /flat/x"),
            ("/hello/tail", "default /hello/tail"),
            ("/default", "default /default"),
        ],
    );
}

#[test]
fn a_function_takes_the_rest_of_the_path() {
    let tree = ["index", "users.list", "users.delete", "deep.default", "deep.leaf"];
    assert_routes(
        &tree,
        &[
            ("/users/delete/42", "users.delete"),
            ("/users/delete/42/more/", "users.delete"),
            ("/index/more", "index"),
            ("/users/nope/42", "404 users/nope/42"),
            ("/more", "404 more"),
            ("/deep/leaf/tail", "deep.default /deep/leaf/tail"),
        ],
    );
}

#[test]
fn a_folder_may_hold_functions_for_methods() {
    let router =
        router(&["GET", "thing.GET", "thing.POST", "both.GET", "both.index", "both.default", "wide.DELETE"]);
    for (method, path, answer) in [
        ("GET", "/thing", "thing.GET"),
        ("GET", "/thing/", "thing.GET"),
        ("HEAD", "/thing", "thing.GET"),
        ("POST", "/thing", "thing.POST"),
        ("DELETE", "/thing", "405 GET, HEAD, POST"),
        ("get", "/thing", "405 GET, HEAD, POST"),
        ("HEAD", "/wide", "405 DELETE"),
        ("GET", "/both", "both.GET"),
        ("PUT", "/both", "both.index"),
        ("POST", "/", "405 GET, HEAD"),
        ("GET", "/GET", "404 GET"),
        ("POST", "/thing/POST", "404 thing/POST"),
        ("GET", "/both/GET", "both.default /both/GET"),
        ("GET", "/thing/tail", "404 thing/tail"),
    ] {
        assert_eq!(route(&router, method, path), answer, "{method} {path}");
    }
}

#[test]
fn folders_named_like_methods_are_folders() {
    let router = router(&["GET.users", "get", "POST.GET"]);
    for (method, path, answer) in [
        ("GET", "/", "404 index"),
        ("POST", "/GET/users", "GET.users"),
        ("POST", "/get", "get"),
        ("GET", "/POST", "POST.GET"),
        ("POST", "/POST", "405 GET, HEAD"),
    ] {
        assert_eq!(route(&router, method, path), answer, "{method} {path}");
    }
}

#[test]
fn a_schema_makes_a_router() {
    let schema: serde_json::Value = serde_json::from_str(
        r#"{
            "index": {"type": "function", "function": {"name": "index"}},
            "constant": {"type": "number"},
            "text": {"type": "string"},
            "with.dot": {"type": "function", "function": {}},
            "": {"type": "function", "function": {}},
            "api": {"v1": {"users": {"type": "function", "function": {"name": "users"}}, "n": {"type": "null"}}},
            "list": [{"type": "function", "function": {}}, {"deep": {"type": "function", "function": {}}}],
            "odd": {"type": {"type": "function", "function": {}}},
            "broken": 5
        }"#,
    )
    .unwrap();
    let router = Router::from_schema(&Value::from(schema), Signature::Event);
    for (path, answer) in [
        ("/", "index"),
        ("/api/v1/users", "api.v1.users"),
        ("/list/0", "list.0"),
        ("/list/1/deep", "list.1.deep"),
        ("/odd/type", "odd.type"),
        ("/constant", "404 constant"),
        ("/text", "404 text"),
        ("/with.dot", "404 with.dot"),
        ("/with/dot", "404 with/dot"),
        ("/api/v1/n", "404 api/v1/n"),
        ("/broken", "404 broken"),
    ] {
        assert_eq!(route(&router, "GET", path), answer, "{path}");
    }
    let nothing = Router::from_schema(&Value::from(5), Signature::Event);
    assert_eq!(route(&nothing, "GET", "/"), "404 index");
}

#[test]
fn a_handle_answers_everything_in_its_folder() {
    let function = serde_json::json!({"type": "function"});
    let module = |more: &[&str]| {
        let names = ["handle", "init", "shutdown", "liveness"].iter().chain(more);
        names.map(|name| ((*name).to_owned(), function.clone())).collect::<serde_json::Map<_, _>>()
    };
    let mut schema = module(&["other"]);
    schema.insert("inner".to_owned(), module(&[]).into());
    schema.insert("plain".to_owned(), serde_json::json!({"init": function}));
    let schema = Value::from(serde_json::Value::Object(schema));
    let router = Router::from_schema(&schema, Signature::Context);
    for (path, expected) in [
        ("/", "handle /"),
        ("/a/b", "handle /a/b"),
        ("/init", "handle /init"),
        ("/handle", "handle /handle"),
        ("/health/liveness", "liveness"),
        ("/health/readiness", "handle /health/readiness"),
        ("/other", "other"),
        ("/inner", "inner.handle /inner"),
        ("/inner/x", "inner.handle /inner/x"),
        ("/inner/health/liveness", "inner.liveness"),
        ("/plain/init", "plain.init"),
    ] {
        assert_eq!(route(&router, "GET", path), expected, "{path}");
    }
    let as_it_stands = Router::from_schema(&schema, Signature::Event);
    assert_eq!(route(&as_it_stands, "GET", "/handle"), "handle");
}
