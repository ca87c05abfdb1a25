"""VideoFrameFilter: the frames it writes, whose folder is whose, and that the evaluator finds just these."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.integrations.dataflow.dataflow_files import Memory, drifting_pictures
from tests.scoring.clip_files import pictures
from tests.support import make_video, read_barcode
from tools.errors import UserError
from tools.operators import VideoAestheticEvaluator, VideoFrameFilter

pytestmark = pytest.mark.usefixtures("weights_environment")


def exported(rows, folder: Path, **options) -> list[dict]:
    storage = Memory(rows)
    VideoFrameFilter(output_dir=str(folder), **{"num_workers": 0, **options}).run(storage)
    return storage.frame["video_frame_export"].tolist()


def origins(rows, folder: Path) -> list[list]:
    """Where the evaluator had the frames of each clip from, and their numbers."""
    storage = Memory(rows)
    VideoAestheticEvaluator(figure_root=str(folder), num_workers=0).run(storage)
    found = [c["aesthetic_frames"] for struct in storage.frame["video_clips"] for c in struct["clips"]]
    return [frames and (frames["from"], frames["frame_indices"]) for frames in found]


def row(video: object, *clips: tuple[object, int, int]) -> dict:
    dicts = [{"id": name, "frame_start": start, "frame_end": end} for name, start, end in clips]
    return {"video": [str(video)], "video_clips": {"clips": dicts}}


def barcodes(folder: Path) -> dict[str, int | None]:
    return {path.name: read_barcode(np.asarray(Image.open(path))) for path in sorted(folder.glob("*"))}


@pytest.fixture(scope="module")
def numbered(tmp_path_factory) -> Path:
    """60 frames, 25 per second, each showing its number."""
    return make_video(tmp_path_factory.mktemp("numbered") / "n.mp4", 60, b_frames=2)


def test_the_pictures_are_the_frames_that_were_asked_for(tmp_path, numbered):
    rows = [row(numbered, ("n_0", 10, 41), ("n_1", 41, 42), ("n_2", 58, 60))]
    root = tmp_path / "frames"
    (summary,) = exported(rows, root, num_workers=2)
    folder = root / "n" / "n_0" / "img"
    assert summary == {
        "success": True,
        "error": None,
        "output_dir": str(root),
        "total_clips": 3,
        "total_saved_frames": 6,
        "clips": [
            {"clip_id": "n_0", "dir": str(folder), "saved": 3, "frame_indices": [0, 15, 30]},
            {"clip_id": "n_1", "dir": str(root / "n/n_1/img"), "saved": 1, "frame_indices": [0]},
            {"clip_id": "n_2", "dir": str(root / "n/n_2/img"), "saved": 2, "frame_indices": [0, 1]},
        ],
    }
    assert barcodes(folder) == {"frame_000000.jpg": 10, "frame_000015.jpg": 25, "frame_000030.jpg": 40}
    assert barcodes(root / "n/n_2/img") == {"frame_000000.jpg": 58, "frame_000001.jpg": 59}
    picture = np.asarray(Image.open(folder / "frame_000015.jpg")).astype(int)
    decoded = np.asarray(pictures(numbered)[25]).astype(int)
    assert picture.shape == decoded.shape and np.abs(picture - decoded).mean() < 2  # JPEG, full size
    assert origins(rows, root) == [("files", [0, 15, 30]), ("files", [0]), ("files", [0, 1])]


def test_interval_and_size(tmp_path, numbered):
    rows = [row(numbered, ("a", 10, 41))]
    (summary,) = exported(rows, tmp_path, interval_sec=0.4, target_size="64*36")
    assert summary["clips"][0]["frame_indices"] == [0, 10, 20, 30]  # 25 frames per second
    with Image.open(tmp_path / "n/a/img/frame_000010.jpg") as image:
        assert image.size == (64, 36)
    exported(rows, tmp_path, target_size="96x-1")
    with Image.open(tmp_path / "n/a/img/frame_000015.jpg") as image:
        assert image.size == (96, 64)  # 192 x 128
    for options in ({"target_size": "640"}, {"target_size": (0, 3)}, {"interval_sec": 0}):
        with pytest.raises(UserError):
            VideoFrameFilter(**options)


def test_videos_of_the_same_name_do_not_share_a_folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = make_video(tmp_path / "a" / "v.mp4", pictures=drifting_pictures(12, seed=1))
    two = make_video(tmp_path / "b" / "v.mp4", pictures=drifting_pictures(20, seed=2))
    rows, root = [row(one, ("v_0", 0, 12)), row(two, ("v_0", 0, 20))], tmp_path / "frames"
    first, second = exported(rows, root)
    assert first["clips"][0]["dir"] == str(root / "v/v_0/img")
    assert second["clips"][0]["dir"] != first["clips"][0]["dir"]
    assert origins(rows, root) == [("files", [0, 6, 11]), ("files", [0, 10, 19])]
    assert origins(rows[1:], root) == [("files", [0, 10, 19])]  # also when the other is not in the table
    assert exported(rows[::-1], root) == [second, first]  # nor does the order matter any more
    for summary, frames in ((first, drifting_pictures(12, seed=1)), (second, drifting_pictures(20, seed=2))):
        with Image.open(Path(summary["clips"][0]["dir"]) / "frame_000000.jpg") as image:
            assert np.abs(np.asarray(image).astype(int) - frames[0]).mean() < 8


def test_a_folder_that_does_not_say_whose_it_is_is_nobodys_when_two_could_own_it(tmp_path, numbered):
    (tmp_path / "b").mkdir()
    other = tmp_path / "b" / "n.mp4"
    other.symlink_to(numbered)
    folder = tmp_path / "frames" / "n" / "c" / "img"
    folder.mkdir(parents=True)
    Image.fromarray(drifting_pictures(1)[0]).save(folder / "frame_000000.jpg")
    clip = ("c", 0, 9)
    assert origins([row(numbered, clip)], tmp_path / "frames") == [("files", [0])]
    both = [row(numbered, clip), row(other, clip)]
    assert origins(both, tmp_path / "frames") == [("video", [0, 4, 8])] * 2
    summary, _ = exported(both, tmp_path / "frames")  # pictures that others wrote stay as they are
    assert Path(summary["clips"][0]["dir"]).parent.parent.name.startswith("n-")
    assert [path.name for path in folder.iterdir()] == ["frame_000000.jpg"]


def test_pictures_of_another_run_are_not_mixed_in(tmp_path, numbered):
    rows = [row(numbered, ("c", 0, 51))]
    exported(rows, tmp_path, interval_sec=0.2)
    folder = tmp_path / "n" / "c" / "img"
    assert len(list(folder.iterdir())) == 11
    moved = [row(numbered, ("c", 4, 51))]
    assert origins(moved, tmp_path) == [("video", [0, 23, 46])]  # those on disk are of other frames
    exported(moved, tmp_path)
    assert barcodes(folder) == {"frame_000000.jpg": 4, "frame_000023.jpg": 27, "frame_000046.jpg": 50}
    (folder / "frame_000023.jpg").unlink()
    assert origins(moved, tmp_path) == [("files", [0, 46])]
    (folder / "frame_000001.jpg").write_bytes(b"put here by hand")
    assert origins(moved, tmp_path) == [("files", [0, 46])]
    (folder.parent / "frames.json").unlink()  # as after a kill in the middle of writing
    assert origins(moved, tmp_path) == [("video", [0, 23, 46])]


def test_what_is_there_is_made_again_only_when_it_must_be(tmp_path, numbered):
    video = tmp_path / "n.mp4"
    video.write_bytes(numbered.read_bytes())
    rows, root = [row(video, ("c", 0, 9))], tmp_path / "frames"
    first = exported(rows, root)
    picture = root / "n/c/img/frame_000004.jpg"
    made = picture.stat().st_mtime_ns
    assert exported(rows, root) == first and picture.stat().st_mtime_ns == made
    os.utime(video, ns=(1, 1))
    assert origins(rows, root) == [("video", [0, 4, 8])]  # the file has changed since
    assert exported(rows, root) == first and picture.stat().st_mtime_ns > made


def test_a_clip_that_fails_says_so_and_costs_nothing_else(tmp_path, numbered, caplog):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video\n")
    rows = [
        row(
            numbered,
            ("a", 0, 9),
            ("a", 9, 12),
            ("b", 60, 70),
            ("../up", 0, 9),
            ("c", 5, 5),
            ("e", 0, math.inf),
        ),
        row(broken, ("d", 0, 9)),
        row(numbered),
        {"video": None, "video_clips": {"clips": [{"frame_start": 0, "frame_end": 3}]}},
        {"video": str(numbered), "video_clips": "no dict"},
    ]
    summaries = exported(rows, tmp_path / "frames")
    kinds = [[c.get("error", "").partition(":")[0] for c in s["clips"]] for s in summaries]
    bad = "bad_value"
    assert kinds == [["", bad, "too_short", bad, bad, bad], ["unreadable"], [], [bad], []]
    assert [s["success"] for s in summaries] == [False] * 5
    assert [s["total_saved_frames"] for s in summaries] == [3, 0, 0, 0, 0]
    assert summaries[0]["error"] == summaries[0]["clips"][1]["error"]
    assert "another clip of this video has the id a" in summaries[0]["error"]
    assert not (tmp_path / "frames" / "up").exists()
    assert "7 of 8 clips have no frames" in caplog.text


def test_what_an_export_has_not_written_stays(tmp_path, numbered):
    rows, root = [row(numbered, ("c", 0, 9))], tmp_path / "frames"
    exported(rows, root)
    folder = root / "n" / "c" / "img"
    own = folder / "frame_000001.jpg"
    own.write_bytes(b"put here by hand")
    exported(rows, root, target_size="64*36")  # frames 0, 4, 8 again, in another size
    assert own.read_bytes() == b"put here by hand"
    with Image.open(folder / "frame_000004.jpg") as image:
        assert image.size == (64, 36)
    (summary,) = exported(rows, root, interval_sec=0.04)  # all of them
    assert "was not made here" in summary["error"] and own.read_bytes() == b"put here by hand"
    # As a kill leaves it in the middle: the pictures that were going to be written are known.
    note = folder.parent / "frames.json"
    note.write_text('{"writing": [0, 1, 4, 8]}')
    (summary,) = exported(rows, root)
    assert summary["success"] and sorted(barcodes(folder)) == [f"frame_00000{n}.jpg" for n in (0, 4, 8)]


def test_both_names_of_a_folder_may_be_taken(tmp_path, numbered):
    rows, root = [row(numbered, ("c", 0, 9))], tmp_path / "frames"
    (root / "n").mkdir(parents=True)
    (root / "n" / "mine.txt").write_text("mine")
    (summary,) = exported(rows, root)
    reserve = Path(summary["clips"][0]["dir"]).parent.parent
    (reserve / "video.json").write_text('{"video": "/another/n.mp4"}')
    before = sorted(root.rglob("*"))
    (summary,) = exported(rows, root)
    assert summary["error"].startswith("encode") and "belongs to another video" in summary["error"]
    assert sorted(root.rglob("*")) == before
