"""Programs that a program starts to have their services."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

#: Seconds between two looks at whether services are there.
_PACE = 0.1


class ExternalServices:
    """A program that was started by `launch_external_services`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.returncode is None

    async def wait(self) -> int:
        """Wait for its end; gives the exit code."""
        return await self.process.wait()

    async def terminate(self) -> int:
        """Ask it to end, and wait for that."""
        if self.running:
            self.process.terminate()
        return await self.wait()

    async def kill(self) -> int:
        """End it at once."""
        if self.running:
            self.process.kill()
        return await self.wait()


async def launch_external_services(
    server: Any,
    command: str,
    name: str | None = None,
    env: Mapping[str, str] | None = None,
    check_services: Sequence[str] | None = None,
    check_url: str | None = None,
    timeout: float = 5,
    logger: logging.Logger | None = None,
) -> ExternalServices:
    """Start a program that registers services in the workspace of `server`, and wait until they are there.

    In `command`, `{server_url}`, `{workspace}` and `{token}` stand for what the program needs to connect. It
    is ready when all of `check_services` can be had, or when `check_url` answers.

    ```python
    from polyfn.utils.launch import launch_external_services

    command = "python worker.py --server-url={server_url} --workspace={workspace} --token={token}"
    worker = await launch_external_services(server, command, check_services=["worker"])
    await worker.terminate()
    ```

    Raises `RuntimeError` when the program ends or is not ready within `timeout` seconds; it is ended then.
    """
    words = await _words(server, command)
    name = name or words[0]
    process = await asyncio.create_subprocess_exec(*words, env={**os.environ, **(env or {})})
    services = ExternalServices(name, process)
    try:
        await asyncio.wait_for(_until_ready(server, services, check_services, check_url), timeout)
    except BaseException as error:
        await services.kill()
        if logger is not None:
            logger.error("external services (%s) failed to start", name)
        if isinstance(error, asyncio.TimeoutError):
            raise RuntimeError(f"external services ({name}) were not ready within {timeout} s") from None
        raise
    if logger is not None:
        logger.info("external services (%s) are ready, process %d", name, services.pid)
    return services


async def _words(server: Any, command: str) -> list[str]:
    words = shlex.split(command)
    if not words:
        raise ValueError("there is no command to run")
    values = {
        "{server_url}": server.config.get("local_base_url") or server.config.public_base_url,
        "{workspace}": server.config.workspace,
        "{token}": await server.generate_token() if "{token}" in command else "",
    }
    for place, value in values.items():
        words = [word.replace(place, value) for word in words]
    return words


async def _until_ready(
    server: Any, services: ExternalServices, wanted: Sequence[str] | None, url: str | None
) -> None:
    while not await _is_ready(server, wanted, url):
        if not services.running:
            code = services.process.returncode
            raise RuntimeError(f"external services ({services.name}) ended with exit code {code}")
        await asyncio.sleep(_PACE)


async def _is_ready(server: Any, wanted: Sequence[str] | None, url: str | None) -> bool:
    if wanted:
        known = await server.list_services(server.config.workspace)
        names = {service["id"].rpartition(":")[2].partition("@")[0] for service in known}
        return names.issuperset(wanted)
    return url is None or await asyncio.to_thread(_answers, url)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=20):
            return True
    except urllib.error.HTTPError:
        # any answer will do
        return True
    except OSError:
        return False
