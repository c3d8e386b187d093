"""Mutated files through every reader: no traceback, no five seconds for a file, nothing that steers a terminal.

A few seconds of it belong to the tests.  ``BINDMATRIX_FUZZ`` is the number of seconds for all readers together: a
minute in each run of CI, an hour every week.  Hypothesis shrinks a file that fails; put it into ``corpus/READER/``,
where it is read in every run from then on.
"""

from __future__ import annotations

import os
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
#: seconds of processor time for one file
MOST_SECONDS = 5.0

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
