import sys

import pytest

from tools.datasets import convert
from tools.datasets.convert import read_source
from tools.datasets.sources import SourceOptions
from tools.errors import UserError
from tools.table import read_table

MP4 = b"\0\0\0\x18ftypisom" + b"m" * 3_000_000
WEBM = b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x82\x84webm" + b"w" * 50


def read(path, folder=None, **options):
    extract = None if folder is None else str(folder)
    return read_source("lance", [str(path)], SourceOptions(extract=extract, **options))


def test_without_the_package_one_line_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lance", None)
    with pytest.raises(UserError, match=r"^convert lance: package lance .*pip install 'vidsieve\[lance\]'$"):
        read(tmp_path / "x.lance")


@pytest.fixture
def lance():
    return pytest.importorskip("lance", reason="pylance (extra: lance) is not installed")


@pytest.mark.parametrize("blobs", ["2.0", "2.1", "2.2", ""])
def test_videos_are_extracted_from_blobs_and_from_bytes(tmp_path, lance, blobs):
    import pyarrow as pa

    metadata = {"lance-encoding:blob": "true"} if blobs else None
    video = pa.field("video", pa.large_binary(), metadata=metadata)
    schema = pa.schema([("id", pa.int64()), ("caption", pa.string()), video, ("tags", pa.list_(pa.string()))])
    values = {
        "id": [7, 8, 9],
        "caption": ["a", "b", None],
        "video": [MP4, None, WEBM],
        "tags": [["x"], [], None],
    }
    version = {"data_storage_version": blobs} if blobs else {}
    path = tmp_path / "clips.lance"
    lance.write_dataset(pa.table(values, schema=schema), str(path), **version)
    for written in (2, 0):
        found = read(path, tmp_path / "out")
        assert f"{written} files written" in found.notes[0]
    assert found.table.select("relpath", "id", "text", "tags").rows() == [
        ("00000000.mp4", "7", "a", '["x"]'),
        ("00000002.webm", "9", None, None),
    ]
    assert [open(name, "rb").read() for name in found.table["path"]] == [MP4, WEBM]  # noqa: SIM115, PTH123
    assert [(f.kind, f.path) for f in found.failures] == [("empty", f"{path}: row 1")]
    with pytest.raises(UserError, match=r"convert lance: .*--extract DIR"):
        read(path)


def test_columns_of_paths_need_no_folder(tmp_path, lance, monkeypatch, capsys):
    import pyarrow as pa

    monkeypatch.chdir(tmp_path)
    values = {
        "url": ["https://h/a.mp4", "b.mp4", None],
        "text": ["x", None, "z"],
        "score": [0.5, float("nan"), 1],
    }
    lance.write_dataset(pa.table(values), "links.lance")
    convert.main(["lance", "links.lance", "--output", "meta.csv"])
    assert "1 left out (bad_value 1)" in capsys.readouterr().err
    assert read_table("meta.csv").rows() == [
        ("https://h/a.mp4", "a", None, "x", "0.5"),
        ("b.mp4", "b", "b.mp4", None, None),
    ]
    lance.write_dataset(pa.table({"n": [1]}), "none.lance")
    with pytest.raises(UserError, match=r"which column has videos or paths\? .*it has: n"):
        read("none.lance")
    with pytest.raises(UserError, match="there is no such data set"):
        read("nowhere.lance")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="is no Lance data set"):
        read("empty")
    lance.write_dataset(pa.table({"n": [1]}), "empty/train/shards")
    with pytest.raises(UserError, match=r"is no Lance data set; there is one in it: empty/train/shards$"):
        read("empty")
