"""Operators of LAS's shape on Daft: the document's example, and classes that are given otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from tests.media.fetching.http_server import serve
from tools.errors import UserError
from tools.operators import VideoQualityScore
from tools.operators.daft import las_udf
from tools.stage.runner import RunOptions

daft = pytest.importorskip("daft", reason="Daft is not installed: pip install 'vidsieve[daft]'")
col = daft.col
ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = Path(__file__).with_name("las_document.py")
HERE = (("https://", "http://"), ('"device": "cuda"', '"device": "cpu"'), ("num_gpus=1", "num_gpus=0"))
"""What the example cannot have here: the service's server, and a GPU."""


class Doubler:
    """An operator with no ties to this toolkit; two columns, the second by name if one likes."""

    def __init__(self, factor: int = 2) -> None:
        self.factor = factor

    def transform(self, numbers: pa.Array, plus: pa.Array | None = None) -> pa.Array:
        more = [0] * len(numbers) if plus is None else plus.to_pylist()
        return pa.array([n * self.factor + m for n, m in zip(numbers.to_pylist(), more, strict=True)])

    @staticmethod
    def return_type() -> pa.DataType:
        return pa.int64()


pytestmark = pytest.mark.usefixtures("native")


def test_the_document_as_it_is_typed(weights, weights_environment, clips, tmp_path):
    text = EXAMPLE.read_text()
    for theirs, ours in HERE:
        assert theirs in text
        text = text.replace(theirs, ours)
    script = tmp_path / "example.py"
    script.write_text(text)
    content = Path(clips[0]).read_bytes()
    with serve({"/public/shared_video_dataset/sample.mp4": content}) as server:
        server.break_after = [len(content) // 3, len(content) // 4]
        environment = os.environ | weights.environment
        environment |= {"TOS_TEST_DIR_URL": server.url.removeprefix("http://"), "no_proxy": "127.0.0.1"}
        environment |= {"PYTHONPATH": str(ROOT), "DAFT_RUNNER": "native"}
        command = [sys.executable, "-m", "tools.operators", str(script)]
        ran = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert len(server.seen) == 3  # it was cut off twice
    with VideoQualityScore(device="cpu", count_k=4, options=RunOptions(num_workers=0)) as here:
        (expected,) = here.transform(clips[:1])
    cells = [line.split("┆")[1].strip(" │") for line in ran.stdout.splitlines() if "┆" in line]
    assert cells[0] == "quality_score"
    assert cells[2] == "Float64"
    assert float(cells[3]) == expected


def test_the_document_on_a_machine_without_its_gpu():
    arguments = {"device": "cuda", "count_k": 4}
    with pytest.raises(UserError, match="512 GPUs each"):
        las_udf(VideoQualityScore, construct_args=arguments, num_gpus=512, concurrency=1)
    with pytest.raises(UserError, match="by_luck"):
        las_udf(VideoQualityScore, construct_args={"sample_mode": "by_luck"})


def test_columns_by_name_and_the_reason_of_a_null(clips, weights_environment):
    files = [Path(clip).read_bytes() if Path(clip).exists() else None for clip in clips]
    frame = daft.from_pydict({"bytes": files, "kind": ["mp4"] * len(files)})
    arguments = {"device": "cpu", "count_k": 2, "options": RunOptions(num_workers=0, progress=False)}
    score = las_udf(VideoQualityScore, arguments, method="detail", batch_size=4)
    frame = frame.with_column("told", score(video_binaries=col("bytes"), video_formats=col("kind")))
    told = frame.to_pydict()["told"]
    with VideoQualityScore(**arguments) as here:
        scores = here.transform(clips)
    assert [row["score"] for row in told] == scores
    assert [len(row["scores"] or ()) for row in told] == [2, 2, 0, 2, 2, 0]
    assert told[2]["error"].startswith("unreadable: ")


def test_any_class_of_that_shape():
    frame = daft.from_pydict({"a": [1, 2, 3], "b": [10, 20, 30]})
    twice = las_udf(Doubler, num_cpus=1, batch_size=2, concurrency=2, use_process=True)
    thrice = las_udf(Doubler, construct_args={"factor": 3}, memory_bytes=1 << 20)
    frame = frame.with_columns(
        {"twice": twice(col("a"), col("b")), "thrice": thrice(col("a"), plus=col("b"))}
    )
    found = frame.to_pydict()
    assert (found["twice"], found["thrice"]) == ([12, 24, 36], [13, 26, 39])


def test_what_is_wrong_is_told_before_the_run():
    with pytest.raises(UserError, match=r"Doubler: has no score\(\)"):
        las_udf(Doubler, method="score")
    with pytest.raises(UserError, match="GiB are needed"):
        las_udf(Doubler, memory_bytes=1 << 60)
