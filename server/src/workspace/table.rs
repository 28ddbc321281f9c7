//! The one table of the manager's methods: name, parameters, the right each needs, the handler.

use futures_util::future::BoxFuture;
use polyfn_core::{Map, Result, Value};

use crate::auth::Permission;
use crate::workspace::manager::Call;
use crate::workspace::{clients, events, services, tokens, types, workspaces};

/// Whether a parameter must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
}

/// One parameter of a method.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// Its JSON type; empty for any.
    kind: &'static str,
    pub(super) need: Need,
    description: &'static str,
}

/// What runs a method.
pub(super) enum Handler {
    /// Answers at once.
    Now(fn(&mut Call) -> Result<Value>),
    /// Has to ask somebody.
    Later(fn(Call) -> BoxFuture<'static, Result<Value>>),
}

/// One method.
pub(super) struct Method {
    pub(super) name: &'static str,
    description: &'static str,
    /// The right that the caller needs in its current workspace; further checks are the handler's.
    pub(super) right: Permission,
    pub(super) parameters: &'static [Parameter],
    pub(super) handler: Handler,
}

const fn required(name: &'static str, kind: &'static str, description: &'static str) -> Parameter {
    Parameter { name, kind, need: Need::Required, description }
}

const fn optional(name: &'static str, kind: &'static str, description: &'static str) -> Parameter {
    Parameter { name, kind, need: Need::Optional, description }
}

const SERVICE_ID: Parameter =
    required("service_id", "string", "`service`, `client:service` or `workspace/client:service`");
const SELECTION: Parameter = optional(
    "config",
    "object",
    "`mode`: exact, random, first, last, min_load, least_loaded, native:random, or select:criteria:function with the \
     criteria min, max or first_success; `select_timeout`: seconds for that function, 2 by default; \
     `timeout`: seconds for asking the owner, 10 by default; `case_conversion`: camel, snake or camel+snake, how functions are named",
);
const CLIENT: [Parameter; 2] = [
    required("client_id", "string", "the client, in the current workspace unless written `workspace/client`"),
    optional("timeout", "number", "seconds to wait, 5 by default"),
];
const EVENT: [Parameter; 1] = [required("event_type", "", "an event type, or a list of them")];

/// All methods, in the order in which they are described.
pub(super) static METHODS: &[Method] = &[
    Method {
        name: "echo",
        description: "Answers with what it was given.",
        right: Permission::ReadWrite,
        parameters: &[required("data", "", "anything")],
        handler: Handler::Now(|call| Ok(call.arguments.take(0))),
    },
    Method {
        name: "log",
        description: "Writes a line into the log of the server.",
        right: Permission::ReadWrite,
        parameters: &[required(
            "msg",
            "",
            "what to write; or `{level, message, request_id, service, fields}`",
        )],
        handler: Handler::Now(workspaces::log),
    },
    Method {
        name: "register_service",
        description: "Makes a service of this client known in its workspace.",
        right: Permission::ReadWrite,
        parameters: &[
            required(
                "service",
                "object",
                "the description of the service; `id` is `workspace/client:service`",
            ),
            optional("config", "object", "options of the registration"),
        ],
        handler: Handler::Now(services::register),
    },
    Method {
        name: "unregister_service",
        description: "Takes a service of this client out of the workspace.",
        right: Permission::ReadWrite,
        parameters: &[SERVICE_ID],
        handler: Handler::Now(services::unregister),
    },
    Method {
        name: "list_services",
        description: "Describes the services that the query asks for and the caller may see.",
        right: Permission::None,
        parameters: &[
            optional(
                "query",
                "",
                "a workspace, a service id with `*` for anything, or an object of such parts",
            ),
            optional("include_unlisted", "boolean", "unlisted services of the own workspace, too"),
            optional("include_app_services", "boolean", "accepted for compatibility"),
            optional("prioritize_running_services", "boolean", "accepted for compatibility"),
        ],
        handler: Handler::Now(services::list),
    },
    Method {
        name: "get_service_info",
        description: "Describes one service without asking its owner.",
        right: Permission::None,
        parameters: &[SERVICE_ID, SELECTION],
        handler: Handler::Later(services::info),
    },
    Method {
        name: "get_service",
        description: "Gets a service with its functions, ready to be called.",
        right: Permission::None,
        parameters: &[SERVICE_ID, SELECTION],
        handler: Handler::Later(services::get),
    },
    Method {
        name: "register_service_type",
        description: "Tells what a service of a type has to offer.",
        right: Permission::ReadWrite,
        parameters: &[required(
            "type_info",
            "object",
            "`id`, `definition` (an object of functions like a service's schema), `name`, `description`, `config`",
        )],
        handler: Handler::Now(types::register),
    },
    Method {
        name: "get_service_type",
        description: "Describes a type of services.",
        right: Permission::None,
        parameters: &[required("type_id", "string", "`type` or `workspace/type`")],
        handler: Handler::Now(types::get),
    },
    Method {
        name: "list_service_types",
        description: "Describes the types of services of a workspace that the caller may see.",
        right: Permission::None,
        parameters: &[optional("workspace", "string", "the workspace, the current one by default")],
        handler: Handler::Now(types::list),
    },
    Method {
        name: "list_clients",
        description: "Lists the clients of a workspace.",
        right: Permission::Read,
        parameters: &[optional("workspace", "string", "the current one by default")],
        handler: Handler::Now(clients::list),
    },
    Method {
        name: "ping_client",
        description: "Asks a client whether it is there: `pong`, or a text that says why not.",
        right: Permission::Read,
        parameters: &CLIENT,
        handler: Handler::Later(clients::ping),
    },
    Method {
        name: "ping",
        description: "The same as `ping_client`.",
        right: Permission::Read,
        parameters: &CLIENT,
        handler: Handler::Later(clients::ping),
    },
    Method {
        name: "generate_token",
        description: "Makes a token for a workspace, with no more rights than the caller has.",
        right: Permission::None,
        parameters: &[optional(
            "config",
            "object",
            "`workspace`, `permission` (read, read_write or admin), `expires_in` seconds, `client_id`, `services` and \
             `methods` (names, with `*` for anything), `max_uses`, `extra_scopes`, `email`",
        )],
        handler: Handler::Now(tokens::generate),
    },
    Method {
        name: "parse_token",
        description: "Tells whom a token of this server names and what it is good for.",
        right: Permission::Read,
        parameters: &[required("token", "string", "the token")],
        handler: Handler::Now(tokens::parse),
    },
    Method {
        name: "revoke_token",
        description: "Ends a token, the tokens made by it, and the connections of both.",
        right: Permission::Admin,
        parameters: &[required("token", "string", "the token")],
        handler: Handler::Later(tokens::revoke),
    },
    Method {
        name: "create_workspace",
        description: "Creates a workspace that the caller owns.",
        right: Permission::None,
        parameters: &[
            required(
                "config",
                "object",
                "`id` (lower case letters, digits and hyphens), `name`, `description` ...",
            ),
            optional("overwrite", "boolean", "replace one of the caller's own"),
        ],
        handler: Handler::Now(workspaces::create),
    },
    Method {
        name: "subscribe",
        description: "Wants events of these types from the current workspace.",
        right: Permission::None,
        parameters: &EVENT,
        handler: Handler::Now(events::subscribe),
    },
    Method {
        name: "unsubscribe",
        description: "Does not want events of these types any longer.",
        right: Permission::None,
        parameters: &EVENT,
        handler: Handler::Now(events::unsubscribe),
    },
];

/// The method of this name.
pub(super) fn method(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

impl Method {
    pub(super) const fn description(&self) -> &'static str {
        self.description
    }

    /// `{name, description, parameters}` with the parameters as a JSON schema.
    pub(super) fn schema(&self) -> Value {
        let properties: Map = self.parameters.iter().map(|p| (p.name, p.schema())).collect();
        let needed = self.parameters.iter().filter(|p| p.need == Need::Required);
        let needed: Vec<Value> = needed.map(|p| Value::from(p.name)).collect();
        let parameters = Map::from_iter([
            ("type", Value::from("object")),
            ("properties", Value::Map(properties)),
            ("required", Value::List(needed)),
        ]);
        Value::Map(Map::from_iter([
            ("name", Value::from(self.name)),
            ("description", Value::from(self.description)),
            ("parameters", Value::Map(parameters)),
        ]))
    }
}

impl Parameter {
    fn schema(&self) -> Value {
        let mut schema = Map::new();
        if !self.kind.is_empty() {
            schema.insert("type", self.kind);
        }
        schema.insert("description", self.description);
        Value::Map(schema)
    }
}
