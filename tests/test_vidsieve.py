"""``import vidsieve``: which names it has, what importing costs, what it says and how it fails."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import make_api_page
import pytest

import vidsieve

ROOT = Path(__file__).resolve().parents[1]
toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

NAMES = [
    "CutOptions", "MediaError", "RunOptions", "Sampling", "Stage", "UserError", "VidsieveError",
    "__version__", "caption", "cut_clips", "detect_scenes", "filter_table", "iter_frames", "probe",
    "read_frames", "read_table", "run_stage", "score", "write_table",
]  # fmt: skip
"""The library. A name is added here on purpose; none goes without a word in the changelog."""

HEAVY = {"av", "cv2", "numpy", "pandas", "PIL", "polars", "scenedetect", "torch", "transformers", "daft"}


def python(code: str, *, folder: Path = ROOT, path: str = str(ROOT)) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh Python."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, env={"PYTHONPATH": path}, capture_output=True, text=True)


def test_the_names_are_these():
    assert vidsieve.__all__ == NAMES
    assert set(NAMES) <= set(dir(vidsieve))
    for name in NAMES:
        assert getattr(vidsieve, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'scores'"):
        vidsieve.scores  # noqa: B018


def test_type_checkers_see_the_same_names_from_the_same_modules():
    tree = ast.parse((ROOT / "vidsieve" / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: line.module for line in block.body for alias in line.names}
    assert seen == vidsieve._HOMES
    assert sorted(seen) == sorted(set(NAMES) - {"__version__"})
    assert (ROOT / "vidsieve" / "py.typed").is_file()


def test_every_function_of_the_library_is_typed_and_documented():
    for name, home in vidsieve._HOMES.items():
        found = getattr(importlib.import_module(home), name)
        assert found.__doc__, name
        if not isinstance(found, type):
            hints = set(found.__annotations__)
            code = found.__code__
            wanted = code.co_argcount + code.co_kwonlyargcount
            assert hints >= {*code.co_varnames[:wanted], "return"}, name


def test_importing_loads_nothing_heavy():
    """Of Python itself a bare start loads about 40 modules, and 50 more are a few milliseconds."""
    ran = python(
        "import sys; before = set(sys.modules); import vidsieve; vidsieve.__version__; "
        "print(*sorted(set(sys.modules) - before)); dir(vidsieve)"
    )
    loaded = ran.stdout.split()
    assert ran.returncode == 0 and "vidsieve" in loaded, ran.stderr
    assert not HEAVY & {name.partition(".")[0] for name in loaded}
    assert len(loaded) < 50


def test_the_version_is_that_of_the_commands():
    by_name = [sys.executable, "-m", "vidsieve", "--version"]
    told = subprocess.run(by_name, cwd=ROOT, capture_output=True, text=True)
    assert told.stdout == f"vidsieve {vidsieve.__version__}\n", told.stderr


def test_python_m_vidsieve_runs_a_command(tmp_path):
    vidsieve.write_table(vidsieve.filter_table(_frame(), fmin=0), tmp_path / "meta.csv")
    command = [sys.executable, "-m", "vidsieve", "datautil", "meta.csv", "--fmin", "20"]
    ran = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert ran.stdout == "meta_fmin20.csv\n", ran.stderr
    assert vidsieve.read_table(tmp_path / "meta_fmin20.csv")["path"].to_list() == ["b.mp4"]


def _frame():
    import polars as pl

    return pl.DataFrame({"path": ["a.mp4", "b.mp4"], "num_frames": [10, 20]})


def test_tools_of_another_project_are_told(tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "__init__.py").write_text("")
    ran = python("import vidsieve", folder=tmp_path, path=f"{tmp_path}:{ROOT}")
    assert ran.returncode == 1
    last = ran.stderr.splitlines()[-1]
    assert last.startswith("ImportError: vidsieve works with its own package tools") and str(tmp_path) in last


def test_what_the_toolkit_raises_is_a_vidsieve_error(tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    here = vidsieve.RunOptions(num_workers=0)
    calls = {
        "missing": lambda: vidsieve.probe(tmp_path / "gone.mp4"),
        "unreadable": lambda: vidsieve.read_frames(text),
        "unreadable scenes": lambda: vidsieve.detect_scenes(text, "content"),
        "unreadable clips": lambda: vidsieve.cut_clips(text, None, tmp_path / "clips"),
        "frame": lambda: vidsieve.read_frames(text, [-1]),
        "decoder": lambda: vidsieve.read_frames(text, "middle", decoder="best"),
        "decoder of scores": lambda: vidsieve.score(text, "technical", decoder="best", run=here),
        "no files": lambda: vidsieve.score(None, "technical"),
        "numbers": lambda: vidsieve.score([1, 2], "technical"),
        "policy": lambda: vidsieve.read_frames(text, "sometimes"),
        "times": lambda: vidsieve.Sampling("timestamps", timestamps=[9]).indices([0.0, 0.1]),
        "detector": lambda: vidsieve.detect_scenes(text, "clever"),
        "image": lambda: vidsieve.detect_scenes(tmp_path / "picture.png"),
        "scene": lambda: vidsieve.cut_clips(text, [(2, 1)], tmp_path / "clips"),
        "scene text": lambda: vidsieve.cut_clips(text, "from 1 to 2", tmp_path / "clips"),
        "folder": lambda: vidsieve.cut_clips(text, None, "s3://bucket/clips"),
        "crf": lambda: vidsieve.CutOptions(crf=-1),
        "score": lambda: vidsieve.score(text, "beauty"),
        "flag": lambda: vidsieve.score(text, "technical", technical={"measure": "fade"}),
        "value": lambda: vidsieve.score(text, "flow", flow={"method": "fast"}),
        "of the command": lambda: vidsieve.score(text, "technical", technical={"limit": 1}),
        "other score": lambda: vidsieve.score(text, "technical", flow={"method": "dis"}),
        "embeddings": lambda: vidsieve.score(text, "technical", aes={"save_embeddings": "a.npy"}),
        "no path": lambda: vidsieve.score(_frame().rename({"path": "file"}), "technical"),
        "model": lambda: vidsieve.caption(text, str(tmp_path / "no model")),
        "caption flag": lambda: vidsieve.caption(text, "m", base_url="http://127.0.0.1:9/v1", mood="dark"),
        "table": lambda: vidsieve.read_table(tmp_path / "gone.csv"),
        "filter": lambda: vidsieve.filter_table(tmp_path / "gone.csv", aesmin=5),
        "column": lambda: vidsieve.filter_table(_frame(), aesmin=5),
        "operation": lambda: vidsieve.filter_table(_frame(), best=True),
        "no frame": lambda: vidsieve.filter_table({"path": ["a.mp4"]}, fmin=1),
        "no table": lambda: vidsieve.filter_table(None, fmin=1),
        "switch": lambda: vidsieve.filter_table(_frame(), remove_empty_path=0),
        "several": lambda: vidsieve.filter_table(_frame(), path_subset=["a"]),
        "none of several": lambda: vidsieve.filter_table(_frame(), select=[]),
        "other frame": lambda: vidsieve.filter_table(_frame(), union=_frame()),
        "by": lambda: vidsieve.filter_table(_frame(), keep_rows=1, by=["num_frames"]),
        "seed": lambda: vidsieve.filter_table(_frame(), shuffle=True, seed=-1),
        "lazy": lambda: vidsieve.filter_table(_frame().lazy().select("gone"), fmin=1),
        "a dict": lambda: vidsieve.score({"path": [text]}, "technical", run=here),
        "flags": lambda: vidsieve.score(text, "technical", technical="fade", run=here),
        "the path": lambda: vidsieve.score(text, "technical", error_column="path", run=here),
        "a value": lambda: vidsieve.score(text, "technical", error_column="fade", run=here),
    }
    for name, call in calls.items():
        with pytest.raises(vidsieve.VidsieveError) as raised:
            call()
        assert "\n" not in str(raised.value), name


def test_the_api_page_has_every_name():
    shown = [name for names in make_api_page.SECTIONS.values() for name in names]
    assert sorted(shown) == sorted(vidsieve._HOMES)
    page = (ROOT / "docs" / "api.md").read_text()
    assert "    detector: str = 'auto',\n" in page and "- `max_seconds`: Shots that are longer" in page


def test_the_wheel_has_both_packages():
    """As setuptools finds them; scripts/release_check.sh builds the wheel and tries it."""
    from setuptools import find_packages

    found = toml.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = find_packages(str(ROOT), include=found["packages"]["find"]["include"])
    assert {"vidsieve", "tools", "tools.scoring.optical_flow"} <= set(packages)
    assert {name.partition(".")[0] for name in packages} == {"vidsieve", "tools"}
    carried = {
        file
        for package, patterns in found["package-data"].items()
        for pattern in patterns
        for file in ROOT.joinpath(*package.split(".")).glob(pattern)
        if file.is_file()
    }
    data = {
        file
        for folder in ("tools", "vidsieve")
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc")
    }
    assert data == carried


FIXTURE = """
import logging, pytest

def test_error(): logging.getLogger("vidsieve.part").error("something went wrong")
def test_warning(): logging.getLogger("vidsieve").warning("something is odd")
@pytest.mark.logs_errors
def test_expected(): logging.getLogger("vidsieve").error("something went wrong")
@pytest.mark.logs_errors
def test_expected_in_vain(): pass
"""


def test_a_test_that_logs_an_error_fails(tmp_path):
    (tmp_path / "test_it.py").write_text(FIXTURE)
    options = f"-q -rA -p tests.conftest -p no:cacheprovider -c {ROOT}/pyproject.toml --rootdir {tmp_path}"
    command = [sys.executable, "-m", "pytest", *options.split(), str(tmp_path / "test_it.py")]
    ran = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    failed = set(re.findall(r"^ERROR .*::(\w+)", ran.stdout, re.MULTILINE))
    assert failed == {"test_error", "test_expected_in_vain"}, ran.stdout + ran.stderr
