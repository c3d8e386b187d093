"""The C program of a case: C99, POSIX or Winsock, no dependency.

It reads like a program written by hand: addresses, then the calls one after the other, each with what it should return.
Helpers and headers that no step needs are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bindmatrix.notation import OPTIONS, Step
from bindmatrix.outcomes import ANY_ERROR
from bindmatrix.quoting import c_comment
from bindmatrix.reproduce import c_text as texts
from bindmatrix.reproduce.cases import Case, CaseStep, wrapped
from bindmatrix.reproduce.program_plan import (
    LEVELS,
    PROTOCOLS,
    SOCKETS,
    ProgramPlan,
    condition,
    filled,
    multicast,
    variable,
)
from bindmatrix.reproduce.winsock_text import WINSOCK

#: what makes the headers show everything under -std=c99
_FEATURES = {"netbsd": ("_NETBSD_SOURCE",), "illumos": ("__EXTENSIONS__",)}
_WIDTH = 100
#: addresses that have a name of their own
_ADDRESSES = {
    "0.0.0.0": "any4",
    "127.0.0.1": "lo4",
    "127.0.0.2": "lo4_2",
    "::": "any6",
    "::1": "lo6",
    "::ffff:0.0.0.0": "mapped_any",
    "::ffff:127.0.0.1": "mapped_lo",
    "::ffff:127.0.0.2": "mapped_lo_2",
    "224.0.0.251": "group4",
    "ff02::fb": "group6",
}
#: header -> what asks for it; those of every program have no pattern
_HEADERS = {
    "arpa/inet.h": "",
    "errno.h": "",
    "net/if.h": r"if_nametoindex",
    "netinet/in.h": "",
    "poll.h": r"\bpoll\(",
    "signal.h": r"sigaction",
    "stdio.h": "",
    "stdlib.h": r"\batoi\(",
    "string.h": r"\bstrerror\(",
    "sys/socket.h": "",
    "unistd.h": r"\b(?:alarm|close|getpid|geteuid|seteuid)\(",
}


def program(case: Case, *, winsock: bool = False) -> str:
    """The text of the program; on Winsock one with ``user=`` only says that Windows has nothing like it."""
    return _CWriter(ProgramPlan(case), WINSOCK if winsock else texts.POSIX).text()


class _CWriter:
    """The text of one program, put together piece by piece."""

    def __init__(self, plan: ProgramPlan, dialect: texts.Dialect) -> None:
        self.plan = plan
        self.dialect = dialect
        self.case = plan.case
        #: (address, port that the kernel chooses, scope) -> name of the variable that holds it
        self.addresses: dict[tuple[str, str], str] = {}
        self.declared: set[str] = set(plan.receivers)

    def text(self) -> str:
        """The whole program."""
        users = [step.text for step in self.plan.steps if step.kind == "user"]
        if self.dialect is WINSOCK and users:
            body = texts.LEFT_OUT.replace("@STEP@", users[0])
        else:
            main = self._main()
            body = "\n".join([*self._before_main(main), main])
            body = filled(body, {**self.dialect.words, "@SECONDS@": str(self.plan.patience)})
        return self._head(body) + body

    # --- what stands before main() ---------------------------------------------------------------------------------

    def _head(self, body: str) -> str:
        steps = "".join(f" * {line}\n" for line in wrapped((step.text for step in self.plan.steps), 96))
        if self.dialect is WINSOCK:
            features = ""
            headers = [*self.dialect.headers]
        else:
            # a program about another system compiles here, too
            features = "".join(f"#define {name} 1\n" for name in ("_DEFAULT_SOURCE", *_FEATURES.get(self.case.os, ())))
            headers = [name for name, pattern in _HEADERS.items() if re.search(pattern, body)]
        needs = f" * Needs {', '.join(self.plan.needs)}.\n" if self.plan.needs else ""
        return (
            f"/*\n * {c_comment(self.case.headline)}\n *\n{steps} *\n * {self.dialect.build}\n{needs}"
            " * Exit status: 0 as expected, 1 not, 2 the set-up failed.\n */\n"
            + features
            + "".join(f"#include <{name}>\n" for name in headers)
            + "\n"
        )

    def _before_main(self, main: str) -> list[str]:
        plan, kinds = self.plan, self.plan.kinds
        settle = f"\t{self.dialect.sleep.format(10)}; /* let the packets arrive */\n"
        after = (settle if plan.connects else "") + (self.dialect.patient if self._alarms() else "")
        expects = "expect(" in main or "CHECK(" in main
        absent = [OPTIONS[name] for name in plan.lacking]
        if self.dialect is WINSOCK and "SO_REUSEPORT," in main and "SO_REUSEPORT" not in absent:
            absent.append("SO_REUSEPORT")
        first = "".join(texts.OPTION.replace("@OPTION@", name) for name in absent)
        for name in plan.protocols:
            first += filled(texts.PROTOCOL, {"@NAME@": name, "@NUMBER@": str(PROTOCOLS[name])})
        first += texts.SA if "SA(" in main else ""
        wanted = [
            (first, bool(first)),
            (self._statics(main), True),
            (texts.EXPECT, expects),
            (texts.CHECK_CONDITION, "CHECK(" in main),
            (self.dialect.check_and_expect, expects and "check(" in main),
            (self.dialect.check, not expects and "check(" in main),
            *((text, self._alarms() and name in ("", *kinds)) for name, text in self.dialect.blocking.items()),
            (texts.TAKEN, len(plan.probes) > 1),
            (texts.JOIN4, "join4(" in main),
            (texts.JOIN6.replace("@INDEX@", self._index()), "join6(" in main),
            *((text, plan.senders and _serves(names, plan.senders)) for names, text in self.dialect.sending.items()),
            (self.dialect.connections, bool(plan.senders.get("deliver_tcp"))),
            *((self._sender(name, main), True) for name in plan.senders),
        ]
        return [text.replace("@AFTER@", after) for text, needed in wanted if needed]

    def _alarms(self) -> bool:
        return self.plan.blocks or "deliver_tcp" in self.plan.senders

    def _statics(self, main: str) -> str:
        """The variables that the senders share with main()."""
        names = ["failures"]
        if self.plan.senders:
            names += ["failed", "error"] if "error ==" in main or "deliver_tcp" in self.plan.senders else ["failed"]
        sockets = [f"{variable(name)} = {self.dialect.closed}" for name in self.plan.receivers]
        counts = [_got(name) for name in self.plan.receivers]
        if self.dialect is WINSOCK and sockets:
            return f"static int {', '.join([*names, *counts])};\nstatic @FD@ {', '.join(sockets)};\n"
        return f"static int {', '.join([*names, *sockets, *counts])};\n"

    def _index(self) -> str:
        return "1" if self.dialect is WINSOCK else f'if_nametoindex("{self.plan.loopback}")'

    def _sender(self, sender: str, main: str) -> str:
        names = self.plan.senders[sender]
        take = "\t@GOT@ = connections(@SOCKET@);\n" if sender == "deliver_tcp" else self.dialect.datagrams
        client = ""
        sent = self.plan.sent_to(sender)
        indent = "\t" if sender == "deliver_flow" else "\t\t"
        if any(multicast(address) and ":" not in address for address in sent):
            client += f'{indent}struct in_addr loopback;\n{indent}inet_pton(AF_INET, "127.0.0.1", &loopback);\n'
            client += f"{indent}setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, @CAST@&loopback, sizeof loopback);\n"
        if any(address.startswith("::ffff:") for address in sent):
            client += f"{indent}setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, @CAST@&(int){{0}}, sizeof(int));\n"
        fills = {
            "@CLIENT@": client,
            "@FAILED@": "failed++, error = @TOLD@" if "error ==" in main else "failed++",
            "@COUNT@": "".join(filled(take, {"@GOT@": _got(name), "@SOCKET@": variable(name)}) for name in names),
            "@NAMES@": "".join(f"{name}:%d " for name in names),
            "@COUNTS@": "".join(f"{_got(name)}, " for name in names),
        }
        return filled(self.dialect.senders[sender], fills)

    # --- main() ----------------------------------------------------------------------------------------------------

    def _main(self) -> str:
        rows = "".join(_folded(row) for index in range(len(self.plan.steps)) for row in self._step(index))
        set_up = self._set_up()
        if "user" in self.plan.kinds:
            set_up += texts.ROOT
        if self._alarms():
            set_up += self.dialect.start
            first = next((step.kind for step in self.plan.steps if step.kind not in ("socket", "wait")), "")
            set_up += self.dialect.patient * (first in ("accept", "connect", "read"))
        variables = [f"{name} = {value}" for name, value in (("one", 1), ("zero", 0)) if f"&{name}," in rows]
        declared = f"\tint {', '.join(variables)};\n" if variables else ""
        declared += "\tchar byte;\n" if "&byte" in rows else ""
        if self.dialect is WINSOCK:
            declared += "\tWSADATA data;\n"
            set_up = "\n\tWSAStartup(MAKEWORD(2, 2), &data);\n" + set_up.lstrip("\n")
        ports = self._declared_addresses()
        prologue = ports + declared + set_up
        return (
            texts.MAIN.replace("@ARGUMENTS@", "int argc, char **argv" if ports else "void")
            .replace("@PROLOGUE@", prologue + ("\n" if prologue else ""))
            .replace("@ROWS@", rows)
        )

    def _address(self, address: str, variant: str = "") -> str:
        """The variable of an address; ``variant``: ``_0`` has no port, ``_scoped`` names the interface."""
        key = (address, variant)
        if key not in self.addresses:
            name = _ADDRESSES.get(address) or f"address{1 + sum(one[0] not in _ADDRESSES for one in self.addresses)}"
            self.addresses[key] = name + variant
        return self.addresses[key]

    def _set_up(self) -> str:
        """Where the addresses are filled in, and the port is seen to be free."""
        places = [f"SA({self._address(probe.address)})" for probe in self.plan.probes]
        text = ""
        for (address, variant), name in sorted(self.addresses.items(), key=lambda item: ":" in item[0][0]):
            if address not in ("0.0.0.0", "::"):
                family, field = ("AF_INET6", "sin6_addr") if ":" in address else ("AF_INET", "sin_addr")
                text += f'\tinet_pton({family}, "{address}", &{name}.{field});\n'
            if variant == "_0":
                text += f"\t{name}.{_port(address)} = 0;\n"
            if variant == "_scoped":
                text += f"\t{name}.sin6_scope_id = {self._index()};\n"
        return "\n" + text + self._probed(places) if text or places else ""

    def _probed(self, places: list[str]) -> str:
        if not places:
            return ""
        first = self.plan.probes[0]
        taken = [f"taken({probe.type}, {place})" for probe, place in zip(self.plan.probes, places, strict=True)]
        ports = [f"{name}.{_port(address)}" for (address, variant), name in self.addresses.items() if variant != "_0"]
        fills = {
            "@CHOOSE@": texts.SEE if self.case.port else texts.CHOOSE,
            "@FAMILY@": "AF_INET6" if ":" in first.address else "AF_INET",
            "@TYPE@": first.type,
            "@WHERE@": places[0],
            "@TAKEN@": (" || " if sum(map(len, taken)) < _WIDTH - 30 else " ||\n\t       ").join(taken),
            "@PORTS@": " = ".join(ports),
        }
        text = filled(texts.PROBE if len(places) == 1 else texts.PROBES, fills)
        return text.replace("\twhile (", "\tif (", 1) if self.case.port else text

    def _declared_addresses(self) -> str:
        if not self.addresses:
            return ""
        port = str(self.case.port) if self.case.port else "10001 + @PID@ % 10000 * 2"
        text = f"\tint port = argc > 1 ? atoi(argv[1]) : {port};\n"
        for ipv6, kind, prefix, family in (
            (False, "sockaddr_in", "sin", "AF_INET"),
            (True, "sockaddr_in6", "sin6", "AF_INET6"),
        ):
            names = [name for (address, _), name in self.addresses.items() if (":" in address) == ipv6]
            if names:
                fields = f"{{.{prefix}_family = {family}, .{prefix}_port = htons(port)}}"
                same = "".join(f", {name} = {names[0]}" for name in names[1:])
                text += _folded(f"struct {kind} {names[0]} = {fields}{same};")
        return text

    def _step(self, index: int) -> list[str]:
        """The lines of a step."""
        line = self.case.lines[index]
        step = line.step
        if index in self.plan.deliveries:
            return self._delivery(index)
        call, lines = self._call(step), []
        if step.kind in ("socket", "accept") and (self.plan.used_later(index) or step.kind == "accept"):
            name = variable(step.socket)
            if self.plan.used_later(index):
                kind = "" if step.socket in self.declared else "@FD@ "
                self.declared.add(step.socket)
                lines.append(f"{kind}{name} = {call};")
                call = name
        if not self.plan.unchecked(index):
            lines.append(self._check(line, call))
        elif step.kind == "wait":
            lines.append(f"{self.dialect.sleep.format(step.value)};")
        if step.kind == "close" and self.plan.used_later(index):
            lines.append(f"{variable(step.socket)} = {self.dialect.closed};")
        return lines

    def _check(self, line: CaseStep, call: str) -> str:
        words = line.accepted
        if self.plan.plain:
            return f'check("{line.step.text}", {call}, {"0" if words == ("ok",) else self.dialect.error(words[0])});'
        fine = [
            "error == 0"
            if word == "ok"
            else "error != 0"
            if word == ANY_ERROR
            else f"error == {self.dialect.error(word)}"
            for word in words
        ]
        return f'CHECK("{line.step.text}", {call}, {" || ".join(fine) or "1"});'

    def _delivery(self, index: int) -> list[str]:
        line, names = self.case.lines[index], self.plan.senders[self.plan.sender(index)]
        scoped = "_scoped" if line.step.address.startswith("ff") else ""
        send = f'{self.plan.sender(index)}("{line.step.text}", SA({self._address(line.step.address, scoped)}));'
        fine = condition(line, names, _got, "&&", "||", self.dialect.error)
        return [send, f'expect({fine}, "{" or ".join(line.accepted)}");'] if fine else [send]

    def _call(self, step: Step) -> str:
        """The call of a step, as an expression."""
        name, dialect = variable(step.socket), self.dialect
        if step.kind == "socket":
            return f"socket({', '.join(SOCKETS[step.what])})"
        if step.kind == "set":
            value = "&one, sizeof one" if step.value else "&zero, sizeof zero"
            return f"setsockopt({name}, {LEVELS.get(step.what, 'SOL_SOCKET')}, {OPTIONS[step.what]}, @CAST@{value})"
        if step.kind in ("bind", "connect"):
            return f"{step.kind}({name}, SA({self._address(step.address, '_0' if step.value else '')}))"
        calls = {
            "listen": f"listen({name}, 64)",
            "accept": dialect.accept.format(variable(step.what)),
            "read": dialect.read.format(name),
            "close": f"@CLOSE@({name})",
            "join": f'join{6 if ":" in step.address else 4}({name}, "{step.address}")',
            "user": f"seteuid({step.value})",
            "wait": f"({dialect.sleep.format(step.value)}, 0)",
        }
        return calls[step.kind]


def _serves(names: str, senders: Mapping[str, list[str]]) -> bool:
    """Whether a piece for the senders ``names``, all of them where that is "", is needed."""
    return not names or not senders.keys().isdisjoint(names.split())


def _got(name: str) -> str:
    return f"got_{name}"


def _port(address: str) -> str:
    return "sin6_port" if ":" in address else "sin_port"


def _folded(row: str) -> str:
    """The row as a line, or as several where it is long."""
    text, indent = "", ""
    while len(row) + len(indent) + 8 > _WIDTH and ", " in row[: _WIDTH - 8]:
        cut = row.rfind(", ", 0, _WIDTH - 8) + 1
        text += f"\t{indent}{row[:cut]}\n"
        row, indent = row[cut + 1 :], "      "
    return f"{text}\t{indent}{row}\n"
