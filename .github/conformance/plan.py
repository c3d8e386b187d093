"""Chooses the machines of a run: prints the matrices of the jobs as lines for $GITHUB_OUTPUT.

    SYSTEMS='ubuntu-* freebsd-15.1' LABEL=nightly python3 plan.py >> "$GITHUB_OUTPUT"

SYSTEMS holds names or patterns from hosts.json; empty, it is DEFAULT.  A machine whose date ``until`` has come runs
only when it is named in full: a job for a label that GitHub has withdrawn waits a day before it fails.  LABEL starts
the names of the artefacts.  Nothing of SYSTEMS is printed: what the jobs get is what hosts.json says.
"""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

HOSTS = Path(__file__).with_name("hosts.json")
#: one of each system that most libraries support; the newest, where its runners differ little
DEFAULT = "ubuntu-24.04 macos-15 windows-2025 freebsd-15.1"
Host = dict[str, str]


def chosen(hosts: dict[str, list[Host]], systems: str, today: str) -> dict[str, list[Host]]:
    """The machines by kind on the day ``today`` (YYYY-MM-DD); raises SystemExit when a pattern fits none."""
    patterns = systems.split() or DEFAULT.split()
    names = [host["name"] for listed in hosts.values() for host in listed]
    wrong = [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)]
    if wrong:
        raise SystemExit(f"plan.py: no machine is called {', '.join(map(ascii, wrong))}; there are {', '.join(names)}")

    def runs(host: Host) -> bool:
        if host["name"] in patterns:
            return True
        return today < host.get("until", "9999") and any(fnmatchcase(host["name"], pattern) for pattern in patterns)

    return {kind: [host for host in listed if runs(host)] for kind, listed in hosts.items()}


def prefix(label: str) -> str:
    """What starts the names of the artefacts; raises SystemExit for a label that cannot be part of one."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{0,40}", label):
        raise SystemExit(f"plan.py: label: expected at most 40 letters, digits, '.', '_' or '-', got {label!a}")
    return f"{label}-" if label else ""


def main() -> int:
    hosts = json.loads(HOSTS.read_text(encoding="utf-8"))
    listing = chosen(hosts, os.environ.get("SYSTEMS", ""), datetime.now(UTC).date().isoformat())
    start = prefix(os.environ.get("LABEL", ""))
    for kind, listed in listing.items():
        print(f"{kind}={json.dumps(listed)}")
    print("names=" + " ".join(host["name"] for listed in listing.values() for host in listed))
    print(f"prefix={start}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
