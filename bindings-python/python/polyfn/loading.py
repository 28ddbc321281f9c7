"""The modules of `polyfn dev`: loading them anew, what of them is served, and where an error comes from."""

from __future__ import annotations

import functools
import inspect
import linecache
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, overload

from . import _native

F = TypeVar("F", bound=Callable[..., Any])

_PLACE = "__polyfn_function__"


@overload
def function(path: F, /) -> F: ...
@overload
def function(path: str = "", /) -> Callable[[F], F]: ...
def function(path: Any = "", /) -> Any:
    """Mark a function as one that `polyfn dev` serves; a module with marked ones serves no others.

    It is served under its own name, or at the path that is given. The last part may be a method.

    ```python
    import polyfn

    @polyfn.function
    def hello(event):
        return "hello"

    @polyfn.function("api/users/POST")
    def add_user(event):
        return {"status": 201, "body": event.json()}
    ```
    """
    if callable(path):
        setattr(path, _PLACE, "")
        return path

    def mark(marked: F) -> F:
        setattr(marked, _PLACE, str(path))
        return marked

    return mark


class Module:
    """A file whose functions are served."""

    def __init__(self, path: Path, service_id: str, say: Callable[[object], None], shows_calls: bool) -> None:
        self.path = Path(path).resolve()
        self.service_id = service_id
        self._say = say
        self._shows_calls = shows_calls
        self._name = f"polyfn_dev_{service_id}".replace("-", "_")
        folder = str(self.path.parent)
        if folder not in sys.path:
            sys.path.insert(0, folder)

    def forget(self) -> None:
        """Have what the module imports from its own folder loaded anew with it."""
        linecache.checkcache()
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and self._is_ours(file) and name != "__main__":
                del sys.modules[name]

    def load(self) -> tuple[dict[str, Any], list[str]]:
        """Load the module as it is in its file now; gives the service and the paths of its functions."""
        module = ModuleType(self._name)
        module.__file__ = str(self.path)
        code = compile(self.path.read_bytes(), str(self.path), "exec", dont_inherit=True)
        sys.modules[self._name] = module
        exec(code, module.__dict__)
        return self._service(module)

    def _service(self, module: ModuleType) -> tuple[dict[str, Any], list[str]]:
        found = _functions(module)
        if not found:
            raise ValueError(f"{self.path.name} has no function to serve")
        config: dict[str, Any] = {"visibility": "public"}
        # what the signature specification has: one function, whatever else there is beside it
        if "handle" in found:
            config["signature"] = "context"
        config |= getattr(module, "config", {})
        service: dict[str, Any] = {"id": self.service_id, "type": "functions", "config": config}
        for path, member in found.items():
            *folders, name = path.split("/")
            place = service
            for folder in folders:
                place = place.setdefault(folder, {})
            place[name] = self._watched(member, path)
        paths = ["index"] if "handle" in found else [path.replace("/", ".") for path in found]
        return service, paths

    def _watched(self, member: Callable[..., Any], path: str) -> Callable[..., Any]:
        """The same function, whose errors are told where it runs."""

        def ended(begun: float, error: Exception | None) -> None:
            # an HTTPError is an answer, and no fault of the function
            if error is not None and type(error).__name__ != "HTTPError":
                self.tell_failed(error)
            if self._shows_calls:
                word = "ok" if error is None else "failed"
                self._say(f"/{path} {word} {(time.perf_counter() - begun) * 1000:.1f} ms")

        @functools.wraps(member)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            try:
                result = await member(*args, **kwargs)
            except Exception as error:
                ended(begun, error)
                raise
            ended(begun, None)
            return result

        @functools.wraps(member)
        def call(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            try:
                result = member(*args, **kwargs)
            except Exception as error:
                ended(begun, error)
                raise
            ended(begun, None)
            return result

        return call_async if inspect.iscoroutinefunction(member) else call

    def tell_failed(self, error: BaseException) -> None:
        """Tell an error with the line of the source where it came from."""
        text = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()[-1]
        if isinstance(error, SyntaxError) and error.filename and error.lineno:
            source = (error.text or "").strip()
            self._say(_native.dev_failed(text, error.filename, error.lineno, source))
            return
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if self._is_ours(frame.filename)]
        if not ours:
            self._say(_native.dev_failed(text))
            return
        place = ours[-1]
        self._say(_native.dev_failed(text, place.filename, place.lineno or 0, (place.line or "").strip()))

    def _is_ours(self, file: str) -> bool:
        folder, path = self.path.parent, Path(file)
        is_below = folder in path.parents or folder in Path(file).resolve().parents
        return is_below and not {"site-packages", "polyfn"} & set(path.relative_to(folder).parts[:-1])


def _functions(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """The functions of a module, by their paths: those that are marked, else all public ones of its own."""
    members = {name: member for name, member in vars(module).items() if inspect.isroutine(member)}
    marked = {name: member for name, member in members.items() if hasattr(member, _PLACE)}
    if marked:
        return {(getattr(member, _PLACE) or name).strip("/"): member for name, member in marked.items()}
    public = getattr(module, "__all__", None)
    if public is not None:
        return {name: members[name] for name in public if name in members}
    return {
        name: member
        for name, member in members.items()
        if not name.startswith("_") and getattr(member, "__module__", None) == module.__name__
    }
