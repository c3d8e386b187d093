"""How calls become scenarios: which sockets meet on a port, what is folded, what is listed beside them."""

from __future__ import annotations

from bindmatrix.programs.port_scenarios import Found, scenarios_of
from bindmatrix.programs.socket_calls import SocketCalls

from tests.programs.recordings import lines_of


def found(*lines: str) -> Found:
    """``lines`` in short: ``3=tcp4``, ``bind 3 127.0.0.1 80``, ``set 3 SO_REUSEADDR 1`` or a line of strace."""
    calls = SocketCalls()
    calls.read(long(line) for line in lines)
    assert calls.lines.not_understood == 0
    return scenarios_of(calls.sockets, calls.folded)


def long(line: str) -> str:
    made, _, kind = line.partition("=")
    kinds = {"tcp4": "AF_INET, SOCK_STREAM", "tcp6": "AF_INET6, SOCK_STREAM", "udp4": "AF_INET, SOCK_DGRAM"}
    if kind in kinds:
        return f"1 socket({kinds[kind]}, IPPROTO_IP) = {made}"
    words = line.split()
    if words[0] in ("bind", "connect"):
        error = f"-1 {words[4]} (x)" if len(words) > 4 else "0"
        return f"1 {words[0]}({words[1]}, {address(words[2], words[3])}, 28) = {error}"
    if words[0] == "set":
        level = "SOL_IPV6" if words[2].startswith("IPV6") else "SOL_SOCKET"
        return f"1 setsockopt({words[1]}, {level}, {words[2]}, [{words[3]}], 4) = 0"
    return f"1 {line}"


def address(text: str, port: str) -> str:
    if ":" in text:
        return f'{{sa_family=AF_INET6, sin6_port=htons({port}), inet_pton(AF_INET6, "{text}", &sin6_addr)}}'
    return f'{{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr("{text}")}}'


def test_a_chosen_port_is_a_port_when_another_socket_asks_for_it() -> None:
    lines = ["3=tcp6", "bind 3 :: 0", f"getsockname(3, {address('::', '4711')}, [28]) = 0", "listen(3, 5) = 0"]
    assert lines_of(found(*lines)) == ["chosen/tcp a=tcp6 a.bind=::,0 a.listen"]
    assert lines_of(found(*lines, "4=tcp4", "bind 4 0.0.0.0 4711")) == [
        "4711/tcp a=tcp6 a.bind=:: a.listen b=tcp4 b.bind=0.0.0.0"
    ]


def test_a_socket_that_tries_the_next_port() -> None:
    result = found("3=tcp4", "bind 3 0.0.0.0 80 EADDRINUSE", "bind 3 0.0.0.0 81", "listen(3, 5) = 0")
    assert lines_of(result) == [
        "80/tcp a=tcp4 a.bind=0.0.0.0 [a.bind=0.0.0.0 EADDRINUSE]",
        "81/tcp a=tcp4 a.bind=0.0.0.0 a.listen",
    ]
    assert result.scenarios[0].not_modelled == (("a is bound to port 81 too", 1),)


def test_tcp_and_udp_have_ports_of_their_own() -> None:
    assert lines_of(found("3=tcp4", "bind 3 0.0.0.0 53", "4=udp4", "bind 4 0.0.0.0 53")) == [
        "53/tcp a=tcp4 a.bind=0.0.0.0",
        "53/udp a=udp4 a.bind=0.0.0.0",
    ]


def test_a_close_counts_only_before_what_follows() -> None:
    first = ["3=tcp4", "bind 3 0.0.0.0 80", "close(3) = 0"]
    assert lines_of(found(*first)) == ["80/tcp a=tcp4 a.bind=0.0.0.0"]
    assert lines_of(found(*first, "3=tcp4", "bind 3 127.0.0.1 80")) == [
        "80/tcp a=tcp4 a.bind=0.0.0.0 a.close b=tcp4 b.bind=127.0.0.1"
    ]


def test_the_user_counts_where_there_are_two() -> None:
    one = ["setuid(33) = 0", "3=tcp4", "bind 3 0.0.0.0 80"]
    assert lines_of(found(*one)) == ["80/tcp a=tcp4 a.bind=0.0.0.0"]
    assert lines_of(found(*one, "setresuid(-1, 34, -1) = 0", "4=tcp4", "bind 4 127.0.0.1 80")) == [
        "80/tcp user=33 a=tcp4 a.bind=0.0.0.0 user=34 b=tcp4 b.bind=127.0.0.1"
    ]


def test_clients_are_folded_unless_they_share_a_port() -> None:
    connects = ["bind 3 0.0.0.0 5000", "connect 3 127.0.0.1 80"]
    assert found("3=udp4", *connects).folded == {"client": 1}
    result = found("3=udp4", "set 3 SO_REUSEADDR 1", *connects)
    assert lines_of(result) == ["5000/udp a=udp4 a.reuseaddr=1 a.bind=0.0.0.0"]
    assert result.scenarios[0].not_modelled == (("a: connects to 127.0.0.1 port 80", 1),)


def test_workers_beyond_a_dozen_are_counted() -> None:
    lines = [
        line for fd in range(3, 23) for line in (f"{fd}=udp4", f"set {fd} SO_REUSEPORT 1", f"bind {fd} 0.0.0.0 53")
    ]
    (one,) = found(*lines).scenarios
    assert one.scenario.text.count("bind") == 12
    assert one.not_modelled == (("sockets beyond the first 12", 8),)


def test_what_is_repeated_is_told_once() -> None:
    result = found("3=tcp4", *["set 3 SO_REUSEADDR 1"] * 3, "bind 3 0.0.0.0 80", *["listen(3, 5) = 0"] * 4)
    assert lines_of(result) == ["80/tcp a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen"]
    assert dict(result.scenarios[0].not_modelled) == {"a: reuseaddr=1 again": 2, "a: listen() again": 3}


def test_a_listener_of_somebody_else_is_left_out() -> None:
    """systemd's sockets, for example: what was done before exec is in no trace."""
    assert found("listen(3, 5) = 0").left_out == (("a socket made outside the trace", 1),)
    assert lines_of(found("bind 3 :: 80", "listen(3, 5) = 0")) == ["80/tcp a=tcp6 a.bind=:: a.listen"]
