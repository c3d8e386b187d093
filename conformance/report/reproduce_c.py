"""The C program of a case: C99, POSIX or Winsock, no dependency.

It reads as a table with a row for each step: the step, the expected outcome, the call.  Helpers that no step needs are
left out, so that an ordinary question stays under a hundred lines.
"""

from __future__ import annotations

from conformance.notation import OPTIONS, SOCKET_KINDS, Step
from conformance.report import reproduce_c_parts as parts
from conformance.report import reproduce_c_winsock as winsock_parts
from conformance.report.reproduce import Case, connects_again, multicast, needs, receivers, sockets, variable, wrapped

#: errors that are named beside the expected ones
_COMMON_ERRORS = ("EACCES", "EADDRINUSE", "EADDRNOTAVAIL", "EBADF", "EINVAL", "EPERM")
_CONNECTION_ERRORS = ("ECONNREFUSED", "ECONNRESET", "EISCONN", "ENOTCONN", "EOPNOTSUPP", "EPIPE", "ETIMEDOUT")
#: not an error of the call but what alarm() makes of it, and what Windows calls it
_OTHER_NAMES = {False: {"timeout": "EINTR"}, True: {"timeout": "WSAEINTR", "EBADF": "WSAENOTSOCK"}}
#: names that Winsock has not with WSA in front
_NOT_WINSOCK = {"EBADF", "EPERM", "EPIPE"}
#: what makes the headers show everything under -std=c99; glibc and others
_FEATURES = {"netbsd": "_NETBSD_SOURCE", "illumos": "__EXTENSIONS__"}


def program(case: Case, *, winsock: bool = False) -> str:
    """The text of the program; on Winsock one with ``user=`` or a delivery says that it leaves them out."""
    left_out = [step.text for step in case.scenario.steps if step.kind == "user" or step.kind.startswith("deliver")]
    if winsock and left_out:
        return _head(case, winsock) + parts.LEFT_OUT.replace("@STEP@", left_out[0])
    body = "".join(_helpers(case, winsock))
    main = winsock_parts.WINSOCK_MAIN if winsock else parts.MAIN
    names = [variable(name) for name in sockets(case.scenario)]
    invalid = "INVALID_SOCKET" if winsock else "-1"
    declared = f"    {'SOCKET' if winsock else 'int'} " + ", ".join(f"{name} = {invalid}" for name in names) + ";\n"
    close = "closesocket" if winsock else "close"
    fills = {
        "@SOCKETS@": declared if names else "",
        "@PORT@": str(case.port) if case.port else "10000 + (int)getpid() % 20000",
        "@CHOOSE@": "" if case.port else parts.CHOOSE,
        "@NEEDS@": _needs(case),
        "@ALARM@": parts.ALARM if _timed(case) and not winsock else "",
        "@STEPS@": "".join(_rows(case, winsock)),
        "@CLOSE@": "    " + " ".join(f"{close}({name});" for name in names) + "\n" if names else "",
    }
    for key, text in fills.items():
        main = main.replace(key, text)
    if winsock:
        main = main.replace("(int)getpid()", "(int)GetCurrentProcessId()")
    return _head(case, winsock) + body + main


def _head(case: Case, winsock: bool) -> str:
    steps = "".join(f" * {line}\n" for line in wrapped((step.text for step in case.scenario.steps), 96))
    whose = "Expected by the reporter" if case.given else f"Expected of {case.title} {case.release}"
    build = (
        "cl repro_winsock.c  or  gcc -std=c99 -o repro repro_winsock.c -lws2_32"
        if winsock
        else ("cc -std=c99 -o repro repro.c && ./repro [PORT]")
    )
    libraries = parts.WINSOCK_INCLUDES if winsock else parts.INCLUDES
    extra = "" if winsock else "".join(f"#include <{name}>\n" for name in _headers(case))
    libraries = libraries.replace("@FEATURES@", _FEATURES.get(case.os, "_DEFAULT_SOURCE"))
    return (
        f"/*\n{steps} *\n * {whose}: the second column below.\n * {build}\n"
        " * Exit status: 0 as expected, 1 not, 2 the set-up failed.\n */\n"
    ) + libraries.replace("@MORE@", extra)


def _headers(case: Case) -> list[str]:
    kinds = _kinds(case)
    wanted = {
        "fcntl.h": kinds & {"connect", "deliver", "deliver_flow"},
        "net/if.h": _groups(case),
        "poll.h": kinds & {"connect", "wait", "deliver", "deliver_flow"},
        "signal.h": _timed(case),
    }
    return [name for name, needed in wanted.items() if needed]


def _kinds(case: Case) -> set[str]:
    return {step.kind for step in case.scenario.steps}


def _connects(case: Case) -> bool:
    """Whether connections come about, whose packets have to settle."""
    kinds = _kinds(case)
    return "connect" in kinds and any(step.what.startswith("tcp") for step in case.scenario.steps)


def _timed(case: Case) -> bool:
    return bool(_kinds(case) & {"accept", "read", "deliver", "deliver_flow"})


def _groups(case: Case) -> bool:
    return any(
        step.kind == "join" or (step.kind.startswith("deliver") and multicast(step.address))
        for step in case.scenario.steps
    )


def _helpers(case: Case, winsock: bool) -> list[str]:
    kinds = _kinds(case)
    table = winsock_parts.WINSOCK if winsock else parts.POSIX
    deliveries = {protocol for protocol, _ in receivers(case.scenario).values()}
    chosen = [
        ("options", bool(_rare(case))),
        ("errors", True),
        ("port", True),
        ("among", not _plain(case)),
        ("step", True),
        ("check", bool(deliveries)),
        ("address", True),
        ("plain-set", "set" in kinds and not _rare(case)),
        ("set", bool(_rare(case))),
        ("bind", True),
        ("expired", _timed(case)),
        ("settle", _connects(case)),
        ("connect", "connect" in kinds),
        ("accept", "accept" in kinds),
        ("read", "read" in kinds),
        ("shut", "close" in kinds),
        ("join", "join" in kinds),
        ("free", True),
        ("has", bool(needs(case.scenario))),
        ("tally", bool(deliveries)),
        ("clients", bool(deliveries)),
    ]
    text = [table[name] for name, wanted in chosen if wanted]
    joined = "\n".join(text)
    joined = joined.replace("@OPTIONS@", _options(case)).replace("@ERRORS@", _errors(case, winsock))
    joined = joined.replace("@AGAIN@", parts.AGAIN if connects_again(case.scenario) else "")
    joined = joined.replace("@MATCH@", _match(case))
    joined = joined.replace("@SETTLE@", "    settle();\n" if _connects(case) else "")
    joined = joined.replace("@GROUP@", parts.GROUP if _groups(case) else "")
    return [joined, "\n"]


def _rare(case: Case) -> list[str]:
    """The options that some platforms lack."""
    used = {OPTIONS[step.what] for step in case.scenario.steps if step.kind == "set"}
    return sorted(used - {"SO_REUSEADDR", "IPV6_V6ONLY"})


def _options(case: Case) -> str:
    return "".join(f"#ifndef {name}\n#define {name} LACKING\n#endif\n" for name in _rare(case))


def _errors(case: Case, winsock: bool) -> str:
    names = {word for line in case.lines for word in line.pattern.split("|") if word.startswith("E")}
    names.update(
        _COMMON_ERRORS,
        _CONNECTION_ERRORS if "connect" in _kinds(case) or _timed(case) else (),
        ("ENOPROTOOPT",) if _rare(case) else (),
    )
    rows = [f"E({name})," for name in sorted(names) if not (winsock and name in _NOT_WINSOCK)]
    other = _OTHER_NAMES[winsock]
    rows += [
        f'{{{number}, "{name}"}},'
        for name, number in other.items()
        if name != "timeout" or "connect" in _kinds(case) or _timed(case)
    ]
    return "".join(f"    {line}\n" for line in wrapped(rows, 92))


def _plain(case: Case) -> bool:
    return all("|" not in line.pattern and line.pattern not in ("?", "error") for line in case.lines)


def _match(case: Case) -> str:
    """How an outcome is compared: by a plain strcmp() unless a step has alternatives."""
    return "strcmp(expected, got) == 0" if _plain(case) else "among(expected, got)"


def _needs(case: Case) -> str:
    return "".join(
        f'    if (!has_address("{address}")) {{\n'
        f'        fputs("set-up failed: {address} is no address of this host\\n", stderr);\n'
        "        return 2;\n    }\n"
        for address in needs(case.scenario)
    ) + (
        '    if (geteuid() != 0) {\n        fputs("set-up failed: needs root to change the user\\n", stderr);\n'
        "        return 2;\n    }\n"
        if "user" in _kinds(case)
        else ""
    )


def _rows(case: Case, winsock: bool) -> list[str]:
    who = receivers(case.scenario)
    cells = []
    for index, line in enumerate(case.lines):
        first = f'"{line.step.text}",'
        second = '"' + line.pattern.replace("?", "\\?") + '",'
        if index in who:
            cells.append(("check", first, second, _delivery(line.step, *who[index])))
        else:
            cells.append(("step", first, second, _call(line.step, winsock)))
    one = max(len(cell[1]) for cell in cells)
    two = min(16, max(len(cell[2]) for cell in cells))
    return [f"    {name}({first:<{one}} {second:<{two}} {call});\n" for name, first, second, call in cells]


def _delivery(step: Step, protocol: str, names: list[str]) -> str:
    listed = ", ".join(f'{{"{name}", {variable(name)}, 0}}' for name in names)
    servers = f"(struct server[]){{{listed + ', ' if listed else ''}{{NULL, -1, 0}}}}"
    kind = "SOCK_STREAM" if protocol == "tcp" else "SOCK_DGRAM"
    return f'deliver("{step.address}", {kind}, {int(step.kind == "deliver_flow")}, {servers})'


def _call(step: Step, winsock: bool) -> str:
    name = variable(step.socket)
    if step.kind == "socket":
        kind = SOCKET_KINDS[step.what]
        family = "AF_INET6" if kind.family == "ipv6" else "AF_INET"
        made = f"{name} = socket({family}, {'SOCK_STREAM' if kind.protocol == 'tcp' else 'SOCK_DGRAM'}, 0)"
        return f"(int)({made})" if winsock else made
    if step.kind == "accept":
        made = f"{name} = accept_from({variable(step.what)})"
        return f"(int)({made})" if winsock else made
    if step.kind == "set":
        level = "IPPROTO_IPV6" if step.what == "v6only" else "SOL_SOCKET"
        return f"set({name}, {level}, {OPTIONS[step.what]}, {step.value})"
    calls = {
        "bind": f'bind_to({name}, "{step.address}", {0 if step.value else "port"})',
        "listen": f"listen({name}, 64)",
        "connect": f'connect_to({name}, "{step.address}")',
        "read": f"read_all({name})",
        "close": f"shut(&{name})",
        "join": f'join({name}, "{step.address}")',
        "user": f"seteuid({step.value})",
        "wait": f"(Sleep({step.value}), 0)" if winsock else f"poll(NULL, 0, {step.value})",
    }
    return calls[step.kind]
