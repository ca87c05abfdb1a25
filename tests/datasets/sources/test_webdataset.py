"""Shards are made by Python's tarfile, in the layout that webdataset 1.0.2 reads as said in each test."""

import gzip
import io
import json
import os
import tarfile
import tracemalloc

import pytest

from tools.datasets import convert
from tools.datasets.convert import read_source
from tools.datasets.sources import SourceOptions
from tools.errors import UserError
from tools.table import read_table


def write_tar(path, *members, **how):
    """A .tar file of (name, content) and ready TarInfo objects."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **how) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            name, content = member
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def read(places, folder, **options):
    places = [str(place) for place in (places if isinstance(places, list) else [places])]
    return read_source("webdataset", places, SourceOptions(extract=str(folder), **options))


def test_samples_are_those_that_webdataset_reads(tmp_path):
    # webdataset 1.0.2 gives for the first shard, as __key__ and the suffixes of the other members:
    # a/007 (mp4 txt json), a/008 (mp4 json), b.c/009 (cam1.mp4 cam2.mp4 txt), 010 (txt).
    # It leaves out .hidden and README, and lowers the suffix MP4.
    first = write_tar(
        tmp_path / "s" / "train" / "000.tar",
        special("a", tarfile.DIRTYPE),
        ("a/007.mp4", b"seven"),
        ("a/007.txt", 'Ein Hünd, "quoted"\n'.encode()),
        (
            "a/007.json",
            json.dumps(
                {"fps": 24, "url": "https://x/7", "caption": "other", "path": "p", "key": "007"}
            ).encode(),
        ),
        ("a/008.MP4", b"eight"),
        (
            "a/008.json",
            json.dumps({"fps": 29.97, "tags": ["x", {"y": None}], "caption": "from json"}).encode(),
        ),
        ("b.c/009.cam1.mp4", b"nine one"),
        ("b.c/009.cam2.mp4", b"nine two"),
        ("b.c/009.txt", b""),
        ("010.txt", b"no video"),
        (".hidden", b"x"),
        ("README", b"x"),
    )
    write_tar(tmp_path / "s" / "val" / "000.tar", ("./a/007.mp4", b"another"), ("./a/007.cls", b"3"))
    found = read(tmp_path / "s", tmp_path / "out")
    table = found.table
    out = tmp_path / "out"
    assert table["relpath"].to_list() == [
        "train/000/a/007.mp4",
        "train/000/a/008.MP4",
        "train/000/b.c/009.cam1.mp4",
        "train/000/b.c/009.cam2.mp4",
        "val/000/a/007.mp4",
    ]
    assert table["path"].to_list() == [str(out / name) for name in table["relpath"]]
    assert [open(path, "rb").read() for path in table["path"]] == [  # noqa: SIM115, PTH123
        b"seven",
        b"eight",
        b"nine one",
        b"nine two",
        b"another",
    ]
    assert table["id"].to_list() == ["007", "008", "009.cam1", "009.cam2", "007"]
    assert table["key"].to_list() == ["a/007", "a/008", "b.c/009", "b.c/009", "a/007"]
    assert table["text"].to_list() == ['Ein Hünd, "quoted"', "from json", "", "", None]
    assert table["shard"].to_list() == [str(first)] * 4 + [str(tmp_path / "s/val/000.tar")]
    assert table["fps"].to_list() == [24.0, 29.97, None, None, None]
    assert table["tags"].to_list() == [None, '["x", {"y": null}]', None, None, None]
    assert table["json_path"].to_list() == ["p", None, None, None, None]
    assert table["caption"].to_list() == ["other", None, None, None, None]
    assert table["cls"].to_list() == [None, None, None, None, "3"]
    assert not found.failures
    notes = "\n".join(found.notes)
    assert "5 files written" in notes and "1 keys have no member" in notes
    assert "README 1" in notes and "1 keys are in more than one shard (a/007)" in notes


def test_nothing_is_written_outside_the_folder(tmp_path):
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"secret")
    shard = write_tar(
        tmp_path / "0.tar",
        ("../../evil.mp4", b"x"),
        ("/evil.mp4", b"x"),
        ("a/../../../evil.mp4", b"x"),
        ("n" * 250 + ".mp4", b"x"),
        special("link.mp4", tarfile.SYMTYPE, str(secret)),
        special("hard.mp4", tarfile.LNKTYPE, "good.mp4"),
        special("device.mp4", tarfile.CHRTYPE),
        special("pipe.mp4", tarfile.FIFOTYPE),
        special("sparse.mp4", tarfile.GNUTYPE_SPARSE),
        special("dir", tarfile.SYMTYPE, str(tmp_path)),
        ("dir/through.mp4", b"x"),
        ("empty.mp4", b""),
        ("twice.mp4", b"first"),
        ("twice.mp4", b"second"),
        ("good.mp4", b"good"),
    )
    found = read(shard, tmp_path / "out")
    assert found.table["relpath"].to_list() == ["0/dir/through.mp4", "0/twice.mp4", "0/good.mp4"]
    written = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert written == {"0.tar", "secret.mp4", "out/0/dir/through.mp4", "out/0/twice.mp4", "out/0/good.mp4"}
    assert (tmp_path / "out/0/twice.mp4").read_bytes() == b"first"
    assert [failure.kind for failure in found.failures] == ["bad_value"] * 4 + ["not_a_file"] * 5 + [
        "empty",
        "bad_value",
    ]
    assert "key twice has two members .mp4" in found.failures[-1].message
    assert {failure.path for failure in found.failures} == {str(shard)}


def test_a_link_in_the_folder_is_not_followed_out_of_it(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "0").symlink_to(tmp_path / "elsewhere")
    shard = write_tar(tmp_path / "0.tar", ("a.mp4", b"x"))
    with pytest.raises(UserError, match="leads out of"):
        read(shard, tmp_path / "out")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_an_interrupted_run_goes_on_and_other_files_are_kept(tmp_path):
    shard = write_tar(tmp_path / "0.tar", ("a.mp4", b"aaaa"), ("b.mp4", b"bbbb"), ("c.mp4", b"cccc"))
    folder = tmp_path / "out" / "0"
    folder.mkdir(parents=True)
    (folder / "a.mp4").write_bytes(b"aaaa")
    os.utime(folder / "a.mp4", ns=(5, 5))
    (folder / "b.mp4").write_bytes(b"mine")  # of the same length
    (folder / "c.mp4.0123abcd.part").write_bytes(b"cc")  # what a killed run leaves
    found = read(shard, tmp_path / "out")
    assert found.table["id"].to_list() == ["a", "c"]
    assert [(f.kind, "b.mp4: another file is there" in f.message) for f in found.failures] == [
        ("encode", True)
    ]
    assert (folder / "a.mp4").stat().st_mtime_ns == 5
    assert sorted(path.name for path in folder.iterdir()) == ["a.mp4", "b.mp4", "c.mp4"]
    assert (folder / "b.mp4").read_bytes() == b"mine"
    assert "1 file written" in found.notes[1] and "1 were there already" in found.notes[1]


def test_a_shard_that_is_cut_off_anywhere_gives_what_is_whole_and_says_so(tmp_path):
    members = [(f"{n}.mp4", bytes([n]) * (300 * n + 1)) for n in range(5)]
    whole = write_tar(tmp_path / "whole.tar", *members).read_bytes()
    with tarfile.open(tmp_path / "whole.tar") as tar:
        ends = [info.offset_data + info.size for info in tar]
        last = tar.offset  # where the two blocks of zeros begin
    assert last == (ends[-1] + 511) // 512 * 512
    for cut in [*range(700, last + 1, 500), last - 1, last]:
        shard = tmp_path / "cut.tar"
        shard.write_bytes(whole[:cut])
        complete = [str(n) for n, end in enumerate(ends) if end <= cut]
        try:
            found = read(shard, tmp_path / f"out{cut}")
        except UserError as error:
            assert not complete and "the shard is damaged" in str(error)
            continue
        assert found.table["id"].to_list() == complete, cut
        assert [failure.kind for failure in found.failures] == ["unreadable"], cut
        written = sorted(path.stem for path in (tmp_path / f"out{cut}").rglob("*") if path.is_file())
        assert written == complete
    broken = bytearray(whole)
    broken[1024:1030] = b"\xff" * 6  # the header of the second member
    (tmp_path / "broken.tar").write_bytes(broken)
    found = read([tmp_path / "broken.tar", tmp_path / "whole.tar"], tmp_path / "out")
    assert found.table["id"].to_list() == ["0", "0", "1", "2", "3", "4"]
    assert [failure.path for failure in found.failures] == [str(tmp_path / "broken.tar")]


def test_compressed_shards_and_files_that_are_none(tmp_path):
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(gzip.compress(write_tar(tmp_path / "x.tar", ("1.mp4", b"one" * 1000)).read_bytes()))
    (tmp_path / "b.tar").write_bytes(b"<html>not found</html>" * 100)
    (tmp_path / "c.tar").write_bytes(b"")
    (tmp_path / "d.tar.gz").write_bytes(packed.read_bytes()[:60])
    found = read([packed, tmp_path / "b.tar", tmp_path / "c.tar", tmp_path / "d.tar.gz"], tmp_path / "out")
    assert found.table["relpath"].to_list() == ["a/1.mp4"]
    assert [(f.kind, os.path.basename(f.path)) for f in found.failures] == [  # noqa: PTH119
        ("unreadable", "b.tar"),
        ("unreadable", "c.tar"),
        ("unreadable", "d.tar.gz"),
    ]
    stored = bytearray(
        gzip.compress((tmp_path / "x.tar").read_bytes(), 0)
    )  # level 0: as it is, and a checksum
    stored[stored.index(b"oneone") + 1] = ord("X")
    packed.write_bytes(stored)
    with pytest.raises(UserError, match=r"a\.tar\.gz: unreadable: .*CRC check failed"):
        read(packed, tmp_path / "other")
    for size in range(1, 30):  # within the header of gzip
        packed.write_bytes(stored[:size])
        with pytest.raises(UserError, match=r"a\.tar\.gz: unreadable"):
            read(packed, tmp_path / "other")


def test_captions_and_fields_that_cannot_be_read_cost_no_video(tmp_path):
    shard = write_tar(
        tmp_path / "0.tar",
        ("a.mp4", b"a"),
        ("a.txt", b"\xff\xfe\xfa"),
        ("b.mp4", b"b"),
        ("b.json", b"{broken"),
        ("c.mp4", b"c"),
        ("c.json", b"[1]"),
        ("d.mp4", b"d"),
        ("d.json", b'{"x": NaN, "y": "\\ud83d", "z": "\\u0000"}'),
    )
    found = read(shard, tmp_path / "out")
    assert found.table["id"].to_list() == list("abcd")
    assert [failure.message.split()[0] for failure in found.failures] == ["a.txt", "b.json", "c.json"]
    assert found.table["y"].to_list() == [None, None, None, "\N{REPLACEMENT CHARACTER}"]
    assert "x" not in found.table.columns  # nothing but NaN is nothing


def test_images_are_read_when_they_are_asked_for(tmp_path):
    shard = write_tar(tmp_path / "0.tar", ("a.jpg", b"x"), ("a.txt", b"a cat"))
    with pytest.raises(UserError, match=r"no member .* \.mp4 .*there are: \.jpg\); --exts"):
        read(shard, tmp_path / "out")
    assert read(shard, tmp_path / "out", exts=[".jpg"]).table["text"].to_list() == ["a cat"]


def test_a_large_member_is_not_held_in_memory(tmp_path):
    size = 48 << 20
    info = tarfile.TarInfo("big.mp4")
    info.size = size
    with tarfile.open(tmp_path / "0.tar", "w") as tar, open("/dev/zero", "rb") as zeros:  # noqa: PTH123
        tar.addfile(info, zeros)
    tracemalloc.start()
    try:
        for _ in range(2):  # written, then compared
            found = read(tmp_path / "0.tar", tmp_path / "out")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert os.path.getsize(found.table["path"][0]) == size  # noqa: PTH202
    assert peak < size // 3


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        write_tar(tmp_path / f"{number:03d}.tar", (f"{number}.mp4", b"x"), (f"{number}.txt", b"None"))
    with pytest.raises(UserError, match=r"convert webdataset: .*--extract DIR"):
        convert.main(["webdataset", "{000..002}.tar", "--output", "meta.csv"])
    with pytest.raises(UserError, match=r"^003\.tar: there is no such shard \(of \{000\.\.003\}\.tar\)"):
        convert.main(["webdataset", "{000..003}.tar", "--output", "meta.csv", "--extract", "clips"])
    convert.main(["webdataset", "{000..002}.tar", "--output", "meta.csv", "--extract", "clips"])
    captured = capsys.readouterr()
    assert captured.out == "meta.csv\n" and captured.err.startswith("3 rows\n3 shards read\n3 files written")
    table = read_table("meta.csv")
    assert table["path"].to_list() == [f"clips/{n:03d}/{n}.mp4" for n in range(3)]
    assert table["text"].to_list() == ["None"] * 3
    write_tar(tmp_path / "002.tar", ("2.mp4", b"x"), special("3.mp4", tarfile.SYMTYPE, "/etc/passwd"))
    convert.main(["webdataset", "000.tar", "002.tar", "--output", "meta.csv", "--extract", "clips"])
    assert "1 left out (not_a_file 1), see meta.failures.csv" in capsys.readouterr().err
    assert read_table("meta.failures.csv")["path"].to_list() == ["002.tar"]
    meta = read_table("meta.csv")
    meta.with_columns(aes=meta["id"]).write_csv("meta.csv")
    with pytest.raises(UserError, match=r"would lack \(aes\)"):
        convert.main(["webdataset", "000.tar", "--output", "meta.csv", "--extract", "clips"])
