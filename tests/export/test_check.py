"""Folders that anybody made: real videos and captions laid out as each trainer reads them."""

import json
import os
import shutil

import pytest

from tests.support import make_video
from tools.errors import UserError
from tools.export.check import check, check_each
from tools.export.check_text import check_text
from tools.export.explain import explain
from tools.export.found_captions import found_captions
from tools.export.presets import TRAINERS, preset
from tools.export.trainers.judgement import Clip
from tools.report.text_style import Style
from tools.stage.run_options import RunOptions

HERE = RunOptions(num_workers=0, progress=False)


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("check")
    make_video(folder / "long.mp4", 41, size=(160, 96), fps=16)
    make_video(folder / "short.mp4", 9, size=(160, 96), fps=16)
    make_video(folder / "tall.mp4", 66, size=(96, 160), fps=25, audio="sine")
    return folder


def checked(folder, name="wan2.1@musubi", **settings):
    wanted = preset(name)
    settings = {"sizes": ((160, 96),), "frames": (33,), **settings}
    return check(folder, wanted, wanted.trainer.setup(wanted.model, **settings), HERE)


def lay_out(videos, folder, files):
    for name, (source, caption) in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(videos / source, path)
        if caption is not None:
            path.with_suffix(".txt").write_text(caption)
    return folder


FILES = {
    "a.mp4": ("long.mp4", "A road."),
    "b.mp4": ("short.mp4", "A blink."),
    "c.mp4": ("tall.mp4", "A tower."),
    "d.mp4": ("long.mp4", None),
}


def test_the_same_as_explain_of_what_was_encoded(videos, tmp_path):
    found = checked(lay_out(videos, tmp_path, FILES), "wan2.1@diffusion-pipe")
    wanted = preset("wan2.1@diffusion-pipe")
    clips = [
        Clip("a.mp4", 160, 96, 41, 16.0, "A road."),
        Clip("b.mp4", 160, 96, 9, 16.0, "A blink."),
        Clip("c.mp4", 96, 160, 66, 25.0, "A tower.", True),
        Clip("d.mp4", 160, 96, 41, 16.0, None),
    ]
    assert found.explanation == explain(clips, wanted.trainer, found.setup)
    assert list(found.explanation.summary.lost) == ["no caption", "too short"]
    assert (found.missing, found.unlisted, found.ignored, found.failures) == ([], [], [], {})


def test_a_file_that_cannot_be_read_is_a_loss(videos, tmp_path):
    lay_out(videos, tmp_path, FILES)
    (tmp_path / "a.mp4").write_bytes(b"no video")
    found = checked(tmp_path)
    assert list(found.failures) == ["a.mp4"]
    assert found.explanation.summary.lost["unreadable"].examples == ["a.mp4"]
    assert f"a.mp4: {found.failures['a.mp4']}"[:40] in check_text(found, Style(width=120))


def test_videos_that_the_trainer_does_not_look_at(videos, tmp_path):
    lay_out(videos, tmp_path, {**FILES, "more/e.mp4": ("long.mp4", "Deep."), "f.ts": ("long.mp4", "TS.")})
    assert sorted(checked(tmp_path).ignored) == ["f.ts", "more/e.mp4"]


def test_the_one_folder_below_that_has_clips_is_judged(videos, tmp_path):
    lay_out(videos, tmp_path / "set" / "clips", FILES)
    assert checked(tmp_path).folder == tmp_path / "set" / "clips"
    lay_out(videos, tmp_path / "other", FILES)
    with pytest.raises(UserError, match="other, set/clips"):
        checked(tmp_path)


@pytest.mark.parametrize("name", ["nothing", "file"])
def test_no_folder(tmp_path, name):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="no such folder"):
        checked(tmp_path / name)


def test_nothing_to_read(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UserError, match="there is none"):
        checked(tmp_path)


def test_text_fits_the_terminal(videos, tmp_path, monkeypatch):
    names = {f"{'very long name ' * 5}{i}.mp4": ("short.mp4", "x") for i in range(4)}
    lay_out(videos, tmp_path, {**FILES, **names, "sub/x.mp4": ("long.mp4", "y")})
    monkeypatch.chdir(tmp_path)
    wanted = preset("wan2.1@musubi")
    setup = wanted.trainer.setup(wanted.model, sizes=((160, 96),), frames=(33,))
    text = check_text(check(tmp_path.relative_to(tmp_path), wanted, setup, HERE), Style())
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "2 of 8 clips are used" in text
    assert "too short: 5 clips" in text
    assert "what would help" in text
    assert "sub/x.mp4" in text
    assert "\x1b" not in text


def captions(folder, trainer, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return found_captions(folder, TRAINERS[trainer], names)


def test_captions_json_hides_text_files(tmp_path):
    (tmp_path / "a.txt").write_text("from the file")
    (tmp_path / "captions.json").write_text(json.dumps({"b.mp4": ["first", "second"], "c.mp4": []}))
    found = captions(tmp_path, "diffusion-pipe", ["a.mp4", "b.mp4", "c.mp4"])
    assert found.captions == {"a.mp4": None, "b.mp4": "first", "c.mp4": None}


def test_text_files_in_other_encodings(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfWith a mark.\r\n")
    (tmp_path / "b.txt").write_bytes("Größe".encode("latin-1"))
    (tmp_path / "c.txt").write_bytes(b"")
    found = captions(tmp_path, "musubi", ["a.mp4", "b.mp4", "c.mp4"])
    assert found.captions == {"a.mp4": "With a mark.", "b.mp4": "Gr\ufffd\ufffde", "c.mp4": ""}


@pytest.mark.parametrize(
    ("trainer", "name"),
    [("musubi", "a.txt"), ("diffusion-pipe", "captions.json"), ("diffsynth", "metadata.json")],
)
def test_a_pipe_in_place_of_captions_is_not_waited_for(tmp_path, trainer, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=f"{name}: is no file"):
        captions(tmp_path, trainer, ["a.mp4"])


def test_captions_of_cosmos(tmp_path):
    (tmp_path / "metas").mkdir()
    (tmp_path / "metas" / "a.txt").write_text("A road.")
    found = captions(tmp_path, "cosmos", ["videos/a.mp4", "videos/b.mp4"])
    assert found.captions == {"videos/a.mp4": "A road.", "videos/b.mp4": None}


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl"])
@pytest.mark.parametrize(
    ("trainer", "file", "caption"),
    [
        ("ltx-trainer", "video", "caption"),
        ("ltx-trainer", "media_path", "caption"),
        ("diffsynth", "video", "prompt"),
        ("videox-fun", "file_path", "text"),
        ("open-sora", "path", "text"),
        ("videofolder", "file_name", "caption"),
    ],
)
def test_captions_in_tables(tmp_path, kind, trainer, file, caption):
    rows = [
        {file: "sub/a.mp4", caption: "A road, wide."},
        {file: str(tmp_path / "b.mp4"), caption: None},
        {file: "gone.mp4", caption: "Nothing."},
    ]
    path = tmp_path / f"list.{kind}"
    if kind == "csv":
        path.write_text(
            f'{file},{caption}\nsub/a.mp4,"A road, wide."\n{tmp_path / "b.mp4"},\ngone.mp4,Nothing.\n'
        )
    elif kind == "json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "other.json").write_text('{"settings": 1}')
    found = captions(tmp_path, trainer, ["sub/a.mp4", "b.mp4", "c.mp4"])
    assert found.captions == {"sub/a.mp4": "A road, wide.", "b.mp4": None}
    assert (found.missing, found.unlisted) == (["gone.mp4"], ["c.mp4"])


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="video or media_path, and caption"):
        captions(tmp_path, "ltx-trainer", ["a.mp4"])


@pytest.mark.parametrize("trainer", ["cogvideo", "finetrainers"])
def test_captions_line_by_line(tmp_path, trainer):
    (tmp_path / "prompts.txt").write_text("A road.\nA cat.\n")
    (tmp_path / "videos.txt").write_text("videos/b.mp4\nvideos/a.mp4\n")
    found = captions(tmp_path, trainer, ["videos/a.mp4", "videos/b.mp4"])
    assert found.captions == {"videos/b.mp4": "A road.", "videos/a.mp4": "A cat."}
    (tmp_path / "prompts.txt").write_text("A road.\n")
    with pytest.raises(UserError, match=r"1 lines in prompts\.txt, 2 in videos\.txt"):
        found_captions(tmp_path, TRAINERS[trainer], ["videos/a.mp4"])


def test_a_video_folder_needs_no_table(tmp_path):
    assert captions(tmp_path, "videofolder", ["a.mp4"]).captions == {"a.mp4": None}


def test_a_video_folder_may_have_a_table_in_each_folder(tmp_path):
    files = ["train/a.mp4", "val/x/b.mp4"]
    for folder, name in (("train", "a.mp4"), ("val", "x/b.mp4"), ("val", "gone.mp4")):
        (tmp_path / folder).mkdir(exist_ok=True)
        with (tmp_path / folder / "metadata.jsonl").open("a") as file:
            file.write(json.dumps({"file_name": name, "caption": f"Of {name}."}) + "\n")
    found = captions(tmp_path, "videofolder", files)
    assert found.captions == {"train/a.mp4": "Of a.mp4.", "val/x/b.mp4": "Of x/b.mp4."}
    assert (found.missing, found.unlisted) == (["val/gone.mp4"], [])


def test_each_split_of_an_export_is_judged_for_itself(videos, tmp_path):
    for split, count in (("train", 2), ("val", 1)):
        names = [f"{split}{i}.mp4" for i in range(count)]
        lay_out(videos, tmp_path / split / "clips", dict.fromkeys(names, ("long.mp4", None)))
        rows = [{"video": f"clips/{name}", "caption": "A road."} for name in names]
        (tmp_path / split / "metadata.json").write_text(json.dumps(rows))
    (tmp_path / "dataset.json").write_text('{"format": 1, "splits": {"train": {}, "val": {}}}')
    wanted = preset("ltx-2@ltx-trainer")
    setup = wanted.trainer.setup(wanted.model, sizes=((160, 96),), frames=(33,))
    found = check_each(tmp_path, wanted, setup, HERE)
    assert [one.folder.name for one in found] == ["train", "val"]
    assert [one.explanation.summary.used for one in found] == [2, 1]
