// A web app: a function of requests, as it would run on other hosts too.
import { connectToServer } from "polyfn";

const url = process.env.POLYFN_SERVER_URL ?? "http://localhost:9527";
const server = await connectToServer({ server_url: url });

async function app(request) {
  const { pathname } = new URL(request.url);
  if (pathname === "/shout") return new Response((await request.text()).toUpperCase());
  if (pathname === "/old") return new Response(null, { status: 302, headers: { location: "/new" } });
  return new Response(`no ${pathname} here`, { status: 404 });
}

await server.registerService({
  id: "web",
  type: "fetch",
  config: { visibility: "public" },
  serve: app,
});

const base = `${url}/${server.config.workspace}/apps/web`;
const shout = await fetch(`${base}/shout`, { method: "POST", body: "hello" });
console.log(shout.status, await shout.text());
const old = await fetch(`${base}/old`, { redirect: "manual" });
console.log(old.status, old.headers.get("location").endsWith("/apps/web/new"));
const missing = await fetch(`${base}/elsewhere`);
console.log(missing.status, await missing.text());
await server.disconnect();
