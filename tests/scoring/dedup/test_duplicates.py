"""What is found among files: made copies of every kind, what is no copy, and real files that are.

Which is a copy of which is known from how they were made; for the real ones from the data folder's README.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.scoring.dedup.scenes import COPIES, FPS, Scene, film, fingerprint, slide
from tests.support import make_video
from tools.errors import UserError
from tools.scoring.dedup.duplicates import find_duplicates, mark_duplicates
from tools.scoring.dedup.fingerprint import FileInfo, Fingerprint
from tools.scoring.dedup.selection import Match
from tools.scoring.dedup.stage import FINGERPRINT, FingerprintStage
from tools.stage.runner import RunOptions, map_rows

OPTIONS = RunOptions(num_workers=0, progress=False)


def copies_among(paths: list[Path], **options: object) -> dict[str, tuple[str, float]]:
    """Name of each copy to the name of the one that is kept, and the score."""
    rows = map_rows(FingerprintStage(), [{"path": str(path)} for path in paths], OPTIONS)
    frame = pl.DataFrame({"path": [str(p) for p in paths], FINGERPRINT: [row[FINGERPRINT] for row in rows]})
    marked = mark_duplicates(frame, **options)
    return {
        Path(path).name: (Path(kept).name, score)
        for path, kept, score in marked.select("path", "dup_of", "dup_score").iter_rows()
        if kept is not None
    }


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("originals")
    return [film(folder / f"{seed}.mp4", Scene(seed).film(0, 6)) for seed in range(3)]


@pytest.fixture(scope="module")
def found(originals, tmp_path_factory) -> dict[str, tuple[str, float]]:
    """All copies of scene 0 and the originals of two more, in one table."""
    folder = tmp_path_factory.mktemp("copies")
    made = [make(Scene(0), folder / f"{kind}.mp4") for kind, make in COPIES.items()]
    return {Path(name).stem: kept for name, kept in copies_among([*originals, *made], keep=["first"]).items()}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_found(found, kind):
    assert found[kind][0] == "0.mp4" and 0.9 <= found[kind][1] <= 1.0


def test_nothing_else_is(found):
    assert set(found) == set(COPIES)


def test_clips_of_one_fixed_camera_are_no_copies(tmp_path):
    clips = [film(tmp_path / f"{seed}.mp4", Scene(seed, fixed=1).film(0, 5)) for seed in range(4)]
    again = film(tmp_path / "again.mp4", Scene(2, fixed=1).film(0.7, 4), options={"crf": "32"})
    assert {name: kept for name, (kept, _) in copies_among([*clips, again]).items()} == {"again.mp4": "2.mp4"}


def test_slides_with_other_text_are_no_copies(tmp_path):
    title = ["Quarterly review"]
    texts = (
        ["revenue grew by a tenth", "three new plants", "costs are level"],
        ["what went wrong in spring", "suppliers, and their suppliers", "lessons"],
        ["revenue grew by a tenth", "three new plants", "costs are level"],
    )
    clips = [
        film(tmp_path / f"{n}.mp4", [slide(title + lines)] * 50, options={"crf": str(20 + 5 * n)})
        for n, lines in enumerate(texts)
    ]
    assert {name: kept for name, (kept, _) in copies_among(clips).items()} == {"2.mp4": "0.mp4"}


def test_where_there_is_nothing_to_see_only_equal_files_are_copies(tmp_path):
    black = np.zeros((90, 160, 3), np.uint8)
    one = film(tmp_path / "one.mp4", [black] * 48)
    other = film(tmp_path / "other.mp4", [black] * 72)
    (tmp_path / "same.mp4").write_bytes(one.read_bytes())
    assert copies_among([one, other, tmp_path / "same.mp4"]) == {"same.mp4": ("one.mp4", 1.0)}


def test_dark_clips_are_not_confused(tmp_path):
    clips = [
        film(tmp_path / f"{s}.mp4", [(f * 0.12).astype(np.uint8) for f in Scene(s).film(0, 4)])
        for s in (0, 1)
    ]
    bright = film(tmp_path / "bright.mp4", Scene(1).film(0, 4))
    assert {n: k for n, (k, _) in copies_among([*clips, bright], keep=["first"]).items()} == {
        "bright.mp4": "1.mp4"
    }


def test_images(tmp_path):
    for seed in (0, 1):
        Image.fromarray(Scene(seed).at(0)).save(tmp_path / f"{seed}.png")
    image = Image.open(tmp_path / "0.png")
    image.save(tmp_path / "jpeg.jpg", quality=40)
    image.resize((96, 54)).save(tmp_path / "small.png")
    image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "mirrored.png")
    image.crop((25, 14, 295, 166)).save(tmp_path / "cropped.png")
    paths = [tmp_path / n for n in ("0.png", "1.png", "jpeg.jpg", "small.png", "mirrored.png", "cropped.png")]
    found = copies_among(paths, keep=["first"])
    assert set(found) == {"jpeg.jpg", "small.png", "mirrored.png", "cropped.png"}
    assert {kept for kept, _ in found.values()} == {"0.png"}


def test_the_better_copy_is_kept(tmp_path):
    pictures = Scene(1).film(0, 4)
    small = film(tmp_path / "small.mp4", [p[::2, ::2] for p in pictures])
    large = film(tmp_path / "large.mp4", pictures)
    barred = film(
        tmp_path / "barred.mp4", [np.pad(p[::2, ::2], ((30, 30), (60, 60), (0, 0))) for p in pictures]
    )
    paths = [small, barred, large]
    assert {n: k for n, (k, _) in copies_among(paths).items()} == {
        "small.mp4": "large.mp4",
        "barred.mp4": "large.mp4",
    }
    assert set(copies_among(paths, keep=["first"])) == {"barred.mp4", "large.mp4"}
    faster = film(tmp_path / "faster.mp4", [p[::2, ::2] for p in Scene(1).film(0, 4, 48)], fps=48)
    assert set(copies_among([small, faster])) == {"small.mp4"}
    assert set(copies_among([large, faster], keep=["frames"])) == {"large.mp4"}


def test_a_long_clip_is_no_copy_of_its_piece(tmp_path):
    whole = film(tmp_path / "whole.mp4", [p[::2, ::2] for p in Scene(2).film(0, 6)])
    piece = film(tmp_path / "piece.mp4", Scene(2).film(2, 4))  # larger, but only a third of it
    assert copies_among([whole, piece]) == {}
    assert set(copies_among([whole, piece], keep=["frames", "resolution"])) == {"piece.mp4"}


def test_the_less_compressed_copy_is_kept(tmp_path):
    """By the size of the file when nothing else is known; a frame more or less does not count."""
    pictures = Scene(1).film(0, 4)
    worse = film(tmp_path / "a.mp4", pictures, options={"crf": "40"})
    better = film(tmp_path / "b.mp4", pictures[:-1], options={"crf": "18"})
    assert set(copies_among([worse, better])) == {"a.mp4"}
    assert set(copies_among([worse, better], keep=["first"])) == {"b.mp4"}


def test_a_column_decides(tmp_path):
    pictures = Scene(1).film(0, 3)
    paths = [film(tmp_path / f"{n}.mp4", pictures, options={"crf": str(20 + n)}) for n in range(3)]
    rows = map_rows(FingerprintStage(), [{"path": str(p)} for p in paths], OPTIONS)
    frame = pl.DataFrame(
        {"path": ["a", "b", "c"], "aes": ["4.5", "", "6.25"], FINGERPRINT: [r[FINGERPRINT] for r in rows]}
    )
    assert mark_duplicates(frame, keep=["aes"])["dup_of"].to_list() == ["c", "c", None]
    assert mark_duplicates(frame, keep=["resolution", "first"])["dup_of"].to_list() == [None, "a", "a"]
    with pytest.raises(UserError, match="no such column"):
        mark_duplicates(frame, keep=["beauty"])
    assert mark_duplicates(frame.with_columns(pl.lit(None).alias(FINGERPRINT)))["dup_of"].null_count() == 3
    with pytest.raises(UserError, match="row 2: not a fingerprint"):
        mark_duplicates(frame.with_columns(pl.Series(FINGERPRINT, [None, "x", None])))


def test_the_order_of_the_table_changes_nothing(originals, tmp_path):
    copy = COPIES["cropped 5 %"](Scene(1), tmp_path / "copy.mp4")
    paths = [*originals, copy]
    assert copies_among(paths) == copies_among(paths[::-1]) == {"copy.mp4": copies_among(paths)["copy.mp4"]}


def test_frame_times_and_damage(tmp_path):
    """A variable frame rate is weighed by its times."""
    scene = Scene(1)
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.12, 60))
    times -= times[0]
    steady = film(tmp_path / "steady.mp4", scene.film(0, 6))
    varying = make_video(
        tmp_path / "varying.mp4", pictures=[scene.at(t) for t in times], times=times.tolist(), fps=FPS
    )
    assert set(copies_among([steady, varying])) == {"varying.mp4"}


def test_real_files(videos_dir):
    """`bikes_*` were made from skv_bikes, the three of iscc_demo and the two of carphone are one video each.

    What is left of a file that was cut off, the middle quarter (bikes_portrait), and a turn by 90 degrees are
    no copies in the sense of this tool.
    """
    names = ["skv_bikes.mp4", "bikes_av1.mkv", "bikes_hevc10.mp4", "bikes_vfr.mp4"]
    names += ["iscc_demo.mp4", "iscc_demo.mpg", "iscc_demo.webm"]
    names += ["skv_carphone_pristine.mp4", "skv_carphone_distorted.mp4"]
    names += ["bikes_portrait.mp4", "bikes_rot90.mp4", "moviepy_chaplin.mp4", "gradio_b.avi", "psd_fades.mp4"]
    names += ["tc_nasa_13013.mp4", "tc_av1_video.mkv", "nemo_test_video.mp4", "decord_video_0.mov"]
    found = {n: k for n, (k, _) in copies_among([videos_dir / n for n in names], keep=["first"]).items()}
    expected = dict.fromkeys(["bikes_av1.mkv", "bikes_hevc10.mp4", "bikes_vfr.mp4"], "skv_bikes.mp4")
    expected |= dict.fromkeys(["iscc_demo.mpg", "iscc_demo.webm"], "iscc_demo.mp4")
    expected["skv_carphone_distorted.mp4"] = "skv_carphone_pristine.mp4"
    assert found == expected


def test_two_hundred_copies_are_copies_of_the_first():
    rng = np.random.default_rng(2)
    one = fingerprint(Scene(1), 0, 4)
    prints = [one]
    for _ in range(200):
        noise = rng.integers(-2, 3, one.pictures.shape)
        pictures = np.clip(one.pictures + noise, 0, 255).astype(np.uint8)
        prints.append(Fingerprint(one.info, pictures, one.step))
    found = find_duplicates(prints.__getitem__, len(prints), 0.9)
    assert {match.kept for match in found.values()} == {0} and len(found) == 200


def test_only_what_lies_in_the_other_is_a_copy():
    scene = Scene(5)
    first, second, whole = fingerprint(scene, 0, 6), fingerprint(scene, 3, 9), fingerprint(scene, 0, 9)
    assert find_duplicates([first, second].__getitem__, 2, 0.9) == {}  # half of each is its own
    assert set(find_duplicates([whole, first, second].__getitem__, 3, 0.9)) == {1, 2}
    assert (
        find_duplicates([first, whole].__getitem__, 2, 0.9) == {}
    )  # the better one lacks the end of the other


def test_images_and_videos_are_different_things():
    scene = Scene(7)
    video, image = fingerprint(scene, 0, 1 / FPS), fingerprint(scene, 0, 1 / FPS, is_video=False)
    assert find_duplicates([video, image].__getitem__, 2, 0.9) == {}
    assert set(find_duplicates([image, image].__getitem__, 2, 0.9)) == {1}


def test_rows_without_fingerprint_and_nothing_to_see():
    black = Fingerprint(FileInfo(90, 160, 50, True), np.zeros((4, 18, 32), np.uint8), digest=b"a" * 32)
    other = Fingerprint(FileInfo(90, 160, 50, True), np.zeros((4, 18, 32), np.uint8), digest=b"b" * 32)
    prints = [None, black, other, None, black]
    assert find_duplicates(prints.__getitem__, 5, 0.9) == {4: Match(1, 1.0)}
    assert find_duplicates([None, None].__getitem__, 2, 0.9) == {}
    assert find_duplicates([].__getitem__, 0, 0.9) == {}
