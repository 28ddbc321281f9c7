"""Functions of the login service, called over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request


def ask(url: str, bearer: str = "", **arguments):
    """Calls a function by a POST; an error is its status and text."""
    headers = {
        "content-type": "application/json",
        **({"authorization": f"Bearer {bearer}"} if bearer else {}),
    }
    request = urllib.request.Request(url, json.dumps(arguments).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["detail"]
