"""Programs that register web apps, and their URLs."""

from __future__ import annotations

from pathlib import Path

from runner.programs import Program
from runner.waiting import eventually
from runner.web import Response, get, request

PROGRAMS = Path(__file__).resolve().parents[1] / "apps"


def until(true) -> None:
    """Waits until a condition holds."""

    def attempt() -> None:
        assert true()

    eventually(attempt)


class App:
    """One of the services of a program."""

    def __init__(self, program: Program, kind: str, server_url: str, service: str):
        self.program = program
        self.kind = kind
        self.service = service
        self.server_url = server_url
        self.path = f"/{program.workspace}/apps/{service}"
        self.url = server_url + self.path

    def get(self, path: str, **more) -> Response:
        return get(self.url + path, **more)

    def request(self, method: str, path: str, **more) -> Response:
        return request(method, self.url + path, **more)

    def seen(self, what: str):
        return self.get("/seen").json().get(what)


class Apps:
    """Programs by name, kind and server; each is started once."""

    def __init__(self):
        self.programs: dict[tuple[str, str, str], Program] = {}

    def __enter__(self) -> Apps:
        return self

    def __exit__(self, *_) -> None:
        for program in self.programs.values():
            program.stop()

    def app(self, name: str, kind: str, server_url: str, service: str) -> App:
        key = (name, kind, server_url)
        if key not in self.programs:
            self.programs[key] = Program(PROGRAMS / name, kind, server_url)
        return App(self.programs[key], kind, server_url, service)


def upload_form(app: App, path: str, name: str, data: bytes) -> Response:
    """Sends a file as a browser's form does."""
    head = f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = head.encode() + data + b"\r\n--edge--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=edge"}
    return app.request("POST", path, headers=headers, body=body)
