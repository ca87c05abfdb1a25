"""The installed command in a project that has a ``tools`` of its own, with every kind of child process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import polars as pl
import pytest

from tests.support import make_video
from tools.base import other_tools
from tools.base.other_tools import has_other_tools, others_last
from tools.table import read_table

ROOT = Path(__file__).resolve().parents[2]
THEIRS = 'raise SystemExit("these are the tools of another project")\n'


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """An environment into which the wheel is installed; what the wheel needs is taken from this one."""
    place = tmp_path_factory.mktemp("installed")
    for name in ("pyproject.toml", "README.md", "LICENSE", "vidsieve_command.py"):
        shutil.copy(ROOT / name, place / name)
    leave_out = shutil.ignore_patterns("__pycache__")
    for folder in ("tools", "vidsieve"):
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, place / folder, ignore=leave_out)
    environment = place / "environment"
    venv.create(environment, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = environment / "lib" / version / "site-packages"
    # pip of this environment, so that nothing is downloaded; setuptools stands here too.
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "install", "--quiet"]
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    done = subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--ignore-installed", str(place)],
        cwd=place,
        env=environ(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for folder in ("tools", "vidsieve", "build"):  # only what is installed can be found
        shutil.rmtree(place / folder, ignore_errors=True)
    return environment


@pytest.fixture
def checkout(tmp_path) -> Path:
    """The other project, with two short videos."""
    for package in ("tools", "tools/datasets", "tools/stage", "tools/media"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(THEIRS)
    (tmp_path / "videos").mkdir()
    for name in "ab":
        make_video(tmp_path / "videos" / f"{name}.mp4", 12)
    return tmp_path


def environ(**further: str) -> dict[str, str]:
    kept = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONSAFEPATH", "RANK", "WORLD_SIZE")
    }
    return {**kept, **further}


def run(
    installed: Path, checkout: Path, command: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    path = f"{installed / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euc", command],
        cwd=checkout,
        env=environ(PATH=path, OMP_NUM_THREADS="1", **environment),
        capture_output=True,
        text=True,
        timeout=300,
    )


PROBE = "vidsieve convert video videos --output meta.csv; vidsieve datautil meta.csv --info --num-workers 2"


@pytest.mark.parametrize("path", ["", "."], ids=["cwd", "PYTHONPATH"])
def test_vidsieve_and_its_workers_are_ours(installed, checkout, path):
    done = run(installed, checkout, PROBE, **({"PYTHONPATH": path} if path else {}))
    assert done.returncode == 0, done.stderr
    assert read_table(checkout / "meta_info.csv")["num_frames"].to_list() == ["12", "12"]


def test_python_m_tools_is_theirs_there(installed, checkout):
    done = run(installed, checkout, "python -m tools.datasets.convert video videos --output meta.csv")
    assert done.returncode == 1 and done.stderr == "these are the tools of another project\n"


def test_ranks_of_torchrun_are_ours(installed, checkout):
    torchrun = "python -m torch.distributed.run --standalone --nproc_per_node 2 --no-python"
    done = run(
        installed,
        checkout,
        f"vidsieve convert video videos --output meta.csv; {torchrun} vidsieve technical meta.csv --quiet",
    )
    assert done.returncode == 0, done.stderr
    parts = [read_table(checkout / f"meta_technical_part{rank}.csv") for rank in range(2)]
    assert [part.height for part in parts] == [1, 1]


@pytest.mark.parametrize(
    "cluster", ["", pytest.param("--ray local", marks=pytest.mark.slow)], ids=["daft", "ray"]
)
def test_workers_of_daft_are_ours(installed, checkout, cluster):
    pytest.importorskip("daft", reason="Daft is not installed: pip install 'vidsieve[daft]'")
    score = f"vidsieve technical meta.csv --engine daft {cluster} --quiet"
    done = run(
        installed,
        checkout,
        f"vidsieve convert video videos --output meta.csv; {score}",
        PYTHONPATH=str(checkout),
    )
    if sys.version_info < (3, 11):
        assert done.returncode == 2 and "start in another folder" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    table = pl.read_parquet(checkout / "meta_technical.parquet" / "*.parquet")
    assert table.height == 2 and table["sharpness"].null_count() == 0


def test_a_script_beside_other_tools_has_workers_of_ours(installed, checkout):
    script = checkout / "evaluate.py"
    script.write_text(
        "from beside import NAME\n"
        "from tools.datasets.probe_stage import ProbeStage\n"
        "from tools.stage.runner import RunOptions, run_stage\n"
        "if __name__ == '__main__':\n"
        "    options = RunOptions(num_workers=2, progress=False)\n"
        "    print(NAME, run_stage(ProbeStage(), 'meta.csv', options=options).failed)\n"
    )
    (checkout / "beside.py").write_text("NAME = 'failed'\n")
    command = "vidsieve convert video videos --output meta.csv; vidsieve operators evaluate.py"
    done = run(installed, checkout, command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "failed 0"


def test_a_package_that_was_installed_over_ours_is_told(tmp_path):
    shutil.copy(ROOT / "vidsieve_command.py", tmp_path)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "__init__.py").write_text("")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "vidsieve_command.py"), "--version"],
        env=environ(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / 'tools'}: is not vidsieve's alone (")
    assert done.stderr.count("\n") == 1


def test_folders_with_other_tools_come_last(tmp_path, monkeypatch):
    for name in ("package", "module", "folder", "none"):
        (tmp_path / name).mkdir()
    (tmp_path / "package" / "tools").mkdir()
    (tmp_path / "package" / "tools" / "__init__.py").touch()
    (tmp_path / "module" / "tools.py").touch()
    (tmp_path / "folder" / "tools").mkdir()
    paths = [str(tmp_path / name) for name in ("package", "none", "module", "folder")]
    monkeypatch.setattr(other_tools, "_LISTED", True)
    assert others_last([*paths, str(ROOT)]) == [paths[1], paths[3], str(ROOT), paths[0], paths[2]]
    (tmp_path / "link").symlink_to(ROOT)
    assert others_last([*paths[2:], str(tmp_path / "link")]) == [paths[3], str(tmp_path / "link"), paths[2]]
    # In an editable install a mere folder, too, is found before what the install adds.
    monkeypatch.setattr(other_tools, "_LISTED", False)
    assert has_other_tools(paths[3]) and not has_other_tools(str(ROOT))
    assert others_last(paths) == [paths[1], str(ROOT), paths[0], paths[2], paths[3]]
    assert others_last(paths[1:2]) == paths[1:2]
    monkeypatch.chdir(paths[0])
    assert has_other_tools("")
