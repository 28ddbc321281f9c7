"""A client program for the tests: `python peer.py PACKAGE`, JSON lines in, JSON lines out.

It knows only the names that hypha_rpc and polyfn share, so one program drives both.
"""

from __future__ import annotations

import asyncio
import builtins
import hashlib
import importlib
import inspect
import json
import sys
import traceback

import answers
import behaviours
import values
from behaviours import fill, multiplier

PACKAGE = importlib.import_module(sys.argv[1])


class Library:
    """A class whose instance is registered as it is."""

    def __init__(self, prefix: str):
        self.prefix = prefix

    def shelve(self, title: str) -> str:
        return f"{self.prefix}: {title}"


def rpc_service() -> dict:
    """What every program offers for calls."""

    def add(a, b):
        return a + b

    def greet(name, greeting="Hello"):
        return f"{greeting} {name}"

    def echo(value):
        return value

    async def echo_later(value):
        await asyncio.sleep(0)
        return value

    def fail(message):
        raise ValueError(message)

    def fail_as(kind, message):
        raise getattr(builtins, kind)(message)

    def wants(workspace, service_id):
        return [workspace, service_id]

    async def fail_later(message):
        await asyncio.sleep(0)
        raise ValueError(message)

    async def repeat(function, count):
        return [await function(number) for number in range(count)]

    def size(content):
        return len(content)

    def hello(name):
        return f"hello {name}"

    async def pause(seconds):
        await asyncio.sleep(seconds)
        return seconds

    return {
        **behaviours.service(),
        "add": add,
        "greet": greet,
        "echo": echo,
        "echo_later": echo_later,
        "fail": fail,
        "fail_later": fail_later,
        "fail_as": fail_as,
        "wants": wants,
        "repeat": repeat,
        "size": size,
        "make": fill,
        "pause": pause,
        "multiplier": multiplier,
        "nest": {"deep": {"hello": hello}},
        "shelve": Library("shelf").shelve,
        "describe": values.describe,
        "produce": lambda name: values.MAKE[name](),
        "answer": 42,
    }


def context_service() -> dict:
    def whoami(tag, context=None):
        return {"tag": tag, "ws": context["ws"], "from": context["from"], "user": context["user"]["id"]}

    def came_by(tag, context=None):
        return context["connection_type"]

    def trace_of(context=None):
        return context.get("trace")

    def sealed_by(tag, context=None):
        return context.get("caller_public_key") if context.get("encryption") else None

    return {"whoami": whoami, "came_by": came_by, "sealed_by": sealed_by, "trace_of": trace_of}


def http_functions(name: str):
    return lambda: {"type": "functions", **answers.services()[name]}


SERVICES = {"rpc": rpc_service, "context": context_service} | {
    name: http_functions(name) for name in answers.services()
}


def revive(value):
    """Turns the stand-ins of a request into values."""
    if isinstance(value, list):
        return [revive(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$bytes" in value:
        return bytes.fromhex(value["$bytes"])
    if "$fill" in value:
        return fill(value["$fill"])
    if "$interface" in value:
        return behaviours.INTERFACES[value["$interface"]]()
    if "$stream" in value:
        return behaviours.later(value["$stream"])
    if "$plain_stream" in value:
        return behaviours.plainly(value["$plain_stream"])
    if "$make" in value:
        return values.MAKE[value["$make"]]()
    if "$callback" in value:
        return CALLBACKS[value["$callback"]]
    return {key: revive(item) for key, item in value.items()}


def double(number):
    return number * 2


async def double_later(number):
    await asyncio.sleep(0)
    return number * 2


def raising(_number):
    raise ValueError("callback refused")


CALLBACKS = {**behaviours.CALLBACKS, "double": double, "double_later": double_later, "raise": raising}


def plain(value):
    """Turns a result into JSON."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        content = bytes(value)
        if len(content) > 1024:
            return {"$length": len(content), "$sha256": hashlib.sha256(content).hexdigest()}
        return {"$bytes": content.hex()}
    if isinstance(value, dict):
        # not value.items(): a proxy gives its own entry of that name
        return {str(key): plain(item) for key, item in dict.items(value)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if callable(value):
        return {"$function": True}
    return value


def member(root, path: str):
    for key in path.split("."):
        root = root[key] if isinstance(root, dict) else getattr(root, key)
    return root


class Program:
    def __init__(self):
        self.clients: dict = {}
        self.services: dict = {}
        self.heard: dict = {}

    async def connect(self, name, config):
        client = await PACKAGE.connect_to_server(config)
        self.clients[name] = client
        info = client.config
        return {
            "workspace": info["workspace"],
            "client_id": info["client_id"],
            "user": plain(info.get("user")),
        }

    async def register(self, name, what, service, config):
        settings = {"visibility": "protected", **config}
        overwrite = settings.pop("overwrite", False)
        info = {"id": service, "config": settings}
        if what == "context":
            settings["require_context"] = True
        await self.clients[name].register_service({**info, **SERVICES[what]()}, {"overwrite": overwrite})

    async def get(self, name, service, key=None):
        handle = f"{name}:{service}:{len(self.services)}"
        config = {"encryption_public_key": key} if key else {}
        self.services[handle] = await self.clients[name].get_service(service, **config)
        return handle

    async def public_key(self, name):
        return self.clients[name].rpc.get_public_key()

    async def call(self, handle, method, args, kwargs, take=None):
        function = member(self.services[handle], method)
        result = await function(*[revive(item) for item in args], **revive(kwargs))
        if hasattr(result, "__aiter__"):
            result = await behaviours.collect(result, take)
        result = await behaviours.results(result)
        if callable(result):
            result = {"$then": plain(await result(21))}
        return plain(result)

    async def told(self, handle, method, args):
        return values.describe(await member(self.services[handle], method)(*args))

    async def value(self, handle, path):
        return plain(member(self.services[handle], path))

    async def give_up(self, handle, method, until):
        """Begins a call and cancels it when `until` has answered."""
        calling = asyncio.ensure_future(member(self.services[handle], method)())
        await member(self.services[handle], until)()
        calling.cancel()
        await asyncio.wait([calling])
        return calling.cancelled()

    async def listen(self, name, kind):
        heard = self.heard[name, kind] = asyncio.Queue()
        self.clients[name].on(kind, heard.put_nowait)
        await self.clients[name].subscribe(kind)

    async def hear(self, name, kind):
        return plain(await self.heard[name, kind].get())

    async def emit(self, name, message):
        await self.clients[name].emit(message)

    async def manager(self, name, method, args, kwargs):
        function = member(self.clients[name], method)
        return plain(await function(*args, **kwargs))

    async def disconnect(self, name):
        await self.clients.pop(name).disconnect()


def describe(error: BaseException) -> dict:
    return {
        "name": type(error).__name__,
        "message": str(error),
        "code": getattr(error, "code", None),
        "trace": getattr(error, "remote_traceback", None) or "".join(traceback.format_exception_only(error)),
    }


async def serve(program: Program, line: str) -> None:
    request = json.loads(line)
    number = request.pop("number")
    try:
        operation = getattr(program, request.pop("op"))
        answer = {"answer": number, "value": await operation(**request)}
    except Exception as error:
        answer = {"answer": number, "error": describe(error)}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def main() -> None:
    reader = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    program = Program()
    tasks = set()
    while line := await reader.readline():
        task = asyncio.ensure_future(serve(program, line.decode()))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    for client in list(program.clients.values()):
        closing = client.disconnect()
        if inspect.isawaitable(closing):
            await asyncio.wait_for(closing, 5)


if __name__ == "__main__":
    asyncio.run(main())
