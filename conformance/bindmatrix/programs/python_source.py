"""The sockets of a Python source: what its text says that is done to each, read with ``ast`` and never run.

The calls of a function, or of the module's own level, are read from top to bottom as if every branch were taken, once.
Those on ``self.NAME`` are put together for a class.  What the text shows and what not:

* ``socket.socket(...)``, ``socket.create_server(...)`` and the loop's ``create_server(...)`` with their usual
  arguments; ``setsockopt``, ``bind``, ``listen`` and ``connect`` on a name that holds such a socket;
* a host that is not a constant is taken for the wildcard, and a value of an option that is none for 1;
* a test of the platform (``sys.platform``, ``os.name``, ``platform.system()``) around an option keeps it from Windows,
  whichever way the test goes for other systems;
* an ``except`` that only passes around a call ignores its error.
"""

from __future__ import annotations

import ast
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bindmatrix.errors import Place, Problem, file_problems
from bindmatrix.notation import OPTIONS, Scenario, address_text, parse

_FAMILIES = {"AF_INET": "4", "AF_INET6": "6"}
_TYPES = {"SOCK_STREAM": "tcp", "SOCK_DGRAM": "udp"}
_BY_NAME = {name: option for option, name in OPTIONS.items()}
_PLATFORM = re.compile(r"\b(platform|os\.name|win32|WINDOWS|IS_WIN\w*)\b", re.IGNORECASE)
_WINDOWS = "windows"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass
class SourceProgram:
    """What one function does; the places align with the steps."""

    name: str
    scenario: Scenario
    places: tuple[Place, ...]
    #: options whose errors are ignored
    forgiven: frozenset[str]
    #: socket -> bind-error-ignored, listen-error-ignored or options-in-one-call -> where
    marks: dict[str, dict[str, Place]]
    #: system -> options that are not set there
    guarded: dict[str, frozenset[str]]


@dataclass
class _Scope:
    """The sockets of a function or class that is being read."""

    name: str
    file: str
    #: what the source calls a socket -> its name in the scenario
    names: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    steps: list[tuple[str, Place]] = field(default_factory=list)
    forgiven: set[str] = field(default_factory=set)
    marks: dict[str, dict[str, Place]] = field(default_factory=dict)
    guarded: set[str] = field(default_factory=set)

    def add(self, step: str, node: ast.AST) -> None:
        self.steps.append((step, self.place(node)))

    def place(self, node: ast.AST) -> Place:
        return Place(self.file, getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1)

    def mark(self, name: str, mark: str, node: ast.AST) -> None:
        self.marks.setdefault(name, {})[mark] = self.place(node)

    def make(self, target: str, kind: str, node: ast.AST) -> str:
        number, letter = divmod(len(self.kinds), len(_LETTERS))
        name = f"{_LETTERS[letter]}{number or ''}"
        self.names[target] = name
        self.kinds[name] = kind
        self.add(f"{name}={kind}", node)
        return name

    def program(self) -> SourceProgram | None:
        bound = {step.partition(".")[0] for step, _ in self.steps if ".bind=" in step}
        kept = [(step, place) for step, place in self.steps if re.split(r"[=.]", step)[0] in bound]
        if not kept:
            return None
        return SourceProgram(
            self.name,
            parse(" ".join(step for step, _ in kept)),
            tuple(place for _, place in kept),
            frozenset(self.forgiven),
            self.marks,
            {_WINDOWS: frozenset(self.guarded)} if self.guarded else {},
        )


def read(path: Path) -> list[SourceProgram]:
    """The programs of a file, in order; raises :class:`Problem` where it is not Python or makes no socket."""
    with file_problems(path, "read"):
        text = path.read_bytes()
    try:
        module = ast.parse(text, str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        place = Place(str(path), getattr(error, "lineno", 0) or 0, getattr(error, "offset", 0) or 0)
        raise Problem(place, f"not Python {_version()}: {getattr(error, 'msg', error)}") from error
    found = [program for scope in _scopes(module, str(path)) if (program := scope.program()) is not None]
    if not found:
        raise Problem(Place(str(path)), "no bind() was found in this source")
    return found


def _version() -> str:
    import platform

    return platform.python_version()


def _scopes(module: ast.Module, file: str) -> Iterator[_Scope]:
    top = _Scope("module", file)
    _Reader(top, None).body(module.body)
    yield top
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            own = _Scope(node.name, file)
            methods = [one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
            for method in methods:
                local = _Scope(f"{node.name}.{method.name}", file)
                _Reader(local, own).body(method.body)
                yield local
            yield own
    in_class = {one for node in ast.walk(module) if isinstance(node, ast.ClassDef) for one in node.body}
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node not in in_class:
            local = _Scope(node.name, file)
            _Reader(local, None).body(node.body)
            yield local


class _Reader:
    """Reads statements from top to bottom into the scope of a function and that of its class."""

    def __init__(self, scope: _Scope, owner: _Scope | None) -> None:
        self.scope = scope
        self.owner = owner
        self.on_windows_too = True
        self.forgiving = False

    def body(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return  # a scope of its own
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            self._made(targets[0], node.value)
        elif isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                self._made(item.optional_vars, item.context_expr)
        elif isinstance(node, ast.Expr | ast.Return):
            self._expression(node.value)
        if isinstance(node, ast.If):
            before = self.on_windows_too
            self.on_windows_too = before and not _PLATFORM.search(ast.unparse(node.test))
            self.body(node.body)
            self.body(node.orelse)
            self.on_windows_too = before
            return
        if isinstance(node, ast.Try):
            before_forgiving = self.forgiving
            self.forgiving = any(_passes(handler) for handler in node.handlers)
            self.body(node.body)
            self.forgiving = before_forgiving
            self.body(node.orelse + node.finalbody)
            return
        for block in ("body", "orelse"):
            self.body(
                getattr(node, block, []) if isinstance(node, ast.For | ast.While | ast.With | ast.AsyncWith) else []
            )

    def _made(self, target: ast.expr | None, value: ast.expr | None) -> None:
        if isinstance(value, ast.Await):
            value = value.value
        text = ast.unparse(target) if target is not None else ""
        if isinstance(value, ast.Call) and not self._server(text, value):
            kind = _kind(value)
            if kind:
                self._scope_of(text).make(text, kind, value)
            else:
                self._call(value)

    def _expression(self, value: ast.expr | None) -> None:
        if isinstance(value, ast.Await):
            value = value.value
        if isinstance(value, ast.Call) and not self._server("", value):
            self._call(value)

    def _scope_of(self, target: str) -> _Scope:
        return self.owner if self.owner is not None and target.startswith("self.") else self.scope

    def _server(self, target: str, call: ast.Call) -> bool:
        """A create_server() of socket or of an event loop: everything in one call."""
        name = ast.unparse(call.func)
        if not name.endswith("create_server"):
            return False
        said = {word.arg: word.value for word in call.keywords if word.arg}
        of_socket = name in ("socket.create_server", "create_server")
        pair = call.args[0] if of_socket and call.args else None
        host = _host(pair) if of_socket else _constant(said.get("host", call.args[1] if len(call.args) > 1 else None))
        if not of_socket and ("sock" in said or ("host" not in said and len(call.args) < 2)):
            return True  # a socket that is made elsewhere, or a method of that name
        six = "AF_INET6" in ast.unparse(said["family"]) if "family" in said else ":" in host
        scope = self._scope_of(target)
        one = scope.make(target, "tcp6" if six else "tcp4", call)
        scope.add(f"{one}.reuseaddr=1", call)
        scope.guarded.add("reuseaddr")  # both leave it out on Windows
        if _true(said.get("reuse_port")):
            scope.add(f"{one}.reuseport=1", said["reuse_port"])
        if six:
            scope.add(f"{one}.v6only={0 if _true(said.get('dualstack_ipv6')) else 1}", call)
        scope.add(f"{one}.bind={_address(host, six=six)}", call)
        scope.add(f"{one}.listen", call)
        return True

    def _call(self, call: ast.Call) -> None:
        if not isinstance(call.func, ast.Attribute):
            return
        target = ast.unparse(call.func.value)
        scope = self._scope_of(target)
        name = scope.names.get(target)
        if name is None:
            return
        kind, verb = scope.kinds[name], call.func.attr
        if verb == "setsockopt" and len(call.args) >= 2:
            self._option(scope, name, call)
        elif verb == "bind" and call.args and kind[-1] in "46":
            scope.add(f"{name}.bind={_address(_host(call.args[0]), six=kind.endswith('6'))}", call)
        elif verb == "listen":
            scope.add(f"{name}.listen", call)
        elif verb in ("connect", "connect_ex") and kind[-1] in "46":
            scope.add(f"{name}.connect={'::1' if kind[-1] == '6' else '127.0.0.1'}", call)
        if verb in ("bind", "listen") and self.forgiving:
            scope.mark(name, f"{verb}-error-ignored", call)

    def _option(self, scope: _Scope, name: str, call: ast.Call) -> None:
        words = [one for one in re.findall(r"\b(?:SO|IPV6)_[A-Z0-9_]+", ast.unparse(call.args[1])) if one in _BY_NAME]
        if len(words) > 1 and isinstance(call.args[1], ast.BinOp):
            scope.mark(name, "options-in-one-call", call)
            return
        value = _constant(call.args[2]) if len(call.args) > 2 else ""
        for word in words[:1]:
            option = _BY_NAME[word]
            scope.add(f"{name}.{option}={0 if value in ('0', 'False') else 1}", call)
            if not self.on_windows_too:
                scope.guarded.add(option)
            if self.forgiving:
                scope.forgiven.add(option)


def _passes(handler: ast.ExceptHandler) -> bool:
    """Whether a handler of errors of the system does nothing."""
    caught = ast.unparse(handler.type) if handler.type is not None else "Exception"
    return all(isinstance(one, ast.Pass | ast.Continue) for one in handler.body) and any(
        word in caught for word in ("Exception", "OSError", "error", "AttributeError")
    )


def _kind(call: ast.Call) -> str:
    """The kind of socket that a call makes; "" where it makes none."""
    if ast.unparse(call.func) not in ("socket.socket", "socket"):
        return ""
    said = [ast.unparse(one) for one in [*call.args, *(word.value for word in call.keywords)]]
    text = " ".join(said)
    if "AF_UNIX" in text:
        return "unixgram" if "SOCK_DGRAM" in text else "unix"
    family = next((digit for word, digit in _FAMILIES.items() if re.search(rf"\b{word}\b", text)), "4")
    return next((name for word, name in _TYPES.items() if word in text), "tcp") + family


def _true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and bool(node.value)


def _constant(node: ast.expr | None) -> str:
    return str(node.value) if isinstance(node, ast.Constant) and node.value is not None else ""


def _host(node: ast.expr | None) -> str:
    return _constant(node.elts[0]) if isinstance(node, ast.Tuple) and node.elts else ""


def _address(host: str, *, six: bool) -> str:
    """The address of a host; the wildcard where it is "" or not known."""
    if host == "localhost":
        return "::1" if six else "127.0.0.1"
    try:
        return address_text(ipaddress.ip_address(host))
    except ValueError:
        return "::" if six else "0.0.0.0"
