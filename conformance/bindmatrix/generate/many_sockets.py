"""More than ten sockets on one port: some kernels then use another lookup.

Linux hashes UDP sockets by port, and by port and address: a bind() on a port with more than ten of them walks the other
chain (``udp_lib_get_port()``).  The pairs and the sequences of up to six sockets never reach that number.
"""

from __future__ import annotations

import random
from collections.abc import Collection

from bindmatrix.generate.axes import ENDPOINTS, USER_IDS

#: the option that lets them share
_SHARING = ("reuseaddr", "reuseport")
_SIZES = (9, 10, 11, 12)
_NAMES = "abcdefghijklmnopqrstuvwxyz"


def random_crowds(seed: int, count: int, *, users: bool = False, lacking: Collection[str] = ()) -> list[str]:
    """``count`` distinct scenarios of 10 to 14 datagram sockets, the same for the same arguments on every machine.

    ``users``: the last ones may be another user's.  ``lacking``: features (rows of ``axes.FEATURES``) to do without.
    """
    source = random.Random(f"crowds {seed}")  # noqa: S311 - not for secrets
    endpoints = [one for one in ENDPOINTS if "udp" in one.protocols and not one.needs & set(lacking)]
    users = users and "users" not in lacking
    found: dict[str, None] = {}
    for _ in range(20 * count):
        if len(found) == count:
            break
        steps: list[str] = []
        sharing = source.choice(_SHARING)
        crowd = source.sample(endpoints, 2)
        names = iter(_NAMES)
        for _ in range(source.choice(_SIZES)):
            endpoint = crowd[0] if source.random() < 0.8 else crowd[1]
            steps += _socket(next(names), endpoint.family, endpoint.v6only, [sharing], endpoint.address)
        if source.random() < 0.3:
            steps.append(f"{source.choice(_NAMES[:9])}.{sharing}=0")
        if users and source.random() < 0.3:
            steps.append(f"user={source.choice(USER_IDS)}")
        for _ in range(source.randint(1, 2)):
            endpoint = source.choice(endpoints)
            options = source.sample(_SHARING, source.randint(0, 2))
            steps += _socket(next(names), endpoint.family, endpoint.v6only, options, endpoint.address)
        found[" ".join(steps)] = None
    return list(found)


def _socket(name: str, family: str, v6only: str, options: list[str], address: str) -> list[str]:
    calls = [*([f"v6only={v6only}"] if v6only else []), *[f"{option}=1" for option in options], f"bind={address}"]
    return [f"{name}=udp{family}", *[f"{name}.{call}" for call in calls]]
