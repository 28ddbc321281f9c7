//! The one table of the manager's methods.

use polyfn_core::Error;

use crate::auth::Permission;
use crate::workspace::table::{Handler, Method, Parameter, optional, required};
use crate::workspace::{
    auth_service, bookmarks, clients, environment, events, log, services, summary, tokens, types, workspaces,
};

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

const PERIOD: [Parameter; 3] = [
    optional("event_type", "string", "only events of this type"),
    optional("start_time", "", "from then on: ISO 8601, or seconds since 1970"),
    optional("end_time", "", "until then"),
];

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
        handler: Handler::Later(log::log),
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
            optional("offset", "integer", "how many to leave out, 0 by default"),
            optional("limit", "integer", "how many to give, all by default"),
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
        handler: Handler::Later(types::register),
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
        handler: Handler::Later(tokens::generate),
    },
    Method {
        name: "parse_token",
        description: "Tells whom a token of this server names and what it is good for.",
        right: Permission::Read,
        parameters: &[required("token", "string", "the token")],
        handler: Handler::Later(tokens::parse),
    },
    Method {
        name: "revoke_token",
        description: "Ends a token, the tokens made by it, and the connections of both.",
        right: Permission::Admin,
        parameters: &[required("token", "string", "the token")],
        handler: Handler::Later(tokens::revoke),
    },
    Method {
        name: "register_auth_service",
        description: "Puts a service of this client in charge of tokens and logins; for the root user.",
        right: Permission::None,
        parameters: &[
            optional(
                "service_id",
                "",
                "the service: its functions parse_token, get_token and generate_token are asked, others such as start, \
                 check, report and index are members of `public/hypha-login`",
            ),
            optional("parse_token", "", "belongs into the service"),
            optional("generate_token", "", "belongs into the service"),
            optional("get_token", "", "belongs into the service"),
            optional("login_service", "", "belongs into the service"),
            optional("index_handler", "", "belongs into the service, as `index`"),
            optional("start_handler", "", "belongs into the service, as `start`"),
            optional("check_handler", "", "belongs into the service, as `check`"),
            optional("report_handler", "", "belongs into the service, as `report`"),
        ],
        handler: Handler::Later(auth_service::register),
    },
    Method {
        name: "unregister_auth_service",
        description: "Puts the server itself in charge of tokens and logins again; for the root user.",
        right: Permission::None,
        parameters: &[],
        handler: Handler::Later(auth_service::unregister),
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
        handler: Handler::Later(workspaces::create),
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
    Method {
        name: "log_event",
        description: "Keeps an event of the caller in the workspace.",
        right: Permission::ReadWrite,
        parameters: &[
            required("event_type", "string", "without spaces"),
            optional("data", "", "what JSON can hold"),
        ],
        handler: Handler::Later(log::log_event),
    },
    Method {
        name: "get_events",
        description: "Gives the newest thousand events of the caller in the workspace, oldest first.",
        right: Permission::Read,
        parameters: &PERIOD,
        handler: Handler::Later(log::get),
    },
    Method {
        name: "get_event_stats",
        description: "Counts the events of the caller in the workspace by type.",
        right: Permission::Read,
        parameters: &PERIOD,
        handler: Handler::Later(log::statistics),
    },
    Method {
        name: "delete_workspace",
        description: "Deletes a workspace with all that is kept of it, and ends its clients; for its owners and admins.",
        right: Permission::None,
        parameters: &[required("workspace", "string", "the workspace")],
        handler: Handler::Later(workspaces::delete),
    },
    Method {
        name: "get_workspace_info",
        description: "Describes a workspace.",
        right: Permission::None,
        parameters: &[optional("workspace", "string", "the current one by default")],
        handler: Handler::Now(workspaces::info),
    },
    Method {
        name: "list_workspaces",
        description: "Lists the workspaces that the caller may read or owns.",
        right: Permission::None,
        parameters: &[
            optional("match", "object", "what must be equal, `name` for example"),
            optional("offset", "integer", "how many to leave out, 0 by default"),
            optional("limit", "integer", "how many to give, 256 by default, 1000 at most"),
        ],
        handler: Handler::Now(workspaces::list),
    },
    Method {
        name: "get_summary",
        description: "Counts and names the clients and services of the workspace.",
        right: Permission::Read,
        parameters: &[],
        handler: Handler::Now(summary::get),
    },
    Method {
        name: "check_status",
        description: "Tells whether the workspace is ready, and what the caller may do in it.",
        right: Permission::Read,
        parameters: &[],
        handler: Handler::Now(summary::check),
    },
    Method {
        name: "cleanup",
        description: "Lets go the clients of a workspace that give no sign of life.",
        right: Permission::Admin,
        parameters: &[
            optional("workspace", "string", "the current one by default"),
            optional("timeout", "number", "seconds to wait for each, 5 by default"),
        ],
        handler: Handler::Later(summary::clean),
    },
    Method {
        name: "set_env",
        description: "Sets an environment variable of the workspace.",
        right: Permission::ReadWrite,
        parameters: &[
            required("key", "string", "its name"),
            optional("value", "string", "its value; nothing takes it out"),
        ],
        handler: Handler::Later(environment::set),
    },
    Method {
        name: "get_env",
        description: "Gives an environment variable of the workspace, or all of them.",
        right: Permission::ReadWrite,
        parameters: &[
            optional("key", "string", "its name; all by name when absent"),
            optional("value", "", "ignored: an example of the reference has it"),
        ],
        handler: Handler::Later(environment::get),
    },
    Method {
        name: "bookmark",
        description: "Remembers a workspace or a service in the caller's own workspace.",
        right: Permission::None,
        parameters: &[required("item", "object", "`bookmark_type` (workspace or service) and `id`")],
        handler: Handler::Later(bookmarks::add),
    },
    Method {
        name: "unbookmark",
        description: "Forgets a bookmark.",
        right: Permission::None,
        parameters: &[required("item", "object", "`bookmark_type` (workspace or service) and `id`")],
        handler: Handler::Later(bookmarks::remove),
    },
    Method {
        name: "search_services",
        description: "Answers that services cannot be searched by meaning on this server.",
        right: Permission::None,
        parameters: &[
            optional("query", "", "accepted for compatibility"),
            optional("filters", "object", "accepted for compatibility"),
            optional("limit", "integer", "accepted for compatibility"),
            optional("offset", "integer", "accepted for compatibility"),
            optional("return_fields", "array", "accepted for compatibility"),
            optional("order_by", "string", "accepted for compatibility"),
            optional("pagination", "boolean", "accepted for compatibility"),
            optional("include_unlisted", "boolean", "accepted for compatibility"),
        ],
        handler: Handler::Now(|_| Err(Error::invalid("RuntimeError: Service search is not enabled."))),
    },
];
