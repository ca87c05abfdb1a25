"""What the tests do on a Ray cluster, in a process of its own: python on_ray.py ADDRESS CLIPS FOLDER.

Daft takes one runner for each process, and that of the tests is the native one. Prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import daft
from daft import col

from tests.integrations.daft.stages import ClockStage
from tools.errors import UserError
from tools.integrations.daft.connection import connect
from tools.operators import VideoQualityScore
from tools.operators.daft import las_udf, score_with, video_quality_score
from tools.scoring.technical.inference import main as technical_command
from tools.stage.runner import RunOptions


def main() -> None:
    """One thing after the other, on one connection."""
    address, clips, folder = sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3])
    found: dict = {}
    connect(address)
    start = time.monotonic()
    try:
        score_with(ClockStage(), path=col("path"), max_concurrency=4, cpus=1)
    except UserError as error:
        found["too_many"] = str(error)
    found["told_within"] = time.monotonic() - start

    frame = daft.from_pydict({"path": clips})
    options = {"device": "cpu", "count_k": 8, "options": RunOptions(num_workers=0, progress=False)}
    frame = frame.with_column("struct", video_quality_score(col("path"), struct=True, num_workers=1))
    frame = frame.with_column("las", las_udf(VideoQualityScore, options)(col("path")))
    found |= frame.select("struct", "las").to_pydict()

    flags = ["--measures", "sharpness", "--quiet", "--engine", "daft", "--ray", address, "--part-rows", "1"]
    output = folder / "meta_sharp.parquet"
    found["code"] = technical_command([str(folder / "meta.csv"), *flags, "--output", str(output)])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
