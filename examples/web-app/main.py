"""A web app: an ASGI app without a framework. Those of FastAPI and others are registered the same way."""

import asyncio
import os
import urllib.error
import urllib.request

from polyfn import connect_to_server


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError("this app has no other scopes")
    path = scope["path"].removeprefix(scope["root_path"])
    status, headers, body = 404, [], f"no {path} here".encode()
    if path == "/shout":
        status, body = 200, (await receive())["body"].upper()
    if path == "/old":
        status, headers, body = 302, [(b"location", f"{scope['root_path']}/new".encode())], b""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def ask(url, body=None):
    try:
        answer = urllib.request.build_opener(Stay).open(url, body)
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, answer.headers.get("location"), answer.read().decode()


async def main():
    url = os.environ.get("POLYFN_SERVER_URL", "http://localhost:9527")
    async with connect_to_server({"server_url": url}) as server:
        await server.register_service(
            {
                "id": "web",
                "type": "asgi",
                "config": {"visibility": "public"},
                "serve": app,
            }
        )
        base = f"{url}/{server.config.workspace}/apps/web"
        status, _, text = await asyncio.to_thread(ask, f"{base}/shout", b"hello")
        print(status, text)
        status, location, _ = await asyncio.to_thread(ask, f"{base}/old")
        print(status, str(location.endswith("/apps/web/new")).lower())
        status, _, text = await asyncio.to_thread(ask, f"{base}/elsewhere")
        print(status, text)


asyncio.run(main())
