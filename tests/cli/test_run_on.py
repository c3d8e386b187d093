"""``run --on`` and ``observe --on`` as a person types them: several hosts, some of them not there, lost or wrong."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from bindmatrix.cli.main import main

from tests.cli.test_verbs import ENVIRONMENT
from tests.execute.test_split import FLAKY
from tests.interruptible import interruptible

SMALL = ["run", "--quick", "--examples", "20", "--deliveries", "0"]
HERE = f"python={sys.executable}"
#: a Python whose executor answers each listen() with an error that no system gives
WRONG = """
import sys
def changed(module):
    line = module.Executor.line
    def wrong(self, text):
        answer = line(self, text)
        return answer.replace('"ok"]}', '"ENOTTY"]}') if text.endswith(".listen") else answer
    module.Executor.line = wrong
class Lines:
    def readline(self):
        source = eval(sys.__stdin__.readline())
        return repr(source.replace("    made = bind", "    changed(bindmatrix)\\n    made = bind", 1))
    buffer = property(lambda self: sys.__stdin__.buffer)
sys.stdin = Lines()
exec(sys.argv[-1])
"""


def program(tmp_path: Path, text: str, *arguments: str) -> str:
    path = tmp_path / "program.py"
    path.write_text(text, encoding="utf-8")
    return f"via={' '.join([sys.executable, '-I', '-S', str(path), *arguments])}"


def observations(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in gzip.open(folder / "observations.jsonl.gz", "rt", encoding="utf-8").readlines()[1:]
    ]


def test_hosts_side_by_side_have_a_folder_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hosts.toml").write_text(f"[other]\npython = '{sys.executable}'\nworkers = 1\n", encoding="utf-8")
    assert main([*SMALL, "--on", "local", "--on", "other", "--on", HERE, "--on", "other", "--results", "r"]) == 0
    out = capsys.readouterr().out
    folders = [path for path in Path("r").iterdir() if path.is_dir()]
    assert {"local", "other", "other-2"} < {path.name for path in folders}
    assert len(folders) == 4
    counts = {tuple(sorted(one["scenario"] for one in observations(folder))) for folder in folders}
    assert len(counts) == 1
    table = out[out.rindex("host ") :].splitlines()
    assert [line.split()[0] for line in table[1:5]] == ["local", "other", HERE, "other"]
    assert table[5] == "results: r"
    assert "| other 2 |" in Path("r/summary.md").read_text(encoding="utf-8")
    assert main(["judge", "r/other"]) == 0


def test_a_host_that_cannot_run_leaves_the_others_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, "--on", "python=/no/such/python", "--on", HERE, "--results", "r"]) == 2
    captured = capsys.readouterr()
    said = "python=/no/such/python: could not run: '/no/such/python' cannot be started: No such file or directory"
    assert said in captured.out
    assert "Traceback" not in captured.err
    assert "could not run" in Path("r/summary.md").read_text(encoding="utf-8")
    assert len([path for path in Path("r").iterdir() if path.is_dir()]) == 1
    assert main([*SMALL, "--on", "python=/no/such/python", "--json"]) == 2
    assert main([*SMALL, "--on", "python=/no/such/python", "--on", "python=/no/such", "--json"]) == 2
    hosts = json.loads(capsys.readouterr().out)["hosts"]
    assert [host["summary"] for host in hosts] == [None, None]
    assert "No such file" in hosts[1]["problem"]


def test_each_host_is_judged_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, "--on", HERE, "--on", program(tmp_path, WRONG), "--json", "--results", "r"]) == 1
    good, bad = json.loads(capsys.readouterr().out)["hosts"]
    assert good["summary"]["verdicts"]["diverges"] == 0
    assert bad["summary"]["verdicts"]["diverges"] > 100
    assert bad["summary"]["groups"][0]["actual"] == "ENOTTY"
    assert bad["summary"]["groups"][0]["shrunk"] == "a=tcp4 a.listen"


def test_hosts_of_one_kernel_share_the_scenarios(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, "--on", HERE, "--results", "alone"]) == 0
    capsys.readouterr()
    hosts = ["--on", HERE, "--on", f"via=env {sys.executable}", "--on", "python=/no/such"]
    assert main([*SMALL, *hosts, "--split", "--json", "--results", "r"]) == 2
    shared, missing = json.loads(capsys.readouterr().out)["hosts"]
    assert shared["name"] == f"{HERE} + via=env {sys.executable}"
    assert "No such file" in missing["problem"]
    together = Counter(one["scenario"] for one in observations(Path(shared["folder"])))
    assert together == Counter(one["scenario"] for one in observations(Path("alone")))
    assert main([*SMALL, "--on", HERE, "--split"]) == 2
    assert "name two or more" in capsys.readouterr().err


def test_shards_share_the_scenarios_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, "--on", HERE, "--results", "all"]) == 0
    parts: Counter[str] = Counter()
    for part in (1, 2):
        assert main([*SMALL, "--on", HERE, "--shard", f"{part}/2", "--results", f"part{part}"]) == 0
        parts.update(one["scenario"] for one in observations(Path(f"part{part}")))
    assert set(parts) == {one["scenario"] for one in observations(Path("all"))}
    assert parts.total() < 1.05 * len(parts)  # short sequences are in the matrix too


def test_what_a_lost_host_left_is_kept_and_can_be_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    way = program(tmp_path, FLAKY, str(tmp_path / "mark"), "200000")
    assert main([*SMALL, "--on", way, "--results", "r"]) == 2
    out = capsys.readouterr().out
    assert "no-verdict: " in out
    assert "the host was lost: it died again and again (the line is dead)" in out
    assert "not complete; go on with: bindmatrix run --resume r --on 'via=" in out
    first = observations(Path("r"))
    kept = [one for one in first if one["outcomes"] is not None]
    assert 500 < len(kept) < len(first)
    assert main([*SMALL, "--on", HERE, "--resume", "r"]) == 0
    after = observations(Path("r"))
    assert Counter(one["scenario"] for one in after) == Counter(one["scenario"] for one in first)
    assert all(one["outcomes"] is not None for one in after)


def test_several_hosts_are_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hosts.toml").write_text(
        f"[one]\npython = '{sys.executable}'\nworkers = 1\n[two]\npython = '/no/such'\n", encoding="utf-8"
    )
    assert main([*SMALL, "--on", "one", "--on", "two", "--results", "r"]) == 2
    before = sorted(one["scenario"] for one in observations(Path("r/one")))
    Path("hosts.toml").write_text(
        Path("hosts.toml").read_text(encoding="utf-8").replace("/no/such", sys.executable), encoding="utf-8"
    )
    assert main([*SMALL, "--on", "one", "--on", "two", "--resume", "r"]) == 0
    assert sorted(one["scenario"] for one in observations(Path("r/one"))) == before
    assert sorted(one["scenario"] for one in observations(Path("r/two"))) == before


@pytest.mark.skipif(os.name != "posix", reason="signals and process groups are POSIX")
def test_ctrl_c_stops_every_host_and_keeps_what_each_has(tmp_path: Path) -> None:
    (tmp_path / "hosts.toml").write_text(
        f"[one]\npython = '{sys.executable}'\n[two]\nlocal = true\n"
        f"[three]\nvia = '{program(tmp_path, 'import time; time.sleep(60)').removeprefix('via=')}'\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "bindmatrix", "run", "--examples", "1000", "--results", "r", "--workers", "1"]
    process = subprocess.Popen(
        [*command, "--on", "one", "--on", "two", "--on", "three"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=ENVIRONMENT,
        start_new_session=True,
        preexec_fn=interruptible,
    )
    paths = [tmp_path / "r" / name / "observations.jsonl.gz" for name in ("one", "two")]
    while process.poll() is None and not all(path.exists() and path.stat().st_size > 5000 for path in paths):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    again = "bindmatrix run --resume r --on one --on two --on three --examples 1000"
    assert out.count(f"interrupted; go on with: {again}") == 2
    assert "could not run: interrupted before it began" in out
    assert "Traceback" not in err
    for path in paths:
        assert main(["judge", str(path.parent)]) == 0


def test_observe_asks_another_host(capsys: pytest.CaptureFixture[str]) -> None:
    scenarios = "a=tcp4 a.bind=127.0.0.1 a.listen b=tcp4 b.bind=127.0.0.1"
    assert main(["observe", "--on", HERE, scenarios]) == 0
    header, answer = map(json.loads, capsys.readouterr().out.splitlines())
    assert header["host"]["machine"]
    assert answer == {"scenario": scenarios, "outcomes": ["ok", "ok", "ok", "ok", "EADDRINUSE"]}
    assert main(["observe", "--on", "bsd", scenarios]) == 2
    assert "--on: no host 'bsd'; expected local, python=PATH" in capsys.readouterr().err


def test_observe_says_that_the_host_was_lost(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "scenarios"
    path.write_text("a=tcp4 a.bind=127.0.0.1\n" * 5000, encoding="utf-8")
    way = program(tmp_path, FLAKY, str(tmp_path / "mark"), "100000")
    assert main(["observe", "--on", way, str(path)]) == 2
    captured = capfd.readouterr()
    assert captured.out.count('"scenario"') == 5000
    assert "lost: it died again and again (the line is dead)" in captured.err
