//! Who may do what: the table behind `docs/permissions.md`, with something to try for each row.
//!
//! In `who`, a letter for each column of [`COLUMNS`]: `+` is answered, `-` is refused, `?` is answered as if there was
//! nothing. A `.` stands where a caller of that kind cannot ask at all.

/// Who asks, in the order of the letters.
pub(crate) const COLUMNS: [(&str, &str); 7] = [
    ("nobody", "no token, over HTTP"),
    ("stranger", "no token, over a connection: at home in a workspace of its own"),
    ("read", "a token for the workspace with the right `read`"),
    ("read_write", "one with the right `read_write`"),
    ("admin", "one with the right `admin`"),
    ("foreign", "an `admin` of another workspace, where it is at home"),
    ("narrowed", "`read_write`, narrowed to the services `shop` and `web` and to methods `get_*`"),
];

/// A method of the workspace manager.
pub(crate) struct Method {
    pub(crate) name: &'static str,
    pub(crate) who: &'static str,
    /// What is asked, in words.
    pub(crate) asks: &'static str,
    /// Positional arguments in JSON; `TOKEN` stands for a fresh token of a reader of the workspace.
    pub(crate) args: &'static str,
}

const fn method(name: &'static str, who: &'static str, asks: &'static str, args: &'static str) -> Method {
    Method { name, who, asks, args }
}

/// Methods without an argument that names a workspace act where the caller is at home: a stranger and a foreigner may
/// do there what they like.
pub(crate) const METHODS: &[Method] = &[
    method("echo", "-+-++++", "at home", r#"[1]"#),
    method("log", "-+-++++", "at home", r#"["a line"]"#),
    method("register_service", "-+-++++", "at home", r#"[{"id": "x"}]"#),
    method("unregister_service", "-+-++++", "at home", r#"["no-such"]"#),
    method("list_services", "+++++++", "what may be seen of the workspace", r#"["lab-one"]"#),
    method("get_service_info", "++++++-", "of a public service", r#"["lab-one/OPEN"]"#),
    method("get_service_info", "??+++?+", "of a protected service", r#"["lab-one/shop"]"#),
    method(
        "get_service_info",
        "??+++?-",
        "of a protected service that the token does not name",
        r#"["lab-one/bank"]"#,
    ),
    method("get_service", "++++++-", "a public service", r#"["lab-one/OPEN"]"#),
    method("get_service", "??+++?+", "a protected service", r#"["lab-one/shop"]"#),
    method(
        "get_service",
        "??+++?-",
        "a protected service that the token does not name",
        r#"["lab-one/bank"]"#,
    ),
    method("register_service_type", "-+-+++-", "at home", r#"[{"id": "RANDOM", "definition": {}}]"#),
    method("get_service_type", "??+++?-", "of the workspace", r#"["lab-one/kind"]"#),
    method("list_service_types", "++++++-", "those that may be seen of the workspace", r#"["lab-one"]"#),
    method("list_clients", "--+++--", "of the workspace", r#"["lab-one"]"#),
    method("ping_client", "--+++-+", "of the workspace", r#"["lab-one/owner"]"#),
    method("ping", "--+++-+", "of the workspace", r#"["lab-one/owner"]"#),
    method("generate_token", "----+--", "for the workspace", r#"[{"workspace": "lab-one"}]"#),
    method("parse_token", "++++++-", "any token of this server", r#"["TOKEN"]"#),
    method("revoke_token", "----+--", "of somebody else in the workspace", r#"["TOKEN"]"#),
    method("register_auth_service", "-------", "a service of the root user's own", r#"["shop"]"#),
    method("unregister_auth_service", "-------", "for the root user", r#"[]"#),
    method("create_workspace", "--++++-", "a new one, by registered users", r#"[{"id": "new-RANDOM"}]"#),
    method(
        "create_workspace",
        "-------",
        "in the place of somebody else's",
        r#"[{"id": "lab-three"}, true]"#,
    ),
    method("delete_workspace", "-------", "somebody else's", r#"["lab-three"]"#),
    method("get_workspace_info", "--+++--", "of the workspace", r#"["lab-one"]"#),
    method("list_workspaces", "++++++-", "those that may be read", r#"[]"#),
    method("get_summary", "?+++++-", "at home", r#"[]"#),
    method("check_status", "+++++++", "at home", r#"[]"#),
    method("cleanup", "----+--", "of the workspace", r#"["lab-one"]"#),
    method("log_event", "-+-+++-", "at home", r#"["kind", 1]"#),
    method("get_events", "++++++-", "one's own, at home", r#"[]"#),
    method("get_event_stats", "++++++-", "one's own, at home", r#"[]"#),
    method("set_env", "-+-+++-", "at home", r#"["KEY", "value"]"#),
    method("get_env", "-+-+++-", "at home", r#"[]"#),
    method(
        "bookmark",
        "--+++--",
        "of the workspace, kept in one's own",
        r#"[{"bookmark_type": "workspace", "id": "lab-one"}]"#,
    ),
    method("unbookmark", "-+++++-", "in one's own", r#"[{"bookmark_type": "workspace", "id": "lab-one"}]"#),
    method("search_services", "++++++-", "is not there yet", r#"["x"]"#),
    method("subscribe", ".+++++-", "at home", r#"["service_added"]"#),
    method("subscribe", ".++++++", "to `client_disconnected`", r#"["client_disconnected"]"#),
    method("unsubscribe", ".++++++", "at home", r#"["service_added"]"#),
];

/// A request of HTTP.
pub(crate) struct Route {
    /// As `/openapi.json` writes it: `get /{workspace}/info`.
    pub(crate) route: &'static str,
    pub(crate) who: &'static str,
    /// What is asked, in words.
    pub(crate) asks: &'static str,
    /// The path to try; `CLIENT` stands for a name that nobody has.
    pub(crate) path: &'static str,
    /// Whether tokens are looked at: then bad ones are refused with 401, whoever else may ask.
    pub(crate) checks: bool,
}

const fn open(route: &'static str, path: &'static str) -> Route {
    Route { route, who: "+.+++++", asks: "looks at no token", path, checks: false }
}

const fn route(route: &'static str, who: &'static str, asks: &'static str, path: &'static str) -> Route {
    Route { route, who, asks, path, checks: true }
}

pub(crate) const ROUTES: &[Route] = &[
    open("get /", "/"),
    route("get /overview", "+.+++++", "the workspaces that may be seen", "/overview"),
    route("get /overview/events", "+.+++++", "the same", "/overview/events"),
    open("get /{workspace}/", "/lab-one/"),
    route("get /{workspace}/overview", "+.+++++", "what may be seen", "/lab-one/overview"),
    route("get /{workspace}/overview/events", "+.+++++", "what may be seen", "/lab-one/overview/events"),
    open("get /health", "/health"),
    open("get /health/liveness", "/health/liveness"),
    open("get /health/readiness", "/health/readiness"),
    open("get /metrics", "/metrics"),
    route("get /assets/config.json", "+.+++++", "public settings, and who asks", "/assets/config.json"),
    route("get /{workspace}/info", "-.+++--", "", "/lab-one/info"),
    route("get /{workspace}/services/", "+.+++++", "what may be seen", "/lab-one/services/"),
    route("get /{workspace}/services/{service}", "+.++++?", "a public service", "/lab-one/services/OPEN"),
    route("get /{workspace}/services/{service}", "?.+++?+", "a protected one", "/lab-one/services/shop"),
    route(
        "get /{workspace}/services/{service}/openapi.json",
        "?.+++?+",
        "of a protected service",
        "/lab-one/services/shop/openapi.json",
    ),
    route(
        "get /{workspace}/services/{service}/docs",
        "?.+++?+",
        "of a protected service",
        "/lab-one/services/shop/docs",
    ),
    route(
        "get /{workspace}/services/{service}/{function}",
        "+.++++-",
        "of a public service",
        "/lab-one/services/OPEN/get_it",
    ),
    route(
        "get /{workspace}/services/{service}/{function}",
        "?.+++?+",
        "of a protected service",
        "/lab-one/services/shop/get_it",
    ),
    route(
        "get /{workspace}/services/{service}/{function}",
        "?.+++?-",
        "a method that the token does not name",
        "/lab-one/services/shop/set_it",
    ),
    route(
        "get /{workspace}/services/{service}/{function}",
        "?.+++?-",
        "a service that the token does not name",
        "/lab-one/services/bank/get_it",
    ),
    route(
        "post /{workspace}/services/{service}/{function}",
        "?.+++?+",
        "of a protected service",
        "/lab-one/services/shop/get_it",
    ),
    route(
        "get /{workspace}/apps/{service}/{path}",
        "?.+++?+",
        "a function of a protected service",
        "/lab-one/apps/web/get_page",
    ),
    route(
        "get /{workspace}/apps/{service}/{path}",
        "?.+++?-",
        "a function that the token does not name",
        "/lab-one/apps/web/set_page",
    ),
    route("get /rpc", "-.+++-+", "a stream into the workspace", "/rpc?workspace=lab-one&client_id=CLIENT"),
    route("post /rpc", "-.-++-+", "one call in the workspace", "/rpc?workspace=lab-one&client_id=CLIENT"),
    Route { asks: "a websocket: who connects is asked for its token in there", ..open("get /ws", "/ws") },
    open("get /{workspace}", "/lab-one"),
    open("get /{workspace}/services", "/lab-one/services"),
    open("get /assets/page/{file}", "/assets/page/page.js"),
    open("get /assets/swagger-ui/{file}", "/assets/swagger-ui/swagger-ui.css"),
    open("get /openapi.json", "/openapi.json"),
    open("get /api-docs", "/api-docs"),
    open("get /login", "/login"),
    Route { asks: LOGIN_PAGE, ..open("get /public/apps/hypha-login/", "/public/apps/hypha-login/") },
    Route {
        asks: LOGIN_PAGE,
        ..open("get /public/apps/hypha-login/profile", "/public/apps/hypha-login/profile")
    },
    form("post /public/apps/hypha-login/token", "/public/apps/hypha-login/token"),
    form("post /public/apps/hypha-login/sign-in", "/public/apps/hypha-login/sign-in"),
    form("post /public/apps/hypha-login/sign-up", "/public/apps/hypha-login/sign-up"),
    form("post /public/apps/hypha-login/verify", "/public/apps/hypha-login/verify"),
    form("post /public/apps/hypha-login/resend", "/public/apps/hypha-login/resend"),
    form("post /public/apps/hypha-login/approve", "/public/apps/hypha-login/approve"),
    form("post /public/apps/hypha-login/profile", "/public/apps/hypha-login/profile"),
    form("post /public/apps/hypha-login/password", "/public/apps/hypha-login/password"),
    form("post /public/apps/hypha-login/sign-out", "/public/apps/hypha-login/sign-out"),
];

const LOGIN_PAGE: &str = "what is shown depends on who is logged in; a bad token is none";

/// Routes that do not stand in the router: what answers them is asked before it.
pub(crate) const BESIDE: [&str; 2] = ["/public/apps/hypha-login/", "/{workspace}/apps/"];

/// A form of the login pages, sent by itself.
const fn form(route: &'static str, path: &'static str) -> Route {
    let asks =
        "only from the browser that got the page (its cookie and a secret in the form), whoever is logged in";
    Route { route, who: "-.-----", asks, path, checks: false }
}

/// Who asks for functions of `admin-utils`, in the order of the letters: by their rights for `ws-user-root`.
pub(crate) const ADMINISTRATORS: [(&str, &str); 4] = [
    ("none", ""),
    ("read", "ws:ws-user-root#r"),
    ("read_write", "ws:ws-user-root#rw"),
    ("admin", "ws:ws-user-root#a"),
];

/// Functions of `admin-utils`, with arguments that do no harm.
pub(crate) const ADMINISTRATION: [Method; 19] = [
    method("list_servers", "?--+", "", "[]"),
    method("list_workspaces", "?--+", "", "[]"),
    method("list_clients", "?--+", "", r#"["lab-one"]"#),
    method("get_metrics", "?--+", "", "[]"),
    method("list_blocked", "?--+", "", "[]"),
    method("audit_log", "?--+", "", "[]"),
    method("kickout_client", "?--+", "", r#"["nowhere", "nobody"]"#),
    method("unload_workspace", "?--+", "", r#"["nowhere"]"#),
    method("block", "?--+", "", r#"["user", "RANDOM", 1]"#),
    method("unblock", "?--+", "", r#"["user", "RANDOM"]"#),
    method("block_user", "?--+", "", r#"["RANDOM", 1]"#),
    method("unblock_user", "?--+", "", r#"["RANDOM"]"#),
    method("block_ip", "?--+", "", r#"["192.0.2.1", 1]"#),
    method("unblock_ip", "?--+", "", r#"["192.0.2.1"]"#),
    method("list_accounts", "?--+", "", "[]"),
    method("set_role", "?--+", "", r#"["nobody", "user"]"#),
    method("disable_account", "?--+", "", r#"["nobody"]"#),
    method("enable_account", "?--+", "", r#"["nobody"]"#),
    method("reset_password", "?--+", "", r#"["nobody", "a new password"]"#),
];
