"""What a docstring says: of the function itself, and of each of its arguments."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_ARGUMENTS = frozenset(
    {"args", "arguments", "parameters", "params", "keyword args", "keyword arguments", "other parameters"}
)
#: Sections that are told elsewhere or not at all; all others stay in the description.
_LEFT_OUT = frozenset({"returns", "return", "yields", "yield", "raises", "receives", "warns"})
_UNDERLINE = re.compile(r"\s*(-{3,}|={3,})\s*$")
_FIELD = re.compile(r":(\w+)(?:\s+([^:]*?))?\s*:(?:\s+(.*))?$")
_FIELD_ARGUMENTS = frozenset({"param", "parameter", "arg", "argument", "key", "keyword"})
_GOOGLE_ENTRY = re.compile(r"(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?:\(.*?\)\s*)?:(?:\s+(.*)|$)")
_NUMPY_ENTRY = re.compile(r"(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?$")


@dataclass
class Docstring:
    """A docstring taken apart."""

    description: str = ""
    arguments: dict[str, str] = field(default_factory=dict[str, str])


def parse(text: str | None) -> Docstring:
    """Take a docstring apart; Google, NumPy and reST style may even be mixed.

    >>> parsed = parse('''Add two numbers.
    ...
    ...     Args:
    ...         a (int): the first one,
    ...             which comes first
    ...         b: the second one
    ...     Returns:
    ...         the sum
    ... ''')
    >>> parsed.description
    'Add two numbers.'
    >>> parsed.arguments
    {'a': 'the first one, which comes first', 'b': 'the second one'}
    >>> parse("Add. :param: is a word here").description
    'Add. :param: is a word here'
    """
    parsed = Docstring()
    if not text:
        return parsed
    description: list[str] = []
    for heading, style, body in _sections(inspect.cleandoc(text).split("\n")):
        if heading is None:
            description += body
        elif heading in _ARGUMENTS:
            entry = _GOOGLE_ENTRY if style == "google" else _NUMPY_ENTRY
            parsed.arguments.update(_entries(body, entry))
        elif style == "field":
            kind, _, name = heading.partition(" ")
            if kind in _FIELD_ARGUMENTS and name:
                parsed.arguments[name.split()[-1].lstrip("*")] = _joined(body)
    parsed.description = re.sub(r"\n{3,}", "\n\n", "\n".join(description)).strip()
    return parsed


def _sections(lines: list[str]) -> Iterator[tuple[str | None, str, list[str]]]:
    """Cut into `(heading, style, lines)`; what has no heading of interest has None."""
    heading, style, body = None, "", list[str]()
    skips = False
    for at, line in enumerate(lines):
        if skips:
            skips = False
            continue
        found = _heading(line, lines[at + 1] if at + 1 < len(lines) else "")
        if found is not None:
            yield heading, style, body
            heading, style, body = found
            # the line under a heading belongs to it
            skips = style == "numpy"
        elif heading is not None and style != "numpy" and line.strip() and not line[0].isspace():
            yield heading, style, body
            heading, style, body = None, "", [line]
        else:
            body.append(line)
    yield heading, style, body


def _heading(line: str, below: str) -> tuple[str | None, str, list[str]] | None:
    """The section that a line begins, if it begins one."""
    if not line.strip() or line[0].isspace():
        return None
    if _UNDERLINE.match(below):
        name = line.strip().lower()
        is_known = name in _ARGUMENTS or name in _LEFT_OUT
        # An underlined heading of another kind ends the section before, and stays in the text with its line.
        return (name, "numpy", []) if is_known else (None, "", [line])
    name = line.strip().lower()
    if name.endswith(":") and name[:-1] in _ARGUMENTS | _LEFT_OUT:
        return name[:-1], "google", []
    if found := _FIELD.match(line):
        kind, name, rest = found.groups()
        return f"{kind} {name or ''}".strip(), "field", [rest or ""]
    return None


def _entries(lines: list[str], pattern: re.Pattern[str]) -> dict[str, str]:
    """The arguments of a section: entries at its own indent, with what is indented below them."""
    found: dict[str, str] = {}
    names: list[str] = []
    text: list[str] = []
    body = inspect.cleandoc("\n" + "\n".join(lines)).split("\n")
    for line in [*body, "end:"]:
        entry = pattern.match(line) if line and not line[0].isspace() else None
        if entry is None:
            text.append(line)
            continue
        found.update(dict.fromkeys(names, _joined(text)))
        names = [name.strip().lstrip("*") for name in entry.group(1).split(",")]
        text = [entry.group(2) or ""] if pattern is _GOOGLE_ENTRY else []
    return found


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())
