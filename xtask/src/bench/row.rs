//! What is compared: one row is one system, measured in one way, in one language or pair of languages.

use std::fmt;

/// How something is measured; each has a section of the page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    Http,
    /// Bodies, streams, and services of many functions, over HTTP.
    Bodies,
    /// Functions beside servers that run them in their own process.
    Frameworks,
    Asgi,
    /// What HTTP adds to a call.
    Cost,
    /// Calls of services over HTTP.
    Services,
    Rpc,
    /// What travels: streams, callbacks, long messages.
    Data,
    Start,
    Idle,
    /// Registration and look-up.
    Registry,
    Login,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    /// Our server and our clients.
    Polyfn,
    /// Our server, the published hypha-rpc clients.
    PolyfnHyphaRpc,
    Hypha,
    Nats,
    /// Our server inside the program that serves.
    Embedded,
    Granian,
    Uvicorn,
    Robyn,
    /// `functions-framework` of PyPI and of npm.
    FunctionsFramework,
    /// `faas-js-runtime` of npm.
    FaasJs,
    /// A bare axum that answers by itself.
    Hello,
    /// A bare axum before a bare worker.
    Relay,
    /// A bare websocket echo.
    Websocket,
}

/// Who serves; for calls between programs: who calls whom.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    None,
    Python,
    Node,
    PythonPython,
    NodeNode,
    PythonNode,
}

/// One row of the tables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) group: Group,
    pub(super) system: System,
    pub(super) language: Language,
}

impl Group {
    /// In the order of the page.
    pub(super) const ALL: [Self; 12] = [
        Self::Http,
        Self::Bodies,
        Self::Frameworks,
        Self::Asgi,
        Self::Cost,
        Self::Services,
        Self::Rpc,
        Self::Data,
        Self::Start,
        Self::Idle,
        Self::Registry,
        Self::Login,
    ];

    /// As it is named on the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Bodies => "bodies",
            Self::Frameworks => "frameworks",
            Self::Asgi => "asgi",
            Self::Cost => "cost",
            Self::Services => "services",
            Self::Rpc => "rpc",
            Self::Data => "data",
            Self::Start => "start",
            Self::Idle => "idle",
            Self::Registry => "registry",
            Self::Login => "login",
        }
    }

    /// Whether wrk asks.
    pub(super) fn asks(self) -> bool {
        !matches!(self, Self::Rpc | Self::Data | Self::Start | Self::Idle | Self::Registry)
    }

    /// The heading of its section.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Http => "Functions over HTTP",
            Self::Bodies => "Bodies, streams and many functions over HTTP",
            Self::Frameworks => "Functions beside servers in one process",
            Self::Asgi => "Web apps",
            Self::Cost => "What HTTP adds to a call",
            Self::Services => "Calls of services over HTTP",
            Self::Rpc => "Calls between programs",
            Self::Data => "What travels",
            Self::Start => "The server by itself",
            Self::Idle => "Idle connections",
            Self::Registry => "Registration and look-up",
            Self::Login => "Logging in",
        }
    }
}

impl System {
    /// As it is named on the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Polyfn => "polyfn",
            Self::PolyfnHyphaRpc => "polyfn+hypha-rpc",
            Self::Hypha => "hypha",
            Self::Nats => "nats",
            Self::Embedded => "embedded",
            Self::Granian => "granian",
            Self::Uvicorn => "uvicorn",
            Self::Robyn => "robyn",
            Self::FunctionsFramework => "functions-framework",
            Self::FaasJs => "faas-js",
            Self::Hello => "hello",
            Self::Relay => "relay",
            Self::Websocket => "websocket",
        }
    }

    /// As it is named in the tables.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Polyfn => "polyfn",
            Self::PolyfnHyphaRpc => "polyfn, hypha-rpc clients",
            Self::Hypha => "Hypha",
            Self::Nats => "NATS",
            Self::Embedded => "polyfn, embedded",
            Self::Granian => "Granian",
            Self::Uvicorn => "uvicorn",
            Self::Robyn => "Robyn",
            Self::FunctionsFramework => "functions-framework",
            Self::FaasJs => "faas-js-runtime",
            Self::Hello => "bare axum, no function",
            Self::Relay => "bare relay",
            Self::Websocket => "bare websocket echo (Rust)",
        }
    }

    /// Whether polyfn is what is measured.
    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::Polyfn | Self::PolyfnHyphaRpc | Self::Embedded)
    }

    /// Whether it is a server of others, which runs the function in its own process.
    pub(super) fn is_foreign(self) -> bool {
        matches!(self, Self::Granian | Self::Uvicorn | Self::Robyn | Self::FunctionsFramework | Self::FaasJs)
    }

    /// The package its clients import.
    pub(super) fn client(self) -> &'static str {
        match self {
            Self::Polyfn | Self::Embedded => "polyfn",
            Self::Nats => "nats",
            _ => "hypha_rpc",
        }
    }
}

impl Language {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Python => "Python",
            Self::Node => "Node",
            Self::PythonPython => "py-py",
            Self::NodeNode => "js-js",
            Self::PythonNode => "py-js",
        }
    }

    /// The ending of the program that serves.
    pub(super) fn callee(self) -> &'static str {
        match self {
            Self::Node | Self::NodeNode | Self::PythonNode => "mjs",
            _ => "py",
        }
    }

    /// The ending of the program that calls.
    pub(super) fn caller(self) -> &'static str {
        if self == Self::NodeNode { "mjs" } else { "py" }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {}", self.group.word(), self.system.title(), self.language.word())
    }
}

/// Every row, in the order of the tables.
pub(super) fn all() -> Vec<Row> {
    use Language as L;
    use System as S;
    let mut rows = Vec::new();
    let mut add = |group, language, systems: &[System]| {
        rows.extend(systems.iter().map(|&system| Row { group, system, language }));
    };
    add(Group::Http, L::None, &[S::Hello]);
    for language in [L::Python, L::Node] {
        add(Group::Http, language, &[S::Polyfn, S::PolyfnHyphaRpc, S::Hypha, S::Relay]);
    }
    for language in [L::Python, L::Node] {
        add(Group::Bodies, language, &[S::Polyfn, S::Hypha]);
    }
    add(Group::Frameworks, L::Python, &[S::Polyfn, S::Embedded, S::Robyn, S::FunctionsFramework]);
    add(Group::Frameworks, L::Node, &[S::Polyfn, S::Embedded, S::FaasJs, S::FunctionsFramework]);
    add(Group::Asgi, L::Python, &[S::Polyfn, S::Embedded, S::Hypha, S::Granian, S::Uvicorn]);
    for language in [L::Python, L::Node] {
        add(Group::Cost, language, &[S::Polyfn, S::Hypha]);
    }
    for language in [L::Python, L::Node] {
        add(Group::Services, language, &[S::Polyfn, S::Hypha]);
    }
    add(Group::Rpc, L::None, &[S::Websocket]);
    for language in [L::PythonPython, L::NodeNode, L::PythonNode] {
        add(Group::Rpc, language, &[S::Polyfn, S::PolyfnHyphaRpc, S::Hypha, S::Nats]);
    }
    for language in [L::PythonPython, L::NodeNode] {
        add(Group::Data, language, &[S::Polyfn, S::PolyfnHyphaRpc, S::Hypha]);
    }
    add(Group::Start, L::None, &[S::Polyfn, S::Hypha]);
    for language in [L::Python, L::Node] {
        add(Group::Start, language, &[S::Embedded]);
    }
    add(Group::Idle, L::None, &[S::Polyfn, S::PolyfnHyphaRpc, S::Hypha]);
    add(Group::Registry, L::None, &[S::Polyfn, S::Hypha]);
    add(Group::Login, L::None, &[S::Polyfn]);
    rows
}
