"""What newcomers are told holds: paths and names in CONTRIBUTING, what CI runs, where the version stands."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import yaml

from tools import __version__

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
PROJECT = toml.loads((ROOT / "pyproject.toml").read_text())


def test_the_places_it_names_are_there():
    named = re.findall(r"`((?:tools|tests|scripts|docs|\.github|\.ci)/[^`]*)`", PAGE)
    assert len(named) > 15
    for path in named:
        place = path.partition("<")[0].rpartition("/")[0] if "<" in path else path.split()[0]
        assert (ROOT / place).exists(), path


def test_the_names_it_says_are_in_their_modules():
    from tools.datasets.operations import Operation, Phase
    from tools.media.reading.decoders import DECODERS
    from tools.table.formats import FORMATS

    assert Operation and Phase and DECODERS and FORMATS
    for name in ("Operation", "Phase", "DECODERS", "FORMATS"):
        assert f"`{name}`" in PAGE


def test_every_marker_is_explained():
    for marker in PROJECT["tool"]["pytest"]["ini_options"]["markers"]:
        assert f"@pytest.mark.{marker.partition(':')[0]}`" in PAGE, marker


def test_ci_runs_what_must_pass_on_the_oldest_python():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    for job in workflow["jobs"].values():
        assert job["strategy"]["matrix"]["python"][0] == oldest
    assert {"run": ".ci/run"} in workflow["jobs"]["checks"]["steps"]
    assert {"run": "scripts/release_check.sh"} in workflow["jobs"]["wheel"]["steps"]


def test_the_version_has_a_heading_in_the_changelog():
    assert re.search(rf"^## {re.escape(__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert "version" in PROJECT["project"]["dynamic"]
