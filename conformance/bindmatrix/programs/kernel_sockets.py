"""The sockets that Linux lists in /proc/PID/net: every bound socket of a network namespace, of any process.

Their inodes are the ones that ``strace -y`` and /proc/PID/fd name.  Formats: the kernel's
Documentation/networking/proc_net_tcp.rst.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from bindmatrix.notation import address_text

#: file of /proc/PID/net -> kind of socket
_FILES = {"tcp": "tcp4", "tcp6": "tcp6", "udp": "udp4", "udp6": "udp6", "udplite": "udplite4", "udplite6": "udplite6"}
_TCP_LISTEN, _UNCONNECTED = "0A", "07"


class KernelSocket(NamedTuple):
    """A listening TCP socket, or a bound datagram socket that is not connected."""

    kind: str
    address: str
    port: int
    inode: str
    #: who made it
    user: int


def listed(pid: int | str = "self") -> list[KernelSocket]:
    """The sockets in the network namespace of a process; none when it has ended."""
    found = []
    for file, kind in _FILES.items():
        try:
            text = Path(f"/proc/{pid}/net/{file}").read_text("ascii")
        except (OSError, UnicodeDecodeError):
            continue
        wanted = _TCP_LISTEN if kind.startswith("tcp") else _UNCONNECTED
        for line in text.splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == wanted:
                address, _, port = fields[1].partition(":")
                found.append(KernelSocket(kind, _address(address), int(port, 16), fields[9], int(fields[7])))
    return found


def _address(text: str) -> str:
    """The address of ``0100007F``: words of 32 bits, each in the byte order of the machine."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return address_text(ipaddress.ip_address(packed))


def processes() -> Iterator[int]:
    """The processes that /proc lists."""
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def descriptors(pid: int) -> dict[int, str]:
    """Descriptor -> inode of the sockets of a process; raises OSError where one may not look."""
    found = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:  # closed meanwhile
            continue
        if target.startswith("socket:["):
            found[int(entry.name)] = target[8:-1]
    return found


def held(pids: Iterable[int]) -> set[str]:
    """The inodes of all sockets that these processes have open, as far as one may look."""
    found: set[str] = set()
    for pid in pids:
        try:
            found.update(descriptors(pid).values())
        except OSError:  # gone, or somebody else's
            continue
    return found
