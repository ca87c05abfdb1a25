"""VideoAudioSimilarity: the document's example, the values of the stages, and what cannot be scored."""

from __future__ import annotations

import json
import logging
import runpy

import numpy as np
import pandas as pd
import pytest

from tests.integrations.dataflow.dataflow_files import Memory
from tests.media.sounds import noise, save_sound, sine, video_with_sound
from tests.models.clap_files import SmallClap
from tests.scoring.clip_files import SmallClip
from tests.support import make_video
from tools.errors import UserError
from tools.media.reading.sampling import Sampling
from tools.operators import FileStorage, VideoAudioSimilarity
from tools.scoring.audio_similarity.moments import ShotChanges
from tools.scoring.audio_similarity.picture_stages import AudioCaptionStage, CompatStage, LabelsStage
from tools.scoring.audio_similarity.sound_stage import SIMILARITIES
from tools.scoring.audio_similarity.stage import ClapStage
from tools.stage.run_options import RunOptions
from tools.stage.session import map_rows
from tools.stage.stage import Stage

SCORES = ["avg_similarity", "max_similarity", "min_similarity"]
COLUMNS = [*SCORES, "passed_filter", "av_offset", "audio_level", "similarity_mode", "similarity_error"]
pytestmark = pytest.mark.usefixtures("clip_environment")
LABELS = "the cat | a cat\ngood harbour | the sea\na dog | a dog\n"


@pytest.fixture(scope="module")
def clap(tmp_path_factory) -> SmallClap:
    return SmallClap(tmp_path_factory.mktemp("clap"))


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("labels") / "labels.txt"
    path.write_text(LABELS)
    return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("files")
    both = np.concatenate([noise(2.0), sine(2.0, 600.0)], axis=1)
    made = {
        "sound": video_with_sound(folder / "sound.mov", both, num_frames=100),
        "other": video_with_sound(folder / "other.mp4", sine(2.0, 250.0), num_frames=50),
        "mute": make_video(folder / "mute.mp4", 25),
        "silent": video_with_sound(folder / "silent.mp4", np.zeros((1, 48_000), np.float32), num_frames=25),
        "wav": save_sound(folder / "a.wav", sine(1.0, 900.0)),
    }
    return {name: str(path) for name, path in made.items()}


@pytest.fixture
def evaluated(clap, labels):
    def run(
        rows, *, audio_key: str = "audio_path", caption_key: str | None = None, **options
    ) -> pd.DataFrame:
        storage = Memory(rows)
        fixed = {"clap_model": clap.folder, "labels": labels, "device": "cpu", "precision": "fp32"}
        operator = VideoAudioSimilarity(**{**fixed, **options}, num_workers=0)
        operator.run(storage, audio_key=audio_key, caption_key=caption_key)
        return storage.frame

    return run


def expected(stage: Stage, *rows: dict) -> list[list[float]]:
    outcomes = map_rows(stage, rows, RunOptions(num_workers=0, progress=False))
    return [outcome[SIMILARITIES] for outcome in outcomes]


def fixed(kind: type[Stage], clip: SmallClip, **options) -> Stage:
    return kind(clip_model=str(clip.weights), device="cpu", precision="fp32", details=True, **options)


def test_the_example_of_the_document(files, tmp_path, clap, monkeypatch):
    table = tmp_path / "films.jsonl"
    rows = [
        {"video_path": files["sound"], "audio_path": ""},
        {"video_path": files["mute"], "audio_path": files["wav"]},
        {"video_path": files["mute"], "audio_path": None},
    ]
    table.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    script = tmp_path / "example.py"
    script.write_text(
        f"""
from tools.operators import FileStorage, VideoAudioSimilarity

class Pipeline:
    def __init__(self):
        self.storage = FileStorage(
            first_entry_file_name={str(table)!r},
            cache_path={str(tmp_path / "cache")!r},
            file_name_prefix="dataflow_cache_step",
            cache_type="jsonl",
        )
        self.video_audio_similarity = VideoAudioSimilarity(
            frame_sampling_method="uniform",
            frame_num=5,
            reduce_mode="avg",
        )

    def forward(self):
        self.video_audio_similarity.run(
            storage=self.storage.step(),
            video_key="video_path",
            audio_key="audio_path",
        )

Pipeline().forward()
"""
    )
    monkeypatch.setenv("VIDSIEVE_CLAP", str(clap.folder))
    monkeypatch.setattr("tools.scoring.audio_similarity.labels._OWN", LABELS)  # its vocabulary has few words
    runpy.run_path(str(script), run_name="__main__")
    written = tmp_path / "cache" / "dataflow_cache_step_step1.jsonl"
    found = [json.loads(line) for line in written.read_text().splitlines()]
    assert list(found[0]) == [*rows[0], *COLUMNS]
    own, wav, mute = found
    assert own["similarity_mode"] == wav["similarity_mode"] == "labels"
    for entry in (own, wav):
        assert 0 <= entry["min_similarity"] <= entry["avg_similarity"] <= entry["max_similarity"] <= 1
        assert entry["passed_filter"] is True and entry["similarity_error"] is None
    assert own["av_offset"] == 0.0 and wav["av_offset"] is None
    assert mute["passed_filter"] is None and all(mute[name] is None for name in SCORES)
    assert mute["similarity_error"] == "no_audio: has no audio track"


@pytest.mark.parametrize(("reduce_mode", "join"), [("avg", np.mean), ("max", np.max), ("min", np.min)])
def test_each_column_holds_what_its_name_says(evaluated, files, clip, clap, labels, reduce_mode, join):
    options = {"clap_model": str(clap.folder), "labels": labels}
    stage = fixed(LabelsStage, clip, sampling=Sampling("first_middle_last", 5), **options)
    (scores,) = expected(stage, {"path": files["sound"]})
    assert len(scores) == 5 and np.ptp(scores) > 1e-3
    joined = join(scores)
    rows = [{"video_path": files["sound"]}]
    for low, high, passed in ((0, 1, True), (joined + 1e-4, 1, False), (0, joined - 1e-4, False)):
        frame = evaluated(rows, frame_num=5, reduce_mode=reduce_mode, min_score=low, max_score=high)
        (found,) = frame.to_dict("records")
        assert list(frame.columns) == ["video_path", *COLUMNS]
        assert [found[name] for name in SCORES] == pytest.approx(
            [np.mean(scores), np.max(scores), np.min(scores)], abs=1e-6
        )
        assert found["passed_filter"] is passed


def test_the_modes(evaluated, files, clip, clap):
    rows = [{"video_path": files["sound"], "text": "a dog", "description": "the cat"}]
    path, moments = {"path": files["sound"]}, Sampling("first_middle_last", 3)

    def scores(**options) -> list[float]:
        (found,) = evaluated(rows, **options).to_dict("records")
        return [found[name] for name in (*SCORES, "similarity_mode")]

    def same(stage: Stage, mode: str, **row: str) -> list[object]:
        (own,) = expected(stage, {**path, **row})
        return [pytest.approx(f(own), abs=1e-6) for f in (np.mean, np.max, np.min)] + [mode]

    by_clap = ClapStage(clap_model=str(clap.folder), device="cpu", sampling=moments, details=True)
    assert scores(caption_key="text") == same(by_clap, "clap", text="a dog")
    assert scores(caption_key="text", mode="clap") == scores(caption_key="text")
    by_text = fixed(AudioCaptionStage, clip)
    found = scores(caption_key="description", mode="audio_caption")
    assert found == same(by_text, "audio_caption", audio_caption="the cat")
    assert scores(mode="compat") == same(fixed(CompatStage, clip), "compat")
    flipped = fixed(CompatStage, clip, horizontal_flip=True, vertical_flip=True, sampling=ShotChanges())
    options = {"horizontal_flip": True, "vertical_flip": True, "frame_sampling_method": "all_keyframes"}
    assert scores(mode="compat", **options) == same(flipped, "compat")


def test_compat_is_marked(evaluated, files, caplog):
    with caplog.at_level(logging.WARNING, "tools.operators"):
        found = evaluated([{"video_path": files["mute"]}, {"video_path": files["silent"]}], mode="compat")
    assert found["similarity_mode"].tolist() == ["compat"] * 2 and found["avg_similarity"].notna().all()
    assert "2 of 2 rows: mode compat: compared with the words 'audio sound'" in caplog.text


@pytest.mark.parametrize("name", ["openai/clip-vit-base-patch32", "openai/clip-vit-large-patch14", "my-clip"])
def test_compat_takes_the_model_that_dataflow_took(evaluated, files, clip, name):
    (found,) = evaluated([{"video_path": files["sound"]}], mode="compat", hf_clip=name).to_dict("records")
    (scores,) = expected(fixed(CompatStage, clip), {"path": files["sound"]})
    assert found["avg_similarity"] == pytest.approx(np.mean(scores), abs=1e-6)


def test_no_number_without_sound(evaluated, files, tmp_path, caplog):
    (tmp_path / "broken.mp4").write_text("no video\n")
    rows = pd.DataFrame(
        [
            {"video_path": files["silent"]},
            {"video_path": files["mute"]},
            {"video_path": str(tmp_path / "broken.mp4")},
            {"video_path": None},
            {"video_path": files["other"], "audio_path": float("nan")},
            {"video_path": files["other"], "audio_path": "lost.wav"},
        ],
        index=[3, 3, 1, 0, 0, 9],
    )
    with caplog.at_level(logging.WARNING, "tools.operators"):
        found = evaluated(rows)
    reasons = found["similarity_error"].tolist()
    kinds = ["silent", "no_audio", "unreadable", "bad_value", None, "missing"]
    assert [reason and reason.partition(":")[0] for reason in reasons] == kinds
    assert found["passed_filter"].tolist() == [None, None, None, None, True, None]
    assert found[SCORES].notna().all(axis=1).tolist() == [False] * 4 + [True, False]
    assert found["audio_level"].tolist()[0] == -120.0 and found.index.tolist() == [3, 3, 1, 0, 0, 9]
    assert "5 of 6 rows lack a similarity" in caplog.text


def test_rows_with_several_videos(evaluated, files):
    singles = evaluated([{"video_path": files["sound"]}, {"video_path": files["other"]}])
    first, second = singles["avg_similarity"]
    assert abs(first - second) > 1e-4
    both = [files["sound"], files["other"]]
    between = (first + second) / 2
    rows = [{"video_path": both}, {"video_path": json.dumps(both)}, {"video_path": [files["sound"]]}]
    found = evaluated(rows, min_score=min(first, second) - 1e-5, max_score=between)
    one_is_low = first < second
    assert found["passed_filter"].tolist() == [True, True, one_is_low]
    found = evaluated(rows, min_score=min(first, second) - 1e-5, max_score=between, any_or_all="all")
    assert found["passed_filter"].tolist() == [False, False, one_is_low]
    assert found["max_similarity"].tolist()[0] == max(singles["max_similarity"])
    assert found["min_similarity"].tolist()[1] == min(singles["min_similarity"])
    assert found["avg_similarity"].tolist()[0] == pytest.approx(between, abs=1e-6)  # as many moments in each
    # what hangs on a video that has no sound is not known
    rows = [{"video_path": [files["sound"], files["mute"]]}]
    for any_or_all, low, passed in (("any", 0, True), ("any", 1, None), ("all", 0, None), ("all", 1, False)):
        frame = evaluated(rows, any_or_all=any_or_all, min_score=low)
        assert frame["passed_filter"].tolist() == [passed]
        assert frame["similarity_error"].tolist() == ["no_audio: has no audio track"]
        assert frame["avg_similarity"].tolist() == [first]
    wrong = evaluated([{"video_path": both, "audio_path": files["wav"]}])
    assert wrong["similarity_error"].tolist() == ["bad_value: 2 videos, but 1 audio files"]


def test_columns_that_are_not_there(evaluated, files):
    rows = [{"video_path": files["sound"]}]
    with pytest.raises(UserError, match="no column sound_file"):
        evaluated(rows, audio_key="sound_file")
    with pytest.raises(UserError, match="no column text"):
        evaluated(rows, caption_key="text")
    for mode in ("clap", "audio_caption"):
        with pytest.raises(UserError, match="caption_key"):
            evaluated(rows, mode=mode)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "imagebind"}, "auto, clap, labels, audio_caption, compat"),
        ({"frame_sampling_method": "random"}, "uniform, all_keyframes"),
        ({"reduce_mode": "mean"}, "avg, max, min"),
        ({"any_or_all": "some"}, "any, all"),
        ({"frame_num": 0}, "count must be greater than 0"),
        ({"min_score": 0.5, "max_score": 0.4}, "min_score 0.5"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(UserError, match=message):
        VideoAudioSimilarity(**options)


def test_a_file_storage_keeps_the_types(evaluated, files, tmp_path, clap, labels):
    table = tmp_path / "t.csv"
    pd.DataFrame({"video_path": [files["sound"], files["mute"]], "id": ["007", "x"]}).to_csv(
        table, index=False
    )
    storage = FileStorage(str(table), cache_path=str(tmp_path / "c"), cache_type="parquet")
    options = {"clap_model": clap.folder, "labels": labels, "device": "cpu", "num_workers": 0}
    VideoAudioSimilarity(**options, precision="fp32").run(storage.step())
    found = storage.step().read("dataframe")
    assert found["id"].tolist() == ["007", "x"] and found["passed_filter"].tolist() == [True, None]
