"""Every recording becomes the scenarios that stand in ``data/expected.txt``; every case what stands here.

``expected.txt`` was compared with the traces by eye, and for the rows of ``expectations/runtimes`` with an earlier
parser's reading of the same traces (``test_catalogue.py``).
"""

from __future__ import annotations

import pytest
from bindmatrix.errors import Problem

from tests.programs.recordings import DATA, RECORDINGS, case, lines_of, recording

FORK = ["8080/tcp a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen a.close b=tcp4 b.bind=127.0.0.1 b.listen"]
ONE = ["8080/tcp a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen"]
MISC = [
    "8080/tcp a=tcp4 a.reuseport=1 a.bind=0.0.0.0 a.reuseaddr=1 a.listen",
    "8080/udp a=udp6 a.reuseaddr=1 a.bind=ff02::fb a.join=ff02::fb",
    "8082/tcp a=tcp6 a.v6only=0 a.bind=::ffff:127.0.0.1",
    "@fx/unix a=unix a.bind=@fx a.listen",
    "8083/tcp a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen",
    "8090/tcp a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1",
]
USERS = (
    "8080/tcp a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen user=65534 b=tcp4 b.reuseport=1 b.bind=127.0.0.1 b.listen"
    " [b.bind=127.0.0.1 EADDRINUSE]"
)
THREE_PROGRAMS = (
    f"{FORK[0]} b.close c=tcp4 c.reuseport=1 c.bind=0.0.0.0 c.reuseaddr=1 c.listen c.close"
    " d=tcp4 d.reuseaddr=1 d.bind=127.0.0.1 d.listen"
)


def expected() -> dict[str, tuple[str, list[str]]]:
    """recording -> what is folded, its scenarios."""
    found: dict[str, tuple[str, list[str]]] = {}
    name = ""
    for line in (DATA / "expected.txt").read_text("utf-8").splitlines():
        if line.startswith("  "):
            found[name][1].append(line.strip())
        else:
            name, _, folded = line.partition(": ")
            found[name] = (folded, [])
    return found


EXPECTED = expected()


def test_every_recording_is_expected() -> None:
    assert [path.name.removesuffix(".txt.gz") for path in RECORDINGS] == list(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recording_becomes_its_scenarios(name: str) -> None:
    calls, found = recording(name)
    folded = ", ".join(f"{number} {why}" for why, number in sorted(found.folded.items()))
    assert (folded or "nothing folded", lines_of(found)) == EXPECTED[name]
    assert (calls.lines.not_understood, dict(calls.unread), found.left_out) == (0, {}, ())


@pytest.mark.parametrize("name", ["gunicorn", "nginx-reuseport", "node-cluster-none", "uvicorn-workers"])
def test_inodes_and_descriptors_lead_to_the_same(name: str) -> None:
    """The same program with -y, where the inode says which socket it is, and without, where the table does."""
    with_inodes, found = recording(f"y-{name}")
    without, followed = recording(name)
    assert lines_of(found) == lines_of(followed)
    assert (with_inodes.descriptors.with_inodes, without.descriptors.with_inodes) == (True, False)


@pytest.mark.parametrize(
    ("name", "scenarios"),
    [
        ("daemon", ONE),
        ("fork-exec", FORK),
        ("scm-rights", ONE),
        ("signal", ONE),
        ("threads-unfinished", [ONE[0].replace("tcp ", "tcp+1 ", 1)]),
        ("misc", MISC),
        (
            "users-netns",
            [
                USERS,
                "8080/tcp in network namespace 2 a=tcp4 a.bind=127.0.0.1 a.listen",
            ],
        ),
        ("opt-k", ONE),
        ("opt-n-i", FORK),
        ("opt-qqq", FORK),
        ("opt-r", FORK),
        ("opt-seccomp-bpf", FORK),
        ("opt-tt-T", FORK),
        ("opt-ttt", FORK),
        ("opt-v-s0", ONE),
        ("opt-xx", ONE),
        ("opt-X-verbose", FORK),
        ("opt-X-raw", MISC),
        ("opt-y", FORK),
        ("opt-yy", MISC),
        ("opt-Y", FORK),
        ("opt-z", MISC),
        ("opt-inject", [f"{FORK[0]} [a.bind=127.0.0.1 EADDRINUSE]"]),
        (
            "stderr-mixed",
            [
                THREE_PROGRAMS,
                *MISC[1:],
            ],
        ),
        ("io_uring", []),
        ("opt-raw", []),
    ],
)
def test_a_case(name: str, scenarios: list[str]) -> None:
    calls, found = case(f"{name}.txt")
    assert lines_of(found) == scenarios
    assert calls.lines.not_understood == 0


def test_a_file_for_each_process() -> None:
    assert lines_of(case("opt-ff.22516", "opt-ff.22517")[1]) == FORK


def test_what_a_trace_cannot_tell_is_told() -> None:
    raw, found = case("opt-raw.txt")
    assert dict(raw.unread) == {
        "bind(): the trace holds a pointer, no address (strace -e raw)": 2,
        "setsockopt(): the trace holds a pointer, no value (strace -e raw)": 1,
    }
    assert found.left_out == (("a socket whose address is not in the trace (strace -e raw)", 2),)
    assert case("io_uring.txt")[0].descriptors.io_uring == 1
    assert case("opt-inject.txt")[0].lines.traits["injected"] == 1
    with pytest.raises(Problem, match="a table of 'strace -c' holds no calls"):
        case("opt-c-summary.txt")


def test_what_the_notation_does_not_have_is_listed() -> None:
    found = {one.ports[0]: dict(one.not_modelled) for one in case("misc.txt")[1].scenarios}
    assert found["8090/tcp"] == {
        "a: IP_BIND_ADDRESS_NO_PORT: takes the port at connect()": 1,
        "a: connects to 127.0.0.1 port 8083": 1,
    }
    assert found["8080/udp"] == {"a: the scope of its address (an interface)": 1}
    (pyhttp,) = recording("pyhttp")[1].scenarios
    assert pyhttp.not_modelled == (("a: v6only=0 failed with ENOPROTOOPT and is left out", 1),)
