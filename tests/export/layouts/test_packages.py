"""What the command exports, read by the packages that it is for: each clip once, unchanged, with its caption.

The clips, their names and captions are made here; what is expected is written by hand.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.support import make_video, run_command
from tools.export.__main__ import main
from tools.export.verify import verify

CLIPS = {
    # name of the source: caption in the table, key, caption in the export
    "a.b.c.mp4": ('A "dog", runs; it\'s fun', "a_b_c", 'A "dog", runs; it\'s fun'),
    "ü 狗 🐕.mp4": ("狗 🐕 läuft", "ü_狗", "狗 🐕 läuft"),
    "NA.mp4": ("NA", "NA", "NA"),
    "007.mp4": ("123", "007", "123"),
    "%41 {0} [x]*.mp4": ("None", "41__0___x", "None"),
    "line\nbreak.mp4": ("one\r\ntwo\u2028three\tfour", "line_break", "one two three four"),
    "-dash'\".mp4": ("true", "-dash", "true"),
    "a/same.mp4": ("first", None, "first"),
    "b/same.mp4": ("second", None, "second"),
    ".hidden.mov": ("1e5", "hidden", "1e5"),
    "a train arrives.mp4": ("A train.", "a_train_arrives", "A train."),
    "test.1.mp4": ("null", "test_1", "null"),
}


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """A table of clips, of which no two are the same file."""
    folder = tmp_path_factory.mktemp("source")
    rows = []
    for number, (name, (caption, _, _)) in enumerate(CLIPS.items()):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        make_video(path, 3 + number, size=(64, 48))
        rows.append((path, 64, 48, 3 + number, 25.0, caption))
    with (folder / "meta.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "width", "height", "num_frames", "fps", "text"), *rows])
    return folder / "meta.csv"


def read_videofolder(folder, tmp_path):
    """Hugging Face's datasets; without decoding it gives the path of each file."""
    import datasets

    found = datasets.load_dataset("videofolder", data_dir=str(folder), cache_dir=str(tmp_path / "cache"))
    for split in found.values():
        for row in split.cast_column("video", datasets.Video(decode=False)):
            yield row["key"], Path(row["video"]["path"]).read_bytes(), row["caption"]


def read_webdataset(folder, tmp_path):
    import webdataset

    shards = [line["url"] for line in json.loads((folder / "shards/index.json").read_text())["shardlist"]]
    for row in webdataset.WebDataset([str(folder / "shards" / url) for url in shards], shardshuffle=False):
        (video,) = (row[kind] for kind in ("mp4", "mov") if kind in row)
        yield row["__key__"], video, row["txt"].decode()


def read_mds(folder, tmp_path):
    from streaming.base import StreamingDataset

    data = StreamingDataset(local=str(folder / "shards"), batch_size=1, shuffle=False)
    for number in range(len(data)):
        yield data[number]["key"], data[number]["video"], data[number]["caption"]


def read_litdata(folder, tmp_path):
    from litdata import StreamingDataset

    data = StreamingDataset(str(folder / "shards"))
    for number in range(len(data)):
        yield data[number]["key"], data[number]["video"], data[number]["caption"]


def read_lance(folder, tmp_path):
    lance = pytest.importorskip("lance", reason="pylance (extra: lance) is not installed")
    data = lance.dataset(str(folder / "shards"))
    rows = data.to_table(columns=["key", "caption"]).to_pylist()
    blobs = data.take_blobs("video", indices=list(range(len(rows))))
    for row, blob in zip(rows, blobs, strict=True):
        yield row["key"], blob.read(), row["caption"]


READERS = {
    "videofolder": read_videofolder,
    "webdataset": read_webdataset,
    "mds": read_mds,
    "litdata": read_litdata,
    "lance": read_lance,
}
KINDS = {"webdataset": "*.tar", "mds": "*.mds", "litdata": "*.bin", "lance": "data/*.lance"}


def expected(table: Path) -> list[tuple[str | None, bytes, str]]:
    return [(key, (table.parent / name).read_bytes(), caption) for name, (_, key, caption) in CLIPS.items()]


@pytest.mark.parametrize("splits", [[""], ["train", "val"]], ids=["one", "splits"])
@pytest.mark.parametrize("name", READERS)
def test_every_clip_is_read_as_it_was(name, splits, table, tmp_path, streaming):
    out = tmp_path / "a 'set' ü"
    options = ["--split", "train:0.5,val:0.5", "--seed", 3] if len(splits) > 1 else []
    options += ["--shards", "4KB"] if name in KINDS else []
    done = run_command(main, table, "--for", name, "-o", out, "--num-workers", 0, *options)
    assert done.returncode == 0, done.stderr
    if name in KINDS:
        shards = [path for split in splits for path in (out / split / "shards").glob(KINDS[name])]
        assert len(shards) > len(splits)  # which clips a split has follows from their paths
    roots = [""] if name == "videofolder" else splits  # it finds splits itself
    found = [row for split in roots for row in READERS[name](out / split, tmp_path)]
    keys = [key for key, _, _ in found]
    assert len(keys) == len(set(keys)) == len(CLIPS)
    assert not any("." in key for key in keys)
    own = {data: (key, caption) for key, data, caption in found}
    for key, data, caption in expected(table):
        assert own[data][1] == caption
        assert key is None or own[data][0] == key
    assert verify(out).ok


def test_what_an_earlier_run_left_is_named_and_pruned(table, tmp_path):
    """Splits that are no more, with their clips; a file of somebody else stays."""
    common = ["--for", "webdataset", "-o", tmp_path / "out", "--num-workers", 0]
    run_command(main, table, *common, "--split", "train:0.5,val:0.5", "--seed", 3)
    (tmp_path / "out" / "val" / "mine.txt").write_text("x")
    done = run_command(main, table, *common, "--overwrite")
    assert done.returncode == 0, done.stderr
    assert f"{len(CLIPS)} more files in" in done.stderr and "which are in no shard" in done.stderr
    for split in ("train", "val"):
        assert f"out/{split}/shards: an earlier run made these shards" in done.stderr
    done = run_command(main, table, *common, "--prune")
    assert "more files" not in done.stderr and "shards" not in done.stderr
    seen = [path.name for path in (tmp_path / "out").glob("[!.]*") if path.suffix != ".json"]
    assert sorted(seen) == ["clips", "shards", "val"]
    assert [path.name for path in (tmp_path / "out" / "val").iterdir()] == ["mine.txt"]
    assert verify(tmp_path / "out").ok


def test_files_that_hugging_face_leaves_out(table, tmp_path):
    """The rule by which `check` knows them, beside datasets itself, on folders that others made."""
    import datasets

    from tools.export.presets import TRAINERS

    folders = [
        ["a.mp4", "b_train.mp4"],
        ["train.mp4", "my-test 1.mp4", "dog.mp4"],
        ["training/a.mp4", "b.mp4", "other/c.mp4", "x/val_2/d.mp4"],
        ["a.mp4", "b/contest.mp4", "strain.mp4"],
        ["train1/a.mp4", "eval/train.mp4"],
        ["holdout/a.mp4", "train/b.mp4"],
        ["Train/a.mp4", "b.mp4"],
    ]
    for number, names in enumerate(folders):
        root = tmp_path / str(number)
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes((table.parent / "NA.mp4").read_bytes())
        found = datasets.load_dataset("videofolder", data_dir=str(root), cache_dir=str(tmp_path / "cache"))
        seen = [
            Path(row["video"]["path"]).relative_to(root).as_posix()
            for split in found.values()
            for row in split.cast_column("video", datasets.Video(decode=False))
        ]
        assert sorted(seen) == sorted(TRAINERS["videofolder"].reads(names))


@pytest.mark.parametrize("split", ["train:0.5,holdout:0.5", "a:0.5,b:0.5", "val:0.5,dev:0.5"])
def test_splits_that_hugging_face_does_not_tell_apart(split, table, tmp_path):
    done = run_command(
        main, table, "--for", "videofolder", "-o", tmp_path / "out", "--split", split, "--seed", 3
    )
    assert done.returncode == 2
    assert "call splits train, validation (or val) and test" in done.stderr
    assert not (tmp_path / "out").exists()
