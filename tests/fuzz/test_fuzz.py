"""Mutated files through every reader: no traceback, no five seconds for a file, nothing that steers a terminal.

A few seconds of it belong to the tests.  ``BINDMATRIX_FUZZ`` is the number of seconds for all readers together: a
minute in each run of CI, an hour every week.  ``BINDMATRIX_FUZZ_FILES`` is a number of files, such as 100000, that are
mutated without Hypothesis, which is many times as fast.

Hypothesis shrinks a file that fails; put it into ``corpus/READER/``, where it is read in every run from then on.  The
files that are there failed once, or are the first that got one of the complaints of their reader.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.readers import READERS, check

CORPUS = Path(__file__).parent / "corpus"
KEPT = sorted(path for path in CORPUS.glob("*/*") if path.is_file())
#: seconds for all readers
SECONDS = float(os.environ.get("BINDMATRIX_FUZZ", "4"))
#: files for all readers
FILES = int(os.environ.get("BINDMATRIX_FUZZ_FILES", "0"))
#: seconds of processor time for one file, and megabytes for all
MOST_SECONDS, MOST_MEGABYTES = 5.0, 500

TOKENS = [
    *(
        b"[",
        b"]",
        b"{",
        b"}",
        b'"',
        b"'",
        b":",
        b",",
        b"\n",
        b"\r\n",
        b"\t",
        b"\\",
        b"#",
        b"|",
        b"*",
        b"&",
        b"%",
        b"~",
        b"=",
        b".",
    ),
    *(
        b"null",
        b"true",
        b"-1",
        b"0",
        b"1e999",
        b"NaN",
        b"[]",
        b"{}",
        b'""',
        b"\\ud800",
        b"\\u0000",
        b"\\u001b[2J",
        b"yes",
    ),
    *(
        b"\0",
        b"\x1b[2J",
        b"\x07",
        b"\xff",
        b"\xc2\xb2",
        b"\xe2\x80\xae",
        b"\xf0\x9f\x92\xa9",
        b"\xed\xa0\x80",
        b"\n::error::x",
    ),
    *(b"*a", b"&a ", b"!!python/object/apply:os.system ", b"<<: ", b"%lo", b"../../", b"$(id)", b"<script>", b"]]>"),
    *(
        b"[" * 5_000,
        b"{a: " * 500,
        b"9" * 5_000,
        b"-" * 3_000,
        b"a" * 300,
        b"(" * 2_000,
        b"a=tcp4 " * 300,
        b"0x" + b"f" * 5_000,
    ),
    *(
        b" a.bind=::ffff:127.0.0.1",
        b" x=a.accept",
        b" wait=1",
        b" deliver=127.0.0.1",
        b"EADDRINUSE",
        b"a:16,b:16",
        b"refused",
    ),
]
#: where, how many bytes go, and what comes there
EDIT = st.tuples(st.integers(0, 1 << 20), st.integers(0, 40), st.one_of(st.sampled_from(TOKENS), st.binary(max_size=6)))
EDITS = st.lists(EDIT, min_size=1, max_size=6)


def edited(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for place, gone, token in edits:
        place %= len(data) + 1
        data = data[:place] + token + data[place + gone :]
    return data


@pytest.fixture(autouse=True)
def _every_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINDMATRIX_TRACEBACK", "1")


@pytest.mark.parametrize("name", READERS)
def test_the_files_that_are_mutated_are_read(name: str, tmp_path: Path) -> None:
    assert READERS[name].seeds
    for data in READERS[name].seeds:
        check(name, data, tmp_path)


@pytest.mark.parametrize("path", KEPT, ids=[f"{path.parent.name}-{path.name}" for path in KEPT])
def test_what_failed_once(path: Path, tmp_path: Path) -> None:
    check(path.parent.name, path.read_bytes(), tmp_path)


@pytest.mark.parametrize("name", READERS)
def test_mutated_files(name: str, tmp_path: Path, record_property: pytest.FixtureRequest) -> None:
    end = time.monotonic() + SECONDS / len(READERS)
    count = 0

    @settings(
        max_examples=50 if SECONDS < 30 else 500,
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(READERS[name].seeds), EDITS)
    def mutated(seed: bytes, edits: list[tuple[int, int, bytes]]) -> None:
        nonlocal count
        if time.monotonic() > end and count > 20:
            return
        count += 1
        started = time.process_time()
        check(name, edited(seed, edits), tmp_path)
        assert time.process_time() - started < MOST_SECONDS

    mutated()
    while time.monotonic() < end:
        mutated()
    record_property("files", count)  # type: ignore[operator]
    print(f"{name}: {count} files")
    assert count


@pytest.mark.skipif(not FILES, reason="BINDMATRIX_FUZZ_FILES is not set")
@pytest.mark.parametrize("name", READERS)
def test_many_mutated_files(name: str, tmp_path: Path) -> None:
    """No traceback, no hang, and less than 500 MB for all of them in one process."""
    resource = pytest.importorskip("resource")
    draw = random.Random(os.environ.get("BINDMATRIX_FUZZ_SEED", ""))
    slowest = 0.0
    for _ in range(-(-FILES // len(READERS))):
        edits = [_edit(draw) for _ in range(draw.randint(1, 6))]
        data = edited(draw.choice(READERS[name].seeds), edits)
        started = time.process_time()
        try:
            check(name, data, tmp_path)
        except BaseException:
            print(f"{name} fails for {data!r}")
            raise
        slowest = max(slowest, time.process_time() - started)
        assert slowest < MOST_SECONDS, data
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{name}: {-(-FILES // len(READERS))} files, the slowest {slowest:.2f} s, {megabytes} MB")
    assert megabytes < MOST_MEGABYTES


def _edit(draw: random.Random) -> tuple[int, int, bytes]:
    """As ``EDIT``."""
    token = draw.choice(TOKENS) if draw.random() < 0.7 else draw.randbytes(draw.randint(0, 6))
    return draw.randrange(1 << 20), draw.randint(0, 40), token
