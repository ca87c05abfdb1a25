"""Shards that others made, by the writer of each format itself: what `--check` says of each sample."""

from __future__ import annotations

import pytest

from tests.support import run_command
from tools.errors import UserError
from tools.export.__main__ import main
from tools.export.check_shards import check_shards

ROWS = [
    ("a", b"xx", "A dog."),
    ("b", b"", "A cat."),
    ("c", b"x", "One.\nTwo."),
    ("d", b"x", " "),
    ("a", b"x", "A."),
]
EXPECTED = {
    "empty video": ["b"],
    "caption of several lines": ["c"],
    "no caption": ["d"],
    "key of another sample": ["a"],
}


def found(folder, trainer):
    (one,) = check_shards(folder, trainer)
    faults = {
        kind: [text.rpartition(": ")[2] for text in fault.examples] for kind, fault in one.faults.items()
    }
    return one.samples, one.used, one.bytes, faults


def test_webdataset(tmp_path):
    import webdataset

    with webdataset.ShardWriter(f"{tmp_path}/%06d.tar", maxcount=3, verbose=0) as writer:
        for key, video, caption in ROWS:
            writer.write({"__key__": key, "mp4": video, "txt": caption})
        writer.write({"__key__": "e.f", "mp4": b"x", "json": {"fps": 3}})
        writer.write({"__key__": "g", "mp4": b"x", "txt": "A."})
    samples, used, size, faults = found(tmp_path, "webdataset")
    assert (samples, used, size) == (7, 5, 6)
    assert faults.pop("no video") == ["a key ends at its first dot; it has .f.json, .f.mp4"]
    assert faults.pop("no caption") == ["d", "e"]
    assert faults == {kind: names for kind, names in EXPECTED.items() if kind != "no caption"}


def test_mds(tmp_path, streaming):
    columns = {"prompt": "str", "mp4": "bytes", "id": "int"}
    with streaming.MDSWriter(out=str(tmp_path / "train"), columns=columns) as writer:
        for number, (_, video, caption) in enumerate(ROWS):
            writer.write({"prompt": caption, "mp4": video, "id": number})
    numbered = {"empty video": ["1"], "caption of several lines": ["2"], "no caption": ["3"]}
    assert found(tmp_path, "mds") == (5, 4, 5, numbered)


def test_litdata(tmp_path, readers):
    from litdata.streaming.writer import BinaryWriter

    writer = BinaryWriter(str(tmp_path), chunk_bytes=1000)
    for number, (key, video, caption) in enumerate(ROWS):
        writer[number] = {"key": key, "caption": caption, "video": video, "width": 3}
    writer.done()
    writer.merge(num_workers=1)
    assert found(tmp_path, "litdata") == (5, 4, 5, EXPECTED)


def test_litdata_of_other_samples(tmp_path, readers):
    from litdata.streaming.writer import BinaryWriter

    writer = BinaryWriter(str(tmp_path), chunk_bytes=1000)
    writer[0] = {"key": "a", "video": b"x", "size": (3, 4)}
    writer.done()
    writer.merge(num_workers=1)
    (one,) = check_shards(tmp_path, "litdata")
    assert "no dictionaries of single values" in one.faults["cannot be read"].examples[0]


@pytest.mark.parametrize("blob", [True, False])
def test_lance(tmp_path, blob):
    lance = pytest.importorskip("lance", reason="pylance (extra: lance) is not installed")
    import pyarrow as pa

    metadata = {"lance-encoding:blob": "true"} if blob else None
    fields = [
        ("key", pa.string()),
        ("text", pa.string()),
        pa.field("clip", pa.large_binary(), metadata=metadata),
    ]
    keys, videos, captions = zip(*ROWS, ("e", None, None), strict=True)
    table = pa.table({"key": keys, "text": captions, "clip": videos}, schema=pa.schema(fields))
    lance.write_dataset(table, str(tmp_path / "shards"))
    wanted = {**EXPECTED, "no video": ["e"], "no caption": ["d", "e"]}
    assert found(tmp_path, "lance") == (6, 4, 5, wanted)


def test_the_command(tmp_path):
    import webdataset

    for split in ("train", "val"):
        (tmp_path / split / "shards").mkdir(parents=True)
        with webdataset.TarWriter(f"{tmp_path}/{split}/shards/0.tar") as writer:
            writer.write({"__key__": "a", "mp4": b"x" if split == "train" else b"", "txt": "A dog."})
    done = run_command(main, "--check", tmp_path, "--for", "webdataset")
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "train/shards for webdataset: 1 of 1 samples have a video" in text
    assert "val/shards for webdataset: 0 of 1 samples have a video, 0.0 MB empty video: 1 0.tar: a" in text
    done = run_command(main, "--check", tmp_path / "val", "--for", "webdataset")
    assert done.returncode == 1


@pytest.mark.parametrize("trainer", ["webdataset", "mds", "litdata", "lance"])
def test_no_shards(tmp_path, trainer):
    with pytest.raises(UserError, match=f"has no shards of {trainer}"):
        check_shards(tmp_path, trainer)


def test_what_is_no_shard(tmp_path):
    (tmp_path / "0.tar").write_bytes(b"x" * 2000)
    assert found(tmp_path, "webdataset")[3].keys() == {"cannot be read"}
    (tmp_path / "index.json").write_text("[]")
    assert found(tmp_path, "mds")[3].keys() == {"cannot be read"}
