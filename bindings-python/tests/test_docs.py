"""The examples in the documentation of the package run as they are written."""

from __future__ import annotations

import asyncio
import doctest
import importlib
import inspect
import os
import pkgutil
import re
import sys
import textwrap
from pathlib import Path

import polyfn
import polyfn.launch
import polyfn.schema
import polyfn.sync
import polyfn.utils
import pytest

MODULES = [
    found.name.removeprefix("polyfn.")
    for found in pkgutil.walk_packages(polyfn.__path__, "polyfn.")
    if not found.name.removeprefix("polyfn.").startswith("_")
]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
WORKER = """
import argparse, asyncio, polyfn

async def main(settings):
    async with polyfn.connect_to_server(vars(settings)) as server:
        await server.register_service({"id": "worker", "work": lambda: "done"})
        await server.serve()

parser = argparse.ArgumentParser()
for name in ("server-url", "workspace", "token"):
    parser.add_argument(f"--{name}")
asyncio.run(main(parser.parse_args()))
"""


@pytest.mark.parametrize("name", MODULES)
def test_sessions(name):
    module = importlib.import_module(f"polyfn.{name}")
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert failed == 0


def documented():
    """Everything public that may have examples."""
    for module in (polyfn, polyfn.schema, polyfn.sync, polyfn.launch):
        yield module.__name__, module
        for name, member in vars(module).items():
            if getattr(member, "__module__", None) == module.__name__ and not name.startswith("_"):
                yield f"{module.__name__}.{name}", member
    for name in polyfn.__all__:
        yield f"polyfn.{name}", getattr(polyfn, name)
    for name, member in inspect.getmembers(polyfn.Client):
        if not name.startswith("_"):
            yield f"polyfn.Client.{name}", member


def blocks():
    seen = set()
    for name, member in documented():
        for number, block in enumerate(BLOCK.findall(inspect.getdoc(member) or "")):
            if block not in seen:
                seen.add(block)
                yield pytest.param(name, block, id=f"{name}-{number}")


@pytest.fixture
def surroundings(tmp_path, monkeypatch):
    """What the examples expect to find: a program beside them, and Python under its name."""
    (tmp_path / "worker.py").write_text(WORKER)
    (tmp_path / "python").symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(polyfn.__file__).parents[1]), *sys.path]))


@pytest.mark.parametrize(("name", "block"), list(blocks()))
@pytest.mark.usefixtures("surroundings")
def test_programs(name, block, server_url, monkeypatch, capsys):
    source = block.replace("http://localhost:9527", server_url)
    if "asyncio.run" in source or ("await" not in source and "server" in source and "polyfn.sync" in source):
        with polyfn.sync.connect_to_server(server_url) as server:
            server.register_service(CALC)
            exec(compile(source, name, "exec"), {"server": server})
        assert capsys.readouterr().out == "3\n"
        return

    async def run():
        async with polyfn.connect_to_server(server_url) as server:
            await server.register_service(CALC)
            await be_a_login_service(server, monkeypatch)
            body = f"async def example(server):\n{textwrap.indent(source, '    ')}"
            names: dict = {**vars(polyfn), "asyncio": asyncio}
            exec(compile(body, name, "exec"), names)
            await names["example"](server)

    asyncio.run(run())


CALC = {"id": "calc", "config": {"visibility": "public"}, "add": lambda a, b: a + b}


async def be_a_login_service(server, monkeypatch):
    api = {
        "start": lambda: {"login_url": "http://login", "key": "k"},
        "check": lambda key, timeout, profile: "t",
    }
    info = await server.register_service({"id": "in", "config": {"visibility": "public"}, **api})
    monkeypatch.setattr("polyfn.accounts.SERVICE", info.id)


def test_there_are_examples():
    names = {param.values[0] for param in blocks()}
    assert names >= {
        "polyfn",
        "polyfn.schema",
        "polyfn.sync",
        "polyfn.connect_to_server",
        "polyfn.get_remote_service",
        "polyfn.login",
        "polyfn.run_in_executor",
        "polyfn.schema.schema_function",
        "polyfn.schema.schema_method",
        "polyfn.schema.schema_service",
        "polyfn.sync.get_remote_service",
        "polyfn.launch.launch_external_services",
        "polyfn.Rpc",
        "polyfn.Client.register_service",
        "polyfn.Client.get_service",
        "polyfn.Client.get_service_schema",
        "polyfn.Client.register_codec",
    }


def test_everything_public_is_documented():
    for module in (polyfn, polyfn.schema, polyfn.sync, polyfn.utils):
        for name in module.__all__:
            # these have the documentation of the function that each of them stands for
            assert inspect.getdoc(getattr(module, name)) or name in ("RemoteFunction", "Function"), name
    for kind in (polyfn.Client, polyfn.Rpc):
        for name, member in inspect.getmembers(kind):
            if not name.startswith("_") and callable(member):
                assert inspect.getdoc(member), name
