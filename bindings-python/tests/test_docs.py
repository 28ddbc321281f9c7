"""The examples in the documentation of the package run as they are written."""

from __future__ import annotations

import asyncio
import doctest
import importlib
import inspect
import re
import textwrap

import polyfn
import pytest

MODULES = [
    "client",
    "codecs",
    "errors",
    "events",
    "forms",
    "functions",
    "iostream",
    "options",
    "proxy",
    "threads",
]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("name", MODULES)
def test_sessions(name):
    module = importlib.import_module(f"polyfn.{name}")
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert failed == 0


def blocks():
    documented = [polyfn, polyfn.connect_to_server]
    documented += [
        getattr(polyfn.Server, name) for name in ("register_service", "get_service", "register_codec")
    ]
    for item in documented:
        for number, block in enumerate(BLOCK.findall(inspect.getdoc(item) or "")):
            yield pytest.param(block, id=f"{item.__name__}-{number}")


@pytest.mark.parametrize("block", list(blocks()))
def test_programs(block, server_url, capsys):
    source = block.replace("http://localhost:9527", server_url)
    if "asyncio.run" in source:
        exec(compile(source, "example", "exec"), {})
        assert capsys.readouterr().out == "3\n"
        return

    async def run():
        async with polyfn.connect_to_server(server_url) as server:
            await server.register_service({"id": "calc", "add": lambda a, b: a + b})
            body = f"async def example(server, connect_to_server):\n{textwrap.indent(source, '    ')}"
            names: dict = {}
            exec(compile(body, "example", "exec"), names)
            await names["example"](server, polyfn.connect_to_server)

    asyncio.run(run())


def test_everything_public_is_documented():
    for name in polyfn.__all__:
        assert inspect.getdoc(getattr(polyfn, name)) or name == "RemoteFunction", name
    for name, member in inspect.getmembers(polyfn.Server):
        if not name.startswith("_") and callable(member):
            assert inspect.getdoc(member), name
