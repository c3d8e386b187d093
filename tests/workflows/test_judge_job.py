"""The last jobs, executed here step by step on the recordings of eight machines; only GitHub itself is a stand-in.

What is run is the text of the steps in the workflows.  In place of the actions stand: the folder that download-artifact
would fill, a checkout, and a `gh` that writes down what it is asked.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bindmatrix.observe.recordings import header
from bindmatrix.rules import catalog

from tests.workflows.workflow import ROOT, Runner

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="runs POSIX shell scripts"),
    pytest.mark.skipif(not (shutil.which("git") and shutil.which("bash")), reason="needs git and bash"),
]

EVIDENCE = catalog.folder() / "evidence"
SETS = ("pairs", "states", "users", "deliver")
#: machine -> recorded host
MACHINES = {
    "ubuntu-24.04": "linux-6.12.117",
    "ubuntu-22.04": "linux-5.10.218",
    "freebsd-13.5": "freebsd-13.0",
    "netbsd-10.1": "netbsd-7.99.34",
    "openbsd-7.9": "openbsd-7.9-current",
    "dragonfly-6.4.2": "dragonfly-5.9",
    "macos-15": "macos-15.5",
    "gvisor-debian-13": "gvisor-20221219",
}
#: a release of gVisor with the rules of the recorded one, of which nothing is recorded
NEW = "20230102"
#: what a hostile machine says that a call returned, and what it says of itself
EVIL = "ok`</details> @everyone #1 ``` <!-- bindmatrix-divergence: 0000000000000000 -->\n```\n# hello $(id) \x1b[31m"
FAKE_GH = """
import json, sys
from pathlib import Path

folder = Path(__file__).parent.parent
words = sys.argv[1:]
request = sys.stdin.read() if "--input" in words else ""
with (folder / "gh.jsonl").open("a") as log:
    log.write(json.dumps({"words": words, "request": request}) + "\\n")
if words[:2] == ["issue", "list"]:
    known = folder / "known.json"
    print(known.read_text() if known.exists() else "[]")
elif words[:1] == ["api"]:
    print(json.dumps({"html_url": "https://github.example/issues/1"}))
elif words[:2] == ["pr", "list"]:
    print((folder / "open-requests").read_text() if (folder / "open-requests").exists() else "0")
"""


def artefact(folder: Path, recorded: str, facts: dict[str, object], sets: tuple[str, ...] = SETS) -> None:
    """What a machine uploads: one file, its first line the host, its lines as they were recorded."""
    folder.mkdir(parents=True)
    with (folder / "observations.jsonl").open("wb") as stream:
        stream.write(header(facts))
        for name in sets:
            path = EVIDENCE / recorded / f"{name}.jsonl.gz"
            if path.exists():
                stream.write(gzip.decompress(path.read_bytes()))


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight machines: one with a release that is not recorded, one that does otherwise and says evil things."""
    folder = tmp_path_factory.mktemp("artefacts")
    for machine, recorded in MACHINES.items():
        os_name, _, release = recorded.partition("-")
        artefact(folder / f"observations-{machine}", recorded, {"os": os_name, "release": release})
    (folder / "observations-gvisor-debian-13" / "facts.json").write_text(json.dumps({"release": NEW}), encoding="utf-8")
    freebsd = folder / "observations-freebsd-13.5" / "observations.jsonl"
    lines = freebsd.read_bytes().splitlines()
    told = json.loads(lines[0])
    told["host"] |= {"version": EVIL, "machine": EVIL}
    changed = [json.loads(line) for line in lines[1:]]
    for one in [one for one in changed if one["outcomes"][-1] == "EADDRINUSE"][:5]:
        one["outcomes"][-1] = "EWEIRD"  # an outcome with other characters is no outcome, see tests/test_hostile.py
    freebsd.write_text("\n".join(json.dumps(one) for one in (told, *changed)) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def judged(artefacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """The folder of the judge job after its step ran."""
    runner = Runner(tmp_path_factory.mktemp("judge"))
    (runner.folder / "bindmatrix").symlink_to(ROOT)
    shutil.copytree(artefacts, runner.folder / "artifacts")
    runner.values |= {"needs.plan.outputs.names": " ".join(MACHINES), "needs.plan.outputs.prefix": ""}
    done = runner.step("conformance.yml", "judge", "judge")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return runner


def issues(judged: Runner) -> list[dict[str, Any]]:
    return [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted((judged.folder / "judged" / "issues").iterdir())
    ]


# --- judging


def test_a_divergence_fails_the_job_at_its_end(judged: Runner) -> None:
    status = judged.outputs()["status"]
    assert status == "1"
    # a step that was left out has no outputs
    judged.values |= {"steps.judge.outputs.status": status, "steps.needs.outputs.status": ""}
    assert judged.step("conformance.yml", "judge", "verdict").returncode == 1


def test_every_machine_is_on_the_page_and_in_the_summary(judged: Runner) -> None:
    html = (judged.folder / "judged" / "site" / "index.html").read_text(encoding="utf-8")
    summary = (judged.folder / "summary").read_text(encoding="utf-8")
    assert summary == (judged.folder / "judged" / "summary.md").read_text(encoding="utf-8")
    rows = [line for line in summary.splitlines() if line.startswith(("| ✅", "| ❌"))]
    signs = {row.split("|")[2].split(" (")[0].strip(): row.split("|")[1].strip() for row in rows}
    assert signs == {machine: "❌" if machine == "freebsd-13.5" else "✅" for machine in MACHINES}
    assert "8 hosts, " in html
    verdicts = json.loads((judged.folder / "judged" / "verdicts.json").read_text(encoding="utf-8"))
    assert len(verdicts) == len(MACHINES)
    assert all(one["total"] > 4000 for one in verdicts)
    assert "<testsuite " in (judged.folder / "judged" / "junit.xml").read_text(encoding="utf-8")


def test_what_a_machine_cannot_tell_of_itself_is_in_the_file_beside(judged: Runner) -> None:
    verdicts = json.loads((judged.folder / "judged" / "verdicts.json").read_text(encoding="utf-8"))
    assert NEW in {one["release"] for one in verdicts}


def test_a_machine_that_sent_nothing_or_nonsense_is_told_and_the_others_are_judged(
    artefacts: Path, tmp_path: Path
) -> None:
    runner = Runner(tmp_path)
    (tmp_path / "bindmatrix").symlink_to(ROOT)
    good = "observations-gvisor-debian-13"
    shutil.copytree(artefacts / good, tmp_path / "artifacts" / f"nightly-{good}")
    for name, text in {"cut": b'{"format": "bindmatrix-', "empty": b"", "foreign": b"root:x:0:0\n"}.items():
        folder = tmp_path / "artifacts" / f"nightly-observations-{name}"
        folder.mkdir()
        (folder / "observations.jsonl").write_bytes(text)
    (tmp_path / "artifacts" / "nightly-observations-bare").mkdir()
    inside = tmp_path / "artifacts" / "nightly-observations-nested" / "observations-ubuntu-24.04"
    artefact(inside, "linux-6.12.117", {"os": "linux", "release": "6.12.117"}, ("users",))
    runner.values |= {"needs.plan.outputs.names": "gvisor-debian-13 silent", "needs.plan.outputs.prefix": "nightly-"}
    done = runner.step("conformance.yml", "judge", "judge")
    assert done.returncode == 0
    assert runner.outputs()["status"] == "2"
    told = [line.split(":")[0] for line in done.stderr.splitlines()]
    assert set(told) == {"cut", "empty", "foreign", "bare", "nested", "silent"}
    summary = (tmp_path / "summary").read_text(encoding="utf-8")
    assert "> silent: no observations came" in summary
    assert f"| ✅ | gvisor-debian-13 (gvisor {NEW})" in summary


def test_no_machine_at_all_is_no_success(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    (tmp_path / "bindmatrix").symlink_to(ROOT)
    runner.values |= {"needs.plan.outputs.names": "ubuntu-24.04", "needs.plan.outputs.prefix": ""}
    assert runner.step("conformance.yml", "judge", "judge").returncode == 0
    assert runner.outputs()["status"] == "2"
    assert "no observations came" in (tmp_path / "summary").read_text(encoding="utf-8")


def test_every_recorded_host_could_be_a_machine(tmp_path: Path) -> None:
    """The smallest set of each: Wine, gVisor of six releases and the compiled stacks beside each other."""
    runner = Runner(tmp_path)
    (tmp_path / "bindmatrix").symlink_to(ROOT)
    hosts = sorted(path for path in EVIDENCE.glob("*-*") if path.is_dir())
    assert len(hosts) > 20
    for host in hosts:
        smallest = min(host.glob("*.jsonl.gz"), key=lambda path: path.stat().st_size)
        name, _, release = host.name.partition("-")
        facts: dict[str, object] = {"os": name, "release": release}
        folder = tmp_path / "artifacts" / f"observations-{host.name}"
        artefact(folder, host.name, facts, (smallest.name.removesuffix(".jsonl.gz"),))
    names = [host.name for host in hosts]
    runner.values |= {"needs.plan.outputs.names": " ".join(names), "needs.plan.outputs.prefix": ""}
    done = runner.step("conformance.yml", "judge", "judge")
    assert (done.returncode, done.stderr) == (0, "")
    assert runner.outputs()["status"] == "0"
    summary = (tmp_path / "summary").read_text(encoding="utf-8")
    assert all(f"| ✅ | {name} (" in summary for name in names)
    # nothing that is recorded is proposed once more; what was compiled or emulated was not run
    assert all(path.name.endswith("-run") for path in (tmp_path / "judged" / "evidence").iterdir() if path.is_dir())


# --- issues


def test_an_issue_for_each_group_that_diverges(judged: Runner) -> None:
    found = issues(judged)
    assert found
    verdicts = json.loads((judged.folder / "judged" / "verdicts.json").read_text(encoding="utf-8"))
    groups = [group for one in verdicts for group in one["groups"] if group["kind"] == "diverges"]
    assert len(found) == len(groups)
    assert sum(group["count"] for group in groups) == 5
    for issue in found:
        assert issue["title"].startswith("freebsd-13.5: bind gave EWEIRD")
        assert "https://github.example/somebody/bindmatrix/actions/runs/123" in issue["body"]


def test_what_a_machine_says_is_no_markup_and_nobody_is_called(judged: Runner) -> None:
    for issue in issues(judged):
        assert issue["title"].isprintable()
        assert not set(issue["title"]) & set("@#`<>[]!*\\")
        outside = list(outside_of_fences(issue["body"]))
        assert "hello" in issue["body"]
        assert not any(word in line for line in outside for word in ("hello", "everyone", "</details>", "\x1b"))
        assert outside[0] == f"<!-- bindmatrix-divergence: {issue['key']} -->"
        assert sum("<!--" in line for line in outside) == 1


def outside_of_fences(text: str) -> Iterator[str]:
    fence = ""
    for line in text.splitlines():
        ticks = line[: len(line) - len(line.lstrip("`"))]
        if fence:
            if len(ticks) >= len(fence) and line == ticks:
                fence = ""
        elif len(ticks) >= 3:
            fence = ticks
        else:
            yield line


@pytest.fixture
def issues_job(judged: Runner, tmp_path: Path) -> Runner:
    runner = with_gh(tmp_path)
    (tmp_path / ".github").symlink_to(ROOT / ".github")
    (tmp_path / "judged").symlink_to(judged.folder / "judged")
    return runner


def with_gh(folder: Path) -> Runner:
    runner = Runner(folder, values={"github.token": "secret"})
    (folder / "bin" / "fake_gh.py").write_text(FAKE_GH, encoding="utf-8")
    runner.program("gh", f'exec "{sys.executable}" "{folder / "bin" / "fake_gh.py"}" "$@"\n')
    return runner


def asked(runner: Runner) -> list[dict[str, Any]]:
    """What gh was asked since the last time."""
    log = runner.folder / "gh.jsonl"
    found = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    log.unlink()
    return found


def opened(runner: Runner) -> list[dict[str, Any]]:
    done = runner.step("weekly.yml", "issues", "open issues")
    assert done.returncode == 0, done.stderr
    return [json.loads(one["request"]) for one in asked(runner) if one["words"][0] == "api"]


def test_an_issue_is_opened_once(judged: Runner, issues_job: Runner) -> None:
    first = opened(issues_job)
    assert [one["title"] for one in first] == [one["title"] for one in issues(judged)]
    assert all(set(one) == {"title", "body", "labels"} and one["labels"] == ["divergence"] for one in first)
    known = issues_job.folder / "known.json"
    known.write_text(json.dumps([{"body": one["body"]} for one in first]), encoding="utf-8")
    assert opened(issues_job) == []
    # what only quotes a key, as a hostile machine would, is not the issue of it
    known.write_text(json.dumps([{"body": "see " + one["body"]} for one in first]), encoding="utf-8")
    assert len(opened(issues_job)) == len(first)


def test_a_run_opens_only_so_many(tmp_path: Path) -> None:
    runner = with_gh(tmp_path)
    (tmp_path / ".github").symlink_to(ROOT / ".github")
    folder = tmp_path / "judged" / "issues"
    folder.mkdir(parents=True)
    for number in range(14):
        issue = {"key": f"{number:016x}", "title": f"t{number}", "body": "b", "labels": ["divergence"]}
        (folder / f"{number:016x}.json").write_text(json.dumps(issue), encoding="utf-8")
    runner.environment["MOST"] = "3"
    assert len(opened(runner)) == 3
    del runner.environment["MOST"]
    assert len(opened(runner)) == 10


def test_nothing_that_a_machine_said_is_a_word_of_a_command(issues_job: Runner) -> None:
    issues_job.step("weekly.yml", "issues", "open issues")
    words = [word for one in asked(issues_job) for word in one["words"]]
    assert not any("hello" in word for word in words)


# --- evidence


def checkout(folder: Path, system: str) -> Path:
    """A small one, with the rules and recordings of one system, and where it came from."""
    origin = folder / "origin.git"
    made = folder / "checkout"
    shutil.copytree(Path(catalog.__file__).parents[1], made / "conformance" / "bindmatrix", ignore=no_leftovers)
    shutil.copytree(ROOT / ".github", made / ".github")
    (made / "expectations" / "evidence").mkdir(parents=True)
    shutil.rmtree(made / "conformance" / "bindmatrix" / "expectations", ignore_errors=True)
    shutil.copy(catalog.folder() / f"{system}.yaml", made / "expectations")
    systems = (catalog.folder() / "systems.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    (made / "expectations" / "systems.yaml").write_text(
        "".join(line for line in systems if line.startswith(f"{system}:")), encoding="utf-8"
    )
    for recorded in EVIDENCE.glob(f"{system}-*"):
        shutil.copytree(recorded, made / "expectations" / "evidence" / recorded.name)
    shutil.copy(EVIDENCE / "README.md", made / "expectations" / "evidence")
    shutil.copy(EVIDENCE / "hosts.json", made / "expectations" / "evidence")
    git(folder, "init", "--quiet", "--bare", str(origin))
    git(made, "init", "--quiet", "--initial-branch=main")
    git(made, "remote", "add", "origin", str(origin))
    git(made, "add", "--all")
    git(made, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "-m", "x")
    return made


def no_leftovers(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__"]


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_new_recordings_become_a_pull_request(judged: Runner, tmp_path: Path) -> None:
    """Of DragonFly, whose few recordings are quickly read: its stack was compiled, the machine of this run is new."""
    new = "dragonfly-5.9-run"
    assert not (EVIDENCE / new).exists(), "this is recorded now: choose another system"
    repository = checkout(tmp_path, "dragonfly")
    job = Runner(repository, package=repository / "conformance")
    (repository / "judged").symlink_to(judged.folder / "judged")
    done = job.step("weekly.yml", "evidence", "patch")
    assert done.returncode == 0, done.stderr
    assert job.outputs()["new"] == "yes"
    body = (repository / "proposal" / "body.md").read_text(encoding="utf-8")
    assert f"| {new} |" in body
    assert "dragonfly-6.4.2" in body
    assert "no problems" in body, "the new recordings agree with the rules and the index of what decides is renewed"
    # another job, another checkout
    other = tmp_path / "other"
    git(tmp_path, "clone", "--quiet", str(repository), str(other))
    git(other, "remote", "set-url", "origin", str(tmp_path / "origin.git"))
    shutil.copytree(repository / "proposal", other / "proposal")
    proposing = with_gh(other)
    done = proposing.step("weekly.yml", "propose", "propose")
    assert done.returncode == 0, done.stderr
    assert [one["words"][:2] for one in asked(proposing)] == [["auth", "setup-git"], ["pr", "list"], ["pr", "create"]]
    pushed = git(tmp_path / "origin.git", "show", "--name-only", "--format=%an%n%s", "evidence/ci")
    assert pushed.startswith("github-actions[bot]\nEvidence of run 123\n")
    assert f"expectations/evidence/{new}/ci.jsonl.gz" in pushed
    assert "conformance/" not in pushed
    readme = git(tmp_path / "origin.git", "show", "evidence/ci:expectations/evidence/README.md")
    assert readme.splitlines()[-1].startswith("| ")
    assert f"| {new} | a machine of a CI run" in readme
    hosts = json.loads(git(tmp_path / "origin.git", "show", "evidence/ci:expectations/evidence/hosts.json"))
    why = "a machine of a CI run"
    assert hosts[new] == {"method": "run", "release": "5.9", "why": why}, "failed first: release 5.9-run"
    assert hosts[f"gvisor-{NEW}"] == {"method": "emulated", "release": NEW, "why": why}
    assert hosts.items() >= json.loads((EVIDENCE / "hosts.json").read_text(encoding="utf-8")).items()
    # the same once more, while the request is open
    git(other, "reset", "--quiet", "--hard", "HEAD~1")
    (other / "open-requests").write_text("1", encoding="utf-8")
    done = proposing.step("weekly.yml", "propose", "propose")
    assert done.returncode == 0, done.stderr
    assert [one["words"][:2] for one in asked(proposing)][-1] == ["pr", "edit"]


def test_a_patch_reaches_nothing_but_the_evidence(tmp_path: Path) -> None:
    repository = checkout(tmp_path, "dragonfly")
    job = with_gh(repository)
    target = repository / "conformance" / "bindmatrix" / "errors.py"
    target.write_text("import evil\n", encoding="utf-8")
    (repository / "proposal").mkdir()
    (repository / "proposal" / "evidence.patch").write_text(git(repository, "diff"), encoding="utf-8")
    git(repository, "checkout", "--quiet", "--", "conformance")
    assert job.step("weekly.yml", "propose", "propose").returncode != 0
    assert "evil" not in target.read_text(encoding="utf-8")


def test_what_is_recorded_already_is_no_news(tmp_path: Path) -> None:
    repository = checkout(tmp_path, "gvisor")
    runner = Runner(tmp_path / "judge", package=repository / "conformance")
    (runner.folder / "bindmatrix").symlink_to(repository)
    recorded = "gvisor-20221219"
    artefact(runner.folder / "artifacts" / "observations-x", recorded, {"os": "gvisor", "release": "20221219"})
    runner.values |= {"needs.plan.outputs.names": "x", "needs.plan.outputs.prefix": ""}
    assert runner.step("conformance.yml", "judge", "judge").returncode == 0
    assert runner.outputs()["status"] == "0"
    assert not (runner.folder / "judged" / "evidence").exists()
    job = Runner(repository, package=repository / "conformance")
    (repository / "judged").symlink_to(runner.folder / "judged")
    done = job.step("weekly.yml", "evidence", "patch")
    assert done.returncode == 0, done.stderr
    assert not (repository / "proposal").exists()
