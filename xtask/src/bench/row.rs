//! What is compared: one row is one system, measured in one way, in one language or pair of languages.

use std::fmt;

/// How something is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    Http,
    Rpc,
    /// What travels: streams, callbacks, long messages.
    Data,
    Start,
    Idle,
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
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Rpc => "rpc",
            Self::Data => "data",
            Self::Start => "start",
            Self::Idle => "idle",
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
            Self::Hello => "bare axum, no function",
            Self::Relay => "bare relay",
            Self::Websocket => "bare websocket echo (Rust)",
        }
    }

    /// The package its clients import.
    pub(super) fn client(self) -> &'static str {
        match self {
            Self::Polyfn => "polyfn",
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
    add(Group::Rpc, L::None, &[S::Websocket]);
    for language in [L::PythonPython, L::NodeNode, L::PythonNode] {
        add(Group::Rpc, language, &[S::Polyfn, S::PolyfnHyphaRpc, S::Hypha, S::Nats]);
    }
    for language in [L::PythonPython, L::NodeNode] {
        add(Group::Data, language, &[S::Polyfn, S::PolyfnHyphaRpc, S::Hypha]);
    }
    add(Group::Start, L::None, &[S::Polyfn, S::Hypha]);
    add(Group::Idle, L::None, &[S::Polyfn, S::PolyfnHyphaRpc, S::Hypha]);
    rows
}
