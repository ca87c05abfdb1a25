"""VideoAestheticEvaluator: the document's example, scores by the definitions, and what cannot be scored."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image

from tests.integrations.dataflow.dataflow_files import Memory, drifting_pictures
from tests.scoring.clip_files import pictures
from tests.support import make_video
from tools.errors import UserError
from tools.media.reading.sampling import Sampling
from tools.models.device import resolve_device, resolve_precision
from tools.operators import ClipScore, FileStorage, VideoAestheticEvaluator
from tools.scoring.aesthetic.inference import main as aesthetic_command
from tools.scoring.aesthetic.stage import AestheticStage
from tools.stage.stage import FAILURES, REMARKS, Stage
from tools.table import write_table

ROOT = Path(__file__).resolve().parents[3]
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
RANK_1_FAILS = """
import os
from tools.errors import UserError
from tools.integrations.ranks import on_every_rank
def work():
    if os.environ["RANK"] == "1":
        raise UserError("no room")
try:
    on_every_rank(work)
except UserError as error:
    os.write(1, f"{os.environ['RANK']} hears {error}\\n".encode())  # at once, so that lines do not mix
"""
pytestmark = pytest.mark.usefixtures("weights_environment")


def evaluated(rows, **options) -> pd.DataFrame:
    storage = Memory(rows)
    VideoAestheticEvaluator(**{"num_workers": 0, "precision": "fp32", **options}).run(storage)
    return storage.frame


def rounding() -> float:
    """How far a score may be from the definition in float64 where the precision is left to the machine."""
    return {"fp32": 2e-5, "bf16": 0.01, "fp16": 0.01}[resolve_precision("auto", resolve_device())]


def clip(number: int = 0, start: int = 0, end: int = 12, **more) -> dict:
    return {"id": f"video1_{number}", "frame_start": start, "frame_end": end, **more}


def row(video: object, *clips: dict) -> dict:
    return {"video": [str(video)], "video_clips": {"clips": list(clips)}}


def documented_example() -> str:
    page = (ROOT / "docs" / "dataflow.md").read_text()
    (code,) = re.findall(
        r"```python\n(from tools.operators import FileStorage, VideoAesthetic.*?)```", page, re.DOTALL
    )
    return code


def written_picture(folder: Path, number: int, picture: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(folder / f"frame_{number:06d}.jpg", quality=95)


def test_the_documents_example_as_typed(tmp_path, weights, video):
    """A script without ``if __name__``, with the documented paths; only the weights are elsewhere."""
    (tmp_path / "data").mkdir()
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "video1.mp4").symlink_to(video)
    entry = {
        "video": ["./test/video1.mp4"],
        "video_clips": {"clips": [{"id": "video1_0", "frame_start": 0, "frame_end": 48, "num_frames": 48}]},
    }
    (tmp_path / "data" / "video_aesthetic_input.jsonl").write_text(json.dumps(entry) + "\n")
    folder = tmp_path / "cache" / "extract_frames" / "video1" / "video1_0" / "img"
    for number, picture in zip((0, 24, 47), drifting_pictures(3, seed=3), strict=True):
        written_picture(folder, number, picture)
    code = documented_example()
    code = code.replace("/path/to/ViT-L-14.pt", str(weights.weights))
    code = code.replace("/path/to/sac+logos+ava1-l14-linearMSE.pth", str(weights.head))
    (tmp_path / "example.py").write_text(code)
    run = subprocess.run(
        [sys.executable, "example.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    out = json.loads((tmp_path / "cache_local" / "video_aesthetic_step1.jsonl").read_text())
    (scored,) = out["video_clips"]["clips"]
    shown = [np.asarray(Image.open(path)) for path in sorted(folder.iterdir())]
    expected = weights.scores(shown)
    assert np.abs(np.diff(expected)).min() > 3 * rounding()  # the frames are told apart
    assert scored.pop("aesthetic_score") == pytest.approx(expected.mean(), abs=rounding())
    found = scored.pop("aesthetic_frames")
    assert (found["from"], found["frame_indices"]) == ("files", [0, 24, 47])
    assert found["scores"] == pytest.approx(list(expected), abs=rounding())
    assert [scored] == entry["video_clips"]["clips"] and out["video"] == entry["video"]


def cut(source: Path, target: Path, first: int, stop: int) -> Path:
    """A file of these frames alone, without loss."""
    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        stream = out.add_stream("ffv1", rate=24)
        stream.width, stream.height = container.streams.video[0].width, container.streams.video[0].height
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(container.decode(video=0)):
            if first <= number < stop:
                frame.pts, frame.time_base = number - first, Fraction(1, 24)
                out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return target


def test_a_clip_scores_as_a_file_cut_to_its_frames(tmp_path, video, weights):
    spans = [(5, 17), (0, 48), (30, 32), (47, 48), (40, 60)]
    clips = [clip(i, start, end) for i, (start, end) in enumerate(spans)]
    clips.append({"id": "t", "timestamp_start": 5 / 24, "timestamp_end": 17 / 24})
    clips.append({"id": "n", "frame_start": 5, "num_frames": 12})
    (struct,) = evaluated([row(video, *clips)], num_workers=2)["video_clips"]
    assert all(scored["aesthetic_frames"]["from"] == "video" for scored in struct["clips"])
    found = [scored["aesthetic_score"] for scored in struct["clips"]]

    files = [cut(video, tmp_path / f"{i}.mkv", *span) for i, span in enumerate(spans)]
    meta = write_table(pl.DataFrame({"path": [str(path) for path in files]}), tmp_path / "meta.csv")
    assert aesthetic_command([str(meta), "--quiet", "--num_workers", "0", "--precision", "fp32"]) == 0
    command = pl.read_csv(tmp_path / "meta_aes.csv")["aes"].to_list()
    assert found == [*command, command[0], command[0]]
    assert struct["clips"][4]["aesthetic_frames"]["frame_indices"] == [0, 4, 7]  # the video has 48 frames
    shown = [np.asarray(picture) for picture in pictures(video)]
    expected = weights.scores([shown[i] for i in (5, 11, 16)])
    assert found[0] == pytest.approx(expected.mean(), abs=2e-5)


def test_pictures_on_disk_are_spread_and_not_repeated(tmp_path, video, weights):
    shown = drifting_pictures(7, seed=4)
    for number, picture in enumerate(shown):
        written_picture(tmp_path / "video1" / "video1_0" / "img", number * 10, picture)
    for number in (0, 3):
        written_picture(tmp_path / "video1" / "video1_1" / "img", number, shown[number])
    rows = [row(video, clip(0), clip(1), clip(2), {"id": "video1_1"})]
    struct = evaluated(rows, figure_root=str(tmp_path))["video_clips"][0]
    looked_at = [scored["aesthetic_frames"] for scored in struct["clips"]]
    assert [frames["frame_indices"] for frames in looked_at] == [[0, 30, 60], [0, 3], [0, 6, 11], [0, 3]]
    assert [frames["from"] for frames in looked_at] == ["files", "files", "video", "files"]
    stored = [np.asarray(Image.open(tmp_path / f"video1/video1_1/img/frame_{i:06d}.jpg")) for i in (0, 3)]
    assert struct["clips"][1]["aesthetic_score"] == pytest.approx(weights.scores(stored).mean(), abs=2e-5)
    single = evaluated(rows, figure_root=str(tmp_path), load_num=1)["video_clips"][0]
    assert single["clips"][0]["aesthetic_frames"]["frame_indices"] == [30]


def test_what_cannot_be_scored_is_null_with_a_reason_and_costs_nothing_else(tmp_path, video, caplog):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video\n")
    written_picture(tmp_path / "frames" / "video1" / "video1_5" / "img", 0, drifting_pictures(1)[0])
    (tmp_path / "frames" / "video1" / "video1_5" / "img" / "frame_000001.jpg").write_bytes(b"no picture")
    before = [
        row(broken, clip(0)),
        row(video, clip(0), clip(1, 48, 60), clip(2, 9, 9), {"id": "x"}, clip(4, "zero", 2), clip(5, 0, 3)),
        {"video": None, "video_clips": {"clips": [clip(0)]}},
        {"video": [str(video), str(broken)], "video_clips": {"clips": [clip(0)]}},
        {"video": [str(video)], "video_clips": None},
        {"video": [str(video)], "video_clips": {"success": False, "clips": []}},
        row(tmp_path / "gone.mp4", clip(0)),
    ]
    kept = json.dumps(before)
    frame = evaluated(before, figure_root=str(tmp_path / "frames"))
    assert json.dumps(before) == kept  # what went in is as it was
    assert frame["video"].tolist() == [entry["video"] for entry in before]
    reasons = [
        [scored.get("aesthetic_error") for scored in struct["clips"]] if struct else struct
        for struct in frame["video_clips"]
    ]
    kinds = [row and [reason and reason.partition(":")[0] for reason in row] for row in reasons]
    bad = "bad_value"
    assert kinds == [
        ["unreadable"],
        [None, "too_short", bad, bad, bad, "unreadable"],
        [bad],
        [bad],
        None,
        [],
        ["missing"],
    ]
    assert "frame_000001.jpg" in reasons[1][5]
    for struct in frame["video_clips"]:
        for scored in (struct or {"clips": []})["clips"]:
            assert (scored["aesthetic_score"] is None) == ("aesthetic_error" in scored)
    assert "10 of 10" not in caplog.text and "9 of 10 clips have no aesthetic_score" in caplog.text


def test_a_damaged_picture_in_the_video_is_not_scored(tmp_path):
    video = make_video(tmp_path / "v.mp4", gop=4, b_frames=0, pictures=drifting_pictures(24, size=(192, 128)))
    with av.open(str(video)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(video.read_bytes())
    position, size = packets[8]
    data[position + 4 : position + size] = bytes(size - 4)
    video.write_bytes(data)
    struct = evaluated([row(video, clip(0, 0, 8), clip(1, 6, 9), clip(2, 12, 24))])["video_clips"][0]
    first, second, third = struct["clips"]
    assert second["aesthetic_score"] is None and second["aesthetic_error"].startswith("decode: ")
    assert first["aesthetic_score"] is not None and third["aesthetic_score"] is not None


def test_another_output_column_leaves_the_input_as_it_is(video):
    stale = clip(0, aesthetic_error="missing: no such file", caption="kept")
    frame = evaluated([row(video, stale)], output_key="scored")
    assert frame["video_clips"][0] == {"clips": [stale]}
    (scored,) = frame["scored"][0]["clips"]
    assert scored["caption"] == "kept" and "aesthetic_error" not in scored
    assert scored["aesthetic_score"] > -99


def test_arguments_of_run_count_and_zero_is_a_value(video):
    storage = Memory([row(video, clip(0))])
    evaluator = VideoAestheticEvaluator(num_workers=4, load_num=2, init_distributed=True)
    evaluator.run(storage, num_workers=0, load_num=5, init_distributed=False, output_key="o", batch_size=1)
    assert storage.frame["o"][0]["clips"][0]["aesthetic_frames"]["frame_indices"] == [0, 3, 6, 8, 11]
    with pytest.raises(UserError, match="count must be greater than 0"):
        evaluator.run(storage, load_num=0)
    with pytest.raises(UserError, match="batch_size"):
        evaluator.run(storage, batch_size=0)
    with pytest.raises(UserError, match="no column clips"):
        evaluator.run(storage, video_clips_key="clips")


def test_whole_videos_and_images(tmp_path, video, weights):
    image = tmp_path / "i.png"
    (picture,) = drifting_pictures(1, seed=9)
    Image.fromarray(picture).save(image)
    rows = {"video": [[str(video)], str(image), None], "n": [1, 2, 3]}
    frame = evaluated(rows, video_clips_key=None)
    shown = [np.asarray(picture) for picture in pictures(video)]
    expected = [weights.scores([shown[i] for i in (0, 24, 47)]).mean(), weights.scores([picture])[0]]
    assert frame["aesthetic_score"][:2].tolist() == pytest.approx(expected, abs=2e-5)
    assert frame["aesthetic_score"].isna().tolist() == [False, False, True]
    assert [frames and frames["from"] for frames in frame["aesthetic_frames"]] == ["video", "image", None]
    assert frame["aesthetic_error"][2].startswith("bad_value")
    assert list(evaluated(rows, video_clips_key=None, output_key="aes")) == [
        *("video", "n", "aes", "aesthetic_frames", "aesthetic_error")
    ]


def test_cells_of_other_storages(video):
    """Parquet gives arrays, a CSV of DataFlow what Python prints of a dict."""
    struct = {"clips": [clip(0)]}
    rows = [
        {"video": np.array([str(video)]), "video_clips": {"clips": np.array([clip(0)], dtype=object)}},
        {"video": str([str(video)]), "video_clips": str(struct)},
        {"video": json.dumps([str(video)]), "video_clips": json.dumps(struct)},
    ]
    frame = pd.DataFrame(rows, index=[7, 7, 1])
    storage = Memory(frame)
    VideoAestheticEvaluator(num_workers=0).run(storage)
    assert storage.frame.index.tolist() == [7, 7, 1]
    assert storage.frame["video_clips"].tolist() == [storage.frame["video_clips"].iloc[0]] * 3
    assert storage.frame["video_clips"].iloc[2]["clips"][0]["aesthetic_score"] is not None


def test_missing_weights_say_how_to_get_them(monkeypatch, tmp_path, video, weights):
    monkeypatch.delenv("VIDSIEVE_AESTHETIC")
    monkeypatch.setenv("VIDSIEVE_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("tools.models.weights._PROJECT", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"tools\.models\.weights download aesthetic"):
        evaluated([row(video, clip(0))])
    with pytest.raises(UserError, match=r"gone\.pth"):
        evaluated([row(video, clip(0))], mlp_checkpoint="gone.pth")
    with pytest.raises(UserError):
        evaluated([row(video, clip(0))], mlp_checkpoint=str(weights.weights))  # not a head


def test_any_scorer_of_frames(video):
    storage = Memory([row(video, clip(0), clip(1, 90, 95)), row("gone.mp4", clip(0))])
    ClipScore(AestheticStage(precision="fp32"), num_workers=0).run(storage)
    first, second = storage.frame["video_clips"][0]["clips"]
    evaluator = evaluated([row(video, clip(0))])["video_clips"][0]["clips"][0]
    assert first == {**clip(0), "aes": evaluator["aesthetic_score"]}
    assert second["aes"] is None and second["aes_error"].startswith("too_short")


@dataclasses.dataclass
class HalfStage(Stage):
    """Has one of its two values, a reason for the other, and a remark."""

    name = "half"
    suffix = "_half"
    required_columns = ("path", "text")
    output_columns = {"first": "Float64", "second": "Float64", FAILURES: "Object", REMARKS: "Object"}
    sampling = Sampling("first")

    def prepare(self, row, frames):
        assert row["text"] is None
        return float(frames[0].index)

    def score(self, batch):
        own = {"second": None, FAILURES: [["too_short", "no second"]], REMARKS: ["is odd"]}
        return [{"first": value, **own} for value in batch]


def test_a_clip_gets_the_columns_of_the_score_and_the_reason_of_each_that_is_missing(video, caplog):
    storage = Memory([row(video, clip(0, 3))])
    ClipScore(HalfStage(), num_workers=0).run(storage)
    half = {"first": 3.0, "second": None, "half_error": "too_short: no second"}
    assert storage.frame["video_clips"][0]["clips"] == [{**clip(0, 3), **half}]
    assert "1 of 1 clips lack a value of half" in caplog.text and "1 of 1 rows: is odd" in caplog.text


def test_cells_that_hold_no_clips_stay_as_they_are(video, caplog):
    cells = ["no JSON", [clip(0)], {"clips": "none"}, 7, None, {}, {"clips": []}]
    found = evaluated([{"video": str(video), "video_clips": cell} for cell in cells])
    assert found["video_clips"].tolist() == cells
    assert "4 of 7 rows have no" in caplog.text


def test_a_table_with_two_columns_of_one_name_is_refused(video):
    frame = pd.DataFrame([[str(video), {"clips": [clip(0)]}, 1]], columns=["video", "video_clips", "video"])
    with pytest.raises(UserError, match="two columns video"):
        evaluated(frame)


def test_two_ranks_write_one_table(tmp_path, video, weights):
    rows = [row(video, *(clip(i, i, i + 9 + i) for i in range(3))), row("gone.mp4", clip(0)), row(video)]
    rows.append({"video": str(video), "video_clips": None})
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in rows))
    (tmp_path / "pipeline.py").write_text(
        "from tools.operators import FileStorage, VideoAestheticEvaluator, VideoFrameFilter\n"
        "storage = FileStorage('in.jsonl', './cache', 'p', 'jsonl')\n"
        "VideoAestheticEvaluator(init_distributed=True, num_workers=1).run(storage=storage.step())\n"
        "VideoFrameFilter(output_dir='frames', num_workers=1).run(storage=storage.step())\n" + RANK_1_FAILS
    )
    run = subprocess.run(
        [sys.executable, *TORCHRUN, "pipeline.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["p_step1.jsonl", "p_step2.jsonl"]
    storage = FileStorage(str(tmp_path / "in.jsonl"), str(tmp_path / "alone"), "p")
    VideoAestheticEvaluator(num_workers=0).run(storage.step())
    alone = tmp_path / "alone" / "p_step1.jsonl"
    assert (tmp_path / "cache" / "p_step1.jsonl").read_bytes() == alone.read_bytes()
    exports = [json.loads(line) for line in (tmp_path / "cache" / "p_step2.jsonl").read_text().splitlines()]
    assert [entry["video_frame_export"]["total_saved_frames"] for entry in exports] == [9, 0, 0, 0]
    assert len(list((tmp_path / "frames").rglob("*.jpg"))) == 9
    assert run.stderr.count("have no aesthetic_score") == 1
    assert sorted(run.stdout.splitlines()) == ["0 hears no room", "1 hears no room"]  # none is left waiting
