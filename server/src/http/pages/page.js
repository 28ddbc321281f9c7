// Shows what runs on this server, or in one workspace, and keeps it up to date.
import { make, server, user, workspace } from "./view.js";

const { base } = document.documentElement.dataset;
const path = location.pathname.slice(base.length);
const name = decodeURIComponent(path.split("/")[1] ?? "");
const [main, state, start] = ["main", "state", "start"].map((id) => document.getElementById(id));

let told;

// the field stays, whatever is shown anew around it: who writes into it must not lose it
const input = make("input", { id: "filter", type: "search", autocomplete: "off" });
const filter = make(
  "form",
  { role: "search" },
  make("label", { for: "filter" }, "Find a service or function"),
  input,
);
filter.addEventListener("submit", (event) => event.preventDefault());
input.addEventListener("input", show);
const [above, shown] = [make("div"), make("div")];

function show() {
  if (told === undefined) return;
  document.getElementById("user").replaceChildren(...user(base, told.user));
  const parts = told.workspace ? workspace(base, told, input.value) : server(base, told);
  const focused = focusedPlace();
  const [title, ...rest] = parts.filter((part) => part !== null);
  above.replaceChildren(title);
  shown.replaceChildren(...rest);
  filter.hidden = !told.workspace || told.services.length < 5;
  start.hidden = Boolean(told.workspace) && told.services.length > 0;
  document.title = `${told.workspace?.id ?? "What runs here"} · polyfn`;
  focused?.();
}

/** Where the focus is, to put it back there when the links are new ones. */
function focusedPlace() {
  const href = shown.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  return href === null ? undefined : () => shown.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus();
}

function note(kind, text) {
  state.dataset.state = kind;
  if (state.textContent !== text) state.textContent = text;
}

const events = new EventSource(`${base}${name ? `/${encodeURIComponent(name)}` : ""}/overview/events`);
events.addEventListener("message", (event) => {
  told = JSON.parse(event.data);
  note("live", "live");
  show();
});
events.addEventListener("error", () => {
  // the browser tries again by itself, unless the server refused
  note(
    "lost",
    events.readyState === EventSource.CLOSED ? "not available: sign in again" : "connecting again",
  );
});

main.replaceChildren(above, filter, shown);
