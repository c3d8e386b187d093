"""The Python program of a case: Python 3.8, standard library only.

Like the C program it makes the calls one after the other, each with what it should return.
"""

from __future__ import annotations

import re

from bindmatrix.notation import OPTIONS
from bindmatrix.outcomes import ANY_ERROR
from bindmatrix.quoting import python_docstring
from bindmatrix.reproduce import python_text as texts
from bindmatrix.reproduce.cases import Case, CaseStep, wrapped
from bindmatrix.reproduce.program_plan import (
    LEVELS,
    PROTOCOLS,
    SOCKETS,
    WINSOCK,
    ProgramPlan,
    condition,
    filled,
    multicast,
    variable,
)

#: outcomes whose error has another name: on Windows, elsewhere
_ERRORS = {
    True: {"timeout": "ETIMEDOUT", "refused": "ECONNREFUSED", "EBADF": "ENOTSOCK", "EAGAIN": "EWOULDBLOCK"},
    False: {"timeout": "EINTR", "refused": "ECONNREFUSED"},
}
#: how the numbers of options are found that a platform may lack
_NUMBERS = {
    "reuseport": 'getattr(socket, "SO_REUSEPORT", -1)',
    "reuseport_lb": '0x10000 if sys.platform.startswith("freebsd") else -1',
    "exclusive": 'getattr(socket, "SO_EXCLUSIVEADDRUSE", -1)',
    "exclbind": '0x1015 if sys.platform.startswith("sunos") else -1',
}
_MODULES = ("errno", "os", "select", "signal", "socket", "struct", "sys", "time")
_NAMES = (
    "AF_INET",
    "AF_INET6",
    "IPPROTO_IPV6",
    "IPV6_V6ONLY",
    "SO_REUSEADDR",
    "SO_REUSEPORT",
    "SOCK_DGRAM",
    "SOCK_STREAM",
    "SOL_SOCKET",
)


def program(case: Case) -> str:
    """The text of the program."""
    return _PythonWriter(ProgramPlan(case)).text()


class _PythonWriter:
    """The text of one program, put together piece by piece."""

    def __init__(self, plan: ProgramPlan) -> None:
        self.plan = plan
        self.case = plan.case
        self.windows = plan.case.os in WINSOCK  # no SIGALRM, and other errors
        #: sockets that certainly are there and open
        self.open: set[str] = set()

    def text(self) -> str:
        """The whole program."""
        rows = "".join(row + "\n" for index in range(len(self.plan.steps)) for row in self._step(index))
        main = f"{self._choose()}\n{rows}{texts.END}"
        body = "".join([*self._before_main(rows), "\n\n", main])
        options = "".join(f"{OPTIONS[name]} = {_NUMBERS[name]}\n" for name in self.plan.lacking)
        options += "".join(f"{name} = {PROTOCOLS[name]}\n" for name in self.plan.protocols)
        head = f"{options}failures = 0\n"
        return self._head(head + body) + head + body

    # --- what stands before the calls ------------------------------------------------------------------------------

    def _head(self, body: str) -> str:
        code = re.sub(r'"[^"\n]*"', "", body)
        words = set(re.findall(r"(?<![.\w])\w+", code))
        defined = {OPTIONS[name] for name in self.plan.lacking}
        errors = sorted(word for word in words if re.fullmatch(r"E[A-Z][A-Z0-9]+", word))
        names = [name for name in _NAMES if name in words - defined]
        imports = "".join(f"import {module}\n" for module in _MODULES if module in words or module in ("os", "sys"))
        imports += f"from errno import {', '.join(errors)}\n" if errors else ""
        imports += f"from socket import {', '.join(names)}\n" if names else ""
        steps = "\n".join(wrapped((step.text for step in self.plan.steps), 100))
        needs = f"Needs {', '.join(self.plan.needs)}.\n" if self.plan.needs else ""
        title = python_docstring(self.case.headline)
        fills = {"@TITLE@": title, "@SCENARIO@": steps, "@NEEDS@": needs, "@IMPORTS@": imports}
        return filled(texts.HEAD, fills)

    def _before_main(self, rows: str) -> list[str]:
        plan = self.plan
        returns = "= check(" in rows
        unmade = [variable(name) for name in plan.unmade]
        wanted = [
            (texts.CLOSED + "".join(f"{name} = closed\n" for name in unmade), returns or bool(unmade)),
            (texts.INTERRUPT, plan.blocks and not self.windows),
            (self._check(returns), "check(" in rows),
            (texts.EXPECT, "expect(" in rows),
            (texts.SOON, bool(re.search(r"\bsoon\b", rows))),
            (texts.OTHER_FAMILY, "other_family(" in rows),
            (texts.JOIN4, "join4," in rows),
            (texts.JOIN6.replace("@INDEX@", self._index()), "join6," in rows),
            (
                texts.WINSOCK_SEND if self.windows else texts.SEND,
                bool({"deliver_udp", "deliver_flow"} & set(plan.senders)),
            ),
            (texts.DATAGRAMS, any(plan.senders.get(name) for name in ("deliver_udp", "deliver_flow"))),
            (texts.CONNECTIONS, bool(plan.senders.get("deliver_tcp"))),
            *((self._sender(name), True) for name in plan.senders),
            (texts.PROBE, bool(plan.probes)),
        ]
        return [("" if text.startswith("closed") else "\n\n") + text for text, needed in wanted if needed]

    def _check(self, returns: bool) -> str:
        plan = self.plan
        fills = {
            "@START@": "error, result = 0, closed" if returns else "error = 0",
            "@ALARM@": f"    signal.alarm({plan.patience})\n" if plan.blocks and not self.windows else "",
            "@RESULT@": "result = " if returns else "",
            "@NONE@": " or ETIMEDOUT" if plan.blocks and self.windows else "",
            "@WRONG@": "error != expected" if plan.plain else "error not in expected",
            "@TEXT@": self._text("error"),
            "@WANTED@": f'{self._text("expected")} if expected else "ok"' if plan.plain else '"something else"',
            "@SETTLE@": "    time.sleep(0.01)  # let the packets arrive\n" if plan.connects else "",
            "@RETURN@": "    return result\n" if returns else "",
        }
        return filled(texts.CHECK, fills)

    def _text(self, error: str) -> str:
        """An error in words; Python has none for those of Winsock."""
        return f"errno.errorcode.get({error}, {error})" if self.windows else f"os.strerror({error})"

    def _index(self) -> str:
        return "1" if self.windows else f'socket.if_nametoindex("{self.plan.loopback}")'

    def _sender(self, sender: str) -> str:
        names = self.plan.senders[sender]
        indent = "    " * (2 if sender == "deliver_flow" else 4)
        sent = self.plan.sent_to(sender)
        client = ""
        if any(multicast(address) and ":" not in address for address in sent):
            client += f"{indent}{texts.MULTICAST}\n"
        if any(address.startswith("::ffff:") for address in sent):
            client += f"{indent}client.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)\n"
        take = "connections" if sender == "deliver_tcp" else "datagrams"
        fills = {
            "@CLIENT@": client,
            "@PATIENCE@": "3" if self.windows else "1",
            "@INTERRUPTED@": self._constant("timeout"),
            "@COUNTS@": ", ".join(f'"{name}": {take}({variable(name)})' for name in names),
            "@NAMES@": "".join(f"{name}:%d " for name in names),
        }
        return filled(texts.SENDERS[sender], fills)

    def _choose(self) -> str:
        start = str(self.case.port) if self.case.port else "10001 + os.getpid() % 10000 * 2"
        text = f"port = int(sys.argv[1]) if len(sys.argv) > 1 else {start}\n"
        if self.plan.blocks and not self.windows:
            text += "signal.signal(signal.SIGALRM, interrupt)\n"
        if self.plan.probes:
            indent = "    " * (1 if self.case.port else 2)
            probes = "".join(f'{indent}probe({one.type}, "{one.address}")\n' for one in self.plan.probes)
            busy = "error.errno not in (EADDRINUSE, EACCES)" if self.windows else "error.errno != EADDRINUSE"
            text += filled(texts.SEE if self.case.port else texts.CHOOSE, {"@PROBES@": probes, "@BUSY@": busy})
        if "user" in self.plan.kinds:
            text += texts.ROOT
        return text

    # --- the calls -------------------------------------------------------------------------------------------------

    def _step(self, index: int) -> list[str]:
        """The lines of a step."""
        line = self.case.lines[index]
        step = line.step
        if index in self.plan.deliveries:
            return self._delivery(index)
        call, *arguments = self._call(index)
        if step.kind in ("socket", "accept") and line.accepted in ((), ("ok",)):
            self.open.add(step.socket)
        elif step.kind in ("socket", "accept", "close"):
            self.open.discard(step.socket)
        made = f"{variable(step.socket)} = " if step.kind in ("socket", "accept") else ""
        if self.plan.unchecked(index):
            return [f"{made}{call}({', '.join(arguments)})"]
        words = [f'"{step.text}"', self._expected(line), call, *arguments]
        return [f"{made}check({', '.join(words)})"]

    def _expected(self, line: CaseStep) -> str:
        words = ["0" if word == "ok" else self._constant(word) for word in line.accepted]
        if self.plan.plain:
            return words[0]
        if not words:
            return "range(0, 100000)"
        if ANY_ERROR in line.accepted:
            return f"range({int('ok' not in line.accepted)}, 100000)"
        return f"({', '.join(words)}{',' if len(words) == 1 else ''})"

    def _constant(self, outcome: str) -> str:
        """The constant of an outcome, or its number."""
        return _ERRORS[self.windows].get(outcome, outcome).removeprefix("errno ")

    def _delivery(self, index: int) -> list[str]:
        line, sender = self.case.lines[index], self.plan.sender(index)
        address = line.step.address
        family = "AF_INET6" if ":" in address else "AF_INET"
        scope = f", 0, {self._index()}" if address.startswith("ff") else ""
        send = f'{sender}("{line.step.text}", {family}, ("{address}", port{scope}))'
        fine = condition(line, self.plan.senders[sender], _got, "and", "or", self._constant)
        if not fine:
            return [send]
        return [f"got, failed, error = {send}", f'expect({fine}, "{" or ".join(line.accepted)}")']

    def _call(self, index: int) -> list[str]:
        """What is called in a step, and the arguments."""
        step = self.plan.steps[index]
        name = variable(step.socket)
        if step.kind in ("bind", "connect"):
            target = f'("{step.address}", {0 if step.kind == "bind" and step.value else "port"})'
            if (":" in step.address) != (self.plan.family(index) == "AF_INET6"):
                return [f"lambda: other_family({name}).{step.kind}({target})"]
            return [f"{name}.{step.kind}", target]
        if step.kind == "set":
            level = LEVELS.get(step.what, "SOL_SOCKET")
            return [f"{name}.setsockopt", level, OPTIONS[step.what], str(step.value)]
        if step.kind == "socket":
            return ["socket.socket", *(one for one in SOCKETS[step.what] if one != "0")]
        listener = variable(step.what)
        accept = f"soon({listener}, {listener}.accept)" if self.windows else f"{listener}.accept()"
        calls = {
            "listen": [f"{name}.listen", "64"],
            "accept": [f"lambda: {accept}[0]"],
            "read": ["soon", name, f"{name}.recv", "1"] if self.windows else [f"{name}.recv", "1"],
            "close": [f"{name}.close"] if step.socket in self.open else ["socket.close", f"{name}.detach()"],
            "join": [f"join{6 if ':' in step.address else 4}", name, f'"{step.address}"'],
            "user": ["os.seteuid", str(step.value)],
            "wait": ["time.sleep", str(step.value / 1000)],
        }
        return calls[step.kind]


def _got(name: str) -> str:
    return f'got["{name}"]'
