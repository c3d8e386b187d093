"""``record()``: what it captures, that it leaves nothing behind, and what a failing assertion says."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import bindmatrix
import pytest

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
STRANGER = "other=tcp4 other.reuseaddr=1 other.bind=127.0.0.1 => refused"


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = dict(socket.socket.__dict__)
    yield
    assert dict(socket.socket.__dict__) == before


def server(address: str = "127.0.0.1", port: int = 0) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address, port))
    made.listen()
    return made


# --- what is captured


def test_options_outcomes_and_ports() -> None:
    with bindmatrix.record() as calls, server() as one:
        port = one.getsockname()[1]
        with socket.socket() as other, contextlib.suppress(OSError):
            other.bind(("127.0.0.1", port))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as third:
            third.bind(("", 0))
    first, second = calls.scenarios
    assert first.scenario.text == "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen b=tcp4 b.bind=127.0.0.1"
    assert (first.ports, first.outcomes[-1]) == ((f"{port}/tcp",), "EADDRINUSE")
    assert (second.ports, second.scenario.text) == (("chosen/udp",), "a=udp4 a.bind=0.0.0.0,0")
    assert calls.unseen == ()
    with pytest.raises(bindmatrix.Problem, match="found 2"):
        _ = calls.scenario


def test_nothing_was_bound() -> None:
    with bindmatrix.record() as calls, socket.socket():
        pass
    assert calls.scenarios == ()
    with pytest.raises(bindmatrix.Problem, match="no socket was bound"):
        _ = calls.scenario
    with pytest.raises(bindmatrix.Problem, match="nothing to check"):
        calls.assert_portable()


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_ipv6_wildcards_and_names() -> None:
    with bindmatrix.record() as calls, socket.socket(socket.AF_INET6) as one:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, b"\0\0\0\0")
        one.bind(("", 0))
        with socket.socket(socket.AF_INET6) as other, contextlib.suppress(OSError):
            other.bind(("localhost", one.getsockname()[1]))
    assert calls.scenario.text == "a=tcp6 a.v6only=0 a.bind=:: b=tcp6 b.bind=::1"


def test_a_multicast_group_and_a_mutable_buffer() -> None:
    with bindmatrix.record() as calls, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        membership = bytearray(socket.inet_aton("224.0.0.251") + socket.inet_aton("127.0.0.1"))
        one.bind(("0.0.0.0", 0))
        try:
            one.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        except OSError:
            pytest.skip("no multicast on the loopback interface here")
        membership[0] = 0
    assert calls.scenario.text == "a=udp4 a.bind=0.0.0.0,0 a.join=224.0.0.251"


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")
def test_unix_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a path may have 104 letters
    with bindmatrix.record() as calls, socket.socket(socket.AF_UNIX) as one:
        one.bind("My.sock")
        one.listen()
        with socket.socket(socket.AF_UNIX) as other, contextlib.suppress(OSError):
            other.bind("My.sock")
    assert calls.scenario.text == "a=unix a.bind=/my_sock a.listen b=unix b.bind=/my_sock"
    assert calls.scenarios[0].outcomes[-1] == "EADDRINUSE"


def test_a_socket_that_was_made_before() -> None:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with bindmatrix.record() as calls:
            one.bind(("127.0.0.1", 0))
            one.listen()
    assert calls.scenario.text == "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1,0 a.listen"
    assert "read back" in str(calls.scenarios[0].not_modelled)


def test_dup_detach_and_garbage() -> None:
    with bindmatrix.record() as calls:
        one = server()
        copy = one.dup()
        one.close()  # the port is not free
        again = socket.socket(fileno=copy.detach())
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        with contextlib.suppress(OSError), socket.socket() as other:
            other.bind(again.getsockname())
        again.close()
    assert calls.scenario.text == (
        "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen a.reuseaddr=0 b=tcp4 b.bind=127.0.0.1"
    )


def test_ssl_takes_the_socket_over() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with bindmatrix.record() as calls, context.wrap_socket(server(), server_side=True):
        pass
    assert calls.scenario.text == "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1,0 a.listen"


def test_clients_and_accepted_sockets_are_left_out() -> None:
    with bindmatrix.record() as calls, server() as one, socket.create_connection(one.getsockname()) as client:
        accepted, _ = one.accept()
        accepted.close()
        assert client.recv(1) == b""
    assert calls.scenario.text == "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1,0 a.listen"


def test_asyncio() -> None:
    async def serve() -> None:
        started = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        started.close()
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        transport.close()

    with bindmatrix.record() as calls:
        asyncio.run(serve())
    options = "" if os.name == "nt" else "a.reuseaddr=1 "
    assert [one.scenario.text for one in calls.scenarios] == [
        f"a=tcp4 {options}a.bind=127.0.0.1,0 a.listen",
        "a=udp4 a.bind=127.0.0.1,0",
    ]


def test_trio() -> None:
    trio = pytest.importorskip("trio")

    async def serve() -> None:
        for one in await trio.open_tcp_listeners(0, host="127.0.0.1"):
            await one.aclose()

    with bindmatrix.record() as calls:
        trio.run(serve)
    assert calls.scenario.text == "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1,0 a.listen"


@LINUX
def test_uvloop_listens_in_c() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def serve() -> None:
        started = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        assert calls.scenario.text == "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1,0 a.listen"
        assert any(text.startswith("listen() of a tcp4 socket") for text in calls.unseen)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        assert any("the calls of the udp4 socket at 127.0.0.1" in text for text in calls.unseen)
        transport.close()
        started.close()

    with bindmatrix.record() as calls:
        uvloop.run(serve())
    assert any("closed without socket.close()" in text for text in calls.unseen)


def test_gevent_is_seen_by_the_audit_hook() -> None:
    gevent_socket = pytest.importorskip("gevent.socket")
    with bindmatrix.record() as calls, contextlib.closing(gevent_socket.socket()) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 0))
        one.listen(5)
        if sys.platform.startswith("linux"):
            assert calls.scenario.text == "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1,0 a.listen"
    assert calls.scenario.text.startswith("a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1,0")
    assert any("gevent" in text for text in calls.unseen)


@LINUX
def test_what_is_not_seen_is_said() -> None:
    with bindmatrix.record() as calls:
        subprocess.run([sys.executable, "-c", ""], check=True)
        with server() as one:
            number = os.dup(one.fileno())
    try:
        assert any("processes did that were started" in text for text in calls.unseen)
        with bindmatrix.record() as later:
            pass
        # it was there before
        assert later.unseen == ()
    finally:
        os.close(number)


# --- what is left behind


def test_the_class_is_as_it_was_after_an_error() -> None:
    before = {name: socket.socket.__dict__.get(name) for name in ("__init__", "bind", "_real_close", "detach")}

    def fail() -> None:
        with bindmatrix.record():
            assert socket.socket.__dict__["bind"] is not before["bind"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    for name, was in before.items():
        assert socket.socket.__dict__.get(name) is was
    assert "bind" not in socket.socket.__dict__


def test_nested_and_in_another_order() -> None:
    outer, inner = bindmatrix.record(), bindmatrix.record()
    first = outer.__enter__()
    with server():
        second = inner.__enter__()
        with server("127.0.0.2"):
            outer.__exit__(None, None, None)
            assert "bind" in socket.socket.__dict__
            with server("127.0.0.3"):
                pass
        inner.__exit__(None, None, None)
    assert [one.scenario.text.split("bind=")[1] for one in first.scenarios] == [
        "127.0.0.1,0 a.listen",
        "127.0.0.2,0 a.listen",
    ]
    assert [one.scenario.text.split("bind=")[1] for one in second.scenarios] == [
        "127.0.0.2,0 a.listen",
        "127.0.0.3,0 a.listen",
    ]


def test_threads() -> None:
    def bind() -> None:
        with bindmatrix.record() as own:
            for _ in range(20):
                server().close()
        assert own.scenarios

    with bindmatrix.record() as calls:
        threads = [threading.Thread(target=bind) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(len(one.ports) for one in calls.scenarios) == 160


def test_somebody_patched_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with bindmatrix.record():
        ours = socket.socket.bind

        def theirs(self: socket.socket, address: object) -> None:
            ours(self, address)  # type: ignore[arg-type]

        monkeypatch.setattr(socket.socket, "bind", theirs)
    assert socket.socket.__dict__["bind"] is theirs
    with server() as one:
        assert one.getsockname()[1]
    with bindmatrix.record() as calls, server():
        pass
    assert calls.scenario.text == "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1,0 a.listen"
    monkeypatch.undo()
    # what pytest puts back is what it found: our wrapper, which records nothing any more
    if "bind" in socket.socket.__dict__:
        del socket.socket.bind


def test_errors_and_results_pass_through() -> None:
    with bindmatrix.record(), server() as one:
        with pytest.raises(OSError, match=r"in use|permitted|permission"), socket.socket() as other:
            other.bind(one.getsockname())
        with pytest.raises(TypeError), socket.socket() as other:
            other.bind()  # type: ignore[call-arg]
        with socket.socket() as client:
            assert client.connect_ex(one.getsockname()) == 0
        with pytest.raises(OSError, match=r".") as raised:
            socket.socket(fileno=1 << 20)
        assert raised.value.errno


def test_a_call_costs_less_than_five_microseconds() -> None:
    """CPU time that a recorder adds to a call; of several tries the least, as other programs run here too."""

    def seconds(count: int = 2000) -> float:
        started = time.thread_time()
        for _ in range(count):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return (time.thread_time() - started) / count

    with socket.socket() as one:
        plain = min(seconds() for _ in range(10))
        with bindmatrix.record():
            recorded = min(seconds() for _ in range(10))
    assert recorded - plain < 5e-6


# --- the assertion


def test_a_stranger_is_let_in_on_windows() -> None:
    with bindmatrix.record() as calls, server():
        pass
    calls.assert_portable(on=["linux", "macos"], needs=[STRANGER])
    calls.assert_portable(on=["windows"])
    with pytest.raises(AssertionError) as raised:
        calls.assert_portable(on=["windows", "macos"], needs=[STRANGER])
    text = str(raised.value)
    assert text.startswith("not portable\n\nneed")
    assert "other.bind=127.0.0.1 returns ok, needed any error" in text
    assert max(map(len, text.splitlines())) <= 80
    statuses = [[str(cell.status) for cell in row] for row in calls.check(["windows", "macos"], [STRANGER]).cells]
    assert statuses == [["met", "met"], ["not met", "met"]]


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="needs SO_REUSEPORT")
def test_an_option_that_is_missing_elsewhere() -> None:
    with bindmatrix.record() as calls, socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(("127.0.0.1", 0))
    with pytest.raises(AssertionError, match=r"a\.reuseport=1 returns ENOPROTOOPT"):
        calls.assert_portable(on=["windows"])


def test_unknown_passes_unless_strict() -> None:
    with bindmatrix.record() as calls, server():
        pass
    needs = [
        "c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read c.close a.close b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0 => ok"
    ]
    calls.assert_portable(on=["windows"], needs=needs)
    with pytest.raises(AssertionError, match="unknown"):
        calls.assert_portable(on=["windows"], needs=needs, strict=True)


def test_wrong_needs_are_told() -> None:
    with bindmatrix.record() as calls, server():
        pass
    with pytest.raises(bindmatrix.Problems) as raised:
        calls.assert_portable(on=["linux"], needs=["b=tcp4 => ok", "b=tcp4 b.bnd=::1 => ok"])
    (problem,) = raised.value.problems
    assert str(problem.place) == "needs of port chosen/tcp:2:8"
    with pytest.raises(bindmatrix.Problem, match="are lists"):
        calls.assert_portable(on="linux")


# --- the fixture


def test_the_fixture(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        f"""
import socket

def test_portable(bindmatrix_calls):
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 0))
        one.listen()
    bindmatrix_calls.assert_portable(on=["linux"], needs=["{STRANGER}"])
    bindmatrix_calls.assert_portable(on=["windows"], needs=["{STRANGER}"])

def test_nothing_is_left():
    assert "bind" not in socket.socket.__dict__
""",
        encoding="utf-8",
    )
    registered = [one.name for one in importlib.metadata.entry_points(group="pytest11")]
    plugin = [] if "bindmatrix" in registered else ["-p", "bindmatrix.api.pytest_plugin"]
    environment = {**os.environ, "PYTHONPATH": str(Path(bindmatrix.__file__).parents[1])}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugin, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "AssertionError: not portable" in done.stdout
    assert "NOT MET  windows" in done.stdout
