"""Records what the sockets of this process do, while it runs: the calls as they come, to be understood afterwards.

Theory of operation.  ``socket.socket`` is a Python class over the C type ``_socket.socket``.  While a recorder is
active, methods of the class are replaced by ones that call the original and append a tuple; the last recorder that ends
puts back what was there.  Threads may enter and leave recorders in any order, and recorders nest.

What uses the C type directly (gevent's sockets do) passes these methods by.  The audit event ``socket.bind`` comes for
those too.  An audit hook cannot be removed (PEP 578), so the first recorder installs one for the rest of the process;
without an active recorder it compares one word and returns.

Python knows neither the sockets that C code makes by itself (libuv's) nor what other processes do.
``recorded_sockets.py`` finds such sockets on Linux, and says what it cannot see.
"""

from __future__ import annotations

import _socket
import socket
import sys
import threading
from _thread import get_ident
from collections.abc import Callable
from typing import Any

_PATCHED = ("__init__", "bind", "listen", "setsockopt", "connect", "connect_ex", "detach", "dup", "_real_close")
#: method -> the call that it is; close() itself waits for the files of makefile()
_CALLS = {"__init__": "socket", "connect_ex": "connect", "_real_close": "close"}
_CHILDREN = frozenset({"os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "subprocess.Popen"})
#: options that are read back of a socket that was met late: those of the notation that this system has
_READ_BACK = tuple(
    (level, getattr(socket, name))
    for level, name in (
        (socket.SOL_SOCKET, "SO_REUSEADDR"),
        (socket.SOL_SOCKET, "SO_REUSEPORT"),
        (socket.SOL_SOCKET, "SO_REUSEPORT_LB"),
        (socket.SOL_SOCKET, "SO_EXCLUSIVEADDRUSE"),
        (socket.IPPROTO_IPV6, "IPV6_V6ONLY"),
    )
    if hasattr(socket, name)
)


#: one call, a plain tuple as that is made fastest:
#: (name, identity of the object, what was given, errno or 0, what was found)
#:
#: name        given                         found
#: socket      arguments of socket()         the descriptor
#: met         (family, type, protocol)      (descriptor, options that are not 0): made before, or elsewhere
#: bind        (address,)                    getsockname() after it
#: bound       (address,)                    the audit event: what became of it is not known
#: dup         ()                            identity of the new object
#: close       ()                            whether it listened
#: listen setsockopt connect detach          -
RecordedCall = tuple[str, int, Any, int, Any]


class CallRecorder:
    """Collects the calls between ``start`` and ``stop``."""

    def __init__(self) -> None:
        self.calls: list[RecordedCall] = []
        self.append = self.calls.append
        #: processes that were started meanwhile
        self.children = 0
        #: identities of the objects that were seen
        self.known: set[int] = set()

    @property
    def active(self) -> bool:
        """Whether calls are recorded now."""
        return self in _active

    def start(self) -> None:
        """Record from now on."""
        global _active, _patch
        with _lock:
            if _patch is None:
                _patch = _Patch()
            _active = (*_active, self)

    def stop(self) -> None:
        """Record no more; with the last recorder ``socket.socket`` is as it was."""
        global _active, _patch
        with _lock:
            _active = tuple(one for one in _active if one is not self)
            if not _active and _patch is not None:
                _patch.undo()
                _patch = None

    def meet(self, sock: Any) -> None:
        """Take in an object that was made before this recorder began, or not by ``socket.socket``."""
        raw = sock if isinstance(sock, _socket.socket) else sock._sock
        self.known.add(id(sock))
        kind = (raw.family, raw.type, raw.proto)
        self.append(("met", id(sock), kind, 0, (raw.fileno(), _options(raw))))


_lock = threading.RLock()
_active: tuple[CallRecorder, ...] = ()
#: threads that are in a method of ours: the audit event of their bind() is known already
_inside: set[int] = set()
_hooked = False
_patch: _Patch | None = None


def _options(sock: _socket.socket) -> dict[tuple[int, int], int]:
    found = {}
    for level, option in _READ_BACK:
        try:
            value = sock.getsockopt(level, option)
        except OSError:
            continue
        if value:
            found[level, option] = value
    return found


class _Patch:
    """The methods that stand in for those of ``socket.socket`` until :meth:`undo`."""

    def __init__(self) -> None:
        global _hooked
        self._of = socket.socket
        self._on = True
        #: name -> (what the class itself had, or None, and what we put there)
        self._methods: dict[str, tuple[Any, Any]] = {}
        for name in _PATCHED:
            original = getattr(self._of, name, None)
            if original is None:
                continue  # not the class of the standard library: gevent put its own there
            ours = _replacement(name, original, self)
            self._methods[name] = (self._of.__dict__.get(name), ours)
            setattr(self._of, name, ours)
        if not _hooked:
            _hooked = True
            sys.addaudithook(_hook)

    def undo(self) -> None:
        """Put back what was there."""
        self._on = False
        for name, (had, ours) in self._methods.items():
            if self._of.__dict__.get(name) is not ours:
                continue  # somebody patched over it and calls ours, which only passes on from now
            if had is None:
                delattr(self._of, name)
            else:
                setattr(self._of, name, had)

    def note(self, kind: str, sock: Any, given: Any, error: int, found: Any = None) -> None:
        """Tell every recorder of a call that has returned."""
        if self._on:
            key = id(sock)
            for one in _active:
                if key not in one.known:
                    one.meet(sock)
                one.append((kind, key, given, error, found))

    def note_made(self, kind: str, sock: Any, given: Any) -> None:
        """Tell every recorder of a new object."""
        if self._on:
            key, number = id(sock), sock.fileno()
            for one in _active:
                one.known.add(key)
                one.append((kind, key, given, 0, number))


def _replacement(name: str, original: Callable[..., Any], patch: _Patch) -> Callable[..., Any]:
    """A method that calls ``original`` and notes that."""
    found = _SPECIAL.get(name, _plain)(_CALLS.get(name, name), original, patch)
    found.__name__, found.__qualname__, found.__doc__ = name, f"socket.{name}", original.__doc__
    return found


def _plain(kind: str, original: Callable[..., Any], patch: _Patch) -> Callable[..., Any]:
    note = patch.note

    def method(self: Any, *arguments: Any) -> Any:
        try:
            result = original(self, *arguments)
        except OSError as error:
            note(kind, self, arguments, error.errno or -1)
            raise
        note(kind, self, arguments, 0)
        return result

    return method


def _init(kind: str, original: Callable[..., Any], patch: _Patch) -> Callable[..., Any]:
    def method(self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        patch.note_made(kind, self, (arguments, named))

    return method


def _bind(kind: str, original: Callable[..., Any], patch: _Patch) -> Callable[..., Any]:
    note = patch.note

    def method(self: Any, address: Any) -> None:
        thread = get_ident()
        _inside.add(thread)
        try:
            original(self, address)
        except OSError as error:
            note(kind, self, (address,), error.errno or -1)
            raise
        finally:
            _inside.discard(thread)
        note(kind, self, (address,), 0, self.getsockname())

    return method


def _setsockopt(kind: str, original: Callable[..., Any], patch: _Patch) -> Callable[..., Any]:
    plain = _plain(kind, original, patch)

    def method(self: Any, level: int, option: int, value: Any, *length: int) -> None:
        if type(value) not in _CONSTANT:
            value = bytes(value)  # a buffer may change later
        plain(self, level, option, value, *length)

    return method


def _connect_ex(kind: str, original: Callable[..., Any], patch: _Patch) -> Callable[..., Any]:
    note = patch.note

    def method(self: Any, address: Any) -> Any:
        error = original(self, address)
        note(kind, self, (address,), error)
        return error

    return method


def _detach(kind: str, original: Callable[..., Any], patch: _Patch) -> Callable[..., Any]:
    note = patch.note

    def method(self: Any) -> Any:
        number = original(self)
        note(kind, self, (), 0, number)
        return number

    return method


def _close(kind: str, original: Callable[..., Any], patch: _Patch) -> Callable[..., Any]:
    note = patch.note

    def method(self: Any, *arguments: Any) -> None:
        try:
            listens = self.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError:
            listens = 0
        original(self, *arguments)
        note(kind, self, (), 0, listens)

    return method


def _dup(kind: str, original: Callable[..., Any], patch: _Patch) -> Callable[..., Any]:
    note = patch.note

    def method(self: Any) -> Any:
        other = original(self)
        note(kind, self, (), 0, id(other))
        return other

    return method


_CONSTANT = frozenset({int, bool, bytes, type(None)})
_SPECIAL: dict[str, Callable[[str, Callable[..., Any], _Patch], Callable[..., Any]]] = {
    "__init__": _init,
    "bind": _bind,
    "setsockopt": _setsockopt,
    "connect_ex": _connect_ex,
    "detach": _detach,
    "dup": _dup,
    "_real_close": _close,
}


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _active:
        return
    if event == "socket.bind":
        if get_ident() in _inside:
            return
        sock, address = arguments
        for one in _active:
            one.meet(sock)
            one.append(("bound", id(sock), (address,), 0, None))
    elif event in _CHILDREN:
        for one in _active:
            one.children += 1
