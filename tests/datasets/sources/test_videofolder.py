"""Expected rows are those of ``load_dataset("videofolder")``, datasets 5.2.0, where not said otherwise."""

import json

import polars as pl
import pytest

from tools.datasets import convert
from tools.datasets.convert import read_source
from tools.datasets.sources import SourceOptions
from tools.datasets.sources.videofolder import split_of
from tools.errors import UserError
from tools.table import read_table


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def read(root, **options):
    return read_source("videofolder", [str(root)], SourceOptions(**options))


def test_folders_are_classes_and_splits(tmp_path):
    touch(
        tmp_path, "train/dog/1.mp4", "train/dog/2.mp4", "train/cat/3.mp4", "test/cat/4.mp4", "test/cat/n.txt"
    )
    table = read(tmp_path).table
    assert set(table.select("relpath", "split", "text").rows()) == {
        ("train/cat/3.mp4", "train", "cat"),
        ("train/dog/1.mp4", "train", "dog"),
        ("train/dog/2.mp4", "train", "dog"),
        ("test/cat/4.mp4", "test", "cat"),
    }
    assert table["path"].to_list() == [str(tmp_path / name) for name in table["relpath"]]
    assert read(tmp_path, split="test").table["id"].to_list() == ["4"]
    with pytest.raises(UserError, match="nothing of split validation; there are test, train"):
        read(tmp_path, split="validation")


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (("dog/1.mp4", "cat/2.mp4"), ["path", "id", "relpath", "text"]),
        (("a.mp4", "sub/b.mp4"), ["path", "id", "relpath"]),  # not equally deep
        (("videos/a.mp4", "videos/b.mp4"), ["path", "id", "relpath"]),  # one folder is no class
        # Here datasets 5.2.0 takes the splits for classes, too (label "val" for all files of val).
        (("train/1.mp4", "val/2.mp4"), ["path", "id", "relpath", "split"]),
    ],
)
def test_what_is_no_class_is_no_text(tmp_path, names, columns):
    touch(tmp_path, *names)
    assert read(tmp_path).table.columns == columns


@pytest.mark.parametrize(
    ("relpath", "split"),
    [
        ("train/1.mp4", "train"),
        ("data/val/x/1.mp4", "validation"),
        ("eval_01/1.mp4", "test"),
        ("my-dev/1.mp4", "validation"),
        ("trainer/1.mp4", None),
        ("contest/1.mp4", None),
        ("train.mp4", None),
    ],
)
def test_splits_are_told_by_the_patterns_of_datasets(relpath, split):
    """In data_files.py: ``**/{keyword}/**``, ``**/{keyword}[{sep}]*/**``, ``**/*[{sep}]{keyword}/**``."""
    assert split_of(relpath) == split


def test_each_line_of_metadata_is_a_row(tmp_path):
    touch(tmp_path, "train/1.mp4", "train/x/2.mp4", "train/unlisted.mp4", "test/3.mp4")
    (tmp_path / "train" / "metadata.csv").write_text("file_name,text,score\n1.mp4,one,007\nx/2.mp4,,5\n")
    (tmp_path / "test" / "metadata.csv").write_text("file_name,text,score\n3.mp4,three,9\n")
    found = read(tmp_path)
    assert found.table.columns == ["path", "id", "relpath", "split", "text", "score"]
    assert set(found.table.drop("path", "id").rows()) == {
        ("train/1.mp4", "train", "one", "007"),  # datasets makes 7 of 007; here cells stay as they are
        ("train/x/2.mp4", "train", None, "5"),
        ("test/3.mp4", "test", "three", "9"),
    }
    assert found.notes == ["left out: 1 video that no metadata file lists"] and not found.failures


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.parquet"])
def test_metadata_in_other_formats_keeps_its_order_and_types(tmp_path, name):
    touch(tmp_path, "a.mp4", "b.mp4")
    frame = pl.DataFrame(
        {
            "file_name": ["b.mp4", "a.mp4"],
            "caption": ["B", None],
            "id": [7, 8],
            "path": ["p", "q"],
            "n": [[1], []],
        }
    )
    getattr(frame, {"metadata.jsonl": "write_ndjson", "metadata.parquet": "write_parquet"}[name])(
        tmp_path / name
    )
    table = read(tmp_path).table
    assert table.columns == ["path", "id", "relpath", "text", "metadata_path", "n"]
    assert table.drop("path").rows() == [("7", "b.mp4", "B", "p", [1]), ("8", "a.mp4", None, "q", [])]


def test_names_that_are_missing_or_lead_out_are_failures(tmp_path):
    touch(tmp_path, "d/a.mp4", "outside.mp4")
    names = ["a.mp4", "gone.mp4", "../outside.mp4", "/etc/passwd", "https://host/x.mp4", None]
    rows = "".join(json.dumps({"file_name": name, "text": "t"}) + "\n" for name in names)
    (tmp_path / "d" / "metadata.jsonl").write_text(rows)
    found = read(tmp_path / "d")
    assert found.table["relpath"].to_list() == ["a.mp4"]
    assert [f.kind for f in found.failures] == ["missing", *["bad_value"] * 4]
    (tmp_path / "d" / "a.mp4").unlink()
    with pytest.raises(UserError, match=r"nothing in it can be a row \(.*a\.mp4: missing"):
        read(tmp_path / "d")


def test_other_columns_name_files_and_captions(tmp_path):
    touch(tmp_path, "a.mp4", "b.mov")
    metadata = tmp_path / "metadata.csv"
    metadata.write_text("video_file_name,prompt,long\na.mp4,p,l\nb.mov,,m\n")
    assert read(tmp_path).table["text"].to_list() == ["p", None]
    assert read(tmp_path, text_column="long").table["text"].to_list() == ["l", "m"]
    with pytest.raises(UserError, match="no column 'lang'"):
        read(tmp_path, text_column="lang")
    metadata.write_text("name,text\na.mp4,x\n")
    with pytest.raises(UserError, match=r"no column 'file_name' with names of files \(it has: name, text\)"):
        read(tmp_path)
    assert read(tmp_path, path_column="name").table["id"].to_list() == ["a"]
    lists = pl.DataFrame(
        {"file_name": ["a.mp4"], "id": [[1]], "words": [["x"]], "path": ["p"], "metadata_path": [1]}
    )
    metadata.unlink()
    lists.write_parquet(tmp_path / "metadata.parquet")
    table = read(tmp_path, text_column="words").table
    assert table.select("id", "text").rows() == [("[1]", '["x"]')]
    assert table.columns[4:] == ["metadata_path", "metadata_metadata_path"]
    metadata.write_text("file_name\na.mp4\n")
    with pytest.raises(UserError, match=r"more than one of metadata\.csv"):
        read(tmp_path)


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "hub/a.mp4")
    (tmp_path / "hub" / "metadata.csv").write_text('file_name,text\na.mp4,"x, ""y"""\nb.mp4,z\n')
    convert.main(["videofolder", "hub", "--output", "meta.csv"])
    captured = capsys.readouterr()
    assert captured.out == "meta.csv\n"
    assert captured.err == "1 row\n1 left out (missing 1), see meta.failures.csv\n"
    assert read_table("meta.csv").rows() == [("hub/a.mp4", "a", "a.mp4", 'x, "y"')]
    with pytest.raises(UserError, match="would overwrite the input"):
        convert.main(["videofolder", "hub", "--output", "hub/metadata.csv", "--overwrite"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no file that ends in"):
        convert.main(["videofolder", "empty", "--output", "meta.csv"])
