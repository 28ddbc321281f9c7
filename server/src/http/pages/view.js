// What the page shows, made of what the server told. No markup is ever made of a text.

/** Makes an element: `make("a", { href: "/" }, "home", otherElement)`. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const encode = encodeURIComponent;
const plural = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

/** `/base/lab-one/services/client:calc`, readable: colons need no percent code. */
function place(base, workspace, kind, id) {
  return `${base}/${encode(workspace)}/${kind}/${encode(id).replaceAll("%3A", ":")}`;
}

export function user(base, told) {
  if (!told.signed_in) return [make("a", { href: `${base}/login` }, "Sign in")];
  const own = make("a", { href: `${base}/${encode(told.workspace)}/` }, told.workspace);
  return [own, " · ", make("a", { href: `${base}/login` }, told.email ?? told.id)];
}

export function server(base, told) {
  const cards = told.workspaces.map((workspace) => workspaceCard(base, workspace));
  const hidden = told.workspaces_total - told.workspaces.length;
  return [
    make("h1", {}, "What runs here"),
    make(
      "p",
      { class: "soft" },
      "Functions from Python and JavaScript, called from any language and over HTTP.",
    ),
    make("h2", {}, "Workspaces"),
    cards.length > 0
      ? make("ul", { class: "grid" }, ...cards)
      : make(
          "p",
          { class: "soft" },
          "None that you may see. A workspace that you know has its page at its name.",
        ),
    hidden > 0 ? make("p", { class: "soft" }, `and ${hidden} more`) : null,
  ];
}

function workspaceCard(base, workspace) {
  const link = make("a", { href: `${base}/${encode(workspace.id)}/` }, workspace.id);
  const counts = `${plural(workspace.services, "service")} · ${plural(workspace.clients, "client")}`;
  return make(
    "li",
    { class: "card" },
    make("h3", {}, link),
    workspace.description ? make("p", {}, workspace.description) : null,
    make("p", { class: "soft small" }, counts),
  );
}

export function workspace(base, told, wanted) {
  const { id, reads, description } = told.workspace;
  const shown = told.services.filter((service) => fits(service, wanted));
  const left = told.services_total - told.services.length;
  const nothing = reads
    ? "Nothing runs here yet."
    : "Nothing that you may see runs here. Sign in to see more.";
  return [
    make("h1", {}, id),
    description ? make("p", {}, description) : null,
    make("h2", {}, `Services (${told.services_total})`),
    told.services.length === 0 ? make("p", { class: "soft" }, nothing) : null,
    told.services.length > 0 && shown.length === 0
      ? make("p", { class: "soft" }, "No service has that in it.")
      : null,
    make("ul", { class: "grid", id: "services" }, ...shown.map((service) => serviceCard(base, id, service))),
    left > 0 ? make("p", { class: "soft" }, `and ${left} more`) : null,
    told.clients ? clients(told) : null,
  ];
}

function fits(service, wanted) {
  const text = [service.id, service.name, service.type, service.description ?? "", ...service.functions].join(
    " ",
  );
  return text.toLowerCase().includes(wanted.trim().toLowerCase());
}

const APPS = new Set(["functions", "asgi", "wsgi", "fetch"]);

function serviceCard(base, workspace, service) {
  const url = place(base, workspace, "services", service.id);
  const app = APPS.has(service.type) ? `${place(base, workspace, "apps", service.id)}/` : null;
  const about = `of ${service.name}`;
  return make(
    "li",
    { class: "card" },
    make("h3", {}, service.name),
    make("p", { class: "soft small" }, service.id),
    make(
      "p",
      { class: "row small" },
      make("span", { class: "badge" }, service.type),
      make("span", { class: "badge" }, service.visibility ?? "protected"),
    ),
    service.description ? make("p", {}, service.description) : null,
    service.functions.length > 0
      ? make(
          "ul",
          { class: "tags", "aria-label": `Functions ${about}` },
          ...service.functions.map((name) => make("li", {}, name)),
        )
      : null,
    make(
      "p",
      { class: "links" },
      make("a", { href: `${url}/docs`, "aria-label": `Try the functions ${about}` }, "Try it"),
      app ? make("a", { href: app, "aria-label": `Open the site ${about}` }, "Open") : null,
      make("a", { href: url, "aria-label": `The description ${about} in JSON` }, "JSON"),
    ),
  );
}

function clients(told) {
  const row = (client) =>
    make(
      "tr",
      {},
      make("td", {}, client.id),
      make("td", {}, client.user.email ?? client.user.id),
      make("td", { class: "number" }, String(client.messages_per_minute)),
      make("td", { class: "number" }, String(client.calls)),
    );
  const heads = [
    ["Client", ""],
    ["User", ""],
    ["Messages/min", "number"],
    ["Calls", "number"],
  ];
  return make(
    "section",
    { "aria-labelledby": "clients-title" },
    make("h2", { id: "clients-title" }, `Clients (${told.clients_total})`),
    make(
      "div",
      { class: "table", tabindex: "0", role: "group", "aria-labelledby": "clients-title" },
      make(
        "table",
        {},
        make(
          "thead",
          {},
          make("tr", {}, ...heads.map(([text, kind]) => make("th", { scope: "col", class: kind }, text))),
        ),
        make("tbody", {}, ...told.clients.map(row)),
      ),
    ),
  );
}
