"""Kinds of socket beside TCP and UDP: what is described, what is not, since which release."""

from __future__ import annotations

import pytest
from bindmatrix.judge.verdicts import Judge, VerdictKind
from bindmatrix.notation import SOCKET_KINDS
from bindmatrix.observe.recordings import Observation
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.outcomes import Expected
from bindmatrix.rules import catalog


def outcomes(scenario: str, os: str = "linux", release: str = "6.18.44") -> tuple[Expected, ...]:
    return Oracle(catalog.expectations(os).at(release)).predict(scenario).outcomes


@pytest.mark.parametrize("os", [os for os in catalog.names() if os != "linux"])
@pytest.mark.parametrize(
    "kind", [kind for kind, row in SOCKET_KINDS.items() if row.protocol not in ("tcp", "udp", "remote")]
)
def test_a_kind_that_nobody_described_is_unknown_and_so_is_what_happens_beside_it(os: str, kind: str) -> None:
    expectations = catalog.expectations(os)
    if SOCKET_KINDS[kind].protocol in expectations.stack.sockets:
        pytest.skip("described")
    text = f"a={kind} a.listen b=tcp4 b.bind=127.0.0.1 a.close b.listen user=1001 deliver=127.0.0.1"
    found = Oracle(expectations.at(expectations.covers[1])).predict(text)
    if found.outcomes[0] is None:
        assert found.outcomes == (None, None, "ok", None, None, None, found.outcomes[6], None)
        assert [rule.id for rule in found.rules[3]] == ["api.not-described-kind"]
    else:  # the file says that there is none: an error, and every step on it is on a closed socket
        assert found.outcomes[:2] == (found.rules[0][0].errors[0], "EBADF")
        assert found.outcomes[3] == "ok"


def test_an_accepted_socket_of_such_a_kind_is_one_of_it() -> None:
    assert outcomes("a=unix x=a.accept x.bind=/x x.close x.listen", "freebsd", "13.0") == (None,) * 4 + ("EBADF",)


@pytest.mark.parametrize(
    ("release", "outcome"),
    [("6.12.8", "ok"), ("6.12.9", "EOPNOTSUPP"), ("6.1.123", "ok"), ("6.1.124", "EOPNOTSUPP"), ("6.13", "EOPNOTSUPP"),
     ("5.10.218", "ok")],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["unix", "unixgram", "vsock"])
def test_reuseport_is_for_ip_alone(kind: str, release: str, outcome: str) -> None:
    assert outcomes(f"a={kind} a.reuseport=1 a.reuseport=0", release=release) == ("ok", outcome, "ok")


def test_udp_lite_is_gone() -> None:
    text = "a=udplite4 a.bind=127.0.0.1"
    assert outcomes(text, release="7.0.13") == ("ok", "ok")
    assert outcomes(text, release="7.1") == ("EPROTONOSUPPORT", "EBADF")


def test_ports_are_shared_or_not() -> None:
    assert outcomes("a=mptcp4 a.bind=127.0.0.1 b=tcp4 b.bind=0.0.0.0")[3] == "EADDRINUSE"
    assert outcomes("a=udplite4 a.bind=127.0.0.1 b=udp4 b.bind=0.0.0.0")[3] == "ok"
    assert outcomes("a=udplite4 a.bind=127.0.0.1 b=udplite4 b.bind=0.0.0.0")[3] == "EADDRINUSE"


def test_what_an_mptcp_connection_leaves_is_not_known() -> None:
    head = "a={} a.bind=127.0.0.1 a.listen c={} c.connect=127.0.0.1 x=a.accept a.close b=tcp4 b.bind=127.0.0.1"
    for kinds in (("mptcp4", "mptcp4"), ("tcp4", "mptcp4")):
        assert outcomes(head.format(*kinds))[-1] == "EADDRINUSE"
        assert outcomes(head.format(*kinds).replace("a.close", "c.close x.close a.close"))[-1] is None
    for kinds in (("tcp4", "tcp4"), ("mptcp4", "tcp4")):  # what an MPTCP listener accepts from TCP is a TCP socket
        assert outcomes(head.format(*kinds).replace("a.close", "c.close x.close a.close"))[-1] == "ok"
    text = head.format("mptcp4", "mptcp4").replace("a.close", "c.close x.close a.close")
    reasons = Oracle(catalog.expectations("linux").at("6.18.44")).predict(text).rules[-1]
    assert [rule.id for rule in reasons] == ["api.closes-later"]
    # nobody accepted it: closing the listener ends it too
    queued = "a=mptcp4 a.bind=127.0.0.1 a.listen c=mptcp4 c.connect=127.0.0.1 a.close b=tcp4 b.bind=127.0.0.1"
    assert outcomes(queued)[-1] is None


def test_a_child_speaks_what_both_ends_can() -> None:
    text = "a=mptcp4 a.bind=127.0.0.1 a.listen c={} c.connect=127.0.0.1 x=a.accept x.reuseaddr=1"
    assert outcomes(text.format("mptcp4"))[-1] == "EINVAL"
    assert outcomes(text.format("tcp4"))[-1] == "ok"


@pytest.mark.parametrize("error", ["EPROTONOSUPPORT", "EAFNOSUPPORT", "ENOPROTOOPT"])
def test_a_kernel_built_without_a_kind_does_not_diverge(error: str) -> None:
    judge = Judge(catalog.expectations("linux").at("6.18.44"))
    verdict = judge.verdict(Observation("a=mptcp4 a.bind=127.0.0.1", (error, "EBADF")))
    assert (verdict.kind, verdict.reason) == (VerdictKind.UNSUPPORTED, "the host has no mptcp4 sockets")
    assert judge.verdict(Observation("a=mptcp4", ("EINVAL",))).kind == VerdictKind.DIVERGES
