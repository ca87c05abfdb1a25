"""Our operators in pipelines of the real DataFlow, in processes of their own, apart from other tests.

What rows should hold comes from the operators run one by one, without DataFlow.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.operators import FileStorage, VideoAestheticEvaluator, VideoFrameFilter

ROOT = Path(__file__).resolve().parents[3]
VERSION = "open-dataflow==1.0.13"

PIPELINE = """
import sys
from dataflow.pipeline import PipelineABC
from dataflow.utils.storage import FileStorage
if "ours" in sys.argv:
    from tools.operators import FileStorage
from tools.operators import VideoAestheticEvaluator, VideoFrameFilter

class Clips(PipelineABC):
    def __init__(self, second):
        super().__init__()
        self.storage = FileStorage("in.jsonl", cache_path="cache", file_name_prefix="p", cache_type="jsonl")
        self.frames = VideoFrameFilter(output_dir="frames", num_workers=0)
        self.second = second

    def forward(self):
        self.frames.run(storage=self.storage.step(), input_video_key="video")
        self.second.run(storage=self.storage.step(), output_key="second")

if __name__ == "__main__":
    step = int(sys.argv[1])
    if "ours" in sys.argv:
        pipeline = Clips(VideoFrameFilter(output_dir="frames", num_workers=0))
    else:
        pipeline = Clips(VideoAestheticEvaluator("frames", mlp_checkpoint=sys.argv[2], num_workers=0))
    pipeline.compile()
    assert len(pipeline.op_runtimes) == 2, pipeline.op_runtimes
    print(pipeline.accumulated_keys, file=sys.stderr)
    pipeline.forward(resume_step=step)
"""

BATCHES = """
import sys
from dataflow.pipeline import BatchedPipelineABC
from dataflow.utils.storage import BatchedFileStorage
from tools.operators import VideoFrameFilter

class Clips(BatchedPipelineABC):
    def __init__(self):
        super().__init__()
        self.storage = BatchedFileStorage("in.jsonl", cache_path="batches", file_name_prefix="p")
        self.frames = VideoFrameFilter(output_dir="frames", num_workers=0)

    def forward(self):
        self.frames.run(storage=self.storage.step())

pipeline = Clips()
pipeline.compile()
pipeline.forward(batch_size=1)
"""

CHECKS = """
import sys
if "dataflow first" in sys.argv:
    import dataflow.pipeline
import tools.operators as ours
from dataflow.core import LLMServingABC, OperatorABC
from dataflow.pipeline import PipelineABC
from dataflow.utils.registry import OPERATOR_REGISTRY
from dataflow.utils.storage import DataFlowStorage, FileStorage

assert issubclass(ours.FileStorage, DataFlowStorage) and ours.FileStorage is not FileStorage
assert issubclass(ours.APILLMServing_request, LLMServingABC)
assert issubclass(ours.LocalModelLLMServing_vllm, LLMServingABC)
names = "ClipScore EMScoreEval VideoAestheticEvaluator VideoAudioSimilarity VideoFrameFilter"
for name in names.split():
    operator = getattr(ours, name)
    assert issubclass(operator, OperatorABC) and OPERATOR_REGISTRY.get(name) is operator
    chinese, english = operator.get_desc("zh"), operator.get_desc("en")
    assert not chinese.isascii() and english.isascii() and len(english.splitlines()) > 5, english
assert not issubclass(ours.VideoQualityScore, OperatorABC)  # it is LAS's

class Pipeline(PipelineABC):
    def __init__(self, operator, second=None, **keys):
        super().__init__()
        self.storage, self.operator, self.second, self.given = FileStorage("in.jsonl"), operator, second, keys

    def forward(self):
        self.operator.run(storage=self.storage.step(), **self.given)
        if self.second:
            self.second.run(storage=self.storage.step())

def missing(*operators, **keys):
    try:
        Pipeline(*operators, **keys).compile()
    except KeyError as error:
        lines = str(error.args[0]).splitlines()
        return [line.split("'")[1] for line in lines if line.startswith("- Input key")]
    return []

scores, frames = ours.VideoAestheticEvaluator, ours.VideoFrameFilter
assert missing(scores()) == []
assert missing(scores("f", "film", "parts")) == ["film", "parts"]
assert missing(scores(), input_video_key="film") == ["film"]
assert missing(scores(video_clips_key=None)) == []
assert missing(scores(), video_clips_key="parts") == ["parts"]
assert missing(scores(), input_video_clips_key="parts") == ["parts"]
assert missing(scores(output_key="new"), scores(video_clips_key="new")) == []
assert missing(scores(video_clips_key=None), frames(input_video_key="aesthetic_score")) == []
assert missing(frames(), frames(input_video_key="video_frame_export")) == []
assert missing(ours.EMScoreEval()) == ["video_path", "candidate"]
assert missing(ours.EMScoreEval(), video_key="video", candidate_key="text") == ["text"]
assert missing(ours.EMScoreEval(), video_key="video", candidate_key="video", reference_key="none") == []
scored = ours.EMScoreEval(score_types=["EMScore(X,V)"], metrics=["figr_F"])
for column in ("EMScore(X,V)_figr_F", "emscore_error"):
    class Both(Pipeline):
        def forward(self):
            self.operator.run(self.storage.step(), video_key="video", candidate_key="video")
            self.second.run(self.storage.step(), video_key=column)
    both = Both(scored, ours.VideoAudioSimilarity())
    both.compile()
assert missing(ours.VideoAudioSimilarity(), video_key="video", caption_key="text") == ["text"]
assert missing(ours.VideoAudioSimilarity(), video_key="video", audio_key="sound") == ["sound"]
assert missing(ours.VideoAudioSimilarity(), video_key="video") == []
print("all is well")
"""

KINDS = """
import sys
from dataflow.utils.storage import FileStorage
from tools.operators import VideoFrameFilter

for kind in ("jsonl", "json", "csv", "parquet", "pickle"):
    storage = FileStorage("in.jsonl", cache_path=kind, file_name_prefix="p", cache_type=kind)
    for key in ("one", "two", "three"):
        VideoFrameFilter(output_dir="frames", output_key=key, num_workers=0).run(storage.step())
    storage.cache_type, storage.operator_step = kind, 3
    table = storage.read("dataframe")
    storage.cache_type = "json"
    table.to_json(f"{kind}.json", orient="records")
"""

NAMES = """
import inspect
from dataflow.operators.core_vision import EMScoreEval, PromptedVQAGenerator, VideoAestheticEvaluator
from dataflow.operators.core_audio import VideoAudioSimilarity
from dataflow.llmserving import APILLMServing_request
from dataflow.utils.storage import FileStorage
from dataflow.utils.registry import OPERATOR_REGISTRY
import tools.operators as ours

assert VideoAestheticEvaluator is ours.VideoAestheticEvaluator and EMScoreEval is ours.EMScoreEval
assert VideoAudioSimilarity is ours.VideoAudioSimilarity
assert APILLMServing_request is ours.APILLMServing_request
assert FileStorage.__module__ == "dataflow.utils.storage"
assert PromptedVQAGenerator.__module__.startswith("dataflow.")
try:
    from dataflow.operators.core_vision import VideoOCREvaluator
except ImportError as error:
    print(error)
"""


@pytest.fixture(scope="session")
def dataflow(tmp_path_factory) -> Path:
    """A folder with DataFlow in it, without what it asks for: it pins other versions of everything."""
    folder = Path(sys.prefix) / "dataflow"  # scripts/test.sh puts it there
    if (folder / "dataflow").is_dir():
        return folder
    folder = tmp_path_factory.mktemp("dataflow")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(folder),
        VERSION,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.skip(f"{VERSION} is not installed in {Path(sys.prefix) / 'dataflow'}, and pip cannot fetch it")
    return folder


@pytest.fixture
def run(dataflow, tmp_path, weights, video):
    """Runs a script beside a table of two videos with two clips each."""
    rows = [
        {
            "video": [str(video)],
            "video_clips": {
                "clips": [
                    {"id": f"{name}_{i}", "frame_start": 16 * i, "frame_end": 16 * i + 16} for i in range(2)
                ]
            },
            "note": name,
        }
        for name in ("a", "b")
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def start(code: str, *arguments: str, through: bool = False) -> subprocess.CompletedProcess:
        (tmp_path / "script.py").write_text(code)
        command = [sys.executable, *(["-m", "tools.operators"] if through else []), "script.py", *arguments]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, **weights.environment, "PYTHONPATH": f"{ROOT}{os.pathsep}{dataflow}"},
            capture_output=True,
            text=True,
            timeout=600,
        )

    return start


def records(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def by_hand(tmp_path: Path, weights, monkeypatch) -> list[dict]:
    """What the two operators give without DataFlow."""
    monkeypatch.chdir(tmp_path)
    for name, value in weights.environment.items():
        monkeypatch.setenv(name, value)
    storage = FileStorage("in.jsonl", "by_hand", "p")
    VideoFrameFilter(output_dir="frames", num_workers=0).run(storage.step())
    VideoAestheticEvaluator("frames", num_workers=0).run(storage.step(), output_key="second")
    return records(tmp_path / "by_hand" / "p_step2.jsonl")


def test_a_pipeline_is_stopped_and_resumed(run, tmp_path, weights, monkeypatch):
    stopped = run(PIPELINE, "0", str(tmp_path / "no_such_head.pth"))
    assert stopped.returncode != 0 and "no_such_head.pth" in stopped.stderr
    first, second = (tmp_path / "cache" / f"p_step{n}.jsonl" for n in (1, 2))
    assert first.exists() and not second.exists()
    assert len(list((tmp_path / "frames").rglob("*.jpg"))) == 12
    (tmp_path / "in.jsonl").rename(tmp_path / "gone.jsonl")  # nobody reads it again, but for its keys
    (tmp_path / "in.jsonl").write_text('{"video": [], "video_clips": {"clips": []}}\n')
    before = first.read_bytes(), first.stat().st_mtime_ns
    resumed = run(PIPELINE, "1", str(weights.head))
    assert resumed.returncode == 0, resumed.stderr
    assert (first.read_bytes(), first.stat().st_mtime_ns) == before
    (tmp_path / "gone.jsonl").replace(tmp_path / "in.jsonl")
    rows = records(second)
    assert rows == by_hand(tmp_path, weights, monkeypatch)
    assert [row["note"] for row in rows] == ["a", "b"]
    clips = [clip for row in rows for clip in row["second"]["clips"]]
    assert all(clip["aesthetic_frames"]["frame_indices"] == [0, 8, 15] for clip in clips)
    assert len({clip["aesthetic_score"] for clip in clips}) == 2  # two scenes, shown twice


def test_our_storage_in_a_pipeline(run, tmp_path):
    done = run(PIPELINE, "0", "ours")
    assert done.returncode == 0, done.stderr
    keys = ["video", "video_clips", "note"]
    first = [*keys, "video_frame_export"]
    assert str([keys, first, [*first, "second"]]) in done.stderr
    (one, two), (given, _) = (records(tmp_path / "cache" / f"p_step{n}.jsonl") for n in (2, 1))
    assert one == {**given, "second": given["video_frame_export"]} and two["note"] == "b"
    assert one["second"]["total_saved_frames"] == 6


def test_every_kind_of_file_of_dataflows_storage(run, tmp_path):
    """What pandas makes of nested cells on their way through CSV and Parquet is read all the same."""
    done = run(KINDS)
    assert done.returncode == 0, done.stderr
    expected = json.loads((tmp_path / "jsonl.json").read_text())
    assert [row["three"]["total_saved_frames"] for row in expected] == [6, 6]
    for kind in ("json", "csv", "parquet", "pickle"):
        rows = json.loads((tmp_path / f"{kind}.json").read_text())
        assert [{name: parsed_cell(cell) for name, cell in row.items()} for row in rows] == expected, kind


def parsed_cell(cell):
    """pandas writes nested cells into a CSV as Python shows them."""
    return ast.literal_eval(cell) if isinstance(cell, str) and cell[0] in "[{" else cell


def test_a_pipeline_in_batches(run, tmp_path):
    done = run(BATCHES)
    assert done.returncode == 0, done.stderr
    rows = [row for path in sorted((tmp_path / "batches").glob("*.jsonl")) for row in records(path)]
    assert [row["note"] for row in rows] == ["a", "b"]
    assert [row["video_frame_export"]["total_saved_frames"] for row in rows] == [6, 6]


@pytest.mark.parametrize("first", ["dataflow first", "ours first"])
def test_operators_are_dataflows_and_compile_checks_their_keys(run, first):
    done = run(CHECKS, first)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["all is well"]), done.stderr


def test_names_that_dataflow_lacks_come_from_here(run):
    done = run(NAMES, through=True)
    assert done.returncode == 0, done.stderr
    assert "VideoOCREvaluator" in done.stdout.splitlines()[-1]


def test_nothing_of_dataflow_is_imported_for_it(run):
    done = run("import sys, tools.operators as o; o.VideoFrameFilter(); print('dataflow' in sys.modules)")
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
