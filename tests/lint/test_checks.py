"""Each check finds its mistake in a small file, and nothing in the good one."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from bindmatrix.lint import checks

from tests.lint.conftest import GOOD, Folder

Only = Callable[[str], str]


def test_the_good_file_passes(folder: Folder) -> None:
    assert folder.lint() == []


def test_every_check_has_a_name_and_one_line() -> None:
    names = [check.name for check in checks.CHECKS]
    assert len(set(names)) == len(names)
    for check in checks.CHECKS:
        assert check.description
        assert "\n" not in check.description


def test_form(folder: Folder) -> None:
    folder.write(GOOD.replace("existing.overlaps", "existing.overlap").replace("EADDRINUSE", "EADDRINUS"))
    found = folder.lint()
    assert [name for name, _ in found] == ["form", "form"]
    assert "did you mean 'existing.overlaps'?" in found[0][1]


def test_form_of_divergences(folder: Folder, only: Only) -> None:
    folder.divergences.write_text("- id: demo.odd\n  instead-of: demo.conflicts\n", encoding="utf-8")
    assert "divergences/demo.yaml:2:15: unknown 'demo.conflicts'" in only("form")


def test_file_name(folder: Folder) -> None:
    folder.file = folder.file.rename(folder.file.with_name("other.yaml"))
    assert [name for name, _ in folder.lint()] == ["file-name"]


def test_ids(folder: Folder, only: Only) -> None:
    folder.change("demo.bound-twice", "dm.bound-twice")
    assert "demo.yaml:15:5: expected an id that starts with 'demo.', such as 'demo.bound-twice'" in only("ids")


def test_why(folder: Folder, only: Only) -> None:
    folder.change("why: it is taken", "why: it is taken" + " by far" * 30)
    assert "'why' of 'demo.conflict' has 221 characters; expected at most 200" in only("why")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("why: inet_bind_conflict() finds it", "names 'inet_bind_conflict()'; add 'gloss: ...' in plain language"),
        ("why: the last of local_wild stays", "names 'local_wild'"),
        ("why: FASTREUSEPORT_ANY is set", "names 'FASTREUSEPORT_ANY'"),
        ("why: since 4f02a7d739b3 it is", "names '4f02a7d739b3'"),
        ("why: the same among the others", "starts with 'the same'"),
        ("gloss: in the demuxer\n    why: it is taken", "names 'demuxer'; reword it"),
        (
            "gloss: it is taken" + " by far" * 30 + "\n    why: it is taken",
            "'gloss' of 'demo.conflict' has 221 characters",
        ),
    ],
)
def test_gloss(folder: Folder, only: Only, reason: str, words: str) -> None:
    folder.change("why: it is taken", reason)
    assert words in only("gloss")


@pytest.mark.parametrize(
    "reason",
    [
        "gloss: it is taken\n    why: inet_bind_conflict() finds it",
        "why: bind() of SO_REUSEPORT gives EADDRINUSE on IPV6_V6ONLY",
        "why: net.inet.ip.connect_inaddr_wild is 0",
    ],
)
def test_a_gloss_may_name_what_programs_use(folder: Folder, reason: str) -> None:
    folder.change("why: it is taken", reason)
    assert folder.lint() == []


@pytest.mark.parametrize(
    ("span", "words"),
    [
        ('    since: "1.5"\n    until: "1.5"\n', "'until' must be later"),
        ('    since: {mainline: "1.5", "1.2": "1.2.9"}\n    until: {"1.2": "1.2.3"}\n', "(1.2): 'until' must be later"),
        ('    since: "3.0"\n', "holds in no release from 1.0 to 2.0 that the file covers (since 3.0)"),
        ('    until: "0.9"\n', "holds in no release from 1.0 to 2.0"),
    ],
)
def test_spans(folder: Folder, span: str, words: str) -> None:
    folder.change("    when: {new.bound: yes}\n", f"{span}    when: {{new.bound: yes}}\n")
    found = dict(folder.lint())
    assert words in found["spans"]
    assert "demo.yaml:15:5" in found["spans"]


@pytest.mark.parametrize(
    "span", ['    since: "1.5"\n', '    until: {mainline: "1.5", "1.2": "1.2.3"}\n', '    since: "2.0"\n']
)
def test_good_spans(folder: Folder, span: str) -> None:
    folder.change("    when: {new.bound: yes}\n", f"{span}    when: {{new.bound: yes}}\n")
    assert folder.lint() == []


REMEMBER = """\
remember:
  - id: demo.first
    memory: reuseport
    when: {port.empty: yes}
    write: address
    why: the first
    evidence: [{source: "demo.c"}]
"""
READS = """\
  - id: demo.cached
    when: {memory.reuseport: address, new.reuseport: yes}
    allow: yes
    why: remembered
    evidence: [{source: "demo.c"}]
"""


def test_complete(folder: Folder, only: Only) -> None:
    folder.write(GOOD.replace("  - id: demo.free\n", READS + "  - id: demo.free\n") + REMEMBER)
    assert "the rules of 'remember' leave combinations of facts undecided for 'memory: reuseport'" in only("complete")


def test_what_nobody_asks_for_may_stay_open(folder: Folder) -> None:
    folder.write(GOOD + REMEMBER)
    assert folder.lint() == []


def test_complete_deliveries(folder: Folder, only: Only) -> None:
    folder.write(
        GOOD
        + "deliver:\n  - id: demo.stream\n    when: {new.protocol: tcp}\n    pick: refused\n    why: nobody\n"
        + "    evidence: [{source: demo.c}]\n"
    )
    assert "the rules of 'deliver' leave combinations of facts undecided" in only("complete")


def rule(name: str, condition: str, outcome: str = "refuse: EACCES") -> str:
    lines = "".join(f"    {line}\n" for line in condition.splitlines())
    return f'  - id: demo.{name}\n{lines}    {outcome}\n    why: so\n    evidence: [{{source: "demo.c"}}]\n'


#: a rule put in front of `otherwise`, and the rules that leave it nothing
DEAD = [
    ("same", "ask: every\nwhen: {existing.overlaps: yes, both.reuseaddr: no, both.reuseport: no}", "'demo.conflict'"),
    ("narrower", "when: {new.bound: yes, new.protocol: tcp}", "'demo.bound-twice'"),
    (
        "follows-from-other-facts",
        "ask: every\nwhen: {existing.address: wider, new.reuseaddr: no, new.reuseport: no}",
        "'demo.conflict'",
    ),
    (
        "other-user",
        "ask: every\nwhen: {existing.overlaps: yes, existing.user: other, existing.reuseaddr: no}",
        "'demo.conflict'",
    ),
    (
        "closest",
        "ask: closest\namong: {existing.overlaps: yes}\nwhen: {new.reuseaddr: no, existing.reuseport: no}",
        "'demo.conflict'",
    ),
    (
        "by-two",
        "ask: first\nwhen: {existing.overlaps: yes, both.reuseport: no}\nunless: {new.bound: no, both.reuseaddr: yes}",
        "'demo.bound-twice' and 'demo.conflict'",
    ),
]


@pytest.mark.parametrize(("condition", "by"), [row[1:] for row in DEAD], ids=[row[0] for row in DEAD])
def test_dead(folder: Folder, condition: str, by: str) -> None:
    folder.change("  - id: demo.free\n", rule("late", condition) + "  - id: demo.free\n")
    found = dict(folder.lint())
    assert f"'demo.late' can never decide in 'bind': before it {by} decide" in found["dead"]


ALIVE = [
    ("not-overlapping", "ask: every\nwhen: {existing.overlaps: no}"),
    ("another-space", "ask: every\nin: one\nwhen: {existing.overlaps: yes, new.reuseaddr: no, new.reuseport: no}"),
    ("shared", "ask: every\nwhen: {existing.overlaps: yes, both.reuseport: yes}"),
    ("on-its-own", "when: {new.reuseaddr: no}"),
    (
        "each-address",
        "ask: each-address\namong: {existing.overlaps: yes}\nwhen: {both.reuseaddr: no, both.reuseport: no}",
    ),
    ("of-the-other-family", "when: {new.fits-family: no, new.bound: no}"),
]


@pytest.mark.parametrize("condition", [row[1] for row in ALIVE], ids=[row[0] for row in ALIVE])
def test_not_dead(folder: Folder, condition: str) -> None:
    folder.change("  - id: demo.free\n", rule("late", condition) + "  - id: demo.free\n")
    assert "dead" not in dict(folder.lint())


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("when: {new.family: ipv4, new.form: dual}", "new.family: ipv4 with new.form: dual"),
        ("when: {new.exclusive: yes}", "(new.exclusive: yes)"),
        ("ask: every\nwhen: {existing.state: listening, existing.connected: yes}", "existing.state: listening with"),
        ("ask: every\nwhen: {new.reuseaddr: no, both.reuseaddr: yes}", "new.reuseaddr: no with both.reuseaddr: yes"),
        ("ask: every\nwhen: {existing.address: same, existing.overlaps: no}", "existing.address: same with"),
        (
            "ask: every\nwhen: {new.privileged: yes, existing.privileged: no, existing.user: same}",
            "new.privileged: yes with",
        ),
        ("when: {option: reuseaddr}", "(option: reuseaddr)"),
        ("when: {destination: mapped}", "(destination: mapped)"),
        ("when: {new.form: ipv4}\nunless: {new.family: ipv4}", "together with 'unless'"),
    ],
)
def test_impossible(folder: Folder, condition: str, words: str) -> None:
    folder.change("  - id: demo.conflict\n", rule("never", condition) + "  - id: demo.conflict\n")
    found = dict(folder.lint())
    assert "'demo.never' can never decide in 'bind': its condition is impossible" in found["dead"]
    assert words in found["dead"] or "'unless'" in words


def test_dead_only_in_some_releases_is_alive(folder: Folder) -> None:
    early = rule("early", "when: {new.protocol: udp}").replace("when", 'since: "1.5"\n    when')
    late = rule("late", "when: {new.protocol: udp, new.reuseaddr: yes}", "refuse: EPERM")
    folder.change("  - id: demo.conflict\n", early + late + "  - id: demo.conflict\n")
    assert folder.lint() == []


def test_idle(folder: Folder, only: Only) -> None:
    folder.change("unless: [{both.reuseaddr: yes}", "unless: [{both.reuseaddr: yes}, {existing.address: apart}")
    assert "alternative 2 of 'unless' of 'demo.conflict' can never apply in 'bind'" in only("idle")


def test_a_shared_alternative_may_be_idle_in_one_of_its_rules(folder: Folder) -> None:
    other = rule("apart", "ask: every\nwhen: {new.protocol: udp}\nunless: {existing.address: apart}")
    folder.write(
        GOOD.replace("  - id: demo.free\n", other + "  - id: demo.free\n").replace(
            "unless: [{both.reuseaddr: yes}", "unless: [{both.reuseaddr: yes}, {existing.address: apart}"
        )
    )
    assert "idle" not in dict(folder.lint())


def test_spaces(folder: Folder) -> None:
    folder.change("    ask: every\n", "    ask: each-address\n    in: one\n")
    assert "delete 'in: one'" in dict(folder.lint())["spaces"]


def test_duplicates(folder: Folder) -> None:
    folder.change("  - id: demo.conflict\n", rule("again", "when: {new.bound: yes}") + "  - id: demo.conflict\n")
    found = dict(folder.lint())
    assert "'demo.again' has the condition of 'demo.bound-twice' in line 15 of 'bind'" in found["duplicates"]


def test_the_same_condition_in_other_releases(folder: Folder) -> None:
    again = rule("again", 'since: "1.5"\nwhen: {new.bound: yes}')
    until = '    until: "1.5"\n    when: {new.bound: yes}\n'
    folder.write(
        GOOD.replace("    when: {new.bound: yes}\n", until).replace(
            "  - id: demo.conflict\n", again + "  - id: demo.conflict\n"
        )
    )
    assert folder.lint() == []


def test_an_alternative_that_stands_twice(folder: Folder, only: Only) -> None:
    folder.change("[{both.reuseaddr: yes}, ", "[{both.reuseaddr: yes}, {both.reuseaddr: yes}, ")
    assert "'unless' of 'demo.conflict' names the same alternative twice" in only("duplicates")


# -- against the evidence


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("demo-1.0/pears", "no recorded set 'demo-1.0/pears' of demo in evidence; did you mean 'demo-1.0/pairs'?"),
        ("demo-1.1/pairs", "no recorded set 'demo-1.1/pairs' of demo in evidence; did you mean 'demo-1.0'?"),
        ("linux-6.1/pairs", "no recorded set 'linux-6.1/pairs'"),
    ],
)
def test_evidence_that_is_not_there(folder: Folder, only: Only, reference: str, words: str) -> None:
    folder.change(
        "why: it is taken\n    evidence: [{observed: demo-1.0/pairs}]",
        f"why: it is taken\n    evidence: [{{observed: {reference}}}]",
    )
    message = only("evidence")
    assert words in message
    assert "demo.yaml:26:27" in message


def test_evidence_that_the_rule_does_not_decide(folder: Folder, only: Only) -> None:
    folder.record("other", {"a=tcp4 a.bind=0.0.0.0": ["ok", "ok"]})
    folder.change(
        "why: it is taken\n    evidence: [{observed: demo-1.0/pairs}]",
        "why: it is taken\n    evidence: [{observed: demo-1.0/other}]",
    )
    assert "'demo.conflict' decides nothing in demo-1.0/other; name one of demo-1.0/pairs" in only("supports")


def test_evidence_that_breaks_off(folder: Folder) -> None:
    path = folder.host / "pairs.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-12])
    found = dict(folder.lint())
    assert "breaks off" in found["readable"]


def test_evidence_of_no_release(folder: Folder) -> None:
    folder.record("pairs", {"a=tcp4": ["ok"]}, host="demo-current")
    assert "the folder 'demo-current' names no release" in dict(folder.lint())["readable"]


def test_agreement(folder: Folder, only: Only) -> None:
    folder.record("more", {"a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1": ["ok", "ok", "ok", "EACCES"]})
    folder.write(GOOD)
    message = only("agreement")
    assert "demo.yaml:20:5: 1 recorded outcomes contradict demo.conflict: demo-1.0/more (1)" in message
    assert "the step b.bind=127.0.0.1 was recorded as EACCES, the rule says EADDRINUSE" in message


DIVERGENCE = """\
- id: demo.odd
  before: demo.conflict
  ask: every
  when: {new.protocol: tcp, existing.address: wider, both.reuseport: yes}
  refuse: EACCES
  why: an odd one
  evidence: [{observed: demo-1.0/odd}]
"""
ODD = "a=tcp4 a.reuseport=1 a.bind=0.0.0.0 b=tcp4 b.reuseport=1 b.bind=127.0.0.3"


def test_a_divergence_that_explains(folder: Folder) -> None:
    folder.divergences.write_text(DIVERGENCE.replace("wider", "same"), encoding="utf-8")
    folder.record("odd", {ODD.replace("127.0.0.3", "0.0.0.0"): ["ok", "ok", "ok", "ok", "ok", "EACCES"]})
    folder.record("pairs", {"a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1": ["ok", "ok", "ok", "EADDRINUSE"]})
    folder.write(GOOD)
    assert folder.lint() == []


def test_a_divergence_that_explains_nothing(folder: Folder) -> None:
    folder.divergences.write_text(
        DIVERGENCE.replace("new.protocol: tcp", "new.protocol: udp").replace("/odd", "/pairs"), encoding="utf-8"
    )
    folder.write(GOOD)
    assert "'demo.odd' explains no recorded outcome; delete the entry" in dict(folder.lint())["divergences"]


def test_a_divergence_that_goes_too_far(folder: Folder) -> None:
    folder.divergences.write_text(DIVERGENCE, encoding="utf-8")
    folder.record("odd", {ODD: ["ok", "ok", "ok", "ok", "ok", "EACCES"]})
    folder.write(GOOD)
    found = dict(folder.lint())
    assert "are as the rules say and not as 'demo.odd' does; narrow its condition" in found["divergences"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"demo-1.1": {}}, "'demo-1.1' is no recorded host; did you mean 'demo-1.0'?"),
        ({"demo-1.0": {"release": "old"}}, "'demo-1.0': expected a release such as '6.12.43', got 'old'"),
        ({"demo-1.0": {"functions": {"1.0": ["connect()"]}}}, "'demo-1.0': no rule names 'connect()' as its source"),
    ],
)
def test_hosts(folder: Folder, only: Only, row: dict[str, dict[str, object]], message: str) -> None:
    good = {
        "method": "compiled",
        "why": "a stack with parts of another",
        "release": "0.9",
        "functions": {"1.0": ["bind()"]},
    }
    rows = {host: good | given for host, given in ({"demo-1.0": {}} | row).items()}
    (folder.evidence / "hosts.json").write_text(json.dumps(rows), encoding="utf-8")
    assert message in only("hosts")


def test_hosts_of_other_systems_are_theirs(folder: Folder) -> None:
    folder.describe("other-1.0", release="x")
    assert folder.lint() == []


def test_a_recorded_host_says_how_it_was_made_to_answer(folder: Folder, only: Only) -> None:
    (folder.evidence / "hosts.json").write_text("{}", encoding="utf-8")
    assert "expected a row for 'demo-1.0' that says by which method it answered: run, emulated, comp" in only("hosts")


def test_measured(folder: Folder) -> None:
    folder.change('evidence: [{source: "demo.c bind()", release: "1.0"}]', "evidence: [{observed: demo-1.0/pairs}]")
    assert "'demo.bound-twice' rests on recorded outcomes alone and decides none" in dict(folder.lint())["measured"]


def test_decided(folder: Folder, only: Only) -> None:
    folder.write(GOOD.replace("demo.conflict", "demo.taken"), update=False)
    assert "out of date for 2 rules of demo (demo.conflict, demo.taken); run 'bindmatrix regenerate'" in only("decided")


def test_everything_at_once(folder: Folder) -> None:
    folder.write(
        GOOD.replace("demo.bound-twice", "dm.bound-twice")
        .replace("demo-1.0/pairs", "demo-1.0/pears")
        .replace("why: it is taken", "why: " + "x" * 201)
        .replace("EADDRINUSE", "EACCES")
    )
    names = {name for name, _ in folder.lint()}
    assert names == {"ids", "evidence", "why", "agreement"}


def test_one_wrong_outcome_is_one_problem(folder: Folder) -> None:
    """Which rule decides what follows from it, so nothing is said of the evidence of rules or of decided.json."""
    folder.write(GOOD.replace("refuse: EADDRINUSE", "refuse: EACCES"), update=False)
    assert [name for name, _ in folder.lint()] == ["agreement"]
    folder.write(GOOD.replace("unless: [{both.reuseaddr: yes}, ", "unless: ["), update=False)
    assert {name for name, _ in folder.lint()} == {"agreement"}
