"""Sockets outside of TCP and UDP: names, CIDs, and the folder that names are in."""

from __future__ import annotations

import errno
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bindmatrix.execute import executor as module
from bindmatrix.execute.executor import Executor, Folder, Unsupported

unix_only = pytest.mark.skipif(module.UNIX < 0, reason="this Python has no Unix sockets here")
linux_only = pytest.mark.skipif(not module.LINUX, reason="Linux alone has them")
root_only = pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="needs root to change the user")


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files of the test's own, and no file system without a place.

    Not pytest's: the name of a Unix socket is limited to about 100 bytes.
    """

    def refused(*_: object) -> int:
        raise OSError(1, "not permitted")

    monkeypatch.setattr(Folder, "_unmounted", refused)
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr("tempfile.tempdir", folder)
        yield Path(folder)


@unix_only
@pytest.mark.parametrize(
    ("scenario", "outcomes"),
    [
        ("a=unix a.bind=/x b=unix b.bind=/x c=unix c.bind=/y", ["ok", "ok", "ok", "EADDRINUSE", "ok", "ok"]),
        ("a=unix a.bind=/x a.close b=unix b.reuseaddr=1 b.bind=/x", ["ok", "ok", "ok", "ok", "ok", "EADDRINUSE"]),
        ("a=unix a.bind=/x a.listen deliver=/x deliver=/y", ["ok", "ok", "ok", "a:32", "ENOENT"]),
        ("a=unixgram a.bind=/x deliver=/x deliver_flow=/x deliver_flow=/y", ["ok", "ok", "a:32", "a:32", "ENOENT"]),
        ("a=unix a.bind=/x a.listen c=unix c.connect=/x x=a.accept x.close c.read", ["ok"] * 8),
        ("a=unix a.close a.bind=/x", ["ok", "ok", "EBADF"]),
    ],
)
def test_names_are_the_same_on_every_unix(executor: Executor, scenario: str, outcomes: list[str]) -> None:
    assert executor.run(scenario) == outcomes
    assert executor.run(scenario) == outcomes  # nothing is left of the first time


@linux_only
def test_abstract_names_are_gone_with_their_socket(executor: Executor) -> None:
    text = "a=unix a.bind=@x b=unixgram b.bind=@x c=unix c.bind=@x a.close d=unix d.bind=@x"
    assert executor.run(text) == ["ok", "ok", "ok", "ok", "ok", "EADDRINUSE", "ok", "ok", "ok"]


@unix_only
def test_a_folder_among_the_temporary_files_is_removed(temporary: Path) -> None:
    with Executor("none") as made:
        assert made.run("a=unix a.bind=/x a.close") == ["ok"] * 3
        assert list(temporary.iterdir()) == []  # whoever is killed now leaves nothing
        assert made.run("a=unix a.bind=/x b=unix b.bind=/x") == ["ok"] * 3 + ["EADDRINUSE"]
    assert list(temporary.iterdir()) == []


@unix_only
def test_the_next_folder_removes_those_that_nobody_holds(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, dead, new = Folder(False), Folder(False), Folder(False)
    for one in (held, dead):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(Path(one.path, "x")))
    Path(temporary, f"{Folder.PREFIX}is-no-folder").touch()
    for one in (dead, new):
        os.close(one._descriptor)  # as the kernel does when a process is killed; a new one is not locked yet
    monkeypatch.setattr(Folder, "_swept", False)  # as in another process
    other = Folder(False)
    assert not Path(dead.path).exists()
    assert Path(held.path, "x").exists()
    assert Path(new.path).is_dir()
    for folder in (held, other):
        folder.close()
    assert {path.name for path in temporary.iterdir()} == {f"{Folder.PREFIX}is-no-folder", Path(new.path).name}


@unix_only
def test_only_sockets_in_folders_of_executors_are_removed(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed first: the files of another bindmatrix were deleted, and results in a folder called bindmatrix-..."""
    kept = [Path(temporary, name, "x") for name in ("bindmatrix-trace-1", "bindmatrix-results", f"{Folder.PREFIX}mine")]
    for path in kept:
        path.parent.mkdir()
        path.touch()
    with socket.socket(socket.AF_UNIX) as sock:
        kept.append(kept[1].with_name("socket"))
        sock.bind(str(kept[-1]))
    monkeypatch.setattr(Folder, "_swept", False)
    Folder(False).close()
    assert all(path.exists() for path in kept)


@linux_only
@root_only
def test_users_of_a_scenario_share_the_folder() -> None:
    with Executor("none") as made:  # the first name of this executor is asked for by an ordinary user
        text = "user=1001 a=unix a.bind=/x user=0 user=1002 b=unix b.bind=/x b.bind=/y"
        assert made.run(text) == ["ok", "ok", "ok", "ok", "ok", "ok", "EADDRINUSE", "ok"]


def test_nothing_leaves_the_machine_over_vsock(executor: Executor) -> None:
    if "local" in executor.facts["cids"]:
        pytest.skip("this host has vsock_loopback")
    for step in ("a.connect=cid:local", "a.connect=cid:own", "deliver=cid:any"):
        with pytest.raises(Unsupported):
            executor.run(f"a=vsock {step}")


def test_what_the_host_lacks_is_said(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(executor.facts, "abstract", False)
    monkeypatch.setattr(executor, "_cid", None)
    monkeypatch.setattr(module, "_known", {})
    monkeypatch.setattr(module, "VSOCK", -2)
    monkeypatch.setitem(module.KINDS, "vsock", (-2, module.STREAM))
    answers = [
        json.loads(executor.line(text)) for text in ("a=unix a.bind=@x", "a=vsock a.bind=cid:any", "deliver=cid:own")
    ]
    assert [answer["outcomes"] for answer in answers] == [None] * 3
    assert [answer["unsupported"][:30] for answer in answers] == [
        "abstract names of Unix sockets",
        "this Python has no such socket",
        "this machine has no CID of its",
    ]
    monkeypatch.undo()
    module._known.clear()


def test_the_facts_name_the_kinds(executor: Executor) -> None:
    assert {"tcp4", "udp4"} <= set(executor.facts["kinds"]) <= set(module.KINDS)
    assert set(executor.facts["cids"]) <= set(module.CIDS)


@linux_only
@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("unix", "bind=@x"),
        ("unix", "bind=/x"),
        ("unix", "connect=/x"),
        ("vsock", "bind=cid:any"),
        ("vsock", "bind=cid:any,0"),
        ("tcp4", "bind=127.0.0.1"),
    ],
)
def test_a_socket_that_could_not_be_made_is_closed(
    executor: Executor, monkeypatch: pytest.MonkeyPatch, kind: str, step: str
) -> None:
    """gVisor and others have no vsocks; what stands for such a socket is of IPv4 and takes no name and no CID."""
    monkeypatch.setitem(module.KINDS, kind, (module.KINDS[kind][0], 99))
    monkeypatch.setattr(module, "_known", {})
    made, outcome = executor.run(f"a={kind} a.{step}")
    assert made != "ok"
    assert outcome == "EBADF"


def test_abstract_names_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """gVisor has them, but not in a network namespace."""

    class NoAbstract(module.socket):
        def bind(self, address: object) -> None:
            if isinstance(address, bytes) and address[:1] == b"\0":
                raise OSError(errno.EINVAL, "Invalid argument")
            super().bind(address)

    assert module.host_facts("none")["abstract"] == module.LINUX
    monkeypatch.setattr(module, "socket", NoAbstract)
    assert module.host_facts("none")["abstract"] is False
