"""Runs reproducers, each on a port of its own, in a network namespace of their own where that is possible.

``python reproduce_driver.py EXECUTOR FOLDER``: the folder holds ``batch`` (all C programs in one, chosen by its first
argument) and ``0.py``, ``1.py``...; one line for each: the exit status and the output of the C and of the Python form.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def run_python(program: str, port: int) -> tuple[int, str]:
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            status: object = 3
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            sys.stdout = os.fdopen(1, "w", closefd=False)
            sys.argv = ["repro.py", str(port)]
            try:
                exec(compile(program, "repro.py", "exec"), {"__name__": "__main__"})
            except SystemExit as end:
                status = end.code
            finally:
                sys.stdout.flush()
                os._exit(int(status))  # type: ignore[call-overload]
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        return status, output.read()


def main(executor: str, folder: Path) -> None:
    spec = importlib.util.spec_from_file_location("executor", executor)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.Executor("auto"):
        for index in range(len(list(folder.glob("*.py")))):
            port = 10_001 + 2 * index
            c = subprocess.run(
                [folder / "batch", str(index), str(port)], capture_output=True, text=True, check=False, timeout=20
            )
            python = run_python((folder / f"{index}.py").read_text(encoding="utf-8"), port + 1)
            print(json.dumps([[c.returncode, c.stdout + c.stderr], python]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
