"""The code in our documents, taken out to be run."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: str, language: str) -> list[str]:
    """The code blocks of a document in one language, in order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return [code for kind, code in BLOCK.findall(text) if kind == language]
