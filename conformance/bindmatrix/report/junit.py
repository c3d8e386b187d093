"""Summaries as JUnit XML, for the test pages of CI systems.

A suite is a host.  A case is a rule that decided something (passed), a group of scenarios that diverge (failed), or a
group that is flaky, known, resolved, unknown, or a reason for no verdict (skipped, with what was seen): so a suite
fails exactly when the command's exit status is 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as ET

from bindmatrix.judge.summary import Summary, VerdictGroup
from bindmatrix.judge.verdicts import VerdictKind
from bindmatrix.quoting import xml
from bindmatrix.report.terminal import group_lines
from bindmatrix.report.words import counted


def render(summaries: Mapping[str, Summary]) -> str:
    """The XML for hosts by name."""
    root = ET.Element("testsuites", name="bindmatrix")
    for name, summary in summaries.items():
        root.append(_suite(name, summary))
    for key in ("tests", "failures", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(name: str, summary: Summary) -> ET.Element:
    suite = ET.Element("testsuite", name=xml(name), time=f"{summary.seconds:.3f}")
    properties = ET.SubElement(suite, "properties")
    facts = {"system": summary.system, "release": summary.release, "scenarios": summary.total, **summary.verdicts}
    for key, value in {**facts, **{f"host.{key}": value for key, value in summary.host.items()}}.items():
        ET.SubElement(properties, "property", name=xml(str(key)), value=xml(str(value)))
    for group in summary.groups:
        if group.kind != VerdictKind.CONFORMS:
            _group(suite, name, group, summary.recording)
    diverging = {group.rule for group in summary.of(VerdictKind.DIVERGES)}
    for rule, steps in summary.system_rules.items():
        if rule not in diverging:
            case = _case(suite, name, f"rule {rule}")
            ET.SubElement(case, "system-out").text = f"decided {steps} steps as the host did"
    for kind, reasons in summary.reasons.items():
        for reason, count in reasons.items():
            case = _case(suite, name, f"{kind}: {reason}")
            ET.SubElement(case, "skipped", message=xml(f"{counted(count, 'scenario')}: {VerdictKind(kind).meaning}"))
    for note in summary.notes:
        ET.SubElement(suite, "system-out").text = xml(note)
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", "0")
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    return suite


def _group(suite: ET.Element, name: str, group: VerdictGroup, recording: str | None) -> None:
    what = group.divergence or group.rule or "no rule"
    case = _case(suite, name, f"{group.kind} {what}: {group.shortest}")
    text = xml("\n".join([*group_lines(group, recording), *(f"  evidence: {one}" for one in group.evidence)]))
    message = xml(f"{counted(group.count, 'scenario')}: {group.kind.meaning}")
    if group.kind == VerdictKind.DIVERGES:
        ET.SubElement(case, "failure", message=message, type=group.kind).text = text
    else:
        ET.SubElement(case, "skipped", message=message)
        ET.SubElement(case, "system-out").text = text


def _case(suite: ET.Element, host: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=xml(f"bindmatrix.{host}"), name=xml(name), time="0")
