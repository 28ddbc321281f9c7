"""The pages about web apps, the server and its commands: their code runs, their flags are there."""

from __future__ import annotations

import asyncio
import re
import subprocess

import polyfn
import pytest
import websockets
from runner.commands import ran
from runner.documents import ROOT, blocks, run_inside
from runner.web import get

WRITTEN = "http://localhost:9527"
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")


async def text(url: str) -> str:
    return await asyncio.to_thread(lambda: get(url).text)


async def test_the_app_of_the_page_answers(polyfn_server):
    async with polyfn.connect_to_server({"server_url": polyfn_server.url}) as server:
        await run_inside(blocks("docs/asgi.md", "python")[0], {"server": server, "__name__": "__main__"})
        lines, asked = blocks("docs/asgi.md", "console")[0].splitlines(), []
        for line in lines:
            line = line.replace("{workspace}", server.workspace).replace(WRITTEN, polyfn_server.url)
            if line.startswith("$ "):
                assert asked == [], "all was printed"
                asked = (await text(line.split()[-1])).splitlines()
            else:
                assert line == asked.pop(0)
        assert asked == []
        url = f"{polyfn_server.url}/{server.workspace}/apps/web/shout".replace("http", "ws", 1)
        async with websockets.connect(url) as ws:
            await ws.send("hello")
            assert await ws.recv() == "HELLO"


@pytest.mark.parametrize(
    ("block", "answer"), [(1, '{"hello":"ann","self":"ROOT/hello/ann"}'), (2, "path /x")]
)
async def test_apps_of_other_kinds(polyfn_server, block, answer):
    async with polyfn.connect_to_server({"server_url": polyfn_server.url}) as server:
        await run_inside(blocks("docs/asgi.md", "python")[block], {"server": server, "__name__": "__main__"})
        root = f"/{server.workspace}/apps/web"
        path = "/hello/ann" if "ROOT" in answer else "/x"
        found = (await text(polyfn_server.url + root + path)).strip()
        assert found == answer.replace("ROOT", root)


def test_the_command_of_the_page_serves(running, polyfn_server, tmp_path):
    (tmp_path / "myapp.py").write_text(
        "async def app(scope, receive, send):\n"
        "    if scope['type'] == 'http':\n"
        "        await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "        await send({'type': 'http.response.body', 'body': b'hello'})\n"
    )
    for page in ("docs/asgi.md", "docs/server.md"):
        line = next(code for code in blocks(page, "sh") if "serve-app" in code)
        arguments = line.strip().replace(WRITTEN, polyfn_server.url).split()[1:]
        program = running("python", *arguments, "--app-dir", str(tmp_path))
        url = program.line("Access your app at: ").rpartition(" ")[2]
        assert get(url).text == "hello"


async def test_the_server_inside_of_a_program():
    printed = await run_inside(blocks("docs/server.md", "python")[0], {})
    assert printed.splitlines()[1:] == ["3"]
    code = blocks("docs/server.md", "javascript")[0]
    command = ["node", "--input-type=module", "-e", code]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr


def sections(page: str) -> dict[str, str]:
    """The text below each heading."""
    parts = re.split(r"^##+ (.*)$", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(
    ("command", "kind", "is_complete"),
    [("serve", "binary", False), ("dev", "binary", True), ("serve-app", "python", True)],
    ids=["serve", "dev", "serve-app"],
)
def test_the_flags_of_the_page_are_those_of_the_command(command, kind, is_complete):
    offered = set(FLAG.findall(ran(kind, command, "--help")[1]))
    rows = re.findall(r"^\| `--.*?\|", sections("docs/server.md")[f"`polyfn {command}`"], flags=re.MULTILINE)
    written = set(FLAG.findall(" ".join(rows)))
    assert written <= offered
    if is_complete:
        assert written == offered - {"--help"}
    lines = ("serve", "dev", "token create", "admin clients", "admin block user")
    for page in ("docs/asgi.md", "docs/server.md"):
        helps = [ran("binary", *line.split(), "--help")[1] for line in lines]
        every = set(FLAG.findall("".join([*helps, ran("python", "serve-app", "--help")[1]])))
        assert set(FLAG.findall((ROOT / page).read_text(encoding="utf-8"))) <= every
