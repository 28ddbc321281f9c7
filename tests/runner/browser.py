"""Chromium without a window, told what to do over its own protocol."""

from __future__ import annotations

import base64
import itertools
import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from websockets.sync.client import connect

from runner.log import Log

LIMIT = 20.0
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"]


def program() -> str | None:
    """The browser of this machine, if there is one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """One process with one page."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [program() or "chromium", *FLAGS, f"--user-data-dir={self.folder.name}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        found = None
        while found is None and (line := self.process.stderr.readline()):
            found = re.search(r"ws://(\S+?)/", line)
        assert found, "the browser did not say where it listens"
        # it complains of much, and would stand still once nobody took it
        self.log = Log(100)
        self.log.follow(self.process.stderr)
        with urllib.request.urlopen(f"http://{found.group(1)}/json/list", timeout=LIMIT) as answer:
            page = next(target for target in json.load(answer) if target["type"] == "page")
        self.socket = connect(page["webSocketDebuggerUrl"], max_size=None, compression=None, legacy=True)
        self.numbers = itertools.count(1)
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **fields) -> dict:
        """Asks the browser for something; what it complains of in between is kept."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": fields}))
        while True:
            message = json.loads(self.socket.recv(LIMIT))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _note(self, message: dict) -> None:
        fields = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(fields["exceptionDetails"])[:400])
        if message.get("method") == "Log.entryAdded" and fields["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{fields['entry']['text']} {fields['entry'].get('url', '')}")

    def show(
        self, url: str, *, width: int = 1200, height: int = 900, dark: bool = False, token: str = ""
    ) -> None:
        """Opens a page, as on a screen of this width; `token` is the cookie of somebody who has signed in."""
        self.do("Network.clearBrowserCookies")
        if token:
            self.do("Network.setCookie", name="access_token", value=token, url=url)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.do("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.do("Emulation.setEmulatedMedia", features=[scheme])
        self.do("Page.navigate", url=url)

    def value(self, expression: str):
        """What an expression is in the page."""
        result = self.do("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, expression: str) -> None:
        """Waits until an expression is true in the page."""
        deadline = time.monotonic() + LIMIT
        # a page that is only just coming has no elements yet
        whole = f"(() => {{ try {{ return Boolean({expression}) }} catch {{ return false }} }})()"
        while not self.value(whole):
            assert time.monotonic() < deadline, f"{expression} is not true: {self.text()}"
            time.sleep(0.05)  # pages tell nobody that they have changed

    def text(self) -> str:
        return self.value("document.body?.innerText ?? ''")

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.do("Page.captureScreenshot")["data"]))

    def stop(self) -> None:
        self.socket.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.finish()
        self.folder.cleanup()
