// The package under test, and the line by which a program says that it is ready.
const loaded = await import(process.env.PACKAGE ?? "polyfn");

const published = loaded.hyphaWebsocketClient ?? loaded.default?.hyphaWebsocketClient;

// The seeds write `api.register_service`; the published package knows the camelCase name only, ours both.
async function connectPublished(config) {
  const api = await published.connectToServer(config);
  api.register_service = api.registerService;
  return api;
}

export const connectToServer = published ? connectPublished : loaded.connectToServer;

// Libraries print where they like; the ready line needs stdout for itself.
console.log = console.error;
console.info = console.error;

export async function ready(api) {
  const token = await api.generateToken();
  process.stdout.write(`${JSON.stringify({ workspace: api.config.workspace, token })}\n`);
}

process.stdin.on("end", () => process.exit(0)).resume();
