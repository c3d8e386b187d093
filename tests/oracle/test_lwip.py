"""What lwIP does otherwise than kernels; recorded in expectations/evidence/lwip-2.1.3."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bindmatrix.notation import parse
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog

from tests.oracle.reference import ReferenceEvaluator

TURNS = "a=tcp6 a.v6only=0 a.bind=:: a.listen b=tcp6 b.v6only=1 b.bind=:: b.listen deliver=::1"

#: scenario -> its steps that are not ok
CASES = {
    "a=tcp6 a.v6only=0 a.bind=:: b=tcp6 b.bind=::1": "",
    "a=tcp6 a.v6only=0 a.bind=:: b=tcp4 b.bind=127.0.0.1": "b.bind=EADDRINUSE",
    "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 b.listen": (
        "b.listen=EADDRINUSE"
    ),
    "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 b.listen": "",
    "a=udp4 a.bind=192.0.2.1": "",
    "a=tcp4 a.connect=127.0.0.1 a.listen": "a.connect=ECONNRESET a.listen=ENOTCONN",
    "a=tcp4 a.bind=::1": "a.bind=EINVAL",
}


@pytest.mark.parametrize("scenario", CASES)
def test_lwip(not_ok: Callable[[str, str, str], str], scenario: str) -> None:
    assert not_ok("lwip", "2.1.3", scenario) == CASES[scenario]


@pytest.mark.parametrize("evaluator", [None, ReferenceEvaluator])
def test_wildcards_take_turns(evaluator: type[ReferenceEvaluator] | None) -> None:
    """Failed first: who is found moves to the front at each connection, not once a delivery."""
    model = catalog.expectations("lwip").at("2.1.3")
    oracle = Oracle(model, evaluator(model) if evaluator else None)  # type: ignore[arg-type]
    assert oracle.predict(TURNS).outcomes[-1] == "spread:a,b"
    # of three the last connection of a delivery leaves another one in front
    three = TURNS.replace("deliver", "c=tcp4 c.bind=0.0.0.0 c.listen deliver") + " c.close deliver=::1"
    assert oracle.predict(parse(three)).outcomes[-1] == "spread:a,b"
