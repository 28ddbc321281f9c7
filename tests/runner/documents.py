"""The code in our documents, taken out to be run."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: str, language: str) -> list[str]:
    """The code blocks of a document in one language, in order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return [code for kind, code in BLOCK.findall(text) if kind == language]


async def run_inside(code: str, names: dict) -> str:
    """Runs lines that await, as the body of a coroutine."""
    body = "".join(f"    {line}\n" for line in code.splitlines())
    # what this file has from the future is not for the document
    exec(compile(f"async def _lines():\n{body}", "document", "exec", dont_inherit=True), names)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        await names["_lines"]()
    return printed.getvalue()
