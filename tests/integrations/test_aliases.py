"""Scripts that import from dataflow and daft.las, as those projects' documents do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

IMPORTS = """
import sys
from dataflow.utils.storage import FileStorage
from dataflow.operators.core_vision import EMScoreEval, VideoAestheticEvaluator, VideoFrameFilter
from dataflow.operators.core_audio import VideoAudioSimilarity
import tools.operators as ours

assert FileStorage is ours.FileStorage and EMScoreEval is ours.EMScoreEval
assert VideoAestheticEvaluator is ours.VideoAestheticEvaluator and VideoFrameFilter is ours.VideoFrameFilter
assert VideoAudioSimilarity is ours.VideoAudioSimilarity
try:
    from dataflow.operators.core_vision import VideoOCREvaluator
except ImportError as error:
    print(error)
print(__name__, sys.argv[1:])
"""
LAS_IMPORTS = """
from daft import col
from daft.las.functions.udf import las_udf
from daft.las.functions.video import VideoQualityScore
from tools.operators.daft import las_udf as our_udf
from tools.operators import VideoQualityScore as our_score

print(las_udf is our_udf, VideoQualityScore is our_score)
"""


def run(tmp_path: Path, code: str, *arguments: str) -> subprocess.CompletedProcess:
    script = tmp_path / "script.py"
    script.write_text(code)
    command = [sys.executable, "-m", "tools.operators", str(script), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)


def test_the_imports_of_dataflows_documents(tmp_path):
    done = run(tmp_path, IMPORTS, "--some_flag", "-x")
    assert done.returncode == 0, done.stderr
    missing, last = done.stdout.splitlines()
    assert missing.startswith("cannot import name 'VideoOCREvaluator'")
    assert last == "__main__ ['--some_flag', '-x']"


def test_the_imports_of_las_documents(tmp_path):
    pytest.importorskip("daft")
    done = run(tmp_path, LAS_IMPORTS)
    assert (done.returncode, done.stdout.strip()) == (0, "True True"), done.stderr


def test_a_module_that_is_there_stays_as_it_is(tmp_path):
    (tmp_path / "dataflow").mkdir()
    (tmp_path / "dataflow" / "__init__.py").write_text("here = True")
    done = run(tmp_path, "import dataflow; print(dataflow.here)")
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


def test_errors_of_the_script_are_the_scripts(tmp_path):
    done = run(tmp_path, "import dataflow.utils.nothing")
    assert done.returncode == 1
    assert "ModuleNotFoundError: No module named 'dataflow.utils.nothing'" in done.stderr


def test_no_such_script(tmp_path):
    command = [sys.executable, "-m", "tools.operators", str(tmp_path / "none.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path / 'none.py'}: no such script\n"


@pytest.mark.parametrize(
    "code",
    ["from daft import col", "import daft", "from daft.las.functions.udf import las_udf", "import daft.las"],
)
def test_without_daft_its_extra_is_named(tmp_path, code):
    hidden = "import sys, importlib.machinery as m\n"
    hidden += "find = m.PathFinder.find_spec\n"
    hidden += "m.PathFinder.find_spec = lambda n, p=None, t=None: None if n == 'daft' else find(n, p, t)\n"
    done = run(tmp_path, f"{hidden}{code}\n")
    assert done.returncode == 2
    script = tmp_path / "script.py"
    assert done.stderr == f"error: {script}: package daft is not installed: pip install 'vidsieve[daft]'\n"
