"""The text of a bug report, in the form of the tracker of the system.

Every tracker asks for the same facts in another order, so there is one list of sections, and a form says which of them
it wants under which heading.  What was not measured is said not to be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from conformance.report.reproduce import Case, releases, wrapped


@dataclass(frozen=True)
class Form:
    """A tracker: where the report goes, its header lines, and (heading, section) pairs; "" is no heading."""

    where: str
    header: str
    sections: tuple[tuple[str, str], ...]
    underline: str = ""


_LINUX = Form(
    "mail, plain text, to netdev@vger.kernel.org (scripts/get_maintainer.pl -f net/ipv4 names who else)",
    "To: netdev@vger.kernel.org\nSubject: [BUG] {subject}\n",
    (
        ("", "what"),
        ("Steps", "steps"),
        ("Expected", "why"),
        ("Since", "since"),
        ("System", "host"),
        ("Reproducer", "programs"),
    ),
)
_FREEBSD = Form(
    "https://bugs.freebsd.org/bugzilla/ (product Base System, component kern)",
    "Summary: {subject}\nProduct: Base System\nComponent: kern\nVersion: {release}\nHardware: {machine}\n",
    (
        ("Description", "what"),
        ("Steps to reproduce", "steps"),
        ("Expected result", "why"),
        ("Affected releases", "since"),
        ("Environment", "host"),
        ("Programs", "programs"),
    ),
)
_OPENBSD = Form(
    "sendbug(1), or mail to bugs@openbsd.org",
    "To: bugs@openbsd.org\nSubject: {subject}\nFrom: \n",
    (
        (">Synopsis", "subject"),
        (">Category", "category"),
        (">Environment", "host"),
        (">Description", "what"),
        (">How-To-Repeat", "steps"),
        (">Expected", "why"),
        (">Releases", "since"),
        (">Programs", "programs"),
    ),
)
_NETBSD = Form(
    "send-pr(1), or https://www.netbsd.org/support/send-pr.html",
    "To: gnats-bugs@NetBSD.org\nSubject: {subject}\n",
    (
        (">Category", "category"),
        (">Synopsis", "subject"),
        (">Release", "release"),
        (">Environment", "host"),
        (">Description", "what"),
        (">How-To-Repeat", "steps"),
        (">Expected", "why"),
        (">Releases", "since"),
        (">Programs", "programs"),
    ),
)
_APPLE = Form(
    "https://feedbackassistant.apple.com (macOS, area Networking, type Incorrect/Unexpected Behavior)",
    "Title: {subject}\n",
    (
        ("Description", "what"),
        ("Steps to reproduce", "steps"),
        ("Expected results", "why"),
        ("Versions", "since"),
        ("Configuration", "host"),
        ("Attachments", "programs"),
    ),
)
_WINDOWS = Form(
    "https://github.com/microsoft/WSL/issues for WSL, the Feedback Hub for Windows itself",
    "Title: {subject}\nWindows Version: {release}\n",
    (
        ("### Actual Behavior", "what"),
        ("### Repro Steps", "steps"),
        ("### Expected Behavior", "why"),
        ("### Releases", "since"),
        ("### Version", "host"),
        ("### Programs", "programs"),
    ),
)
_OTHER = Form("the tracker of the project", "Title: {subject}\n", _APPLE.sections)

FORMS = {
    "linux": _LINUX,
    "freebsd": _FREEBSD,
    "openbsd": _OPENBSD,
    "netbsd": _NETBSD,
    "macos": _APPLE,
    "windows": _WINDOWS,
}


def report(case: Case, programs: dict[str, str]) -> str:
    """The report; ``programs`` maps file names to texts, which are appended in full."""
    form = FORMS.get(case.os, _OTHER)
    facts = case.facts
    header = form.header.format(
        subject=case.subject, release=facts.get("release") or case.release, machine=facts.get("machine", "any")
    )
    parts = [f"# Send to: {form.where}\n{header}"]
    for heading, section in form.sections:
        text = _SECTIONS[section](case) if section != "programs" else _programs(programs)
        parts.append(
            (f"{heading}:\n\n" if heading and heading[0] != "#" else f"{heading}\n\n" if heading else "") + text
        )
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _what(case: Case) -> str:
    line = case.surprise
    shown = "\n".join(f"  {text}" for text in wrapped((step.text for step in case.scenario.steps), 90))
    known = (
        "observed on that machine"
        if case.seen
        else "known of that release from recorded runs and its rules, not run for this report"
    )
    first = f"Sockets that share one port, step by step:\n\n{shown}\n\n"
    if line is None and not any(one.observed for one in case.lines):
        return first + "Nothing was observed yet: run the programs below.\n"
    if line is None:
        return first + f"{case.host} does as expected ({known}).\n"
    return first + (
        f"On {case.host}, `{line.step.text}` gives {line.observed}; {line.wanted} was expected.\n"
        f"(What the steps return is {known}.)\n"
    )


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
    for rule in line.rules:
        text += f"\n{label}: {rule.id}\n"
        text += "".join(f"  {part}\n" for part in wrapped(rule.why.split(), 96))
        for one in rule.evidence:
            release = f" ({one.release})" if one.release else ""
            text += f"  {one.kind}: {one.reference}{release}\n"
    if case.divergences:
        text += f"\nRecorded as a divergence: {', '.join(case.divergences)}\n"
    return text


def _since(case: Case) -> str:
    if case.port:
        return "Only on some ports; see the rule above for the releases that were looked at.\n"
    if not any(line.observed for line in case.lines):
        return "Unknown.\n"
    same, others, unknown = releases(case)
    listed = ", ".join(same) or "none that is described"
    text = f"Releases that do so, by their rules and recorded runs: {case.title} {listed}.\n"
    text += f"Releases that do otherwise: {', '.join(others)}.\n" if others else ""
    return text + (f"Releases where it is unknown: {', '.join(unknown)}.\n" if unknown else "")


def _host(case: Case) -> str:
    facts = case.facts
    words = [str(facts[key]) for key in ("kernel", "release", "version", "machine") if facts.get(key)]
    uname = " ".join(words) if facts.get("kernel") else "not recorded"
    rows = [f"host: {case.host}", f"uname: {uname}"]
    rows += [f"sysctl: {name} = {value}" for name, value in sorted(dict(facts.get("sysctls") or {}).items())]
    for key in ("container", "namespace", "privileged", "addresses"):
        if key in facts:
            value = facts[key]
            rows.append(f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return "".join(f"  {row}\n" for row in rows)


def _programs(programs: dict[str, str]) -> str:
    text = ""
    for name, program in programs.items():
        text += f"--- {name} ---\n{program}\n"
    return text or "(none)\n"


_SECTIONS: dict[str, Callable[[Case], str]] = {
    "what": _what,
    "steps": _steps,
    "why": _why,
    "since": _since,
    "host": _host,
    "subject": lambda case: f"  {case.subject}\n",
    "category": lambda _case: "  kern\n",
    "release": lambda case: f"  {case.release}\n",
}
