"""The text of a bug report, in the form of the tracker of the system.

Every tracker asks for the same facts in another order, so there is one list of sections, and a form says which of them
it wants under which heading.  What was not measured is marked as such.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from bindmatrix.reproduce.cases import Case, releases, wrapped
from bindmatrix.rules.provenance import cited


@dataclass(frozen=True)
class Form:
    """A tracker: where the report goes, its header with fields in braces, and the sections under each heading."""

    where: str
    header: str
    #: heading ("" is none) -> names of sections
    parts: tuple[tuple[str, tuple[str, ...]], ...]
    markdown: bool = False


#: Documentation/admin-guide/reporting-issues.rst and reporting-regressions.rst
_LINUX = Form(
    "mail in plain text; scripts/get_maintainer.pl -f net/ipv4 names who else.  Where an older release\n"
    "# did otherwise it is a regression: Cc: regressions@lists.linux.dev and, with the two releases, a line\n"
    "# '#regzbot introduced: v6.1..v6.2'",
    "To: netdev@vger.kernel.org\nSubject: [BUG] {subject}\n",
    (
        ("", ("what",)),
        ("Steps:", ("steps",)),
        ("Expected:", ("why",)),
        ("Since:", ("since",)),
        ("System:", ("host",)),
        ("Reproducers:", ("programs",)),
    ),
)
#: https://bugs.freebsd.org/bugzilla/enter_bug.cgi: one text beside the fields
_FREEBSD = Form(
    "https://bugs.freebsd.org/bugzilla/ (attach the programs)",
    "Product: Base System\nComponent: kern\nVersion: {release}\nHardware: {machine}\nSummary: {subject}\n",
    (
        ("Description:", ("what",)),
        ("Steps to reproduce:", ("steps",)),
        ("Expected result:", ("why",)),
        ("Affected releases:", ("since",)),
        ("Environment:", ("host",)),
        ("Attachments:", ("programs",)),
    ),
)
#: what sendbug(1) writes (usr.bin/sendbug/sendbug.c), which knows no other fields
_OPENBSD = Form(
    "sendbug(1), or mail to bugs@openbsd.org with the dmesg",
    "To: bugs@openbsd.org\nSubject: {subject}\nFrom: \nCc: \nReply-To: \n\n"
    ">Synopsis:\t{subject}\n>Category:\tkernel\n>Environment:\n\tSystem      : {system} {release}\n"
    "\tDetails     : {version}\n\tArchitecture: {system}.{machine}\n\tMachine     : {machine}\n",
    (
        (">Description:", ("what", "why", "since")),
        (">How-To-Repeat:", ("steps", "host", "programs")),
        (">Fix:", ("fix",)),
    ),
)
#: the fields of send-pr(1), https://www.netbsd.org/support/send-pr.html
_NETBSD = Form(
    "send-pr(1), or https://www.netbsd.org/support/send-pr.html",
    "To: gnats-bugs@netbsd.org\nSubject: {subject}\n\n"
    ">Submitter-Id:\tnet\n>Originator:\t\n>Organization:\t\n>Confidential:\tno\n>Synopsis:\t{subject}\n"
    ">Severity:\tnon-critical\n>Priority:\tmedium\n>Category:\tkern\n>Class:\tsw-bug\n>Release:\t{system} {release}\n"
    ">Environment:\nSystem: {uname}\nArchitecture: {machine}\nMachine: {machine}\n",
    (
        (">Description:", ("what", "why", "since")),
        (">How-To-Repeat:", ("steps", "host", "programs")),
        (">Fix:", ("fix",)),
    ),
)
_APPLE = Form(
    "https://feedbackassistant.apple.com (macOS; Networking; Incorrect/Unexpected Behavior; attach a sysdiagnose)",
    "Title: {subject}\n",
    (
        ("Description:", ("what",)),
        ("Steps to reproduce:", ("steps",)),
        ("Expected results:", ("why",)),
        ("Actual results:", ("actual",)),
        ("Version:", ("since",)),
        ("Configuration:", ("host",)),
        ("Attachments:", ("programs",)),
    ),
)
#: the form of https://github.com/microsoft/WSL/issues/new, in its order
_WINDOWS = Form(
    "https://github.com/microsoft/WSL/issues for WSL, the Feedback Hub for Windows itself",
    "Title: {subject}\n\n### Windows Version\n\n{windows}\n\n### WSL Version\n\n{wsl}\n\n"
    "### Kernel Version\n\n{kernel}\n",
    (
        ("### Repro Steps", ("steps", "programs")),
        ("### Expected Behavior", ("why",)),
        ("### Actual Behavior", ("what", "since")),
        ("### Diagnostic Logs", ("host",)),
    ),
    markdown=True,
)
#: .github/ISSUE_TEMPLATE/bug_report.yml of google/gvisor, in its order; what asks for Docker and Kubernetes is left out
_GVISOR = Form(
    "https://github.com/google/gvisor/issues/new (attach the debug logs of runsc)",
    "Title: {subject}\n",
    (
        ("### Description", ("what", "why", "since")),
        ("### Steps to reproduce", ("steps", "programs")),
        ("### runsc version", ("release",)),
        ("### uname", ("host",)),
    ),
    markdown=True,
)
_OTHER = Form("the tracker of the project", "Title: {subject}\n", _APPLE.parts)

FORMS = {
    "linux": _LINUX,
    "freebsd": _FREEBSD,
    "openbsd": _OPENBSD,
    "netbsd": _NETBSD,
    "dragonfly": replace(_OTHER, where="https://bugs.dragonflybsd.org"),
    "illumos": replace(_OTHER, where="https://www.illumos.org/issues"),
    "gvisor": _GVISOR,
    "macos": _APPLE,
    "windows": _WINDOWS,
    "lwip": replace(_OTHER, where="https://savannah.nongnu.org/bugs/?group=lwip"),
    "wine": replace(_OTHER, where="https://bugs.winehq.org"),
}
_WSL = "wsl"


def report(case: Case, programs: dict[str, str]) -> str:
    """The report; ``programs`` maps file names to texts, which are appended in full."""
    facts = case.facts
    wsl = facts.get("container") == _WSL
    form = _WINDOWS if wsl else FORMS.get(case.os, _OTHER)
    release = facts.get("release") or case.release
    words = {
        "subject": case.subject,
        "system": facts.get("kernel") or case.title,
        "release": release,
        "version": facts.get("version") or "not recorded",
        "machine": facts.get("machine") or "not recorded",
        "uname": _uname(case),
        "windows": "not recorded" if wsl else release,
        "wsl": "not recorded" if wsl else "not WSL",
        "kernel": release if wsl else "not WSL",
    }
    nothing = _unsurprising(case)
    header = form.header.replace("[BUG] ", "") if nothing else form.header
    parts = [f"{nothing}# Send to: {form.where}\n{header.format(**words)}"]
    for heading, sections in form.parts:
        texts = [
            _programs(programs, form.markdown) if name == "programs" else _section(case, name, form.markdown)
            for name in sections
        ]
        parts.append((f"{heading}\n\n" if heading else "") + "\n".join(texts))
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _unsurprising(case: Case) -> str:
    """The warning that heads a report when nothing diverges, else ""."""
    if case.surprise is not None or not any(line.observed for line in case.lines):
        return ""
    advice = "" if case.given else "; say what you expected with --expect"
    return f"# Nothing to report: {case.host} does as expected{advice}.\n"


def _what(case: Case) -> str:
    line = case.surprise
    shown = "\n".join(f"  {text}" for text in wrapped((step.text for step in case.scenario.steps), 90))
    known = (
        f"Method: {case.known}."
        if case.seen
        else f"Nothing was executed for this report. Source of the outcomes: {case.known}."
    )
    limit = f"({case.limit}.)\n" if case.limit and not case.seen else ""
    first = f"Sockets that share one port, step by step:\n\n{shown}\n\n"
    if line is None and not any(one.observed for one in case.lines):
        return first + "Nothing was observed yet: run the programs below.\n"
    if line is None:
        return first + f"{case.host} does as expected.\n({known})\n" + limit
    return first + (
        f"On {case.host}, `{line.step.text}` gives {line.observed}; {line.wanted} was expected.\n({known})\n" + limit
    )


def _actual(case: Case) -> str:
    line = case.surprise
    return "As expected.\n" if line is None else f"`{line.step.text}` gives {line.observed}.\n"


def _steps(case: Case) -> str:
    rows = [("step", "expected", "observed" if case.seen else "known of it")]
    rows += [(line.step.text, line.wanted, line.observed or "unknown") for line in case.lines]
    one, two = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
    marks = ["", *("  <--" if line.surprising else "" for line in case.lines)]
    text = "".join(f"  {a:<{one}}  {b:<{two}}  {c}{mark}\n" for (a, b, c), mark in zip(rows, marks, strict=True))
    port = f"\nThe port has to be {case.port}.\n" if case.port else ""
    return text + port + "\nThe programs below do these steps; they exit with 1 where a step is not as expected.\n"


def _why(case: Case) -> str:
    """The expectation with its rule, why and evidence, for the step that surprises or the last that can be refused."""
    line = case.surprise or next(
        (one for one in reversed(case.lines) if one.expected != "ok" or one.step.kind == "bind"), case.lines[-1]
    )
    text = f"`{line.step.text}` should give {line.wanted}.\n"
    if case.because:
        text += "\n" + "\n".join(wrapped(case.because.split(), 100)) + "\n"
    elif case.given:
        text += "\nThat expectation is the reporter's.\n"
    label = "What the kernel is known to follow" if case.given or case.divergences else "The rule"
    rules = [one for one in line.rules if not (case.seen and one.is_unknown)]
    if rules:
        text += f"\n{label}: {', '.join(rule.id for rule in rules)}\n"
        for said in dict.fromkeys((line.reason.text, line.reason.why)):
            text += "".join(f"  {part}\n" for part in wrapped(said.split(), 96))
    for one in dict.fromkeys(one for rule in rules for one in rule.evidence):
        text += f"  {cited(one)}\n"
    if case.divergences:
        text += f"\nRecorded as a divergence: {', '.join(case.divergences)}\n"
    return text


def _since(case: Case) -> str:
    if case.port:
        return "Only on some ports; see the rule above for the releases that were checked.\n"
    if not any(line.observed for line in case.lines):
        return "Unknown.\n"
    same, others, unknown = releases(case)
    listed = "; ".join(same) or "none that is described"
    text = f"Releases that do so: {case.title} {listed}.\n"
    text += f"Releases that differ: {'; '.join(others)}.\n" if others else ""
    return text + (f"Releases where it is unknown: {'; '.join(unknown)}.\n" if unknown else "")


def _uname(case: Case) -> str:
    facts = case.facts
    release = "uname" if facts.get("uname") else "release"
    words = [str(facts[key]) for key in ("kernel", release, "version", "machine") if facts.get(key)]
    return " ".join(words) if facts.get("kernel") else "not recorded"


def _host(case: Case) -> str:
    facts = case.facts
    rows = [f"host: {case.host}", f"uname: {_uname(case)}"]
    sysctls = facts.get("sysctls")
    rows += (
        [f"sysctl: {name} = {value}" for name, value in sorted(sysctls.items())] if isinstance(sysctls, dict) else []
    )
    for key in ("container", "namespace", "privileged", "addresses"):
        if key in facts:
            value = facts[key]
            rows.append(f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return "".join(f"  {row}\n" for row in rows)


def _section(case: Case, name: str, markdown: bool) -> str:
    """In Markdown what is indented has to be so by four spaces, to stay as it is."""
    text = _SECTIONS[name](case)
    return re.sub(r"^  (?=\S)", "    ", text, flags=re.MULTILINE) if markdown else text


def _programs(programs: dict[str, str], markdown: bool) -> str:
    if markdown:
        return "\n".join(f"`{name}`:\n\n```{name.rpartition('.')[2]}\n{text}```\n" for name, text in programs.items())
    return "".join(f"--- {name} ---\n{text}\n" for name, text in programs.items())


_SECTIONS: dict[str, Callable[[Case], str]] = {
    "what": _what,
    "steps": _steps,
    "why": _why,
    "since": _since,
    "host": _host,
    "actual": _actual,
    "release": lambda case: f"{case.facts.get('release') or case.release}\n",
    "fix": lambda _case: "Unknown.\n",
}
