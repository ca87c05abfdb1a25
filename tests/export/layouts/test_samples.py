"""MDS and LitData: the same bytes as their own writers make, and what their readers give back."""

import json
import struct
import time

import pytest

from tools.errors import UserError
from tools.export.items import Item
from tools.export.layouts import sample_files
from tools.export.layouts.sample_files import read_samples
from tools.export.layouts.samples import indexed
from tools.export.layouts.tables import facts
from tools.export.presets import layout_of

CAPTIONS = ['A dög, "quoted"', "NA", "", "狗 🐕"]


def make(folder, name, sizes=(1000, 1001, 1002, 1003), **more):
    """Clips of any bytes, of which all texts may be replaced."""
    layout = layout_of(name)
    items = []
    for number, size in enumerate(sizes):
        item = Item(
            f"c{number}",
            layout.media(f"c{number}"),
            64,
            48,
            9,
            23.976,
            number == 1,
            CAPTIONS[number],
            7,
            "in.mp4",
        )
        item = Item(**{**vars(item), **more})
        (folder / item.file).parent.mkdir(parents=True, exist_ok=True)
        (folder / item.file).write_bytes(bytes([number]) * size)
        items.append(item)
    return layout, items


@pytest.mark.parametrize("limit", [3000, 2500, 10**9])
def test_mds_is_what_its_own_writer_makes(limit, tmp_path, streaming):
    """Compared with `MDSWriter` of mosaicml-streaming 0.13, byte by byte."""
    layout, items = make(tmp_path, "mds")
    layout.write(tmp_path, items, limit)
    columns = {"video": "bytes", "caption": "str", "key": "str", "source_path": "str", "fps": "float64"}
    columns |= dict.fromkeys(("width", "height", "num_frames", "source_row", "has_audio"), "int")
    own = tmp_path / "own"
    with streaming.MDSWriter(out=str(own), columns=columns, size_limit=limit, hashes=["sha256"]) as writer:
        for item in items:
            row = {**facts(item), "has_audio": int(item.has_audio)}
            writer.write({**row, "video": (tmp_path / item.file).read_bytes()})
    names = sorted(path.name for path in own.iterdir())
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == names
    assert len(names) == {3000: 3, 2500: 5, 10**9: 2}[limit]
    for name in names:
        ours, theirs = (tmp_path / "shards" / name).read_bytes(), (own / name).read_bytes()
        assert (json.loads(ours), 0) == (json.loads(theirs), 0) if name == "index.json" else ours == theirs


def test_litdata_gives_back_every_value(tmp_path, readers, monkeypatch):
    """Read by litdata; a text is a text, also where it is the path of a file that is there."""
    from litdata import StreamingDataset

    layout, items = make(tmp_path, "litdata", source_path="clips/c0.mp4", caption="clips/c1.mp4")
    layout.write(tmp_path, items, 2500)
    monkeypatch.chdir(tmp_path)
    data = StreamingDataset(str(tmp_path / "shards"))
    assert [data[number] for number in range(len(data))] == [
        {**facts(item), "video": (tmp_path / item.file).read_bytes()} for item in items
    ]


def test_litdata_tells_a_changed_data_set_from_a_copy(tmp_path):
    layout, items = make(tmp_path, "litdata")
    layout.write(tmp_path, items)
    index = tmp_path / "shards" / "index.json"
    before = index.read_bytes()
    layout.write(tmp_path, items, 10**6)
    layout.write(tmp_path, items)
    assert index.read_bytes() == before
    time.sleep(0.02)  # times of files are those of the last tick of the system's clock
    (tmp_path / items[0].file).write_bytes(b"x" * 1000)
    layout.write(tmp_path, items)
    assert json.loads(before)["updated_at"] != json.loads(index.read_bytes())["updated_at"]


@pytest.mark.parametrize("name", ["mds", "litdata"])
def test_a_clip_larger_than_a_shard_has_one_of_its_own(name, tmp_path):
    layout, items = make(tmp_path, name, sizes=(100, 5000, 100, 100))
    layout.write(tmp_path, items, 2000)
    _, shards = indexed(json.loads((tmp_path / "shards" / "index.json").read_bytes()))
    assert [count for _, count in shards] == [1, 1, 2]
    for shard, count in shards:
        size = (tmp_path / "shards" / shard).stat().st_size
        assert size <= 2000 or count == 1


@pytest.mark.parametrize("name", ["mds", "litdata"])
def test_what_is_written_is_read(name, tmp_path):
    layout, items = make(tmp_path, name)
    layout.write(tmp_path, items, 2500)
    form, shards = indexed(json.loads((tmp_path / "shards" / "index.json").read_bytes()))
    found = [row for shard, _ in shards for row in read_samples(tmp_path / "shards" / shard, form)]
    assert found == [{**facts(item), "video": (tmp_path / item.file).stat().st_size} for item in items]


@pytest.mark.parametrize("name", ["mds", "litdata"])
def test_damage_is_an_error(name, tmp_path):
    """Every shard that is cut off, and every one of which a length is another."""
    layout, items = make(tmp_path, name, sizes=(10,))
    layout.write(tmp_path, items)
    form, ((shard, _),) = indexed(json.loads((tmp_path / "shards" / "index.json").read_bytes()))
    path = tmp_path / "shards" / shard
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError):
            list(read_samples(path, form))
    (begin,) = struct.unpack("<I", whole[4:8])  # of the one sample: its first two lengths are there
    for place in range(begin, begin + 8):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError):
            list(read_samples(path, form))


@pytest.mark.parametrize(
    "index", [{}, [], 7, {"shards": []}, {"config": {}}, {"shards": [{"format": "csv"}]}]
)
def test_another_index(index):
    with pytest.raises(ValueError):
        indexed(index)


def test_a_clip_that_no_shard_can_hold(tmp_path, monkeypatch):
    """4 GiB cannot be written in a test, so the limit is lower."""
    monkeypatch.setattr(sample_files, "_MOST_OF_A_CLIP", 1001)
    layout, items = make(tmp_path, "mds")
    with pytest.raises(UserError, match=r"c2\.mp4: has 1,002 bytes, .* 1,001 at most; webdataset"):
        layout.write(tmp_path, items)
    assert not (tmp_path / "shards").exists()
