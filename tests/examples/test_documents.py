"""The code in the documents runs as it stands, but for the server's address."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import subprocess
import sys
import urllib.request

import polyfn
import pytest
from runner import tokens, web
from runner.documents import ROOT, blocks, run_inside
from runner.peers import environment

WRITTEN = "http://localhost:9527"


@contextlib.contextmanager
def started(command: list[str], code: str):
    """A program that was started, and the first line that it prints."""
    process = subprocess.Popen(
        [*command, code],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline().strip()
        assert line, process.stderr.read()
        yield line
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("command", "language", "answer"),
    [
        ([sys.executable, "-c"], "python", '{"message":"Hello from Python, you"}'),
        (["node", "--input-type=module", "-e"], "javascript", '{"message":"Hello from JavaScript, you"}'),
    ],
)
def test_the_programs_of_the_readme_serve(polyfn_server, command, language, answer):
    code = blocks("README.md", language)[0].replace(WRITTEN, polyfn_server.url)
    with started(command, code) as url, urllib.request.urlopen(url) as response:
        assert response.headers["content-type"] == "application/json"
        assert response.read().decode() == answer


async def test_the_calls_of_the_readme_are_answered(polyfn_server):
    async def each(items, function):
        return [await function(item) for item in items]

    async with polyfn.connect_to_server({"server_url": polyfn_server.url}) as server:
        await server.register_service({"id": "calc", "add": lambda a, b: a + b, "each": each})
        printed = await run_inside(blocks("README.md", "python")[1], {"server": server})
    assert printed == "3\nitem 1\nitem 2\nitem 3\n[None, None, None]\n"


async def test_the_schema_of_the_readme_is_kept(polyfn_server):
    async with polyfn.connect_to_server({"server_url": polyfn_server.url}) as server:
        printed = await run_inside(blocks("README.md", "python")[2], {"server": server})
        office = await server.get_service("office")
        with pytest.raises(polyfn.InvalidError, match="seats"):
            await office.book("2030-01-31", seats="two")
    assert printed == "{'type': 'integer', 'description': 'how many', 'default': 1}\n2 on 31 January\n"


def test_the_blocking_program_of_the_readme_runs(polyfn_server):
    code = blocks("README.md", "python")[3].replace(WRITTEN, polyfn_server.url)
    with started([sys.executable, "-c"], code) as line:
        assert line == "3"


async def test_the_service_of_the_contract_answers(polyfn_server):
    async with polyfn.connect_to_server({"server_url": polyfn_server.url}) as server:
        await run_inside(blocks("docs/functions.md", "python")[0], {"server": server})
        base = f"{polyfn_server.url}/{server.config.workspace}/apps/shop"

        def text(path: str) -> str:
            with urllib.request.urlopen(base + path) as response:
                return response.read().decode()

        assert await asyncio.to_thread(text, "/") == "Welcome"
        assert await asyncio.to_thread(text, "/api/v1/users") == '{"users":["alice","bob"]}'


async def test_the_stream_of_the_contract_is_sent_as_events(polyfn_server):
    register = """
await server.register_service(
    {"id": "clock", "type": "functions", "config": {"visibility": "public"}, "ticks": ticks}
)
"""
    async with polyfn.connect_to_server({"server_url": polyfn_server.url}) as server:
        await run_inside(blocks("docs/functions.md", "python")[1] + register, {"server": server})
        url = f"{polyfn_server.url}/{server.config.workspace}/apps/clock/ticks"

        def events() -> str:
            with urllib.request.urlopen(url) as response:
                assert response.headers["content-type"] == "text/event-stream"
                return response.read().decode()

        assert await asyncio.to_thread(events) == "".join(
            f'data: {{"number":{number}}}\n\n' for number in range(3)
        )


async def test_the_errors_of_the_contract_are_answers(polyfn_server):
    async with polyfn.connect_to_server(polyfn_server.url) as server:
        await run_inside(blocks("docs/functions.md", "python")[2], {"server": server})

        def ask(name: str):
            url = f"{polyfn_server.url}/{server.config.workspace}/apps/users/user"
            headers = {"Origin": "https://pages.example"}
            return web.request("POST", url, headers=headers, body=b'{"name": "%s"}' % name.encode())

        found, missing = await asyncio.to_thread(ask, "ann"), await asyncio.to_thread(ask, "bob")
        assert found.json() == {"name": "ann"}
        assert found.header("access-control-allow-credentials") == "true"
        assert (missing.status, missing.json()["detail"]) == (404, "no such user")
        assert missing.header("cache-control") == "no-store"


async def test_the_service_of_the_page_on_services_is_called(polyfn_server):
    async with polyfn.connect_to_server({"server_url": polyfn_server.url}) as server:
        await run_inside(blocks("docs/services.md", "python")[0], {"server": server})
        lines = blocks("docs/services.md", "console")[0].splitlines()
        expected: list[str] = []
        for line in lines:
            if not line.startswith("$ "):
                expected.append(line)
                continue
            command = line.removeprefix("$ ").replace(WRITTEN, polyfn_server.url)
            command = command.replace("{workspace}", server.config.workspace)
            process = await asyncio.create_subprocess_exec(
                *shlex.split(command), "--silent", stdout=asyncio.subprocess.PIPE
            )
            printed = (await process.communicate())[0].decode().split()
            at = lines.index(line) + 1
            assert printed == lines[at : at + len(printed)]
    assert expected == ["3", "3", "2", "1"]


@pytest.mark.parametrize(
    ("document", "path", "headers", "body", "answer"),
    [
        ("signature", "greeter/?name=Ann", {}, b"", {"greeting": "Hello Ann"}),
        (
            "cloudevents",
            "shop/sold",
            {"content-type": "application/cloudevents+json"},
            b'{"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {"title": "Emma"}}',
            {"sold": "Emma"},
        ),
    ],
    ids=["signature", "cloudevents"],
)
async def test_functions_of_other_documents(polyfn_server, document, path, headers, body, answer):
    async with polyfn.connect_to_server({"server_url": polyfn_server.url}) as server:
        await run_inside(blocks(f"docs/{document}.md", "python")[0], {"server": server})
        url = f"{polyfn_server.url}/{server.config.workspace}/apps/{path}"

        def answered() -> dict:
            asked = urllib.request.Request(url, data=body or None, headers=headers)
            with urllib.request.urlopen(asked) as response:
                return json.loads(response.read())

        assert await asyncio.to_thread(answered) == answer


async def test_workspaces_and_variables_are_made_as_written(polyfn_server):
    options = {"server_url": polyfn_server.url, "token": tokens.member("lab")}
    async with polyfn.connect_to_server(options) as server:
        made, kept = blocks("docs/workspaces.md", "python")
        assert "'description': 'What we measure'" in await run_inside(made, {"server": server})
        assert await run_inside(kept, {"server": server}) == "keep it quiet\n"


def test_the_table_of_errors_names_every_class_of_both_packages():
    table = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    written = {row[0]: (row[3], row[4]) for row in rows if len(row) == 5 and row[3].endswith("Error")}

    in_python = {kind.code: kind.__name__ for kind in polyfn.RpcError.__subclasses__()}
    code = (
        "import * as polyfn from 'polyfn';"
        "const kinds = Object.values(polyfn).filter((value) => value.prototype instanceof polyfn.RpcError);"
        "console.log(JSON.stringify(kinds.map((kind) => [new kind('x').code, kind.name])));"
    )
    command = ["node", "--input-type=module", "-e", code]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {code: name for code, (name, _) in written.items()} == in_python
    assert {code: name for code, (_, name) in written.items()} == dict(json.loads(printed))
