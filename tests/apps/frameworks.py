"""The same small site in five frameworks, each registered as it is."""

import asyncio
import hashlib
import sys
import time

import package

LIFE = []


def fastapi_app():
    from contextlib import asynccontextmanager

    from fastapi import BackgroundTasks, FastAPI, Request, UploadFile, WebSocket
    from fastapi.responses import PlainTextResponse, StreamingResponse

    @asynccontextmanager
    async def lifespan(app):
        LIFE.append("start")
        yield {"made": "at the start"}
        LIFE.append("end")
        print("the app has cleaned up", file=sys.stderr, flush=True)

    app = FastAPI(lifespan=lifespan)

    @app.get("/hello/{name}")
    async def hello(name: str, times: int = 1):
        return {"hello": [name] * times}

    @app.get("/plain-hello", response_class=PlainTextResponse)
    def plain_hello():
        return "hello from a thread"

    @app.post("/upload/")
    async def upload(file: UploadFile):
        digest, size = hashlib.sha256(), 0
        while part := await file.read(1 << 20):
            digest.update(part)
            size += len(part)
        return {"name": file.filename, "size": size, "sha256": digest.hexdigest()}

    @app.get("/link", name="link", response_class=PlainTextResponse)
    async def link(request: Request):
        return str(request.url_for("hello", name="x"))

    @app.get("/state", response_class=PlainTextResponse)
    async def state(request: Request):
        return request.state.made

    @app.get("/stream")
    async def stream():
        async def parts():
            for number in range(5):
                yield f"{number}\n"
                await asyncio.sleep(0.05)

        return StreamingResponse(parts(), media_type="text/plain")

    @app.get("/later")
    async def later(tasks: BackgroundTasks):
        async def work():
            await asyncio.sleep(0.2)
            LIFE.append("worked")

        tasks.add_task(work)
        return {"ok": True}

    @app.get("/life")
    async def life():
        return LIFE

    @app.get("/fails")
    async def fails():
        raise ValueError("boom")

    @app.websocket("/chat/{room}")
    async def chat(websocket: WebSocket, room: str):
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(f"{room}: {text}")

    return app


def starlette_app():
    from starlette.applications import Starlette
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.responses import JSONResponse, PlainTextResponse
    from starlette.routing import Mount, Route, WebSocketRoute

    async def hello(request):
        return JSONResponse({"hello": [request.path_params["name"]]})

    async def upload(request):
        async with request.form() as form:
            data = await form["file"].read()
            name = form["file"].filename
            return JSONResponse({"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()})

    async def link(request):
        return PlainTextResponse(str(request.url_for("inner:hello", name="x")))

    async def long(request):
        return PlainTextResponse("x" * 10000)

    async def chat(websocket):
        await websocket.accept(subprotocol="chat")
        await websocket.send_json({"path": websocket.url.path})
        await websocket.close(4000, "that was all")

    inner = [Route("/hello/{name}", hello, name="hello")]
    routes = [
        *inner,
        Route("/upload/", upload, methods=["POST"]),
        Route("/link", link),
        Route("/long", long),
        Mount("/inner", routes=inner, name="inner"),
        WebSocketRoute("/chat", chat),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(GZipMiddleware)
    return app


def django_app():
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
    from django.urls import path, reverse

    settings.configure(
        SECRET_KEY="not secret",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    )

    async def hello(request, name):
        return JsonResponse({"hello": [name]})

    def upload(request):
        file = request.FILES["file"]
        data = file.read()
        return JsonResponse(
            {"name": file.name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        )

    def link(request):
        return HttpResponse(
            request.build_absolute_uri(reverse("hello", args=["x"])), content_type="text/plain"
        )

    def stream(request):
        async def parts():
            for number in range(5):
                yield f"{number}\n"

        return StreamingHttpResponse(parts(), content_type="text/plain")

    globals()["urlpatterns"] = [
        path("hello/<name>", hello, name="hello"),
        path("upload/", upload),
        path("link", link),
        path("stream", stream),
    ]
    return get_asgi_application()


def quart_app():
    from quart import Quart, jsonify, request, url_for, websocket

    app = Quart(__name__)

    @app.get("/hello/<name>")
    async def hello(name):
        return jsonify(hello=[name])

    @app.post("/upload/")
    async def upload():
        file = (await request.files)["file"]
        data = file.read()
        return jsonify(name=file.filename, size=len(data), sha256=hashlib.sha256(data).hexdigest())

    @app.get("/link")
    async def link():
        return url_for("hello", name="x", _external=True), {"content-type": "text/plain"}

    @app.get("/stream")
    async def stream():
        async def parts():
            for number in range(5):
                yield f"{number}\n"

        return parts(), {"content-type": "text/plain"}

    @app.websocket("/chat/<room>")
    async def chat(room):
        while True:
            await websocket.send(f"{room}: {await websocket.receive()}")

    return app


def flask_app():
    from flask import Flask, jsonify, request, url_for

    app = Flask(__name__)

    @app.get("/hello/<name>")
    def hello(name):
        return jsonify(hello=[name])

    @app.post("/upload/")
    def upload():
        file = request.files["file"]
        digest, size = hashlib.sha256(), 0
        while part := file.stream.read(1 << 20):
            digest.update(part)
            size += len(part)
        return jsonify(name=file.filename, size=size, sha256=digest.hexdigest())

    @app.get("/link")
    def link():
        return url_for("hello", name="x", _external=True), {"content-type": "text/plain"}

    @app.get("/stream")
    def stream():
        def parts():
            for number in range(5):
                yield f"{number}\n"
                time.sleep(0.05)

        return parts(), {"content-type": "text/plain"}

    @app.get("/fails")
    def fails():
        raise ValueError("boom")

    return app


APPS = {
    "fastapi": fastapi_app,
    "starlette": starlette_app,
    "django": django_app,
    "quart": quart_app,
    "flask": flask_app,
}


async def register(server):
    for name, made in APPS.items():
        kind = "wsgi" if name == "flask" else "asgi"
        about = {"id": name, "type": kind, "config": {"visibility": "public"}}
        await server.register_service({**about, "serve": made()})
    relative = {"visibility": "public", "root_path": False}
    await server.register_service(
        {"id": "relative", "type": "asgi", "config": relative, "serve": starlette_app()}
    )


if __name__ == "__main__":
    package.run(register)
