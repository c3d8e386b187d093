"""Programs that make the sockets of a recipe: Python, C, Go, Rust and Node.

Each takes a port as its argument, makes the sockets and ends.  Python, C, Go and Rust make the calls of the recipe and
no others.  Node sets options of its own, so that it has a program only where those are part of a set that reaches the
goal too.

Numbers that a language does not name are those of the system's headers (sys/socket.h, netinet/in.h, netinet6/in6.h;
illumos usr/src/uts/common/sys/socket.h and netinet/in.h).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bindmatrix.advice.recipe_goals import GoalSocket, OptionSet
from bindmatrix.notation import OPTIONS, SOCKET_KINDS, STREAMS


class Numbers(NamedTuple):
    """Constants of a system that languages do not name everywhere."""

    reuseport: int
    v6only: int
    inet6: int
    stream: int
    datagram: int
    sol_socket: int
    reuseaddr: int
    join: int
    #: whether ``struct sockaddr`` begins with its length
    has_length: bool


_BSD = Numbers(0x200, 27, 28, 1, 2, 0xFFFF, 4, 12, True)
NUMBERS: dict[str, Numbers] = {
    "linux": Numbers(15, 26, 10, 1, 2, 1, 2, 35, False),
    "gvisor": Numbers(15, 26, 10, 1, 2, 1, 2, 35, False),
    "freebsd": _BSD,
    "dragonfly": _BSD,
    "netbsd": _BSD._replace(inet6=24),
    "openbsd": _BSD._replace(inet6=24),
    "macos": _BSD._replace(inet6=30),
    "illumos": Numbers(0x2004, 0x27, 26, 2, 1, 0xFFFF, 4, 0x13, False),
}
_LB, _EXCLBIND = 0x10000, 0x1015
#: systems whose programs are for Winsock
WINSOCK = ("windows", "wine")


class NoSnippet(Exception):
    """The language has no way to do that there; the message says why."""


def render(language: str, os: str, sockets: Sequence[GoalSocket], options: OptionSet) -> str:
    """The program; raises :class:`NoSnippet`."""
    if language != "c" and os not in (*NUMBERS, *WINSOCK):
        raise NoSnippet("this stack is programmed in C")
    return LANGUAGES[language](os, sockets, options)


def _stream(socket: GoalSocket) -> bool:
    return SOCKET_KINDS[socket.kind].protocol in STREAMS


def _ipv6(socket: GoalSocket) -> bool:
    return SOCKET_KINDS[socket.kind].family == "ipv6"


def _named(sockets: Sequence[GoalSocket]) -> list[tuple[str, GoalSocket]]:
    return list(zip("ab", sockets, strict=False))


def _sets(socket: GoalSocket, options: OptionSet) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """(option, value) before bind() and after it."""
    before = [("v6only", socket.v6only)] if socket.v6only is not None else []
    before += [(option, 1) for option in options.before + options.cleared]
    return before, [(option, 0) for option in options.cleared] + [(option, 1) for option in options.after]


def _missing(os: str, option: str) -> int:
    """The number of an option that a language does not name; raises :class:`NoSnippet`."""
    if option == "reuseport" and os in NUMBERS:
        return NUMBERS[os].reuseport
    if option in ("reuseport_lb", "exclbind"):
        return _LB if option == "reuseport_lb" else _EXCLBIND
    raise NoSnippet(f"{OPTIONS[option]} is not an option of {os}")


# -- Python


def _python(os: str, sockets: Sequence[GoalSocket], options: OptionSet) -> str:
    def set_option(name: str, option: str, value: int) -> str:
        level, word = ("IPPROTO_IPV6", "IPV6_V6ONLY") if option == "v6only" else ("SOL_SOCKET", OPTIONS[option])
        if option in ("reuseport_lb", "exclbind"):
            return f"{name}.setsockopt(socket.{level}, {_missing(os, option):#x}, {value})  # {word}"
        return f"{name}.setsockopt(socket.{level}, socket.{word}, {value})"

    lines = ["import socket", "import sys", "", "port = int(sys.argv[1])"]
    for name, one in _named(sockets):
        before, after = _sets(one, options)
        family, type_ = "AF_INET6" if _ipv6(one) else "AF_INET", "SOCK_STREAM" if _stream(one) else "SOCK_DGRAM"
        lines += [f"{name} = socket.socket(socket.{family}, socket.{type_})"]
        lines += [set_option(name, option, value) for option, value in before]
        lines += [f'{name}.bind(("{one.address}", port))']
        lines += [set_option(name, option, value) for option, value in after]
        lines += [f"{name}.listen()"] if one.listens and _stream(one) else []
        if one.joins:
            lines += [f'group = socket.inet_aton("{one.joins}") + socket.inet_aton("0.0.0.0")']
            lines += [f"{name}.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)"]
    return "\n".join(lines) + "\n"


# -- C

_C_POSIX = """\
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int failed(const char *what)
{
    perror(what);
    return 1;
}
"""
_C_WINDOWS = """\
#include <winsock2.h>
#include <ws2tcpip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(const char *what)
{
    fprintf(stderr, "%s: %d\\n", what, WSAGetLastError());
    return 1;
}
"""


def _c(os: str, sockets: Sequence[GoalSocket], options: OptionSet) -> str:
    windows = os in WINSOCK
    bad = "== INVALID_SOCKET" if windows else "< 0"
    value_of = "(const char *)&" if windows else "&"
    lines = [_C_WINDOWS if windows else _C_POSIX, "int main(int argc, char **argv)", "{"]
    lines += ["    unsigned short port = (unsigned short)(argc > 1 ? atoi(argv[1]) : 0);", "    int on = 1, off = 0;"]
    if windows:
        lines += ["    WSADATA data;", "    if (WSAStartup(MAKEWORD(2, 2), &data) != 0)", "        return 1;"]
    lines += ["    (void)on;", "    (void)off;"]
    for name, one in _named(sockets):
        before, after = _sets(one, options)
        family, field = ("AF_INET6", "sin6") if _ipv6(one) else ("AF_INET", "sin")

        def set_option(option: str, value: int, name: str = name) -> list[str]:
            level, word = ("IPPROTO_IPV6", "IPV6_V6ONLY") if option == "v6only" else ("SOL_SOCKET", OPTIONS[option])
            which = "on" if value else "off"
            call = f"setsockopt({name}, {level}, {word}, {value_of}{which}, sizeof {which})"
            return [f"    if ({call} != 0)", f'        return failed("{word}");']

        type_ = "SOCK_STREAM" if _stream(one) else "SOCK_DGRAM"
        lines += ["", f"    {'SOCKET' if windows else 'int'} {name} = socket({family}, {type_}, 0);"]
        lines += [f"    if ({name} {bad})", '        return failed("socket");']
        lines += [line for option, value in before for line in set_option(option, value)]
        lines += [f"    struct sockaddr_in{'6' if _ipv6(one) else ''} {name}_address;"]
        lines += [f"    memset(&{name}_address, 0, sizeof {name}_address);"]
        lines += [f"    {name}_address.{field}_family = {family};", f"    {name}_address.{field}_port = htons(port);"]
        lines += [f'    inet_pton({family}, "{one.address}", &{name}_address.{field}_addr);']
        lines += [f"    if (bind({name}, (struct sockaddr *)&{name}_address, sizeof {name}_address) != 0)"]
        lines += ['        return failed("bind");']
        lines += [line for option, value in after for line in set_option(option, value)]
        if one.listens and _stream(one):
            lines += [f"    if (listen({name}, SOMAXCONN) != 0)", '        return failed("listen");']
        if one.joins:
            lines += ["    struct ip_mreq group;", "    memset(&group, 0, sizeof group);"]
            lines += [f'    inet_pton(AF_INET, "{one.joins}", &group.imr_multiaddr);']
            lines += [f"    if (setsockopt({name}, IPPROTO_IP, IP_ADD_MEMBERSHIP, {value_of}group, sizeof group) != 0)"]
            lines += ['        return failed("IP_ADD_MEMBERSHIP");']
    return "\n".join([*lines, "    return 0;", "}"]) + "\n"


# -- Go

_GO = """\
package main

import (
	"log"
	"os"
	"strconv"
	"syscall"
)

func check(what string, err error) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

func main() {
	port, err := strconv.Atoi(os.Args[1])
	check("port", err)
"""


def _go(os: str, sockets: Sequence[GoalSocket], options: OptionSet) -> str:
    """System calls: ``net`` sets SO_REUSEADDR itself, and binds a multicast address to the wildcard."""
    text = _GO
    if os in WINSOCK:
        text += '\tvar data syscall.WSAData\n\tcheck("WSAStartup", syscall.WSAStartup(0x202, &data))\n'
    for name, one in _named(sockets):
        before, after = _sets(one, options)

        def set_option(option: str, value: int, name: str = name) -> str:
            level, word = "syscall.SOL_SOCKET", f"syscall.{OPTIONS[option]}"
            if option == "v6only":
                level = "syscall.IPPROTO_IPV6"
            elif option == "exclusive":
                word = "^syscall.SO_REUSEADDR"
            elif option != "reuseaddr":
                word = f"{_missing(os, option):#x}"
            return f'\tcheck("{OPTIONS[option]}", syscall.SetsockoptInt({name}, {level}, {word}, {value}))\n'

        family, type_ = "AF_INET6" if _ipv6(one) else "AF_INET", "SOCK_STREAM" if _stream(one) else "SOCK_DGRAM"
        text += f'\n\t{name}, err := syscall.Socket(syscall.{family}, syscall.{type_}, 0)\n\tcheck("socket", err)\n'
        text += "".join(set_option(option, value) for option, value in before)
        address = "" if one.address in ("0.0.0.0", "::") else f", Addr: [4]byte{{{one.address.replace('.', ', ')}}}"
        kind = "SockaddrInet6" if _ipv6(one) else "SockaddrInet4"
        text += f'\tcheck("bind", syscall.Bind({name}, &syscall.{kind}{{Port: port{address}}}))\n'
        text += "".join(set_option(option, value) for option, value in after)
        if one.listens and _stream(one):
            text += f'\tcheck("listen", syscall.Listen({name}, syscall.SOMAXCONN))\n'
        if one.joins:
            text += f"\tgroup := &syscall.IPMreq{{Multiaddr: [4]byte{{{one.joins.replace('.', ', ')}}}}}\n"
            join = f"syscall.SetsockoptIPMreq({name}, syscall.IPPROTO_IP, syscall.IP_ADD_MEMBERSHIP, group)"
            text += f'\tcheck("IP_ADD_MEMBERSHIP", {join})\n'
    return text + "}\n"


# -- Rust

_RUST = """\
use std::io::Error;
use std::os::raw::{c_int, c_void};

extern "C" {
    fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int;
    fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, length: u32) -> c_int;
    fn bind(fd: c_int, address: *const c_void, length: u32) -> c_int;
    #[allow(dead_code)]
    fn listen(fd: c_int, backlog: c_int) -> c_int;
}

fn check(what: &str, result: c_int) -> c_int {
    if result < 0 {
        eprintln!("{}: {}", what, Error::last_os_error());
        std::process::exit(1);
    }
    result
}

#[allow(dead_code)]
fn set(fd: c_int, level: c_int, name: c_int, value: c_int) -> c_int {
    unsafe { setsockopt(fd, level, name, &value as *const c_int as *const c_void, 4) }
}

fn main() {
    let port: u16 = std::env::args().nth(1).expect("a port").parse().expect("a port");
"""


def _rust(os: str, sockets: Sequence[GoalSocket], options: OptionSet) -> str:
    """libc's functions, declared here: ``std`` sets nothing before bind(), and crates are not needed for that."""
    if os in WINSOCK:
        raise NoSnippet("std sets nothing before bind(), and Winsock needs a crate (socket2)")
    numbers = NUMBERS[os]
    text = _RUST
    for name, one in _named(sockets):
        before, after = _sets(one, options)

        def set_option(option: str, value: int, name: str = name) -> str:
            level, number = numbers.sol_socket, numbers.reuseaddr
            if option == "v6only":
                level, number = 41, numbers.v6only
            elif option != "reuseaddr":
                number = _missing(os, option)
            return f'    check("{OPTIONS[option]}", set({name}, {level:#x}, {number:#x}, {value}));\n'

        family = numbers.inet6 if _ipv6(one) else 2
        type_ = numbers.stream if _stream(one) else numbers.datagram
        text += f'    let {name} = check("socket", unsafe {{ socket({family}, {type_}, 0) }});\n'
        text += "".join(set_option(option, value) for option, value in before)
        size = 28 if _ipv6(one) else 16
        head = f"[{size}u8, {family}u8]" if numbers.has_length else f"{family}u16.to_ne_bytes()"
        text += f"    let mut address = [0u8; {size}];\n    address[..2].copy_from_slice(&{head});\n"
        text += "    address[2..4].copy_from_slice(&port.to_be_bytes());\n"
        if one.address not in ("0.0.0.0", "::"):
            text += f"    address[4..8].copy_from_slice(&[{one.address.replace('.', ', ')}]);\n"
        text += f'    check("bind", unsafe {{ bind({name}, address.as_ptr() as *const c_void, {size}) }});\n'
        text += "".join(set_option(option, value) for option, value in after)
        if one.listens and _stream(one):
            text += f'    check("listen", unsafe {{ listen({name}, 128) }});\n'
        if one.joins:
            text += f"    let group: [u8; 8] = [{one.joins.replace('.', ', ')}, 0, 0, 0, 0];\n"
            join = f"setsockopt({name}, 0, {numbers.join}, group.as_ptr() as *const c_void, 8)"
            text += f'    check("IP_ADD_MEMBERSHIP", unsafe {{ {join} }});\n'
    return text + "}\n"


# -- Node


#: what ``reusePort`` sets
_BALANCED = {"linux": "reuseport", "gvisor": "reuseport", "dragonfly": "reuseport", "freebsd": "reuseport_lb"}
#: systems on which ``reuseAddr`` of UDP sets SO_REUSEPORT
_SHARED = ("freebsd", "netbsd", "openbsd", "macos")


def node_options(os: str, socket: GoalSocket, wanted: OptionSet) -> OptionSet:
    """What Node sets when it is asked for the nearest to ``wanted`` (docs/runtimes.md, node-*).

    TCP listeners have SO_REUSEADDR, except on Windows.
    """
    balanced = _BALANCED.get(os)
    asked = (balanced,) if balanced in wanted.options and balanced else ()
    if _stream(socket):
        return OptionSet((*(() if os in WINSOCK else ("reuseaddr",)), *asked))
    if asked or not wanted.options:
        return OptionSet(asked)
    return OptionSet(("reuseport" if os in _SHARED else "reuseaddr",))


def _node(os: str, sockets: Sequence[GoalSocket], options: OptionSet) -> str:
    lines = ["const port = Number(process.argv[2]);"]
    for name, one in _named(sockets):
        if not one.listens:
            raise NoSnippet("net has no bind() without listen()")
        own = node_options(os, one, options).options
        balanced = _BALANCED.get(os) in own and _BALANCED.get(os) in options.options
        more = ", reusePort: true" if balanced else ""
        if _stream(one):
            more += ", ipv6Only: true" if one.v6only else ""
            lines += [f'const {name} = require("net").createServer();']
            lines += [f'{name}.listen({{ port, host: "{one.address}"{more} }}, () => {name}.close());']
        else:
            more = more or (", reuseAddr: true" if own else "")
            joins = f'{name}.addMembership("{one.joins}"); ' if one.joins else ""
            lines += [f'const {name} = require("dgram").createSocket({{ type: "{one.kind}"{more} }});']
            lines += [f'{name}.bind(port, "{one.address}", () => {{ {joins}{name}.close(); }});']
    return "\n".join(lines) + "\n"


LANGUAGES: dict[str, Callable[[str, Sequence[GoalSocket], OptionSet], str]] = {
    "python": _python,
    "c": _c,
    "go": _go,
    "rust": _rust,
    "node": _node,
}
