"""Shards, read back by the package that reads them; those of WebDataset with Python's `tarfile` as well."""

import hashlib
import json
import sys
import tarfile

import pytest

from tools.errors import UserError
from tools.export.items import Item
from tools.export.presets import layout_of

CAPTIONS = ['A dög, "quoted"', "NA", "007", "狗 🐕"]


def make(folder, name="webdataset", count=4, split=""):
    layout = layout_of(name)
    items = []
    for number in range(count):
        key = f"c{number}"
        file = layout.media(key, split)
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(bytes([number]) * (1000 + number))
        caption = CAPTIONS[number % len(CAPTIONS)]
        items.append(Item(key, file, 64, 48, 9, 23.976, number == 1, caption, number, "in.mp4", split))
    return layout, items


def members(path):
    with tarfile.open(path) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}


def test_a_tar_has_the_files_of_a_clip_side_by_side(tmp_path):
    layout, items = make(tmp_path)
    assert layout.write(tmp_path, items) == ["shards"]
    found = members(tmp_path / "shards" / "000000.tar")
    assert list(found)[:3] == ["c0.mp4", "c0.txt", "c0.json"]
    assert len(found) == 12
    for item in items:
        assert found[f"{item.key}.mp4"] == (tmp_path / item.file).read_bytes()
        assert found[f"{item.key}.txt"].decode() == item.caption
        row = json.loads(found[f"{item.key}.json"])
        assert (row["caption"], row["fps"], row["source_row"]) == (item.caption, 23.976, item.source_row)


@pytest.mark.parametrize(
    ("size", "clips"), [(1, [1, 1, 1, 1]), (2001, [2, 1, 1]), (2005, [2, 2]), (10**9, [4])]
)
def test_shards_are_not_larger_than_asked(size, clips, tmp_path):
    layout, items = make(tmp_path)
    layout.write(tmp_path, items, size)
    tars = sorted((tmp_path / "shards").glob("*.tar"))
    assert [len(members(path)) // 3 for path in tars] == clips
    index = json.loads((tmp_path / "shards" / "index.json").read_text())["shardlist"]
    assert [(line["url"], line["nsamples"]) for line in index] == [
        (path.name, count) for path, count in zip(tars, clips, strict=True)
    ]
    for line, path in zip(index, tars, strict=True):
        assert line["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert line["filesize"] == path.stat().st_size


def test_shards_are_the_same_bytes_each_time_and_leave_none_behind(tmp_path):
    layout, items = make(tmp_path)
    layout.write(tmp_path, items)
    before = (tmp_path / "shards" / "000000.tar").read_bytes()
    layout.write(tmp_path, items, 1)
    assert len(list((tmp_path / "shards").glob("*.tar"))) == 4
    layout.write(tmp_path, items)
    assert [path.name for path in (tmp_path / "shards").glob("*.tar")] == ["000000.tar"]
    assert (tmp_path / "shards" / "000000.tar").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [".shards.json", "clips", "shards"]


def test_splits_have_their_own_shards(tmp_path):
    layout, first = make(tmp_path, split="train")
    _, second = make(tmp_path, count=1, split="val")
    assert layout.write(tmp_path, [*first, *second]) == ["train/shards", "val/shards"]
    assert len(members(tmp_path / "val" / "shards" / "000000.tar")) == 3


def test_a_folder_of_others_is_not_replaced(tmp_path):
    layout, items = make(tmp_path)
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "mine").write_text("x")
    with pytest.raises(UserError, match="not made by this command"):
        layout.write(tmp_path, items)
    assert (tmp_path / "shards" / "mine").read_text() == "x"


def test_a_missing_clip_leaves_what_was_there(tmp_path):
    layout, items = make(tmp_path)
    layout.write(tmp_path, items)
    (tmp_path / items[2].file).unlink()
    with pytest.raises(UserError, match=r"c2\.mp4: there is no such file"):
        layout.write(tmp_path, items)
    assert len(members(tmp_path / "shards" / "000000.tar")) == 12


def test_a_size_of_nothing(tmp_path):
    layout, items = make(tmp_path)
    with pytest.raises(UserError, match="0 bytes"):
        layout.write(tmp_path, items, 0)


@pytest.mark.parametrize(
    ("name", "package"), [("mds", "streaming"), ("litdata", "litdata"), ("lance", "lance")]
)
def test_a_package_that_is_not_installed(name, package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)  # what Python takes for not installed
    layout, items = make(tmp_path, name)
    with pytest.raises(
        UserError, match=rf"--for {name}: package {package} .*pip install 'vidsieve\[{name}\]'"
    ):
        layout.write(tmp_path, items)
    assert not (tmp_path / "shards").exists()


def read_webdataset(folder):
    import webdataset

    tars = sorted(map(str, folder.glob("*.tar")))
    for row in webdataset.WebDataset(tars, shardshuffle=False).decode():
        yield row["__key__"], row["mp4"], row["txt"]


def read_mds(folder):
    from streaming import StreamingDataset

    data = StreamingDataset(local=str(folder), batch_size=1, shuffle=False)
    for number in range(len(data)):
        yield data[number]["key"], data[number]["video"], data[number]["caption"]


def read_litdata(folder):
    from litdata import StreamingDataset

    data = StreamingDataset(str(folder))
    for number in range(len(data)):
        yield data[number]["key"], data[number]["video"], data[number]["caption"]


def read_lance(folder):
    import lance

    data = lance.dataset(str(folder))
    rows = data.to_table(columns=["key", "caption"]).to_pylist()
    blobs = data.take_blobs("video", indices=list(range(len(rows))))
    for row, blob in zip(rows, blobs, strict=True):
        yield row["key"], blob.read(), row["caption"]


@pytest.mark.parametrize(
    ("name", "package", "read"),
    [
        ("webdataset", "webdataset", read_webdataset),
        ("mds", "streaming", read_mds),
        ("litdata", "litdata", read_litdata),
        ("lance", "lance", read_lance),
    ],
)
@pytest.mark.filterwarnings("ignore:An item was larger")
def test_the_package_reads_every_clip_with_its_caption(name, package, read, tmp_path):
    pytest.importorskip(package, reason=f"{package} is not installed: it reads --for {name}")
    layout, items = make(tmp_path, name)
    layout.write(tmp_path, items, 2500)
    expected = [(item.key, (tmp_path / item.file).read_bytes(), item.caption) for item in items]
    assert list(read(tmp_path / "shards")) == expected
