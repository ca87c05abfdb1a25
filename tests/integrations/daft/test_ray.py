"""Daft on a Ray cluster: the values of the native runner and of the commands, and what a lost node costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tools.scoring.quality.inference import main as quality_command
from tools.scoring.technical.inference import main as technical_command
from tools.table import merge_tables, read_table

daft = pytest.importorskip("daft", reason="Daft is not installed: pip install 'vidsieve[daft]'")
pytest.importorskip("ray", reason="Ray is not installed: pip install 'vidsieve[daft]'")
ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    """Address of a cluster of two nodes with two CPUs each; its processes end with the tests."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 2, "num_gpus": 0, "object_store_memory": 100 * 2**20}
    started = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        started.add_node(**node)
        started.wait_for_nodes()
        yield started.address
    finally:
        started.shutdown()


@pytest.fixture(scope="module")
def on_ray(cluster, weights, clips, tmp_path_factory) -> tuple[dict, Path]:
    """What `on_ray.py` found, and the folder with its table."""
    folder = tmp_path_factory.mktemp("on_ray")
    pl.DataFrame({"path": clips}).write_csv(folder / "meta.csv")
    command = [
        sys.executable,
        "-m",
        "tests.integrations.daft.on_ray",
        cluster,
        json.dumps(clips),
        str(folder),
    ]
    environment = os.environ | weights.environment
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1]), folder


def test_native_ray_and_command_agree_to_the_last_digit(on_ray, clips, weights_environment, native):
    found, folder = on_ray
    quality_command([str(folder / "meta.csv"), "--num-workers", "1", "--quiet"])
    command = [None if c is None else float(c) for c in read_table(folder / "meta_quality.csv")["quality"]]
    from tools.operators.daft import video_quality_score

    frame = daft.from_pydict({"path": clips})
    score = video_quality_score(daft.col("path"), num_workers=0)
    native = frame.with_column("quality", score).to_pydict()["quality"]
    assert [row["quality"] for row in found["struct"]] == native == command == found["las"]
    assert len({value for value in native if value is not None}) == 4
    errors = [row["error"] and row["error"].partition(":")[0] for row in found["struct"]]
    assert errors == [None, None, "unreadable", None, None, "missing"]


def test_the_command_on_ray(on_ray):
    found, folder = on_ray
    technical_command([str(folder / "meta.csv"), "--measures", "sharpness", "--num-workers", "1", "--quiet"])
    parts = sorted((folder / "meta_sharp.parquet").glob("part-*.parquet"))
    assert (found["code"], len(parts)) == (0, 6)
    merged = merge_tables(parts).collect()
    expected = read_table(folder / "meta_technical.csv")
    assert merged["path"].to_list() == expected["path"].to_list()
    assert merged["sharpness"].to_list() == expected["sharpness"].cast(pl.Float64).to_list()
    assert len(read_table(folder / "meta_sharp.failures.csv")) == 2


def test_too_many_workers_are_refused_at_once(on_ray):
    found, _ = on_ray
    assert "4 workers with 1 CPUs each are needed, the Ray cluster has 4 CPUs" in found["too_many"]
    assert "0 CPUs are left for reading" in found["too_many"]
    assert found["told_within"] < 60  # Daft would wait for two minutes


def test_a_node_is_lost_in_the_middle(clips, tmp_path):
    """The example itself; it ends with an error when a row is missing, or stands twice."""
    good = [clip for clip in clips if Path(clip).name not in ("broken.mp4", "missing.mp4")]
    paths = [good[n % 4] for n in range(24)]
    pl.DataFrame({"id": [f"{n:02}" for n in range(24)], "path": paths}).write_csv(tmp_path / "meta.csv")
    folder = tmp_path / "out.parquet"
    command = [
        sys.executable,
        "scripts/ray_two_nodes.py",
        str(tmp_path / "meta.csv"),
        "--output",
        str(folder),
    ]
    ran = subprocess.run(
        [*command, "--measures", "sharpness"], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout.splitlines()[-2:] == ["24 rows, each once", str(folder)]
    there = int(ran.stderr.partition("killing a node, ")[2].partition(" parts")[0])
    assert 1 <= there < 12  # it was in the middle
    technical_command(
        [str(tmp_path / "meta.csv"), "--measures", "sharpness", "--num-workers", "1", "--quiet"]
    )
    found = merge_tables(sorted(folder.glob("*.parquet"))).collect()
    expected = read_table(tmp_path / "meta_technical.csv")
    assert found["id"].to_list() == expected["id"].to_list()
    assert found["sharpness"].to_list() == expected["sharpness"].cast(pl.Float64).to_list()
