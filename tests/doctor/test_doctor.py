"""The command as a whole, on this machine and on one made worse."""

import hashlib
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tools.doctor.findings import MISSING, OK, PROBLEM, Finding, problems_of, render
from tools.doctor.packages import package_findings, weight_findings

ROOT = Path(__file__).resolve().parents[2]


def test_a_limit_and_a_broken_package_are_problems_and_the_exit_code_says_so(tmp_path):
    (tmp_path / "ftfy.py").write_text("raise ImportError('libwrong.so: cannot open')")
    run = subprocess.run(
        ["bash", "-c", f"ulimit -n 100; exec '{sys.executable}' -m tools.doctor"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    lines = {line.split()[1]: line for line in run.stdout.splitlines() if line.startswith("  ")}
    assert run.returncode == 1, run.stderr
    assert run.stdout.endswith("\nthe quickstart would not run: open files, ftfy\n")
    assert lines["open"].split("->")[0].split() == ["problem", "open", "files", "ulimit", "-n", "is", "100"]
    assert "-> " in lines["open"]
    assert "cannot be imported: libwrong.so: cannot open  -> pip install 'ftfy" in lines["ftfy"]
    assert lines["av"].split() == ["ok", "av", metadata.version("av")]
    assert "\n  ok      h264  " in run.stdout


def test_packages_have_the_versions_that_are_installed():
    found = {finding.name: finding for finding in package_findings()}
    for name in ("polars", "av", "numpy", "torch"):
        assert (found[name].state, found[name].detail) == (OK, metadata.version(name))
    assert found["bokeh"].group == "optional packages" and "(extra report)" in found["bokeh"].detail
    assert not {"ruff", "mkdocs"} & set(found)  # of those who work on the project
    installed = {name for name in found if found[name].state == OK}
    for name in set(found) - installed:
        with pytest.raises(metadata.PackageNotFoundError):
            metadata.version(name)


def test_weights_have_their_digests(tmp_path, monkeypatch):
    own = tmp_path / "own.pth"
    own.write_bytes(b"weights")
    monkeypatch.setenv("VIDSIEVE_AESTHETIC", str(own))
    monkeypatch.setenv("VIDSIEVE_GMFLOW", str(tmp_path / "none.pth"))
    found = {finding.name: finding for finding in weight_findings()}
    digest = hashlib.sha256(b"weights").hexdigest()[:12]
    assert (found["aesthetic"].state, found["aesthetic"].detail) == (
        OK,
        f"{own}, sha256 {digest}…, not the published file",
    )
    assert found["gmflow"].state == MISSING and "none.pth" in found["gmflow"].detail


def test_only_problems_keep_the_quickstart_from_running():
    good = [
        Finding("a", "one", OK, "1.0"),
        Finding("b", "two", MISSING, "not here", "python -m tools.x"),
    ]
    assert render(good).splitlines() == [
        "a",
        "  ok      one  1.0",
        "",
        "b",
        "  missing two  not here  -> python -m tools.x",
        "",
        "the quickstart would run",
    ]
    assert problems_of(good) == ""
    assert render([*good, Finding("a", "three", PROBLEM, "")]).endswith("would not run: three")
