"""Benchmarks: each says how it runs, and its README names it with flags that it has."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support import make_video

ROOT = Path(__file__).resolve().parents[1]
HELPERS = {"measuring", "stage_rows", "technical_clips"}  # which other scripts import or start
SCRIPTS = sorted(path.stem for path in ROOT.glob("benchmarks/*.py") if path.stem not in HELPERS)
README = (ROOT / "benchmarks" / "README.md").read_text()
COMMANDS = re.findall(r"python benchmarks/(\w+)\.py([^`\n]*)", README)

# All in one process: PyTorch is imported once.
SAY_HELP = """
import contextlib, io, json, runpy, sys

folder, *scripts = sys.argv[1:]
sys.path[0] = folder  # as when Python runs a script of it
helps = {}
for script in scripts:
    sys.argv = [script, "--help"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        runpy.run_path(f"{folder}/{script}.py", run_name="__main__")
    helps[script] = said.getvalue()
print(json.dumps(helps))
"""


@pytest.fixture(scope="module")
def helps():
    """What --help of each script says, run from another folder and without PYTHONPATH."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", SAY_HELP, ROOT / "benchmarks", *SCRIPTS],
        cwd="/", env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_says_how_a_script_runs(helps, script):
    assert f"    python benchmarks/{script}.py" in helps[script]
    assert "--json FILE" in helps[script]
    usage, docstring = helps[script].split("\n\n", 1)
    commands = re.findall(rf"python benchmarks/{script}\.py((?:.|\n {{8}})*)", docstring)
    stated = {flag for command in commands for flag in re.findall(r"--[a-z][\w-]*", command)}
    assert stated <= set(re.findall(r"--[a-z][\w-]*", usage)), (stated, usage)


def test_the_index_of_the_readme_names_every_script():
    index = README.split("\n## ")[1]
    assert set(re.findall(r"\b(\w+)\.py", index)) == set(SCRIPTS)


@pytest.mark.parametrize("script, rest", COMMANDS, ids=[script for script, _ in COMMANDS])
def test_a_command_of_the_readme_has_flags_that_exist(helps, script, rest):
    assert set(re.findall(r"--[a-z][\w-]*", rest)) <= set(re.findall(r"--[a-z][\w-]*", helps[script]))


def run(*command, **options):
    return subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, **options)


def test_what_cannot_be_measured_is_left_out_and_said(tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    done = run(ROOT / "benchmarks" / "probe.py", broken, cwd=tmp_path)
    assert done.returncode == 2
    left_out, last = done.stderr.splitlines()
    assert left_out.startswith(f"left out: {broken}: unreadable: ") and last == "nothing was measured"


def test_what_is_measured_already_is_kept_where_a_later_command_fails(tmp_path):
    missing_frames = tmp_path / "broken.mp4"
    whole = make_video(tmp_path / "whole.mp4", 30).read_bytes()
    place = whole.index(b"mdat") + len(whole) // 3  # the index stays, so the file can be probed
    missing_frames.write_bytes(whole[:place] + bytes(len(whole) // 4) + whole[place + len(whole) // 4 :])
    figures = tmp_path / "figures.json"
    script = ROOT / "benchmarks" / "stage.py"
    done = run(
        script, missing_frames, "--only", "memory", "start", "--rows", 100, "--rounds", 1, "--json", figures
    )
    assert done.returncode == 0
    assert done.stderr.startswith("left out: start: ") and "every row failed" in done.stderr
    assert list(json.loads(figures.read_text())) == ["memory, bytes per row"]


def test_figures_are_printed_with_their_ratio_and_written_as_json(tmp_path, monkeypatch):
    video = make_video(tmp_path / "one key frame.mp4", 30, gop=250)
    figures = tmp_path / "figures.json"
    done = run(ROOT / "benchmarks" / "probe.py", video, "--repeat", 1, "--json", figures, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = json.loads(figures.read_text())
    cells = [cell.strip() for cell in done.stdout.splitlines()[2].strip("|").split("|")]
    assert cells[:2] == [video.name, "30"] and row["frames"] == 30
    assert float(cells[4]) == round(row["probe"] / row["decode"], 3)


def test_json_into_a_folder_that_is_not_there_is_refused_before_anything_runs(tmp_path):
    done = run(ROOT / "benchmarks" / "probe.py", "no.mp4", "--json", tmp_path / "no" / "figures.json")
    assert done.returncode == 2 and f"there is no folder {tmp_path / 'no'}" in done.stderr


def test_what_a_child_says_is_shown_only_if_it_fails(capfd):
    code = """
import sys; sys.path.insert(0, {!r})
from measuring import run, run_child
def main():
    child = run_child([sys.executable, "-c", "import sys; print(7); print('noise', file=sys.stderr)"])
    assert child.output == "7\\n" and child.wall > 0 and child.peak > 1 << 20, child
    run_child([sys.executable, "-c", "import sys; print('why', file=sys.stderr); sys.exit(3)"])
run(main)
"""
    done = run("-c", code.format(str(ROOT / "benchmarks")))
    assert done.returncode == 2 and done.stdout == "" and "noise" not in done.stderr
    assert done.stderr.splitlines()[0].endswith("exit status 3") and done.stderr.splitlines()[1] == "why"


@pytest.fixture
def script(monkeypatch):
    """A script, imported by its name."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


@pytest.mark.parametrize(
    ("pix_fmt", "factor"),
    [("yuv420p", 1), ("yuv444p", 1), ("yuv422p10le", 4), ("gray", 1), ("yuv420p12le", 16)],
)
def test_luma_is_that_of_any_size_and_depth(tmp_path, script, pix_fmt, factor):
    """By construction: 8 bits, and the same with digits behind them."""
    rows = (np.arange(17)[:, None] * 7 + np.arange(33) * 3 + 16).astype(np.uint16)
    with av.open(tmp_path / "a.mkv", "w") as file:
        stream = file.add_stream("ffv1", rate=25, width=33, height=17, pix_fmt=pix_fmt)
        picture = av.VideoFrame(33, 17, pix_fmt)
        for plane in picture.planes:
            plane.update(bytes(plane.buffer_size))
        kind = np.uint8 if factor == 1 else np.uint16
        padded = np.zeros((17, picture.planes[0].line_size // np.dtype(kind).itemsize), kind)
        padded[:, :33] = rows * factor + (factor - 1)
        picture.planes[0].update(padded)
        file.mux(stream.encode(picture))
        file.mux(stream.encode(None))
    (found,) = script("cut").luma(tmp_path / "a.mkv")
    assert found.dtype == np.uint8 and np.array_equal(found, rows)


def test_few_pictures_are_held_while_neighbours_are_compared(script):
    given = []

    def pictures():
        for number in range(100):
            given.append(number)
            yield np.full((1, 1), number)

    source = script("cut").Neighbours(pictures())
    for number in (0, 1, 2, 7, 8, 99):
        near = source.around(number)
        assert {number - 1, number, number + 1} & set(range(100)) == set(near)
        assert all(picture[0, 0] == at for at, picture in near.items())
        assert len(given) == min(number + 2, 100)
    assert 100 not in source.around(100)


def test_a_peer_that_fails_on_a_video_is_left_out(script, capsys):
    works = script("measuring").ways_that_work({"good": lambda: 1, "bad": lambda: 1 / 0}, "a.mp4")
    assert list(works) == ["good"]
    assert capsys.readouterr().err == "left out: bad on a.mp4: division by zero\n"
