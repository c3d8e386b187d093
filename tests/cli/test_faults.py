"""What new users met in November 2026: faults of the commands, and what they say now."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from bindmatrix.answers import ask
from bindmatrix.answers.scenario_notes import local_clients_note
from bindmatrix.cli import inputs
from bindmatrix.cli.main import main
from bindmatrix.cli.short_form import read
from bindmatrix.errors import Problem
from bindmatrix.notation import parse
from bindmatrix.observe.recordings import FORMAT
from bindmatrix.reproduce import cases, files
from bindmatrix.rules import catalog

from tests.cli.test_verbs import CLASSIC, ENVIRONMENT

Capture = pytest.CaptureFixture[str]


# -- ask


@pytest.mark.parametrize(
    ("short", "scenario"),
    [
        (
            "tcp reuseaddr dual listen :: 0.0.0.0",
            "a=tcp6 a.reuseaddr=1 a.v6only=0 a.bind=:: a.listen b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0",
        ),
        ("udp v6only 127.0.0.1 ::1", "a=udp4 a.bind=127.0.0.1 b=udp6 b.v6only=1 b.bind=::1"),
        ("tcp dual ::", "a=tcp6 a.v6only=0 a.bind=:: b=tcp6 b.v6only=0 b.bind=::"),
        # written for one socket alone, it stays: what the call returns is the question
        ("tcp :: / v6only 127.0.0.1", "a=tcp6 a.bind=:: b=tcp4 b.v6only=1 b.bind=127.0.0.1"),
    ],
)
def test_v6only_of_both_sockets_is_that_of_the_ipv6_ones(short: str, scenario: str) -> None:
    assert read(short).scenario.text == scenario


def test_v6only_without_an_ipv6_socket_is_told() -> None:
    with pytest.raises(Problem, match="are options of IPv6 sockets; expected an IPv6 address"):
        read("tcp dual 0.0.0.0")


@pytest.mark.parametrize(
    ("address", "instead"), [("192.168.1.5", "127.0.0.1"), ("fe80::1", "::1"), ("::ffff:10.0.0.1", "::1")]
)
def test_an_address_that_the_host_has_not_is_told(address: str, instead: str, capsys: Capture) -> None:
    assert main(["ask", "tcp", address, "--os", "linux"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"the host of a scenario has the addresses 127.0.0.1, 127.0.0.2, ::1, and not {address}:" in out
    assert f"a.bind={instead} b=" in out
    assert main(["ask", "tcp", address, "--os", "linux", "--json"]) == 0
    assert address in json.loads(capsys.readouterr().out)[0]["note"]


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1", "224.0.0.251", "ff02::fb"]
)
def test_addresses_that_a_host_has_need_no_note(address: str) -> None:
    kind = "udp6" if ":" in address else "udp4"
    assert ask.foreign_note(parse(f"a={kind} a.bind={address}")) == ""


@pytest.mark.parametrize(
    ("asked", "abroad"),
    [
        (
            "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close a.close b=tcp6 b.bind=::1",
            "a=tcp4 a.bind=0.0.0.0 a.listen c=remote4 c.connect=192.0.2.1 x=a.accept x.close a.close b=tcp6 b.bind=::",
        ),
        (
            "a=tcp6 a.v6only=1 a.bind=:: a.listen c=tcp6 c.connect=::1 x=a.accept a.close b=tcp6 b.bind=::1",
            "a=tcp6 a.v6only=1 a.bind=:: a.listen c=remote6 c.connect=2001:db8::1 x=a.accept a.close b=tcp6 b.bind=::",
        ),
        # nobody restarts, nobody connects, the client binds, the client is on another host
        ("a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept", ""),
        ("a=tcp4 a.bind=127.0.0.1 a.close b=tcp4 b.bind=127.0.0.1", ""),
        (
            "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.bind=127.0.0.2 c.connect=127.0.0.1 x=a.accept b=tcp6 b.bind=::1",
            "",
        ),
        ("a=tcp4 a.bind=0.0.0.0 a.listen c=remote4 c.connect=192.0.2.1 x=a.accept a.close b=tcp4 b.bind=0.0.0.0", ""),
    ],
)
def test_a_restart_points_to_clients_of_another_host(asked: str, abroad: str) -> None:
    """A client on this host leaves no TIME_WAIT on FreeBSD 14 and illumos."""
    note = local_clients_note(parse(asked))
    assert note.endswith(f"bindmatrix ask '{abroad}'") if abroad else note == ""
    assert not abroad or parse(abroad).text == abroad


@pytest.mark.parametrize(("os", "release"), [("linux", "4.19"), ("linux", "8.0"), ("macos", "26"), ("netbsd", "11")])
def test_a_release_that_is_not_covered_is_not_near_anything(os: str, release: str, capsys: Capture) -> None:
    assert main(["ask", "--os", os, "--release", release, "--json", CLASSIC]) == 0
    [answer] = json.loads(capsys.readouterr().out)
    assert answer["confidence"].keys() == {"method", "stretched"}
    assert answer["confidence"]["method"] == "assumed"
    assert main(["predict", "--os", os, "--release", release, CLASSIC]) == 0
    assert json.loads(capsys.readouterr().out)["confidence"]["method"] == "assumed"


# -- reproduce


def test_what_conforms_is_no_bug() -> None:
    case = cases.build(parse(CLASSIC), {"os": "linux", "release": "6.18.44"})
    report = files.files(case)["report.txt"]
    assert "# Nothing to report" in report
    assert "[BUG]" not in report
    case = cases.build(parse("a=tcp4"), {"os": "linux", "release": "6.18.44"}, expect=["EACCES"])
    assert "[BUG]" in files.files(case)["report.txt"]


def test_a_report_does_not_contradict_itself() -> None:
    """The finding is about a socket that the kernel does not compare, the reason about the one that it does."""
    root = Path(__file__).parents[2] / "findings"
    report = (root / "linux-udp-hidden" / "report.txt").read_text(encoding="utf-8").partition("--- repro.c ---")[0]
    assert "and conflicts" in report
    assert "nobody" not in report
    assert "a sets no option and conflicts" in " ".join(report.split())
    assert "b and c overlap and share: both set SO_REUSEPORT" in " ".join(report.split())
    assert "only b is compared" in " ".join(report.split())


# -- files and set-up


def test_a_missing_folder_is_told_before_all_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: object) -> None:
        raise AssertionError("was read first")

    monkeypatch.setattr(inputs, "read", read)
    (tmp_path / "seen.jsonl").write_text("{}\n", encoding="utf-8")
    assert main(["report", str(tmp_path / "seen.jsonl"), "--html", str(tmp_path / "none" / "x.html")]) == 2


class TerminalText(io.StringIO):
    """What is typed on a terminal, or printed on one."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def test_a_command_that_waits_or_takes_long_says_so_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(sys, "stdin", TerminalText("a=tcp4 a.bind=::1\n"))
    assert main(["predict", "--os", "linux", "-"]) == 0
    assert "reading scenarios from the terminal" in capsys.readouterr().err
    file = tmp_path / "one.jsonl"
    file.write_text('{"scenario": "a=tcp4", "outcomes": ["ok"]}\n', encoding="utf-8")
    monkeypatch.setattr(sys, "stderr", told := TerminalText())
    main(["report", str(file), "--os", "linux", "--release", "6.18.44"])
    assert "judging 1 host ..." in told.getvalue()


@pytest.mark.parametrize("verb", ["run", "observe"])
def test_no_workers_at_all_are_refused(verb: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main([verb, "--workers", "0"])
    assert "expected a number from 1 to 64, got '0'" in capsys.readouterr().err


def test_no_images_are_told_with_json_too(tmp_path: Path, capsys: Capture) -> None:
    assert main(["kernels", "--image", str(tmp_path), "--json"]) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["images"] == []
    assert "no kernel image there" in printed.err


def observed(path: Path, os: str, release: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = json.dumps({"format": FORMAT, "host": {"os": os, "release": release}})
    path.write_text(head + '\n{"scenario":"a=tcp4","outcomes":["ok"]}\n', encoding="utf-8")


def test_judge_takes_the_folders_that_report_takes(tmp_path: Path, capsys: Capture) -> None:
    observed(tmp_path / "one" / "pairs.jsonl", "linux", "6.18.44")
    observed(tmp_path / "one" / "states.jsonl", "linux", "6.18.44")
    assert main(["judge", str(tmp_path / "one")]) == 0
    assert capsys.readouterr().out.count("== ") == 2


def test_what_stands_beside_the_folders_is_passed_over(tmp_path: Path, capsys: Capture) -> None:
    observed(tmp_path / "one" / "pairs.jsonl", "linux", "6.18.44")
    (tmp_path / "README.md").write_text("# Recorded\n", encoding="utf-8")
    (tmp_path / "hosts.json").write_text("{}", encoding="utf-8")
    assert main(["report", *map(str, sorted(tmp_path.iterdir()))]) == 0
    assert "README" not in "".join(capsys.readouterr())


def test_one_host_is_one_host(tmp_path: Path) -> None:
    observed(tmp_path / "one" / "pairs.jsonl", "linux", "6.18.44")
    assert main(["report", str(tmp_path / "one"), "--html", str(tmp_path / "x.html")]) == 0
    assert "1 host, 1 scenario<" in (tmp_path / "x.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["scenarios", "--quick"], 0),
        (["claims", "--no-live"], 0),
        (["ask", CLASSIC], 0),
        (["ports", "--no-live"], 0),
        # whether something diverges is not known any more
        (["report", "seen.jsonl", "--json"], 2),
    ],
)
def test_a_reader_that_had_enough_is_no_bad_input(words: list[str], status: int, tmp_path: Path) -> None:
    observed(tmp_path / "seen.jsonl", "linux", "6.18.44")
    command = [sys.executable, "-m", "bindmatrix", *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert (process.wait(60), process.stderr.read()) == (status, b"")


# -- words


def test_a_release_of_windows_has_one_name(capsys: Capture) -> None:
    assert main(["ask", "--os", "windows", CLASSIC]) == 0
    assert "10.0.26100" not in capsys.readouterr().out
    evidence = catalog.folder() / "evidence" / "windows" / "evidence.jsonl.gz"
    assert main(["judge", str(evidence), "--os", "windows"]) == 0
    assert capsys.readouterr().out.startswith("Windows server-2025: ")


def test_the_way_on_is_named_as_the_command_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    from bindmatrix.cli import run

    assert run._command() == "bindmatrix"
    monkeypatch.setenv("BINDMATRIX_COMMAND", "python3 start.py")
    assert run._command() == "python3 start.py"


def test_ports_say_by_which_method_they_are_known(capsys: Capture) -> None:
    assert main(["ports", "--no-live"]) == 0
    out = capsys.readouterr().out
    assert "freebsd: compiled: 13.0" in out
    assert "measured" not in out


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("darwin", "say macos"),
        ("Ubuntu", "say linux"),
        ("solaris", "Oracle Solaris is not described, illumos is"),
        ("linux,macos", "name one system with each --os"),
    ],
)
def test_other_words_for_a_system_are_answered(word: str, advice: str) -> None:
    with pytest.raises(Problem, match=advice):
        catalog.expectations(word)


def test_predict_takes_a_release_after_an_at(capsys: Capture) -> None:
    assert main(["predict", "--os", "linux@6.1.192", "a=tcp4 a.bind=0.0.0.0"]) == 0
    confidence = json.loads(capsys.readouterr().out)["confidence"]
    assert (confidence["method"], confidence["release"]) == ("emulated", "6.1.192")
    assert main(["predict", "--os", "linux@6.1", "--release", "6.2", "a=tcp4"]) == 2
