"""The arguments of calls as strace writes them, by name (``AF_INET``), by number (-X raw) or both (-X verbose).

Numbers are those of Linux's generic headers (x86, ARM, RISC-V; MIPS, SPARC, Alpha and PA-RISC differ).
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from bindmatrix.notation import SOCKET_KINDS, address_text
from bindmatrix.programs.strace_lines import integer

_FAMILIES = {1: "AF_UNIX", 2: "AF_INET", 10: "AF_INET6", 16: "AF_NETLINK", 17: "AF_PACKET", 40: "AF_VSOCK"}
_TYPES = {1: "SOCK_STREAM", 2: "SOCK_DGRAM", 3: "SOCK_RAW", 5: "SOCK_SEQPACKET"}
_PROTOCOLS = {0: "", 6: "IPPROTO_TCP", 17: "IPPROTO_UDP", 132: "IPPROTO_SCTP", 136: "IPPROTO_UDPLITE"}
_PROTOCOLS |= {262: "IPPROTO_MPTCP"}
_LEVELS = {0: "SOL_IP", 1: "SOL_SOCKET", 6: "SOL_TCP", 17: "SOL_UDP", 41: "SOL_IPV6"}
_OPTIONS = {
    ("SOL_SOCKET", 2): "SO_REUSEADDR",
    ("SOL_SOCKET", 15): "SO_REUSEPORT",
    ("SOL_SOCKET", 25): "SO_BINDTODEVICE",
    ("SOL_SOCKET", 51): "SO_ATTACH_REUSEPORT_CBPF",
    ("SOL_SOCKET", 52): "SO_ATTACH_REUSEPORT_EBPF",
    ("SOL_IP", 15): "IP_FREEBIND",
    ("SOL_IP", 19): "IP_TRANSPARENT",
    ("SOL_IP", 24): "IP_BIND_ADDRESS_NO_PORT",
    ("SOL_IP", 35): "IP_ADD_MEMBERSHIP",
    ("SOL_IP", 42): "MCAST_JOIN_GROUP",
    ("SOL_IPV6", 20): "IPV6_ADD_MEMBERSHIP",
    ("SOL_IPV6", 26): "IPV6_V6ONLY",
    ("SOL_IPV6", 42): "MCAST_JOIN_GROUP",
}
_CLONE = {0x400: "CLONE_FILES", 0x10000: "CLONE_THREAD", 0x40000000: "CLONE_NEWNET"}

_COMMENT = re.compile(r"/\*.*?\*/")
_DESCRIPTOR = re.compile(r"(-?\d{1,10}|0x[0-9a-f]{1,8})(?:<(.*)>(?:\(deleted\))?)?\Z")
_INODE = re.compile(r"(?:socket|[A-Za-z0-9-]+):\[(\d+)(?:[,\]-]|\Z)")
_INTEGER = re.compile(r"-?(?:0x[0-9a-f]{1,16}|\d{1,20})\Z")
_STRING = r'@?"((?:[^"\\]|\\.)*)"'
_PORT = re.compile(r"sin6?_port=(?:htons\((\d{1,5})\)|" + _STRING + ")")
_ADDRESS4 = re.compile(r"(?:sin_addr|imr_multiaddr)=(?:inet_addr\(" + _STRING + r"\)|htonl\((\w+)\)|" + _STRING + ")")
_ADDRESS6 = re.compile(r"inet_pton\((?:AF_INET6|0xa[^,]*), " + _STRING + "|(?:sin6_addr|ipv6mr_multiaddr)=" + _STRING)
_PATH = re.compile(r"sun_path=(@?)" + _STRING)
_VSOCK = re.compile(r"svm_cid=(\w+).*?svm_port=(\w+)|svm_port=(\w+).*?svm_cid=(\w+)")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)")
_CIDS = {"VMADDR_CID_ANY": "cid:any", "0xffffffff": "cid:any", "4294967295": "cid:any"}
_CIDS |= {"VMADDR_CID_LOCAL": "cid:local", "0x1": "cid:local", "1": "cid:local"}
_KIND_OF = {(kind.family, kind.type, kind.protocol): name for name, kind in SOCKET_KINDS.items()}
#: what -yy writes before the ``:[``
_DECORATIONS = {"TCP": "tcp4", "TCPv6": "tcp6", "UDP": "udp4", "UDPv6": "udp6"}


class SocketAddress(NamedTuple):
    """An address as the notation writes it, and the port, or the whole name of a Unix socket."""

    text: str
    #: 0: the kernel chooses
    port: int | str


def number(text: str) -> int | None:
    """A number; None where it is a name or a pointer's text."""
    text = _COMMENT.sub("", text).strip()
    return integer(text) if _INTEGER.match(text) else None


def descriptor(text: str) -> tuple[int, str]:
    """The descriptor and what -y says that it is (``socket:[4711]``); (-1, "") where it is none."""
    found = _DESCRIPTOR.match(text)
    return (integer(found[1]), found[2] or "") if found else (-1, "")


def inode(text: str) -> str:
    """The inode of a socket out of what -y writes; "" where it has none: -yy writes the addresses of a bound one."""
    found = _INODE.match(text)
    return found[1] if found else ""


def kind_of_decoration(text: str) -> str:
    """The kind of socket that -yy names; ""."""
    return _DECORATIONS.get(text.partition(":")[0], "")


def _name(text: str, names: dict[int, str]) -> str:
    value = number(text)
    return names.get(value, f"{value:#x}") if value is not None else _COMMENT.sub("", text).strip()


def socket_kind(arguments: tuple[str, ...]) -> tuple[str, str]:
    """The kind of the notation that socket(FAMILY, TYPE, PROTOCOL) makes, or "" and what it is instead."""
    if len(arguments) < 3:
        return "", "a socket of an unknown kind"
    family = _name(arguments[0], _FAMILIES)
    form = "|".join(_name(one, _TYPES) for one in _COMMENT.sub("", arguments[1]).split("|")[:1])
    protocol = _name(arguments[2], _PROTOCOLS)
    protocol = "" if protocol in ("IPPROTO_IP", "0") else protocol.removeprefix("IPPROTO_").lower()
    families = {"AF_INET": "ipv4", "AF_INET6": "ipv6", "AF_UNIX": "unix", "AF_LOCAL": "unix", "AF_VSOCK": "vsock"}
    forms = {"SOCK_STREAM": "stream", "SOCK_DGRAM": "datagram"}
    key_family, key_form = families.get(family, ""), forms.get(form, "")
    if key_family in ("ipv4", "ipv6"):
        protocol = protocol or {"stream": "tcp", "datagram": "udp"}.get(key_form, "")
    else:
        protocol = {"stream": key_family, "datagram": f"{key_family}gram"}.get(key_form, "")
    kind = _KIND_OF.get((key_family, key_form, protocol), "")
    said = f"{family} {form}" + (f" {arguments[2]}" if number(arguments[2]) != 0 else "")
    return kind, "" if kind else said


def option(level: str, name: str) -> str:
    """The option as the headers name it, ``SO_REUSEADDR``; an unknown one as it is written."""
    of = _name(level, _LEVELS)
    value = number(name)
    return _OPTIONS.get((of, value), f"{of} option {value}") if value is not None else name


def option_value(text: str) -> int | None:
    """0 or 1 of a boolean option; None where the trace does not hold it (-e raw writes a pointer)."""
    value = number(text.strip("[]")) if text.startswith("[") else None
    return None if value is None else int(bool(value))


def flags(text: str) -> set[str]:
    """The flags of clone() that matter here, by name; ``text`` is all its arguments."""
    words = {name for name in _CLONE.values() if re.search(rf"\b{name}\b", text)}
    field = re.search(r"flags=([^,}]*)", text)
    for value in re.findall(r"\b0x[0-9a-f]{1,16}\b", field[1]) if field else ():
        words |= {name for bit, name in _CLONE.items() if int(value, 16) & bit}
    return words


def plain(text: str) -> bytes:
    """A string without the escapes of C, as strace writes it between quotes."""

    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] == "x" and len(code) == 3:
            return chr(int(code[1:], 16))
        if code[0] in "01234567":
            return chr(int(code, 8) & 255)
        return {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}.get(code, code)

    return _ESCAPE.sub(one, text).encode("latin-1", "replace")


def address(text: str) -> SocketAddress | None:
    """The address in a ``{sa_family=..., ...}``; None where it holds none that the notation can write."""
    if "sun_path=" in text:
        return _unix(text)
    if "svm_cid=" in text:
        return _vsock(text)
    where, port = _PORT.search(text), 0
    if where is None:
        return None
    port = int(where[1]) if where[1] else int.from_bytes(plain(where[2] or ""), "big")
    value = ip(text)
    return None if value is None or port > 65535 else SocketAddress(value, port)


def ip(text: str) -> str | None:
    """The IP address of a socket address or of a membership; None where it holds none."""
    if found := _ADDRESS4.search(text):
        if found[2]:
            return {"INADDR_ANY": "0.0.0.0", "INADDR_LOOPBACK": "127.0.0.1"}.get(found[2])
        value = plain(found[1] or found[3] or "")
    elif found := _ADDRESS6.search(text):
        value = plain(found[1] or found[2] or "")
    else:
        return None
    try:
        if re.fullmatch(rb"[0-9a-fA-F.:]+", value):
            return address_text(ipaddress.ip_address(value.decode()))
        return address_text(ipaddress.IPv4Address(value) if len(value) == 4 else ipaddress.IPv6Address(value))
    except ValueError:
        return None


def _unix(text: str) -> SocketAddress | None:
    found = _PATH.search(text)
    if found is None or not found[2]:
        return None
    return unix_address(found[1], plain(found[2]).decode("utf-8", "replace"))


def unix_address(mark: str, name: str) -> SocketAddress:
    """The name of a Unix socket as the notation writes it; ``mark`` is ``@`` for an abstract one, else ""."""
    short = re.sub(r"[^a-z0-9_]", "_", name.rsplit("/", 1)[-1].lower())[:32]
    return SocketAddress((mark or "/") + (short or "_"), mark + name)


def _vsock(text: str) -> SocketAddress | None:
    found = _VSOCK.search(text)
    if found is None:
        return None
    cid, port = found[1] or found[4], found[2] or found[3]
    value = number(port)
    return SocketAddress(_CIDS.get(cid, "cid:own"), 0 if value is None or value == 0xFFFFFFFF else value)
