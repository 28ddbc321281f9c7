"""What `polyfn.utils.serve` offers beside the command: checks before an app, and an app for chat clients."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import polyfn
import pytest
from polyfn import HTTPError
from polyfn.utils.serve import create_openai_chat_server, register_asgi_service


async def app(scope, receive, send):
    context = scope["extensions"]["polyfn"].get("context")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(context and context["ws"]).encode()})


def flask(environ, start_response):
    start_response("200 OK", [])
    return [b"flask"]


def with_error(context, scope, receive, send):
    if scope["path"].endswith("/teapot"):
        raise HTTPError(418, "short and stout", headers={"X-Why": ["tea", "pot"]})


async def with_permission(context, **_: Any):
    await asyncio.sleep(0)
    raise PermissionError(f"not for {context['user']['id']}")


async def fails(**_: Any):
    raise ValueError("boom")


@pytest.fixture
async def embedded():
    async with (
        polyfn.Server() as server,
        server.connect(workspace="lab") as client,
        httpx.AsyncClient(base_url=f"{server.url}/lab/apps/", timeout=30) as web,
    ):
        yield client, web


async def test_a_check_lets_requests_through_or_refuses_them(embedded):
    client, web = embedded
    info = await register_asgi_service(
        client, "one", app, with_error, service_name="One", root_path=False, description="it"
    )
    assert (info.name, info.description, info.config.root_path, info.config.visibility) == (
        "One",
        "it",
        False,
        "public",
    )
    passed, refused = await web.get("one/"), await web.get("one/teapot")
    assert (passed.status_code, passed.json()) == (200, "lab")
    assert (refused.status_code, refused.json()["detail"]) == (418, "short and stout")
    assert refused.headers.get_list("x-why") == ["tea", "pot"]
    await register_asgi_service(client, "two", app, with_permission)
    refused = await web.get("two/")
    assert refused.status_code == 403
    assert refused.json()["detail"].startswith("not for anonymouz-http-")
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    key = {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert (await web.get("two/", headers={**upgrade, **key})).status_code == 403
    await register_asgi_service(client, "three", flask, lambda **_: False)
    assert (await web.get("three/")).status_code == 403
    await register_asgi_service(client, "three", flask)
    assert (await web.get("three/")).text == "flask"
    await register_asgi_service(client, "four", app, check_context=fails)
    assert (await web.get("four/")).status_code == 500


async def words(request):
    for word in request["messages"][-1]["content"].split():
        yield word + " "


async def whole(request):
    return {"made": request["model"]}


MODELS = {"words": words, "whole": whole, "text": lambda request: "one text", "odd": lambda request: 5}


async def ask(web, model: str, **more: Any) -> httpx.Response:
    messages = [{"role": "user", "content": "a b c"}]
    return await web.post("chat/v1/chat/completions", json={"model": model, "messages": messages, **more})


async def test_chat_clients_are_answered_by_functions(embedded):
    client, web = embedded
    await register_asgi_service(client, "chat", create_openai_chat_server(MODELS))
    listed = (await web.get("chat/v1/models")).json()
    assert [model["id"] for model in listed["data"]] == list(MODELS)
    for model, more, text in (
        ("words", {}, "a b c "),
        ("words", {"max_tokens": 2}, "a b "),
        ("text", {}, "one text"),
    ):
        answer = (await ask(web, model, **more)).json()
        assert answer["choices"][0]["message"] == {"role": "assistant", "content": text}
        assert (answer["object"], answer["model"]) == ("chat.completion", model)
    assert (await ask(web, "whole")).json() == {"made": "whole"}
    for model, status in (("none", 404), ("odd", 500)):
        assert (await ask(web, model)).status_code == status
    assert (await ask(web, "words", messages=[])).status_code == 400


async def test_chat_is_streamed(embedded):
    client, web = embedded
    await register_asgi_service(client, "chat", create_openai_chat_server(MODELS, ["https://a.example"]))
    answer = await ask(web, "words", stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *chunks, end = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    deltas = [json.loads(chunk)["choices"][0]["delta"].get("content") for chunk in chunks]
    assert (deltas, end) == (["a ", "b ", "c ", None], "[DONE]")
    failed = await ask(web, "odd", stream=True)
    assert "not int" in failed.text
    assert "[DONE]" not in failed.text
    page = await web.get("chat/v1/models", headers={"origin": "https://a.example"})
    assert page.headers["access-control-allow-credentials"] == "true"
