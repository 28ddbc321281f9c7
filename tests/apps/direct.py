"""A framework's app registered as it is with the published package: what takes scope, receive and send."""

import package


async def register(server):
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, PlainTextResponse
    from starlette.routing import Route, WebSocketRoute

    async def hello(request):
        return JSONResponse({"hello": [request.path_params["name"]]})

    async def body(request):
        return PlainTextResponse(str(len(await request.body())))

    async def chat(websocket):
        await websocket.accept()
        await websocket.send_text((await websocket.receive_text()).upper())
        await websocket.close()

    async def serve(scope, receive, send):
        await app(scope, receive, send)

    routes = [
        Route("/hello/{name}", hello),
        Route("/body", body, methods=["POST"]),
        WebSocketRoute("/chat", chat),
    ]
    app = Starlette(routes=routes)
    about = {"type": "asgi", "config": {"visibility": "public"}}
    await server.register_service({**about, "id": "direct", "serve": serve})
    await server.register_service({**about, "id": "object", "serve": app})


if __name__ == "__main__":
    package.run(register)
