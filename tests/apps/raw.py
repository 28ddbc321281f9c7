"""An app without a framework, which does what the tests want to see."""

import asyncio
import hashlib
import importlib
import json
import resource

import package

SEEN = {}


async def answer(send, status, body, *headers):
    await send({"type": "http.response.start", "status": status, "headers": [list(pair) for pair in headers]})
    await send({"type": "http.response.body", "body": body})


async def scope(scope, receive, send):
    def plain(value):
        if isinstance(value, bytes):
            return {"bytes": value.decode("latin-1")}
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    await answer(send, 200, json.dumps(plain(scope)).encode(), (b"content-type", b"application/json"))


async def body(scope, receive, send):
    digest, size, parts, largest = hashlib.sha256(), 0, 0, 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        digest.update(part)
        size, parts, largest = size + len(part), parts + 1, max(largest, len(part))
        if not message.get("more_body"):
            break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seen = {"size": size, "sha256": digest.hexdigest(), "parts": parts, "largest": largest, "peak": peak}
    await answer(send, 200, json.dumps(seen).encode())


async def echo(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    more = True
    while more:
        message = await receive()
        more = bool(message.get("more_body"))
        await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": more})


async def headers(scope, receive, send):
    given = [(b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"X-Made", b"yes"), (b"connection", b"close")]
    await answer(send, 201, b"made", *given)


async def large(scope, receive, send):
    """As many bytes as the query says, in one part; twice."""
    size = int(scope["query_string"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for more in (True, False):
        await send({"type": "http.response.body", "body": bytes(size), "more_body": more})


async def ticks(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for number in range(5):
        await send({"type": "http.response.body", "body": f"{number}\n".encode(), "more_body": True})
        await asyncio.sleep(0.2)
    await send({"type": "http.response.body", "body": b""})


async def flood(scope, receive, send):
    """More than anybody reads; says afterwards how far it came."""
    SEEN["flood"] = {"sent": 0, "error": None, "over": False}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    try:
        for number in range(1, 4000):
            await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
            SEEN["flood"]["sent"] = number
    except Exception as error:
        SEEN["flood"]["error"] = type(error).__name__
    SEEN["flood"]["over"] = True


async def wait(scope, receive, send):
    """Waits until the client has left."""
    SEEN["wait"] = []
    while not SEEN["wait"] or SEEN["wait"][-1] != "http.disconnect":
        SEEN["wait"].append((await receive())["type"])


async def drip(scope, receive, send):
    """Sends now and then, and never asks whether anybody is there."""
    SEEN["drip"] = {"sent": 0, "error": None}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    try:
        while True:
            await send({"type": "http.response.body", "body": b"drop\n", "more_body": True})
            SEEN["drip"]["sent"] += 1
            await asyncio.sleep(0.02)
    except Exception as error:
        SEEN["drip"]["error"] = [type(error).__name__, isinstance(error, OSError)]
        raise


async def lingers(scope, receive, send):
    """Reads nothing and sends nothing until it is cancelled."""
    SEEN["lingers"] = "begun"
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        SEEN["lingers"] = "cancelled"
        raise


HEARS = asyncio.Event()


async def deaf(scope, receive, send):
    """Reads nothing of its request until it is told to, by another one."""
    SEEN["deaf"] = "begun"
    HEARS.clear()
    await HEARS.wait()
    SEEN["deaf"] = (await receive())["type"]


async def hear(scope, receive, send):
    HEARS.set()
    await answer(send, 200, b"")


async def after(scope, receive, send):
    """Receives again when the answer is complete."""
    await receive()
    await answer(send, 200, b"done")
    SEEN["after"] = (await receive())["type"]


async def seen(scope, receive, send):
    await answer(send, 200, json.dumps(SEEN).encode())


async def fails(scope, receive, send):
    raise ValueError("boom")


async def fails_late(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"a part", "more_body": True})
    raise ValueError("boom")


async def says_nothing(scope, receive, send):
    pass


async def wrong(scope, receive, send):
    kind = scope["path"].rpartition("/")[2]
    start = {"type": "http.response.start", "status": 200, "headers": []}
    messages = {
        "status": [{**start, "status": 99}],
        "header": [{**start, "headers": [[b"a", b"b\r\nc: d"]]}],
        "body-first": [{"type": "http.response.body", "body": b"x"}],
        "twice": [start, start],
        "text": ["no message"],
        "other": [{"type": "websocket.accept"}],
    }[kind]
    try:
        for message in messages:
            await send(message)
    except Exception as error:
        await answer(send, 200, str(error).encode())


async def slow_end(scope, receive, send):
    await answer(send, 200, b"early")
    await asyncio.sleep(0.3)
    SEEN["slow_end"] = "over"


async def head(scope, receive, send):
    await answer(send, 200, b"" if scope["method"] == "HEAD" else b"x" * 10, (b"content-length", b"10"))


async def method(scope, receive, send):
    await answer(send, 200, scope["method"].encode())


async def socket(scope, receive, send):
    path = scope["path"].rpartition("/socket")[2]
    first = await receive()
    assert first["type"] == "websocket.connect", first
    if path == "/refused":
        return await send({"type": "websocket.close", "code": 4001})
    if path == "/fails":
        raise ValueError("boom")
    if path == "/nothing":
        return None
    if path == "/denied":
        start = {"type": "websocket.http.response.start", "status": 418, "headers": [[b"x-why", b"tea"]]}
        await send(start)
        return await send({"type": "websocket.http.response.body", "body": b"short and stout"})
    offered = list(scope["subprotocols"])
    chosen = offered[-1] if offered else None
    await send({"type": "websocket.accept", "subprotocol": chosen, "headers": [[b"x-made", b"yes"]]})
    if path == "/closes":
        return await send({"type": "websocket.close", "code": 4002, "reason": "enough"})
    if path == "/fails-late":
        raise ValueError("boom")
    if path == "/flood":
        for _ in range(1000):
            await send({"type": "websocket.send", "bytes": bytes(1 << 16)})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            SEEN["socket"] = {"code": message.get("code"), "reason": message.get("reason")}
            return None
        if message.get("text") is not None:
            await send({"type": "websocket.send", "text": message["text"].upper()})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"][::-1]})


NAMED = [
    scope,
    body,
    echo,
    headers,
    large,
    ticks,
    flood,
    drip,
    lingers,
    wait,
    deaf,
    hear,
    after,
    seen,
    fails,
    fails_late,
    says_nothing,
    wrong,
]
PLACES = {one.__name__.replace("_", "-"): one for one in [*NAMED, slow_end, head, method, socket]}


async def app(scope, receive, send):
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    place = PLACES.get(path.split("/")[1])
    if place is None:
        return await answer(send, 404, f"nothing at {path}".encode())
    return await place(scope, receive, send)


async def serve(args, context=None):
    await app(args["scope"], args["receive"], args["send"])


async def register(server):
    for visibility in ("public", "unlisted", "protected"):
        config = {"visibility": visibility}
        await server.register_service(
            {"id": f"{visibility}-raw", "type": "asgi", "config": config, "serve": serve}
        )
    if package.PACKAGE == "polyfn":
        # hypha-rpc does not let it be registered, and the reference takes none
        private = {"id": "private-raw", "type": "asgi", "config": {"visibility": "private"}, "serve": serve}
        refused = importlib.import_module(package.PACKAGE).RpcError
        try:
            await server.register_service(private)
        except refused as error:
            if "singleton" not in str(error):
                raise
    rooted = {"visibility": "public", "root_path": True}
    await server.register_service({"id": "rooted", "type": "ASGI", "config": rooted, "serve": serve})
    context = {"visibility": "public", "require_context": True}
    await server.register_service({"id": "context", "type": "asgi", "config": context, "serve": with_context})
    if package.PACKAGE == "hypha_rpc":
        # ours says at once what is missing
        await server.register_service({"id": "empty", "type": "asgi", "config": rooted, "other": serve})
    await server.register_service({"id": "generic", "config": rooted, "serve": serve})


async def with_context(args, context=None):
    await answer(args["send"], 200, json.dumps({"user": context["user"]["id"], "ws": context["ws"]}).encode())


if __name__ == "__main__":
    package.run(register)
