"""Chooses the machines of a run: prints the matrices of the jobs as lines for $GITHUB_OUTPUT.

    SYSTEMS='ubuntu-* freebsd-15.1' python3 plan.py >> "$GITHUB_OUTPUT"

SYSTEMS holds names or patterns out of hosts.json; empty, every machine runs that need not be named, and with CHECK (a
file of a library's needs) those of DEFAULT_OF_CHECK.  Nothing of SYSTEMS
is printed there: what goes on to the jobs is what stands in hosts.json.
"""

from __future__ import annotations

import json
import os
import sys
from fnmatch import fnmatchcase
from pathlib import Path

HOSTS = Path(__file__).with_name("hosts.json")
#: one of each system that most libraries are for; the newest, where runners differ little
DEFAULT_OF_CHECK = "ubuntu-24.04 macos-15 windows-2025 freebsd-15.1"
Host = dict[str, str]


def chosen(hosts: dict[str, list[Host]], systems: str) -> dict[str, list[Host]]:
    """The machines by kind; raises SystemExit when a pattern fits none."""
    patterns = systems.split()
    names = [host["name"] for listed in hosts.values() for host in listed]
    wrong = [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)]
    if wrong:
        raise SystemExit(f"plan.py: no machine is called {', '.join(map(ascii, wrong))}; there are {', '.join(names)}")
    return {
        kind: [
            host
            for host in listed
            if any(fnmatchcase(host["name"], pattern) for pattern in patterns)
            or (not patterns and "only_when_named" not in host)
        ]
        for kind, listed in hosts.items()
    }


def main() -> int:
    systems = os.environ.get("SYSTEMS", "").strip() or (DEFAULT_OF_CHECK if os.environ.get("CHECK") else "")
    hosts = chosen(json.loads(HOSTS.read_text(encoding="utf-8")), systems)
    for kind, listed in hosts.items():
        print(f"{kind}={json.dumps(listed)}")
    print("names=" + " ".join(host["name"] for listed in hosts.values() for host in listed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
