"""CloudEvents as Python has them: dicts of their attributes and `data`. See `docs/cloudevents.md`."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping
from typing import Any, cast

from .proxy import ObjectProxy


class CloudEventResponse:
    """Builds a CloudEvent step by step.

    >>> event = CloudEventResponse({"n": 1}).id("7").type("com.example.made").source("/here").response()
    >>> event.id, event.type, event.source, event.specversion, event.data
    ('7', 'com.example.made', '/here', '1.0', {'n': 1})
    """

    def __init__(self, data: Any = None) -> None:
        self._event = ObjectProxy(specversion="1.0")
        self._data = data

    def version(self, version: str) -> CloudEventResponse:
        """Set `specversion`, which is 1.0 anyway."""
        return self._with("specversion", version)

    def id(self, value: str) -> CloudEventResponse:
        """Set the `id`; without it a new one is made."""
        return self._with("id", value)

    def type(self, name: str) -> CloudEventResponse:
        """Set the `type`."""
        return self._with("type", name)

    def source(self, source: str) -> CloudEventResponse:
        """Set the `source`."""
        return self._with("source", source)

    def response(self) -> ObjectProxy:
        """The event; its `time` is now."""
        made = {"id": str(uuid.uuid4()), "time": datetime.datetime.now(datetime.timezone.utc).isoformat()}
        event = ObjectProxy({**made, **self._event})
        if self._data is not None:
            event["data"] = self._data
        return event

    def _with(self, name: str, value: str) -> CloudEventResponse:
        self._event[name] = value
        return self


def is_event(value: Any) -> bool:
    """Whether this is an event of the official SDK, whichever of its versions."""
    return callable(getattr(value, "get_attributes", None)) and callable(getattr(value, "get_data", None))


def form_of(event: Any) -> dict[str, Any]:
    """What is sent for an event of the official SDK."""
    attributes = cast("Mapping[str, Any]", event.get_attributes())
    form = {name: _text_of(value) for name, value in attributes.items()}
    data = event.get_data()
    return form if data is None else {**form, "data": data}


def _text_of(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.datetime) else value
