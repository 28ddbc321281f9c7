"""Programs that start others, that only export, and that compute in threads."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polyfn
import pytest
from polyfn import utils
from polyfn.utils.launch import launch_external_services
from polyfn.utils.schema import schema_function

PACKAGE = str(Path(polyfn.__file__).resolve().parents[1])
WORKER = """
import asyncio, os, sys, polyfn

async def main():
    url, workspace, token = sys.argv[1:4]
    async with polyfn.connect_to_server(server_url=url, workspace=workspace, token=token) as server:
        await server.register_service({"id": "worker", "environment": lambda name: os.environ.get(name)})
        await server.serve()

asyncio.run(main())
"""


@pytest.fixture
def worker(tmp_path):
    path = tmp_path / "a worker.py"
    path.write_text(WORKER)
    return f"{sys.executable} '{path}' {{server_url}} {{workspace}} {{token}}"


async def test_services_of_another_program(owner, worker, caplog):
    caplog.set_level(logging.INFO)
    program = await launch_external_services(
        owner,
        worker,
        name="helper",
        env={"PYTHONPATH": PACKAGE, "GREETING": "hello"},
        check_services=["worker"],
        timeout=20,
        logger=logging.getLogger("launch"),
    )
    assert program.running
    assert (program.name, program.pid > 0) == ("helper", True)
    assert "helper" in caplog.text
    service = await owner.get_service("worker")
    assert await service.environment("GREETING") == "hello"
    await program.terminate()
    assert not program.running
    await program.kill()


async def test_a_url_that_answers(owner, server_url):
    program = await launch_external_services(
        owner, f"{sys.executable} -c 'import time; time.sleep(60)'", check_url=server_url + "/no-such-page"
    )
    assert program.name == sys.executable
    assert program.running
    assert await program.kill() == -9


@pytest.mark.parametrize(
    ("code", "wanted", "reason"),
    [
        ("raise SystemExit(3)", {"check_services": ["nothing"]}, "exit code 3"),
        ("import time; time.sleep(60)", {"check_services": ["nothing"]}, "not ready within 0.3 s"),
        ("import time; time.sleep(60)", {"check_url": "http://127.0.0.1:1"}, "not ready within 0.3 s"),
    ],
)
async def test_programs_that_do_not_start(owner, code, wanted, reason, caplog):
    timeout = 20 if "exit" in reason else 0.3
    with pytest.raises(RuntimeError, match=reason):
        await launch_external_services(
            owner,
            f'{sys.executable} -c "{code}"',
            timeout=timeout,
            logger=logging.getLogger("launch"),
            **wanted,
        )
    assert "failed to start" in caplog.text


async def test_commands_that_are_none(owner):
    with pytest.raises(ValueError, match="no command"):
        await launch_external_services(owner, "  ")
    with pytest.raises(FileNotFoundError):
        await launch_external_services(owner, "no-such-program")


def test_exporting_until_the_end(server_url):
    """A program that only exports serves until it is ended; its settings come from the environment."""
    program = """
        import os, threading, time
        from polyfn import api
        from polyfn.sync import connect_to_server

        class Robot:
            def move(self, x: int):
                return f"moved {x}"

        def look():
            with connect_to_server(os.environ["HYPHA_SERVER_URL"]) as server:
                address = os.environ["ROBOT"]
                deadline = time.monotonic() + 10
                while time.monotonic() < deadline:
                    try:
                        robot = server.get_service(address)
                        break
                    except Exception:
                        time.sleep(0.05)
                print(robot.move(1), robot.config.visibility, flush=True)
                os._exit(0)

        threading.Thread(target=look).start()
        api.export(Robot, {"visibility": "public", "name": "robot"})
    """
    with polyfn.connect_to_server_sync(server_url) as server:
        environment = {
            **os.environ,
            "PYTHONPATH": PACKAGE,
            "HYPHA_SERVER_URL": server_url,
            "HYPHA_WORKSPACE": server.workspace,
            "HYPHA_TOKEN": server.generate_token(),
            "ROBOT": f"{server.workspace}/default",
        }
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert done.stdout == "moved 1 public\n", done.stderr


async def test_exporting_in_a_loop(server_url, monkeypatch):
    monkeypatch.setenv("HYPHA_SERVER_URL", server_url)
    api = polyfn.export.Api()
    running = api.export({"move": lambda: "moved"}, skip_wait=True)
    await asyncio.wait_for(running, 10)
    assert list(api.get_registry()) == ["export-1"]
    seen = []
    api.set_export_handler(lambda obj, config=None, **options: seen.append((obj, config, options)))
    api.export("anything", {"name": "n"}, overwrite=True)
    assert seen == [("anything", {"name": "n"}, {"overwrite": True})]
    assert list(api.get_registry()) == ["export-1", "n"]


async def test_run_in_executor():
    def where(a, *, b):
        return a, b, threading.current_thread()

    a, b, thread = await polyfn.run_in_executor(where, 1, b=2)
    assert (a, b) == (1, 2)
    assert thread is not threading.main_thread()
    with ThreadPoolExecutor(1, thread_name_prefix="own") as executor:
        _, _, thread = await utils.run_in_executor(where, 1, b=2, executor=executor)
    assert thread.name.startswith("own")


def test_the_names_of_hypha_rpc():
    """Moving over is changing one import: what it has for Python programs is here under the same names."""
    import hypha_rpc.utils
    import hypha_rpc.utils.schema

    elsewhere = {
        "RPC",
        "HTTPStreamingRPCConnection",
        "get_rtc_service",
        "get_rtc_service_sync",
        "register_rtc_service",
        "register_rtc_service_sync",
        "setup_local_client",
    }
    assert set(hypha_rpc.__all__) - elsewhere <= set(dir(polyfn))
    for name in ("ObjectProxy", "convert_case", "parse_service_url", "run_in_executor", "to_camel_case"):
        assert hasattr(hypha_rpc.utils, name)
        assert hasattr(utils, name)
    for name in ("parse_schema_function", "schema_function", "schema_method", "schema_service", "Field"):
        assert hasattr(hypha_rpc.utils.schema, name)
        assert hasattr(polyfn.utils.schema, name)
    assert schema_function is polyfn.schema_function
