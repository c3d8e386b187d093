"""The C program, the Python program and the executor return the same, for hundreds of scenarios."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bindmatrix.execute import executor
from bindmatrix.execute.hosts import this_host
from bindmatrix.generate.any_calls import random_calls
from bindmatrix.generate.deliveries import random_deliveries
from bindmatrix.generate.matrix import matrix
from bindmatrix.generate.sequences import random_sequences
from bindmatrix.notation import parse
from bindmatrix.outcomes import DELIVERIES, delivery_class
from bindmatrix.reproduce import c_program, python_program
from bindmatrix.reproduce.cases import Case, build
from bindmatrix.reproduce.program_plan import ProgramPlan
from bindmatrix.rules import catalog

from tests.report import reproduce_driver

#: what the random sequences never hold: things that wait, groups, chosen ports, deliveries, several of a name
SPECIAL = [
    "a=tcp4 a.bind=127.0.0.1 a.listen x=a.accept x.close",
    "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept c.read x.close c.read c.close a.close",
    "a=tcp4 a.bind=127.0.0.1 c=tcp4 c.connect=127.0.0.1 x=a.accept b=tcp4 b.read c.close",
    "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 c.connect=127.0.0.1 a.connect=127.0.0.1 a.read",
    "a=tcp4 a.close a.close a.bind=127.0.0.1 a.listen a.reuseaddr=1 a.exclusive=1 x=a.accept a.read",
    "a=tcp4 a.exclusive=1 a.exclbind=0 a.reuseport_lb=1 a.v6only=1 a.bind=::1 a.connect=::1 a.bind=127.0.0.1",
    "a=tcp6 a.v6only=1 a.bind=::ffff:127.0.0.1 a.bind=127.0.0.1 a.v6only=0 a.bind=::ffff:127.0.0.1 a.v6only=1",
    "a=tcp4 a.bind=127.0.0.1,0 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1 b.close b=udp6 b.bind=:: b.bind=::,0",
    "a=udp4 a.bind=0.0.0.0 a.join=224.0.0.251 a.join=224.0.0.251 b=udp6 b.join=ff02::fb a.listen a.join=ff02::fb",
    "user=1001 a=tcp4 a.reuseport=1 a.bind=0.0.0.0 user=0 b=tcp4 b.reuseport=1 b.bind=0.0.0.0 user=1001 user=1002",
    "a=udp4 a.bind=192.0.2.1 a.bind=255.255.255.255 b=tcp4 b.bind=224.0.0.251 wait=3 d=tcp6 d.bind=ff02::fb",
    "a=udp4 a.reuseport=1 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.1 deliver=127.0.0.1 deliver=127.0.0.2",
    "a=udp4 a.reuseaddr=1 a.bind=0.0.0.0 a.join=224.0.0.251 b=udp4 b.reuseaddr=1 b.bind=0.0.0.0 deliver=224.0.0.251",
    "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseport=1 b.bind=127.0.0.1 b.listen deliver=127.0.0.1",
    "a=tcp6 a.v6only=0 a.bind=:: a.listen deliver=127.0.0.1 deliver=::1 a.close deliver=127.0.0.1",
    "a=udp6 a.v6only=0 a.bind=:: deliver=::ffff:127.0.0.1 deliver_flow=127.0.0.1 a.close deliver_flow=::1 deliver=::1",
    "a=tcp4 a.bind=127.0.0.1 deliver=127.0.0.1 b=udp4 deliver_flow=127.0.0.1",
    "a=udp4 a.bind=127.0.0.1 a.connect=127.0.0.1 a.connect=::1 b=udp6 b.v6only=0 b.bind=::1 b.connect=127.0.0.1",
    "a=mptcp4 a.bind=127.0.0.1 a.listen c=mptcp4 c.connect=127.0.0.1 x=a.accept a.close b=tcp4 b.bind=127.0.0.1",
    "a=mptcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseport=1 b.bind=127.0.0.1 deliver=127.0.0.1",
    "a=udplite4 a.reuseport=1 a.bind=0.0.0.0 b=udplite6 b.bind=:: b.reuseport=1 b.bind=:: c=udp4 c.bind=0.0.0.0",
]  # fmt: skip
#: how many of each generator
SEQUENCES, PAIRS, DELIVERED, CALLS = 120, 60, 10, 40


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """One case for each scenario that runs here; expected is what the executor saw."""
    pairs = [text for group in matrix("quick", users=True) for text in group.scenarios]
    texts = [*SPECIAL, *random_sequences(5, SEQUENCES, users=True), *random.Random(5).sample(pairs, PAIRS)]
    # one flow sticks to one of those who share it, and chance says to whom
    texts += [text for text in random_deliveries(5, DELIVERED) if "deliver_flow" not in text]
    texts += random_calls(5, CALLS)
    with this_host(4) as host:
        seen = {}
        for batch in host.run(texts):
            for line in batch:
                data = json.loads(line)
                seen[data["scenario"]] = data["outcomes"]
    found = []
    for text in dict.fromkeys(texts):
        outcomes = seen.get(text)
        if outcomes is not None:
            expect = [delivery_class(one) for one in outcomes]
            found.append(build(parse(text), {"os": "linux", "release": "6.18.44"}, expect=expect))
    assert len(found) > 100  # without root those that change the user are left out
    return found


def statics(program: str) -> set[str]:
    """The names at file level of a C program, beside macros: those are the same in every program."""
    names = set(re.findall(r"^static [^=;{]*?[ *](\w+)\(", program, re.MULTILINE))
    for declared in re.findall(r"^static int ([^({]*);$", program, re.MULTILINE):
        names |= {one.partition("=")[0].strip() for one in declared.split(",")}
    return names | {"main"}


def batch(programs: Sequence[str]) -> str:
    """All programs in one file: the names of each get its number, so that one compilation does for all."""
    text = ""
    for index, program in enumerate(programs):
        names = sorted(statics(program))
        text += "".join(f"#define {name} {name}_{index}\n" for name in names)
        text += program
        text += "".join(f"#undef {name}\n" for name in names)
    cases = "".join(
        f"    case {index}: return main_{index}({'' if 'int main(void)' in program else 'argc - 1, argv + 1'});\n"
        for index, program in enumerate(programs)
    )
    return text + (
        f"int main(int argc, char **argv)\n{{\n    switch (argc > 1 ? atoi(argv[1]) : -1) {{\n{cases}    }}\n"
        "    return 3;\n}\n"
    )


@pytest.fixture(scope="module")
def compiler() -> str:
    found = shutil.which("cc")
    if found is None:
        pytest.skip("no C compiler (cc) in PATH")
    return found


def compile_c(compiler: str, text: str, folder: Path, name: str) -> Path:
    source = folder / f"{name}.c"
    source.write_text(text, encoding="utf-8")
    target = folder / name
    command = [compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-o", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]
    return target


def run_all(compiler: str, cases: Sequence[Case], folder: Path) -> list[list[tuple[int, str]]]:
    """(status, output) of the C and of the Python form of every case."""
    compile_c(compiler, batch([c_program.program(case) for case in cases]), folder, "batch")
    for index, case in enumerate(cases):
        (folder / f"{index}.py").write_text(python_program.program(case), encoding="utf-8")
    command = [sys.executable, "-I", "-S", reproduce_driver.__file__, executor.__file__, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def shares(output: str) -> str:
    """The output without the numbers that chance decides."""
    return re.sub(r":(\d+)\b", lambda found: ":some" if 0 < int(found[1]) < DELIVERIES else found[0], output)


def test_c_python_and_executor_agree(compiler: str, cases: list[Case], tmp_path: Path) -> None:
    # more parts than cores: most of the time is spent in calls that wait
    parts = [cases[start::4] for start in range(4)]
    folders = [tmp_path / str(start) for start in range(4)]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda pair: run_all(compiler, *pair), zip(parts, folders, strict=True)))
    for part, results in zip(parts, found, strict=True):
        assert len(results) == len(part)
        for case, (c, python) in zip(part, results, strict=True):
            assert (c[0], python[0]) == (0, 0), (case.scenario.text, c, python)
            assert shares(c[1]) == shares(python[1]), (case.scenario.text, c, python)
            plan = ProgramPlan(case)
            told = [step.text for index, step in enumerate(plan.steps) if not plan.unchecked(index)]
            assert [row.split(None, 1)[0] for row in c[1].splitlines()[:-1]] == told


def test_another_outcome_ends_with_1(compiler: str, tmp_path: Path) -> None:
    """A program that could not fail would prove nothing."""
    text = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1"
    facts = {"os": "linux", "release": "6.18.44"}
    wrong = [
        ["ok", "ok", "ok", "ok"],
        ["ok", "EACCES", "ok", "EADDRINUSE"],
        ["ok", "ok", "refused", "EADDRINUSE"],
        ["ok", "ok", "ok", ("EACCES", "ok")],
    ]
    right = [
        ["ok", "ok", "ok", "EADDRINUSE"],
        [None, None, None, None],
        ["ok", "ok", "ok", ("EACCES", "EADDRINUSE")],
        ["ok", "ok", "ok", "refused"],
    ]
    cases = [build(parse(text), facts, expect=expect) for expect in [*wrong, *right]]
    results = run_all(compiler, cases, tmp_path)
    assert [(c[0], python[0]) for c, python in results] == [(1, 1)] * 2 + [(1, 1)] * 2 + [(0, 0)] * 4
    assert re.search(r"b.bind=127.0.0.1 +Address already in use\n +ok expected\n", results[0][0][1])


#: one for each helper that a program may need
ALONE = [
    *SPECIAL,
    "int=tcp4 int.bind=127.0.0.1 int.listen def=tcp4 def.connect=127.0.0.1 errno=int.accept def.read",
    "a=udp4 wait=1",
    "a=udp4 a.bind=127.0.0.1 a.connect=127.0.0.1",
    "a=tcp4 a.read",
    "a=udp4 deliver_flow=127.0.0.1",
    "user=1001",
]


@pytest.mark.parametrize("os", ["linux", "netbsd", "illumos"])
def test_each_program_includes_what_it_needs(os: str, compiler: str) -> None:
    """In a batch the headers of one program serve the others.  Clang sees other things than GCC.

    Whoever reports about another system compiles here first; failed first: programs about NetBSD that wait for a call.
    """
    compilers = dict.fromkeys([compiler, *filter(None, [shutil.which("clang")])])

    def check(text: str) -> None:
        case = build(parse(text), {"os": os, "release": catalog.expectations(os).covers[1]})
        compile(python_program.program(case), "repro.py", "exec")
        program = c_program.program(case)
        for one in compilers:
            command = [one, "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-x", "c", "-"]
            done = subprocess.run(command, input=program, capture_output=True, text=True, check=False)
            assert done.returncode == 0, (one, text, done.stderr)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(check, ALONE))
