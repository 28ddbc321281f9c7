"""What services say of themselves in OpenAPI holds for whatever is made of it: schemathesis finds nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import polyfn.sync
import pytest
from polyfn.schema import schema_function
from runner.web import get

EXAMPLES = 15
# functions answer every method, and calls may go by GET, which OpenAPI would have to list one by one
LEFT_OUT = "unsupported_method,allow_header_conformance"


@schema_function
def add(a: int, b: int = 1, **more) -> int:
    """Add two numbers; a schema does not say that there may be nothing else."""
    return a + b


@schema_function
def greet(name: str, loud: bool = False, **more) -> str:
    """Greet somebody."""
    return f"hello {name.upper() if loud else name}"


@schema_function
def total(numbers: list[float], unit: Literal["m", "km"] = "m", **more) -> dict:
    """Add up."""
    return {"sum": str(sum(numbers)), "unit": unit}


PLAIN = {
    "id": "fuzzed-plain",
    "add": add,
    "greet": greet,
    "nest": {"total": total},
    "any": lambda **more: len(more),
}
FUNCTIONS = {
    "id": "fuzzed-functions",
    "type": "functions",
    "index": lambda event: "home",
    "echo": lambda event: {"headers": {"content-type": "text/plain"}, "body": event.body or b""},
    "things": {
        "GET": lambda event: [1, {"query": event.query_string}],
        "POST": lambda event: {"status": 201, "body": event.text()},
        "PUT": lambda event: None,
    },
    "api": {"v1": {"users": lambda event: {"users": ["ann"]}}},
    "default": lambda event: {"status": 404, "body": f"no {event.function_path}"},
}


@pytest.fixture(scope="module")
def base(polyfn_server):
    with polyfn.sync.connect_to_server(polyfn_server.url) as server:
        for service in (PLAIN, FUNCTIONS):
            server.register_service({**service, "config": {"visibility": "public"}})
        yield f"{polyfn_server.url}/{server.workspace}/services"


@pytest.mark.parametrize("service", [PLAIN["id"], FUNCTIONS["id"]])
def test_nothing_is_found(base, service, tmp_path):
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert program, "schemathesis is not installed: pip install -r tests/requirements.txt"
    document = get(f"{base}/{service}/openapi.json").json()
    for item in document["paths"].values():
        for operation in item.values():
            # parts are made up with names that no header can hold, and lists without items are not sent
            operation.get("requestBody", {}).get("content", {}).pop("multipart/form-data", None)
    description = tmp_path / "openapi.json"
    description.write_text(json.dumps(document))
    flags = [
        f"--url={document['servers'][0]['url']}",
        f"--max-examples={EXAMPLES}",
        "--seed=1",
        "--no-color",
        f"--exclude-checks={LEFT_OUT}",
    ]
    done = subprocess.run(
        [program, "run", str(description), *flags],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "generated" in done.stdout
