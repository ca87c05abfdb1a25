"""VideoQualityScore: LAS's parameters, the quality command's scores (random weights)."""

from __future__ import annotations

import base64
import csv
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from tests.media.fetching.http_server import serve
from tests.scoring.clip_files import pictures
from tests.support import make_video, read_barcode
from tools.errors import UserError
from tools.media.reading.frames import read_frames
from tools.operators import VideoQualityScore
from tools.scoring.quality.inference import main as quality_command
from tools.scoring.quality.prompts import PROMPTS
from tools.stage.runner import RunOptions
from tools.table import write_table

ROOT = Path(__file__).resolve().parents[3]
SCALE = float(np.exp(4.6052))  # of the random weights
HERE = {"device": "cpu", "precision": "fp32", "options": RunOptions(num_workers=0, progress=False)}


@pytest.fixture
def score(weights_environment, monkeypatch):
    """Make a scorer that works in this process; its prompts differ from picture to picture."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def make(**parameters) -> VideoQualityScore:
        return VideoQualityScore(**{"prompt": "noisiness", **HERE, **parameters})

    return make


@pytest.fixture(scope="session")
def numbered(tmp_path_factory) -> Path:
    """50 frames, 25 per second, each shows its number."""
    return make_video(tmp_path_factory.mktemp("numbered") / "numbered.mp4", 50)


def expected(weights, images: list, pair: tuple[str, str]) -> np.ndarray:
    """CLIP-IQA from its definition: the softmax over the logits of both prompts, in float64."""
    logits = torch.from_numpy(SCALE * weights.images(images) @ weights.texts(list(pair)).T)
    return torch.softmax(logits, dim=1)[:, 0].numpy()


def reasons(details: list) -> list:
    return [detail["error"] and detail["error"].partition(":")[0] for detail in details]


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_k_frames_are_k_frames(score, weights, video, count):
    """48 frames, 24 per second: the last is at 47 / 24 s, and one of the K."""
    (detail,) = score(count_k=count).detail([video])
    last = 47 / 24
    wanted = [0.0] if count == 1 else [i * last / (count - 1) for i in range(count)]
    indices = [int(np.floor(t * 24 + 1e-6)) for t in wanted]  # the frame that is shown then
    assert detail["frame_indices"] == indices
    assert detail["timestamps"] == pytest.approx([i / 24 for i in indices], abs=1e-6)
    shown = pictures(video)
    scores = expected(weights, [shown[i] for i in indices], PROMPTS["noisiness"])
    assert np.ptp(scores) > 0.05 or count == 1
    assert detail["scores"] == pytest.approx(scores, abs=5e-5)
    assert detail["score"] == pytest.approx(scores.mean(), abs=5e-5)


SAMPLINGS = [  # LAS's rule, by hand: frame n of the video starts at n / 25 s
    ({"sample_mode": "by_interval_time", "interval_sec": 0.5}, [0, 12, 25, 37]),
    ({"sample_mode": "by_interval_frames", "interval_frames": 20}, [0, 20, 40]),
    ({"sample_mode": "by_fps", "target_fps": 2.0, "start_time_sec": 1.0}, [25, 37]),
    ({"sample_mode": "by_timestamps", "timestamps_sec": [1.2, 0.1]}, [2, 30]),
    ({"count_k": 3, "start_time_sec": 0.4, "end_time_sec": 1.2}, [10, 20, 30]),
    ({"count_k": None, "sample_mode": "by_fps", "target_fps": 10.0, "max_frames": 3}, [0, 2, 5]),
]


@pytest.mark.parametrize(("parameters", "numbers"), SAMPLINGS)
def test_sample_modes(score, numbered, parameters, numbers):
    (detail,) = score(**parameters).detail([numbered])
    assert detail["frame_indices"] == numbers
    shown = [read_barcode(frame.image) for frame in read_frames(numbered, detail["frame_indices"])]
    assert shown == numbers
    assert detail["timestamps"] == pytest.approx([n / 25 for n in numbers], abs=1e-6)
    assert len(detail["scores"]) == len(numbers)


def test_reductions(score, video):
    by_mode = {}
    for mode in ("avg", "max", "min", "median", "p10"):
        (detail,) = score(reduce_mode=mode, count_k=5).detail([video])
        by_mode[mode] = detail["score"]
    ordered = sorted(detail["scores"])
    wanted = {"avg": sum(ordered) / 5, "max": ordered[4], "min": ordered[0], "median": ordered[2]}
    wanted["p10"] = ordered[0] + 0.4 * (ordered[1] - ordered[0])  # position 0.1 x 4
    assert by_mode == pytest.approx(wanted, abs=2e-6)


def test_the_scores_are_those_of_the_command(score, video, numbered, tmp_path):
    meta = write_table(pl.DataFrame({"path": [str(video), str(numbered)]}), tmp_path / "meta.csv")
    output = tmp_path / "scores.csv"
    flags = ["--prompts", "noisiness", "--num-frames", "4", "--reduce", "min", "--precision", "fp32"]
    flags += ["--device", "cpu", "--num_workers", "0", "--quiet", "--output", str(output)]
    assert not quality_command([str(meta), *flags])
    with output.open() as file:
        by_command = [float(row["quality_noisiness"]) for row in csv.DictReader(file)]
    scorer = score(count_k=4, reduce_mode="min")
    assert scorer([str(video), str(numbered)]) == by_command
    assert [scorer([str(path)])[0] for path in (video, numbered)] == by_command


def test_a_video_without_a_score_costs_its_own_row(score, video, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video\n")
    paths = [str(video), str(broken), None, str(tmp_path / "none.mp4"), "", str(video), float("nan")]
    scorer = score(count_k=2)
    found = scorer(paths)
    assert [value is None for value in found] == [False, True, True, True, True, False, True]
    assert found[0] == found[5]
    details = scorer.detail(paths)
    assert reasons(details) == [None, "unreadable", "bad_value", "missing", "bad_value", None, "bad_value"]
    for detail in details:
        others = [value for name, value in detail.items() if name != "error"]
        assert all(value is None for value in others) == (detail["error"] is not None)
    assert [detail["score"] for detail in details] == found


def test_too_short_for_what_was_asked(score, video):
    scorer = score(sample_mode="by_timestamps", timestamps_sec=(0.5, 30.0))
    assert reasons(scorer.detail([video])) == ["too_short"]
    assert scorer.transform([video]) == [None]


def test_columns_of_every_make(score, video):
    scorer = score(count_k=2)
    (value,) = scorer([str(video)])
    cells = [str(video), None]
    arrow = scorer(pa.array(cells))
    assert isinstance(arrow, pa.Array) and arrow.type == scorer.return_type() == pa.float64()
    assert arrow.to_pylist() == [value, None]
    assert scorer(pa.chunked_array([cells, cells[:1]])).to_pylist() == [value, None, value]
    frame = pd.DataFrame({"video": cells}, index=[7, 3])
    frame["quality"] = scorer(frame["video"])
    assert frame["quality"][7] == value and np.isnan(frame["quality"][3])
    assert (
        scorer(frame["video"].array)[0] == value
        and scorer(frame["video"].astype("category").array)[0] == value
    )
    assert scorer(pl.Series(cells)).to_list() == [value, None]
    assert scorer(np.array(cells, dtype=object)) == [value, None]
    assert scorer(tuple(cells)) == [value, None] and scorer([]) == []
    assert scorer(pa.array([], pa.string())).type == pa.float64()
    details = scorer.detail(pa.array(cells))
    assert details.type == scorer.detail_type()
    assert details.to_pylist() == scorer.detail(cells)
    assert scorer.detail(pl.Series(cells)).struct.field("error").to_list()[0] is None
    assert scorer.detail(frame["video"])[3]["error"].startswith("bad_value: ")


def test_bytes_and_their_formats(score, video, tmp_path):
    matroska = make_video(tmp_path / "v.mkv", 10)
    scorer = score(count_k=2)
    first, second = scorer([video, matroska])
    binaries = [video.read_bytes(), matroska.read_bytes(), None, b"no video", video.read_bytes()]
    formats = ["mp4", "mkv", "mp4", None, "exe"]
    details = scorer.detail(video_binaries=binaries, video_formats=formats)
    assert [detail["score"] for detail in details] == [first, second, None, None, None]
    assert reasons(details) == [None, None, "bad_value", "unreadable", "bad_value"]
    assert scorer(video_binaries=pa.array(binaries[:2], pa.large_binary())).to_pylist() == [first, second]
    text = base64.b64encode(binaries[0])
    encoded = {"video_binaries": [text.decode(), text, text], "video_formats": [None, "base64", "BASE64:mov"]}
    assert scorer(**encoded) == [first] * 3
    mixed = scorer.detail([video, None, video], [None, binaries[1], binaries[1]])
    assert [detail["score"] for detail in mixed] == [first, second, None]
    assert "a path and bytes" in mixed[2]["error"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"video_binaries": [12.5]}, r"video_binaries holds a float in row 0 \(12.5\).*by name"),
        ({"video_paths": ["a.mp4"], "video_binaries": pa.array([2.5])}, "video_binaries holds a float"),
        ({"video_paths": [b"\0\0"]}, "video_paths holds a bytes"),
        ({"video_paths": ["a.mp4"], "video_formats": [3]}, "video_formats holds a int"),
        (
            {"video_paths": ["a.mp4"], "video_formats": ["mp4", "mkv"]},
            "video_paths has 1, video_formats has 2",
        ),
        ({"video_formats": ["mp4"]}, "video_paths or video_binaries"),
        ({"video_paths": "a.mp4"}, "a list of one"),
        ({"video_paths": 3}, "no column"),
    ],
)
def test_columns_that_are_wrong(score, columns, message):
    with pytest.raises(UserError, match=message):
        score()(**columns)


def test_addresses(score, video):
    """From a server that drops the connection, one that says no, and a storage in memory."""
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe("/las/v.mp4", video.read_bytes())
    scorer = score(count_k=2)
    (value,) = scorer([video])
    with serve({"/v.mp4": video.read_bytes()}) as server:
        server.break_after = [video.stat().st_size // 2]
        paths = [
            f"{server.url}/v.mp4?token=1",
            f"{server.url}/none.mp4",
            "memory://las/v.mp4",
            video.as_uri(),
        ]
        details = scorer.detail(paths)
    assert [detail["score"] for detail in details] == [value, None, value, value]
    assert details[1]["error"] == "missing: the server answers 404 Not Found"


def test_several_prompts(score, weights, video):
    prompts = ["noisiness", ("the cat", "the dog"), "crisp=sharp|blurry"]
    (detail,) = score(prompt=prompts, count_k=3, reduce_mode="max").detail([video])
    pairs = [PROMPTS["noisiness"], ("the cat", "the dog"), ("sharp", "blurry")]
    shown = pictures(video)
    images = [shown[i] for i in detail["frame_indices"]]
    each = np.array([expected(weights, images, pair) for pair in pairs])
    names = ["quality_noisiness", "quality_user0", "quality_crisp"]
    assert [prompt["prompt"] for prompt in detail["prompts"]] == names
    for prompt, scores in zip(detail["prompts"], each, strict=True):
        assert prompt["scores"] == pytest.approx(scores, abs=5e-5)
        assert prompt["score"] == pytest.approx(scores.max(), abs=5e-5)
    assert detail["scores"] == pytest.approx(each.mean(axis=0), abs=5e-5)
    assert detail["score"] == pytest.approx(each.max(axis=1).mean(), abs=5e-5)


@pytest.mark.parametrize("prompt", [("the cat", "the dog"), ["the cat", "the dog"], "the cat|the dog"])
def test_a_pair_of_opposites(score, weights, video, prompt):
    (value,) = score(prompt=prompt, count_k=1)([video])
    assert value == pytest.approx(expected(weights, pictures(video)[:1], ("the cat", "the dog"))[0], abs=5e-5)


WRONG = [
    ({"sample_mode": "by_seconds"}, "by_count_uniform, by_interval_time"),
    ({"sample_mode": "by_fps"}, "needs target_fps"),
    ({"sample_mode": "by_timestamps", "timestamps_sec": []}, "needs timestamps"),
    ({"count_k": None}, "needs count_k"),
    ({"count_k": 0}, "count_k=0"),
    ({"count_k": 2.5}, "count_k is a whole number"),
    ({"interval_sec": 1.0}, r"interval_sec=1.0 is of no use .*sample_mode='by_interval_time'"),
    ({"sample_mode": "by_fps", "target_fps": 1.0, "count_k": 4}, "count_k=4 is of no use"),
    ({"sample_mode": "by_fps", "target_fps": "fast"}, "must be a number"),
    ({"sample_mode": "by_interval_time", "interval_sec": -1.0}, "interval_sec=-1.0"),
    ({"start_time_sec": 5.0, "end_time_sec": 2.0}, "end 2.0 is before start 5.0"),
    ({"max_frames": 0}, "max_frames"),
    ({"reduce_mode": "mean"}, "avg, max, min"),
    ({"prompt": "qualty"}, "quality, brightness"),
    ({"prompt": 3}, "Invalid prompt"),
    ({"prompt": []}, "at least one"),
    ({"default_video_format": "docx"}, "mp4, avi"),
    ({"default_video_format": "base64"}, "format of the videos"),
]


@pytest.mark.parametrize(("parameters", "message"), WRONG)
def test_parameters_that_are_wrong_are_told_at_once(score, parameters, message):
    with pytest.raises(UserError, match=message) as caught:
        score(**parameters)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=message):  # without weights and device
        VideoQualityScore.check(**parameters)


def test_parameters_that_there_are_not():
    with pytest.raises(UserError, match="frames"):
        VideoQualityScore.check(frames=3)
    VideoQualityScore.check(device="cuda:7", model_path="/nowhere", count_k=4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_without_a_gpu_the_documents_default_says_what_to_do(weights_environment):
    with pytest.raises(UserError, match=r"device cuda: .*device='cpu', or 'auto'"):
        VideoQualityScore()


def test_where_weights_are_looked_for(score, weights, video, tmp_path, monkeypatch):
    (value,) = score(count_k=1)([video])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("VIDSIEVE_CLIP_VIT_L_14")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDSIEVE_WEIGHTS", str(tmp_path))
    with pytest.raises(UserError) as caught:
        score(model_path=str(tmp_path / "models"), clip_model_name="my/clip")
    assert str(tmp_path / "models" / "my" / "clip") in str(caught.value) and "my/clip" in str(caught.value)
    target = tmp_path / "models" / "openai" / "my-clip.pt"
    target.parent.mkdir(parents=True)
    target.write_bytes(weights.weights.read_bytes())
    in_folder = score(model_path=str(tmp_path / "models"), clip_model_name="openai/my-clip.pt", count_k=1)
    by_path = score(clip_model_name=str(target), count_k=1)
    assert in_folder([video]) == by_path([video]) == [value]


def test_it_travels(score, video):
    scorer = score(count_k=2, reduce_mode="max")
    other = pickle.loads(pickle.dumps(scorer))
    assert other([video]) == scorer([video])


def test_a_script_without_a_guard(weights, video, tmp_path):
    """As in a notebook: workers must not run the script again. The second call finds model and workers."""
    script = tmp_path / "script.py"
    script.write_text(
        "import json, sys, time\n"
        "from tools.operators import VideoQualityScore\n"
        "from tools.stage.session import RunOptions\n"
        "scorer = VideoQualityScore(device='cpu', precision='fp32', prompt='noisiness', count_k=2,\n"
        "    options=RunOptions(num_workers=1, progress=False))\n"
        "paths = [sys.argv[1]] * 3 + ['none.mp4']\n"
        "print(json.dumps([scorer(paths), scorer(paths)]))\n"
    )
    run = subprocess.run(
        [sys.executable, script, video],
        env={**os.environ, **weights.environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    first, second = json.loads(run.stdout)
    assert first == second and first[3] is None and len({*first[:3]}) == 1
