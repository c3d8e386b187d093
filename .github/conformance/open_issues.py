"""Opens an issue for each divergence that has none yet: `python3 open_issues.py judged/issues`.

The folder holds what `bindmatrix collect` wrote, a request a file, whose name is the key of the divergence.  A key that
the first line of an issue with the label holds is known, be the issue open or closed: what somebody closed is not
opened again every week.  MOST (default 10) bounds what one run opens; the rest waits for the next.

Wants `gh` with a token that may write issues, and GITHUB_REPOSITORY.  What a machine said reaches `gh` on its standard
input alone, never as a word of a command.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

LABEL = "divergence"
MARKER = re.compile(r"<!-- bindmatrix-divergence: ([0-9a-f]{16}) -->")


def gh(*words: str, request: str = "") -> str:
    return subprocess.run(["gh", *words], input=request, text=True, check=True, stdout=subprocess.PIPE).stdout


def known() -> set[str]:
    """The keys of the issues that there are."""
    listed = json.loads(gh("issue", "list", "--label", LABEL, "--state", "all", "--limit", "5000", "--json", "body"))
    found = (MARKER.match(one["body"]) for one in listed)
    return {match[1] for match in found if match}


def new(folder: Path, have: set[str]) -> list[dict[str, Any]]:
    """The requests for divergences that have no issue."""
    requests = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return [request for request in requests if request["key"] not in have]


def main() -> int:
    folder = Path(sys.argv[1])
    most = int(os.environ.get("MOST") or 10)
    gh("label", "create", LABEL, "--force", "--description", "A host contradicts its expectation file")
    requests = new(folder, known())
    for request in requests[:most]:
        body = {name: request[name] for name in ("title", "body", "labels")}
        path = f"repos/{os.environ['GITHUB_REPOSITORY']}/issues"
        answer = gh("api", "--method", "POST", path, "--input", "-", request=json.dumps(body))
        print(json.loads(answer)["html_url"])
    if len(requests) > most:
        print(f"{len(requests) - most} further divergences have no issue yet; they wait for the next run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
