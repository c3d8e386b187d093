"""Hosts as words and in hosts.toml; everything that is wrong is told at once, with its line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bindmatrix.errors import BindmatrixError, Problem
from bindmatrix.execute import local
from bindmatrix.execute.hosts import BOOTSTRAP, HostSpec, host_spec, open_host, read_hosts
from bindmatrix.execute.local import LocalHost
from bindmatrix.execute.remote import RemoteHost

PROGRAM = ["-u", "-c", BOOTSTRAP]


@pytest.mark.parametrize(
    ("word", "command"),
    [
        ("python=/opt/a python/bin/python3", ["/opt/a python/bin/python3", *PROGRAM]),
        ("via=runsc --network=none do python3", ["runsc", "--network=none", "do", "python3", *PROGRAM]),
        ("via='/opt/my tools/run' python3", ["/opt/my tools/run", "python3", *PROGRAM]),
        ("ssh=me@box", ["ssh", "-o", "BatchMode=yes", "me@box", f'python3 -u -c "{BOOTSTRAP}"']),
        (
            "ssh=-p 22 me@box//python=python3.11",
            ["ssh", "-o", "BatchMode=yes", "-p", "22", "me@box", f'python3.11 -u -c "{BOOTSTRAP}"'],
        ),
    ],
)
def test_a_word_is_a_command(word: str, command: list[str]) -> None:
    spec = host_spec(word)
    assert spec.name == word
    assert spec.command == command
    host = open_host(spec)
    assert isinstance(host, RemoteHost)
    assert host.name == word


def test_local_is_the_host_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_host(host_spec("local")), LocalHost)
    monkeypatch.setattr(local, "PIPES_CAN_BE_WATCHED", False)
    host = open_host(HostSpec("local"))
    assert isinstance(host, RemoteHost)
    assert host._command == [sys.executable, *PROGRAM]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("lcal", "no host 'lcal'; did you mean 'local'?"),
        ("bsd", "no host 'bsd'; did you mean 'freebsd'?"),
        ("shs=box", "'shs' leads to no host; did you mean 'ssh'?; there are python, ssh, via"),
        ("socket=box:1", "'socket' leads to no host"),
        ("via=", "via=: names nothing"),
        ("ssh=  ", "ssh=  : names nothing"),
        ("via='python3", "via='python3: no closing quotation"),
        ("python=a\0b", "names nothing"),
    ],
)
def test_a_wrong_word(word: str, said: str) -> None:
    with pytest.raises(Problem) as caught:
        host_spec(word, {"freebsd": HostSpec("freebsd", ssh="box")})
    assert str(caught.value).startswith(f"--on: {said}") or said in str(caught.value)


def test_a_file_of_hosts(tmp_path: Path) -> None:
    path = tmp_path / "hosts.toml"
    path.write_text(
        "[here]\nlocal = true\nworkers = 3\n"
        "[freebsd]\nssh = 'me@box'\npython = 'python3.11'\npatience = 60\nstart = 5.5\nnamespace = 'none'\n"
        "['gvisor-1.0']\nvia = 'runsc do python3'\n[old]\npython = '/opt/python3.8'\n",
        encoding="utf-8",
    )
    hosts = read_hosts(path)
    assert hosts == {
        "here": HostSpec("here", workers=3),
        "freebsd": HostSpec("freebsd", ssh="me@box", python="python3.11", patience=60, start=5.5, namespace="none"),
        "gvisor-1.0": HostSpec("gvisor-1.0", via="runsc do python3"),
        "old": HostSpec("old", python="/opt/python3.8"),
    }
    assert host_spec("freebsd", hosts) is hosts["freebsd"]


def test_without_a_file_there_are_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_hosts(None) == {}
    Path("hosts.toml").write_text("[a]\nvia = 'x'\n", encoding="utf-8")
    assert list(read_hosts(None)) == ["a"]
    with pytest.raises(BindmatrixError, match=r"nowhere\.toml: cannot be read: No such file"):
        read_hosts(Path("nowhere.toml"))


WRONG = {
    "[a]\nvia = \n": ["hosts.toml:2:7: not TOML: Invalid value"],
    "[a]\nvia = 'x'\nvia = 'y'\n": ["hosts.toml:3:10: not TOML: Cannot overwrite a value"],
    "[a\n": ["hosts.toml:1:3: not TOML: Expected ']' at the end of a table declaration"],
    "# \xff": ["hosts.toml: is not UTF-8 text"],
    "[a]\n\nvai = 'x'\nssh='y'\n": ["hosts.toml:3: unknown key 'vai'; did you mean 'via'?"],
    "[b]\nvia='x'\n[a]\nvia='x'\nworkers = 0\n": ["hosts.toml:5: workers: expected a whole number from 1 to 64, got 0"],
    "[a]\nvia='x'\nworkers = true\n": ["hosts.toml:3: workers: expected a whole number from 1 to 64, got True"],
    "[a]\nvia='x'\nworkers = 2.5\n": ["hosts.toml:3: workers: expected a whole number from 1 to 64, got 2.5"],
    "[a]\nvia='x'\npatience = nan\n": ["hosts.toml:3: patience: expected seconds, got nan"],
    "[a]\nvia='x'\nnamespace = 'on'\n": ["hosts.toml:3: namespace: expected one of auto, own, none, got 'on'"],
    "[a]\nvia=['x']\n": ["hosts.toml:2: via: expected a command, a text, got ['x']"],
    "[a]\nvia='\"x'\n": ["hosts.toml:2: via: no closing quotation"],
    "[a]\nlocal = false\n": ["hosts.toml:2: local: expected true, got False"],
    "[a]\nworkers=1\n": ["hosts.toml:1: [a] expected one of local, python, ssh, via"],
    "[a]\nvia='x'\nssh='x'\n": ["hosts.toml:1: [a] expected one of local, python, ssh, via"],
    "a = 1\n": ["hosts.toml:1: expected a table [a], got 1"],
    "[local]\nvia='x'\n": ["hosts.toml:1: 'local' is no name of a host"],
    "['../x']\nvia='x'\n": ["hosts.toml:1: '../x' is no name of a host"],
    "[a]\nvai='x'\n[b]\nssh='x'\nworker=1\n": ["hosts.toml:1: [a]", "hosts.toml:2: unknown", "hosts.toml:5: unknown"],
    "a = {vai='x', ssh='y'}\n": ["hosts.toml:1: unknown key 'vai'"],
}


@pytest.mark.parametrize(("text", "said"), WRONG.items())
def test_a_wrong_file(text: str, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hosts.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(BindmatrixError) as caught:
        read_hosts(None)
    told = str(caught.value).splitlines()
    assert len(told) == len(said)
    for line, start in zip(told, said, strict=True):
        assert line.startswith(start)
