"""Functions that write text, behind the HTTP API by which chat clients ask language models."""

import inspect
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, Literal, cast

from fastapi import FastAPI, HTTPException
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

__all__ = ["chat_app"]

#: A model: is given the request as a dict; gives a text, a whole answer as a dict, or a generator of either.
Model = Callable[[dict[str, Any]], Any]


class Message(BaseModel):
    """One message of a conversation; whatever else clients send is passed on."""

    model_config = ConfigDict(extra="allow")
    role: str
    content: str | list[Any] | None = None


class Request(BaseModel):
    """What a client asks for; whatever else it sends is passed on."""

    model_config = ConfigDict(extra="allow")
    model: str
    messages: list[Message]
    temperature: float | None = 0.8
    top_p: float | None = 0.8
    max_tokens: int | None = None
    stream: bool | None = False


def chat_app(
    models: Mapping[str, Model],
    origins: Sequence[str],
    credentials: bool,
    methods: Sequence[str],
    headers: Sequence[str],
) -> FastAPI:
    """An app that answers `/v1/models` and `/v1/chat/completions` by these models."""
    app = FastAPI(title="Chat")
    # nobody's pages may use a visitor's cookies unless they are named
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_credentials=credentials and "*" not in origins,
        allow_methods=methods,
        allow_headers=headers,
    )
    numbers = count(1)

    @app.get("/v1/models")
    async def list_models() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        cards = [
            {"id": name, "object": "model", "created": int(time.time()), "owned_by": "owner"}
            for name in models
        ]
        return {"object": "list", "data": cards}

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Any:  # pyright: ignore[reportUnusedFunction]
        if not request.messages or request.messages[-1].role == "assistant":
            raise HTTPException(400, "the last message must not be one of the assistant")
        if request.model not in models:
            raise HTTPException(
                404, f"there is no model {request.model!r}, but {', '.join(models) or 'none'}"
            )
        head = {"id": f"chatcmpl-{next(numbers)}", "created": int(time.time()), "model": request.model}
        made = models[request.model](request.model_dump(mode="json"))
        if inspect.isawaitable(made):
            made = await cast("Any", made)
        if request.stream:
            events = _events(_pieces(made), head)
            return StreamingResponse(
                events, media_type="text/event-stream", headers={"cache-control": "no-cache"}
            )
        if _is_answer(made):
            return made
        return {
            **head,
            "object": "chat.completion",
            "choices": [_choice(await _whole(made, request.max_tokens))],
        }

    return app


def _is_answer(made: Any) -> bool:
    return isinstance(made, Mapping)


def _choice(text: str) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}


async def _pieces(made: Any) -> AsyncIterator[Any]:
    """What a model has given, piece by piece."""
    if isinstance(made, str | Mapping):
        yield made
    elif isinstance(made, AsyncIterator):
        async for piece in cast("AsyncIterator[Any]", made):
            yield piece
    elif isinstance(made, Iterable):
        for piece in cast("Iterable[Any]", made):
            yield piece
    else:
        raise TypeError(f"a model gives a text, a dict or a generator, not {type(made).__name__}")


async def _whole(made: Any, most: int | None) -> str:
    """All pieces as one text; no more of them than are asked for."""
    text, pieces = "", 0
    async for piece in _pieces(made):
        if not isinstance(piece, str):
            raise TypeError("a model that is not asked for a stream gives texts")
        text += piece
        pieces += 1
        if most is not None and pieces >= most:
            break
    return text


async def _events(pieces: AsyncIterator[Any], head: Mapping[str, Any]) -> AsyncIterator[str]:
    """The pieces as server-sent events; an error is the last of them."""

    def chunk(delta: Mapping[str, Any], reason: Literal["stop"] | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {**head, "object": "chat.completion.chunk", "choices": [choice]}

    try:
        async for piece in pieces:
            whole = piece if _is_answer(piece) else chunk({"role": "assistant", "content": piece}, None)
            yield f"data: {json.dumps(whole)}\n\n"
        yield f"data: {json.dumps(chunk({}, 'stop'))}\n\n"
        yield "data: [DONE]\n\n"
    except Exception as error:
        yield f"data: {json.dumps({'error': {'message': str(error), 'type': 'stream_error'}})}\n\n"
