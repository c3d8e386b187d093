"""Systems that are not here, as the executor sees them: a Python of that system in front of this kernel.

A :class:`Platform` holds what headers and CPython's sources say: numbers, names of errors, what is missing.  ``load()``
gives a second copy of ``executor.py`` that was made to believe it: ``sys.platform``, ``_socket``, ``errno``, ``os`` and
``select`` are stand-ins.  Its sockets are real ones of this kernel whose numbers are translated both ways, with the
oddities of that system added; a number that the system does not know is ENOPROTOOPT there, so that no wrong one passes
unseen.  What the *kernel* answers is this kernel's: nothing here says what another kernel does.
"""

from __future__ import annotations

import _socket as real_socket
import errno as real_errno
import os as real_os
import select as real_select
import struct
import sys as real_sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from bindmatrix.execute import executor

_SOURCE = Path(executor.__file__).read_text(encoding="utf-8")
_SOCKET_LEVEL = real_socket.SOL_SOCKET
_LINGER = (_SOCKET_LEVEL, real_socket.SO_LINGER)
_V6ONLY = (41, getattr(real_socket, "IPV6_V6ONLY", 26))
_TTL = (0, getattr(real_socket, "IP_MULTICAST_TTL", 33))

#: numbers that BSDs, macOS and Winsock share: 4.4BSD's sys/socket.h, netinet/in.h, netinet6/in6.h; ws2def.h, ws2ipdef.h
_BSD = {
    "AF_UNIX": 1, "AF_INET": 2, "SOCK_STREAM": 1, "SOCK_DGRAM": 2, "SOCK_RAW": 3,
    "SOL_SOCKET": 0xFFFF, "SO_REUSEADDR": 0x4, "SO_LINGER": 0x80, "SO_ERROR": 0x1007, "SO_REUSEPORT": 0x200,
    "IPV6_V6ONLY": 27, "IPV6_JOIN_GROUP": 12, "IPV6_MULTICAST_IF": 9, "IPV6_MULTICAST_HOPS": 10,
    "IP_ADD_MEMBERSHIP": 12, "IP_MULTICAST_IF": 9, "IP_MULTICAST_TTL": 10,
}  # fmt: skip
#: illumos: usr/src/uts/common/sys/socket.h (a stream is 2, a datagram 1: NC_TPI_COTS, NC_TPI_CLTS) and netinet/in.h
_SUN = {
    "AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 26, "SOCK_STREAM": 2, "SOCK_DGRAM": 1, "SOCK_RAW": 4,
    "SOL_SOCKET": 0xFFFF, "SO_REUSEADDR": 0x4, "SO_LINGER": 0x80, "SO_ERROR": 0x1007,
    "IPV6_V6ONLY": 0x27, "IPV6_JOIN_GROUP": 0x9, "IPV6_MULTICAST_IF": 0x6, "IPV6_MULTICAST_HOPS": 0x7,
    "IP_ADD_MEMBERSHIP": 0x13, "IP_MULTICAST_IF": 0x10, "IP_MULTICAST_TTL": 0x11,
}  # fmt: skip
#: sys/errno.h of 4.4BSD and all that came from it
_BSD_ERRORS = {
    "EPERM": 1, "ENOENT": 2, "EBADF": 9, "ENOMEM": 12, "EACCES": 13, "EINVAL": 22, "ENFILE": 23, "EMFILE": 24,
    "EPIPE": 32,
    "EAGAIN": 35, "EWOULDBLOCK": 35, "EINPROGRESS": 36, "EALREADY": 37, "EDESTADDRREQ": 39, "ENOPROTOOPT": 42,
    "EPROTONOSUPPORT": 43, "EOPNOTSUPP": 45, "EAFNOSUPPORT": 47, "EADDRINUSE": 48, "EADDRNOTAVAIL": 49,
    "ECONNABORTED": 53, "ECONNRESET": 54, "ENOBUFS": 55, "EISCONN": 56, "ENOTCONN": 57, "ETIMEDOUT": 60,
    "ECONNREFUSED": 61,
}  # fmt: skip
#: illumos: usr/src/uts/common/sys/errno.h
_SUN_ERRORS = {
    "EPERM": 1, "ENOENT": 2, "EBADF": 9, "EAGAIN": 11, "EWOULDBLOCK": 11, "ENOMEM": 12, "EACCES": 13, "EINVAL": 22,
    "ENFILE": 23,
    "EMFILE": 24, "EPIPE": 32, "ENOTSUP": 48, "EDESTADDRREQ": 96, "ENOPROTOOPT": 99, "EPROTONOSUPPORT": 120,
    "EOPNOTSUPP": 122, "EAFNOSUPPORT": 124, "EADDRINUSE": 125, "EADDRNOTAVAIL": 126, "ECONNABORTED": 130,
    "ECONNRESET": 131, "ENOBUFS": 132, "EISCONN": 133, "ENOTCONN": 134, "ETIMEDOUT": 145, "ECONNREFUSED": 146,
    "EALREADY": 149, "EINPROGRESS": 150,
}  # fmt: skip
#: winerror.h; what is below 10000 is the C library's errno.h, which CPython's errno module keeps (errnomodule.c)
_WINSOCK = {
    "WSAEINTR": 10004, "WSAEBADF": 10009, "WSAEACCES": 10013, "WSAEFAULT": 10014, "WSAEINVAL": 10022,
    "WSAEMFILE": 10024, "WSAEWOULDBLOCK": 10035, "WSAEINPROGRESS": 10036, "WSAEALREADY": 10037, "WSAENOTSOCK": 10038,
    "WSAEDESTADDRREQ": 10039, "WSAENOPROTOOPT": 10042, "WSAEPROTONOSUPPORT": 10043, "WSAEOPNOTSUPP": 10045,
    "WSAEAFNOSUPPORT": 10047, "WSAEADDRINUSE": 10048, "WSAEADDRNOTAVAIL": 10049, "WSAECONNABORTED": 10053,
    "WSAECONNRESET": 10054, "WSAENOBUFS": 10055, "WSAEISCONN": 10056, "WSAENOTCONN": 10057, "WSAETIMEDOUT": 10060,
    "WSAECONNREFUSED": 10061,
}  # fmt: skip
_WINDOWS_ERRORS = {
    "EPERM": 1, "ENOENT": 2, "EBADF": 9, "EAGAIN": 11, "ENOMEM": 12, "EACCES": 13, "EINVAL": 22, "ENFILE": 23,
    "EMFILE": 24,
    "EPIPE": 32, "ENOTSUP": 129,
    # the C library has other numbers for these, and CPython prefers Winsock's
    **{name[3:]: number for name, number in _WINSOCK.items() if number >= 10035},
    **_WINSOCK,
}  # fmt: skip


@dataclass(frozen=True)
class Platform:
    """A system: what its Python shows and how its calls differ from this kernel's."""

    name: str
    sys_platform: str
    #: os.uname(), or sys.getwindowsversion().platform_version
    uname: tuple[str, ...] = ()
    windows: tuple[int, int, int] | None = None
    numbers: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    #: options that setsockopt() takes beside those of ``numbers``
    options: dict[int, str] = field(default_factory=dict)
    #: addresses that bind() takes
    addresses: frozenset[str] = frozenset({"127.0.0.1", "::1"})
    #: protocols that socket() takes beside those of the type
    protocols: frozenset[int] = frozenset()
    #: IPV6_V6ONLY cannot be cleared
    only_v6: bool = False
    #: IP_MULTICAST_TTL is a byte and nothing else
    byte_ttl: bool = False
    #: no option can be set on a socket that was refused
    deaf: bool = False


def _bsd(name: str, sys_platform: str, release: str, af_inet6: int, enotsup: int, **more: Any) -> Platform:
    numbers = {**_BSD, "AF_INET6": af_inet6}
    errors = {**_BSD_ERRORS, "ENOTSUP": enotsup}
    kernel = {"freebsd": "FreeBSD", "netbsd": "NetBSD", "openbsd": "OpenBSD", "dragonfly": "DragonFly"}[name]
    return Platform(
        name,
        sys_platform,
        (kernel, "box", release, f"{kernel} {release}", "amd64"),
        numbers=numbers,
        errors=errors,
        **more,
    )


#: AF_INET6: sys/socket.h of each; ENOTSUP: sys/errno.h of each
PLATFORMS = {
    platform.name: platform
    for platform in (
        # sys/socket.h: SO_REUSEPORT_LB 0x00010000; netinet/in.h: IPPROTO_UDPLITE 136
        _bsd(
            "freebsd", "freebsd14", "14.1-RELEASE", 28, 45,
            options={0x10000: "SO_REUSEPORT"}, protocols=frozenset({136}),
        ),
        _bsd("netbsd", "netbsd10", "10.0", 24, 86),
        # ip_output.c ip_setmoptions(): "m->m_len != 1" is EINVAL; in6_pcb.h: no IPv4 on IPv6 sockets
        _bsd("openbsd", "openbsd7", "7.5", 24, 91, only_v6=True, byte_ttl=True),
        _bsd("dragonfly", "dragonfly6", "6.4-RELEASE", 28, 45, only_v6=True),
        # xnu bsd/sys/socket.h, bsd/sys/errno.h; sosetoptlock() in bsd/kern/uipc_socket.c
        Platform(
            "macos", "darwin", ("Darwin", "box", "24.1.0", "Darwin Kernel Version 24.1.0", "arm64"),
            numbers={**_BSD, "AF_INET6": 30}, errors={**_BSD_ERRORS, "EOPNOTSUPP": 102, "ENOTSUP": 45}, deaf=True,
        ),
        # ip_opt_data.c: IP_MULTICAST_TTL has the size of a uchar_t; SO_REUSEPORT as OmniOS's kernel has it
        Platform(
            "illumos", "sunos5", ("SunOS", "box", "5.11", "omnios-r151046-a4a7b3f5b7", "i86pc"),
            numbers=_SUN, errors=_SUN_ERRORS, options={0x1015: "exclbind", 0x2004: "SO_REUSEPORT"}, byte_ttl=True,
        ),
        # ws2def.h: AF_INET6; SO_EXCLUSIVEADDRUSE is ~SO_REUSEADDR; there is no SO_REUSEPORT; 127.0.0.0/8 is local
        Platform(
            "windows", "win32", windows=(10, 0, 20348),
            numbers={**{k: v for k, v in _BSD.items() if k not in ("SO_REUSEPORT", "AF_UNIX")}, "AF_INET6": 23},
            errors=_WINDOWS_ERRORS, options={-5: "exclusive"}, addresses=frozenset({"127.0.0.1", "127.0.0.2", "::1"}),
        ),
    )
}  # fmt: skip

#: what os has not on Windows (the documentation of os: "Availability: Unix")
_NOT_ON_WINDOWS = {"geteuid", "getegid", "getuid", "seteuid", "uname", "fork", "waitpid", "setsid", "getpgid", "killpg"}


class Skin:
    """What a second copy of the executor is made of, and what it did: ``set_options`` (level, number, value)."""

    def __init__(self, platform: Platform, *, lacking: Iterable[str] = (), excluded: Iterable[int] = ()) -> None:
        self.platform = platform
        #: constants that this build of Python has not
        self.lacking = frozenset(lacking)
        #: ports that Windows keeps for itself
        self.excluded = frozenset(excluded)
        self.set_options: list[tuple[int, int, Any]] = []
        self.pulled = False  # standard output is a pipe that nobody reads
        self.module = self._load()

    @property
    def windows(self) -> bool:
        return self.platform.windows is not None

    def _load(self) -> Any:
        stand_ins = {"_socket": self._socket(), "errno": self._errno(), "os": self._os(), "sys": self._sys()}
        stand_ins["select"] = self._select()
        before = {name: real_sys.modules[name] for name in stand_ins}
        module = ModuleType(f"executor_{self.platform.name}")
        real_sys.modules.update(stand_ins)
        try:
            exec(compile(_SOURCE, executor.__file__, "exec"), module.__dict__)
        finally:
            real_sys.modules.update(before)
        return module

    def _sys(self) -> ModuleType:
        version = SimpleNamespace(platform_version=self.platform.windows)
        more = {"getwindowsversion": lambda: version} if self.windows else {}
        return _like(real_sys, {"platform": self.platform.sys_platform, **more})

    def _os(self) -> ModuleType:
        def write(descriptor: int, data: bytes) -> int:
            if self.pulled:
                raise OSError(22, "Invalid argument") if self.windows else BrokenPipeError(32, "Broken pipe")
            return real_os.write(descriptor, data)

        more: dict[str, Any] = {"write": write, "name": "nt" if self.windows else "posix"}
        if self.windows:
            environment = {"PROCESSOR_ARCHITECTURE": "x86", "PROCESSOR_ARCHITEW6432": "AMD64"}
            return _like(real_os, {**more, "environ": environment}, _NOT_ON_WINDOWS)
        uname = real_os.uname_result(self.platform.uname)
        return _like(real_os, {**more, "uname": lambda: uname, "geteuid": lambda: 1001, "getegid": lambda: 1001})

    def _errno(self) -> ModuleType:
        module = ModuleType("errno")
        module.__dict__.update(self.platform.errors)
        module.__dict__["errorcode"] = {number: name for name, number in self.platform.errors.items()}
        return module

    def _select(self) -> ModuleType:
        def select(readers: list[Any], writers: list[Any], others: list[Any], seconds: float) -> Any:
            if not (readers or writers or others):
                raise self.error(OSError(real_errno.EINVAL, "select"))
            return real_select.select(readers, writers, others, seconds)

        return _like(real_select, {"select": select}, {"poll", "epoll"}) if self.windows else real_select

    def _socket(self) -> ModuleType:
        numbers = {name: number for name, number in self.platform.numbers.items() if name not in self.lacking}
        if self.windows:
            numbers["SO_EXCLUSIVEADDRUSE"] = -5
        module = ModuleType("_socket")
        module.__dict__.update(numbers)
        for name in ("gaierror", "timeout", "close"):
            setattr(module, name, getattr(real_socket, name))

        def inet_pton(family: int, address: str) -> bytes:
            own = {self.platform.numbers["AF_INET6"]: real_socket.AF_INET6, 2: real_socket.AF_INET}[family]
            return real_socket.inet_pton(own, address)

        def if_nametoindex(name: str) -> int:
            if name != ("loopback_0" if self.windows else "lo0"):
                raise OSError(6, "Device not configured")
            return real_socket.if_nametoindex("lo")

        module.__dict__.update(
            inet_pton=inet_pton, if_nametoindex=if_nametoindex, socket=type("socket", (_Socket,), {"skin": self})
        )
        return module

    def real_option(self, level: int, number: int) -> tuple[int, int] | str | None:
        """This kernel's (level, number); a word for an option that is taken and noted only; None for none."""
        for name, own in self.platform.numbers.items():
            if (
                name.startswith(("SO_", "IP"))
                and own == number
                and _level(name) == {0xFFFF: _SOCKET_LEVEL}.get(level, level)
            ):
                return _level(name), getattr(real_socket, name)
        word = self.platform.options.get(number) if level == 0xFFFF else None
        if word == "SO_REUSEPORT":
            return _SOCKET_LEVEL, real_socket.SO_REUSEPORT
        return word

    def error(self, error: OSError) -> OSError:
        """The same error as this system's Python raises it."""
        if error.errno is None:
            return error
        name = real_errno.errorcode[error.errno]
        if not self.windows:
            return type(error)(self.platform.errors[name], error.strerror)
        number = _WINSOCK["WSA" + {"EAGAIN": "EWOULDBLOCK", "EBADF": "ENOTSOCK"}.get(name, name)]
        # PC/errmap.h winerror_to_errno(): six of Winsock's codes are errno's plus 10000
        own = number - 10000 if number in (10004, 10009, 10013, 10014, 10022, 10024) else number
        made = type(error)(own, error.strerror)
        made.winerror = number  # type: ignore[attr-defined]
        return made

    def refuse(self, name: str) -> OSError:
        return self.error(OSError(getattr(real_errno, name), name))


def _level(name: str) -> int:
    return 41 if name.startswith("IPV6_") else 0 if name.startswith("IP_") else _SOCKET_LEVEL


def _like(module: ModuleType, more: dict[str, Any], without: Iterable[str] = ()) -> Any:
    """A module with these attributes and, but for those it shall be without, those of ``module``."""
    made = ModuleType(module.__name__)

    def look_up(name: str) -> Any:
        if name in without:
            raise AttributeError(name)
        return getattr(module, name)

    made.__dict__.update(more, __getattr__=look_up)
    return made


class _Socket:
    """A socket of this kernel in that system's numbers; ``skin`` is set by a subclass."""

    skin: Skin

    def __init__(self, family: int = -1, kind: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        self.refused = False
        numbers = self.skin.platform.numbers
        if fileno is not None and family == -1 and self.skin.platform.deaf:
            raise self.skin.refuse("EINVAL")  # getsockname() of a connection that was reset
        self.family, self.type, self.proto = family, kind, max(proto, 0)
        if family != -1 or fileno is None:
            if family not in (numbers.get(name) for name in ("AF_INET", "AF_INET6", "AF_UNIX")):
                raise self.skin.refuse("EAFNOSUPPORT")
            if self.proto not in {0, *self.skin.platform.protocols}:
                raise self.skin.refuse("EPROTONOSUPPORT")
            proto = -1  # the kernel's for this type
            names = {numbers[name]: name for name in ("AF_INET", "AF_INET6", "AF_UNIX") if name in numbers}
            family = getattr(real_socket, names[family])
            kind = {numbers[name]: getattr(real_socket, name) for name in ("SOCK_STREAM", "SOCK_DGRAM")}[kind]
        self.real = self._ask(real_socket.socket, family, kind, proto, *([] if fileno is None else [fileno]))
        self.detach, self.fileno = self.real.detach, self.real.fileno
        self.setblocking, self.settimeout = self.real.setblocking, self.real.settimeout

    def _ask(self, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except OSError as error:
            raise self.skin.error(error) from None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        return lambda *arguments: self._ask(found, *arguments)

    def bind(self, address: tuple[Any, ...]) -> None:
        if self.skin.windows and address[1] in self.skin.excluded:
            raise self.skin.refuse("EACCES")
        plain = address[0].rpartition("ffff:")[2] if "." in address[0] else address[0]
        if plain == "127.0.0.2" and plain not in self.skin.platform.addresses:
            raise self.skin.refuse("EADDRNOTAVAIL")
        self._ask(self.real.bind, address)

    def setsockopt(self, level: int, number: int, value: Any) -> None:
        self.skin.set_options.append((level, number, value))
        known = self.skin.real_option(level, number)
        if self.fileno() >= 0:
            oddity = self._oddity(known, value)
            if oddity:
                raise self.skin.refuse(oddity)
        if not isinstance(known, tuple):  # taken and noted; or the socket is closed
            known, value = (_SOCKET_LEVEL, real_socket.SO_REUSEADDR), 0
        if known == _LINGER:
            value = struct.pack("ii", *struct.unpack("hh" if self.skin.windows else "ii", value))
        self._ask(self.real.setsockopt, *known, value)

    def _oddity(self, option: Any, value: Any) -> str:
        """The error with which this system alone refuses the option, or an empty text."""
        platform, windows = self.skin.platform, self.skin.windows
        if option is None:
            return "ENOPROTOOPT"
        if self.refused and platform.deaf:
            return "EINVAL"
        if option == _V6ONLY and not value and platform.only_v6:
            return "EINVAL"
        if option == _TTL and (isinstance(value, int) or windows):
            wants_an_int = windows and len(value) != 4
            return "EFAULT" if wants_an_int else "EINVAL" if platform.byte_ttl else ""
        if option == _LINGER and len(value) != (4 if windows else 8):
            return "EINVAL"
        return ""

    def getsockopt(self, level: int, number: int) -> int:
        known = self.skin.real_option(level, number)
        assert isinstance(known, tuple), (level, number)
        if self.skin.windows and self.type == self.skin.platform.numbers["SOCK_DGRAM"]:
            return 0  # recv() tells
        value: int = self._ask(self.real.getsockopt, *known)
        if known != (_SOCKET_LEVEL, real_socket.SO_ERROR) or not value:
            return value
        self.refused = True
        return _number(self.skin.error(OSError(value, "pending")))

    def connect_ex(self, address: tuple[Any, ...]) -> int:
        number = self.real.connect_ex(address)
        self.refused = number == real_errno.ECONNREFUSED
        if self.skin.windows and number in (0, real_errno.EINPROGRESS):
            return 10035  # a connection is never made at once
        return _number(self.skin.error(OSError(number, ""))) if number else 0

    def recv(self, size: int) -> Any:
        try:
            return self.real.recv(size)
        except OSError as caught:
            error = caught
            if self.skin.windows and error.errno == real_errno.ECONNREFUSED:
                error = ConnectionResetError(real_errno.ECONNRESET, "reset")
            raise self.skin.error(error) from None

    def close(self) -> None:
        with suppress(OSError):
            self.real.close()


def _number(error: OSError) -> int:
    return getattr(error, "winerror", None) or error.errno or 0
