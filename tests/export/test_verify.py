"""Exports read back: each kind of damage is done on purpose, alone, to a folder that was whole before."""

import io
import json
import re
import shutil
import sys
import tarfile
from importlib.util import find_spec

import polars as pl
import pytest

from tools.errors import UserError
from tools.export.check_text import verify_text
from tools.export.items import Item
from tools.export.layouts.shards import Shards
from tools.export.manifest import CLIPS, FILES, MANIFEST, About, write_manifest
from tools.export.presets import TRAINERS, layout_of, preset, presets
from tools.export.verify import verify
from tools.report.text_style import Style

WAN = "wan2.1@diffusion-pipe"
FIRST = {one.trainer.name: one.name for one in reversed(presets())}


def export(tmp_path, name=WAN, splits=("",), clips=3, kept=False, **options):
    """A folder with media of any bytes, as its layout says; `verify` does not open them."""
    wanted = preset(name)
    layout, setup = layout_of(wanted.trainer.name), wanted.trainer.setup(wanted.model)
    folder = tmp_path / "out"
    items = [
        Item(
            f"k{split}{i}",
            layout.media(f"k{split}{i}", split),
            832,
            480,
            97,
            24.0,
            False,
            f"Clip {i} of {split}, with a comma.",
            i,
            f"films/{i}.mp4",
            split,
        )
        for split in splits
        for i in range(clips)
    ]
    for item in items:
        path = folder / item.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(item.key.encode() * 5000)
    for file, text in layout.texts(items, setup):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(text.encode())
    if isinstance(layout, Shards):
        layout.write(folder, items, 12_000)
        for item in items if not kept else ():  # all is in the shards
            (folder / item.file).unlink()
    table = tmp_path / "meta.csv"
    frame = pl.DataFrame({"path": [f"films/{i}.mp4" for i in range(clips)]})
    frame.write_csv(table)
    write_manifest(folder, items, About(wanted, setup, table, frame, options=options))
    return folder


def faults(folder, **how):
    return {kind: fault.count for kind, fault in verify(folder, **how).faults.items()}


@pytest.mark.parametrize("splits", [("",), ("train", "val")])
@pytest.mark.parametrize("trainer", sorted(name for name in TRAINERS if not layout_of(name).needs))
def test_every_layout_is_whole(tmp_path, trainer, splits):
    report = verify(export(tmp_path, FIRST[trainer], splits))
    assert report.ok, report.faults
    assert (report.clips, report.notes) == (3 * len(splits), [])
    assert report.hours == pytest.approx(3 * len(splits) * 97 / 24 / 3600, abs=1e-5)


def test_missing(tmp_path):
    folder = export(tmp_path)
    (folder / "clips" / "k1.mp4").unlink()
    assert faults(folder) == {"missing": 1}
    assert verify(folder).faults["missing"].examples == ["clips/k1.mp4"]


def test_changed_in_size_and_in_content_alone(tmp_path):
    folder = export(tmp_path)
    (folder / "clips" / "k0.mp4").write_bytes(b"k0" * 4999)
    (folder / "clips" / "k1.mp4").write_bytes(b"1k" * 5000)
    assert faults(folder) == {"changed": 2}
    assert faults(folder, quick=True) == {"changed": 1}


def test_extra_clips_are_faults_and_other_files_are_not(tmp_path):
    folder = export(tmp_path, splits=("train", "val"))
    (folder / "val" / "clips" / "mine.MP4").write_bytes(b"x")
    (folder / "train" / "clips" / "cache").mkdir()
    (folder / "train" / "clips" / "cache" / "latents.npz").write_bytes(b"x")
    (folder / "notes.md").write_bytes(b"x")
    report = verify(folder)
    assert {kind: fault.examples for kind, fault in report.faults.items()} == {
        "extra clips": ["val/clips/mine.MP4"]
    }
    assert report.notes == ["2 other files are in the folder that the export has not written"]


@pytest.mark.parametrize("text", ["", " \n", "one\ntwo", "one\r\ntwo"])
def test_captions(tmp_path, text):
    folder = export(tmp_path)
    (folder / "clips" / "k2.txt").write_text(text)
    report = verify(folder)
    assert {kind: fault.count for kind, fault in report.faults.items()} == {"changed": 1, "captions": 1}
    assert report.faults["captions"].examples[0].startswith("clips/k2.mp4: ")


def test_a_caption_that_is_gone(tmp_path):
    folder = export(tmp_path)
    (folder / "clips" / "k2.txt").unlink()
    assert faults(folder) == {"missing": 1, "captions": 1}


def test_captions_in_a_table(tmp_path):
    folder = export(tmp_path, FIRST["ltx-trainer"])
    table = folder / "metadata.json"
    rows = json.loads(table.read_text())
    rows[0]["caption"] = ""
    rows[1]["caption"] = "a\nb"
    table.write_text(json.dumps(rows))
    assert faults(folder) == {"changed": 1, "captions": 2}
    table.unlink()
    assert faults(folder) == {"missing": 1, "captions": 1}  # no table at all is one fault


def test_empty_captions_that_were_asked_for(tmp_path):
    folder = export(tmp_path, allow_empty_captions=True)
    (folder / "clips" / "k2.txt").write_text("")
    assert faults(folder) == {"changed": 1}


def test_counts(tmp_path):
    folder = export(tmp_path, splits=("train", "val"))
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["count"] += 1
    manifest["splits"]["val"]["clips"] -= 1
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert faults(folder) == {"counts": 2}


def test_lists_that_were_edited(tmp_path):
    folder = export(tmp_path)
    entries = json.loads((folder / FILES).read_text())
    lines = ",\n".join(json.dumps(one) for one in entries if one["file"] != "clips/k0.mp4")
    (folder / FILES).write_text(f"[\n{lines}\n]\n")
    # The list itself, the count of files, the clip without an entry, and its file that now looks extra.
    assert faults(folder) == {"changed": 1, "counts": 1, "extra clips": 1, "missing": 1}


def test_a_moved_folder_is_whole(tmp_path):
    folder = export(tmp_path)
    moved = tmp_path / "else where"
    shutil.move(folder, moved)
    assert verify(moved).ok


def test_no_manifest_is_one_line(tmp_path):
    with pytest.raises(UserError, match="--check"):
        verify(tmp_path)


def shards(tmp_path, samples):
    """Tar files as WebDataset reads them, made by tarfile."""
    folder = tmp_path / "out"
    (folder / "shards").mkdir(parents=True)
    with tarfile.open(folder / "shards" / "000000.tar", "w") as tar:
        for key, text in samples:
            for suffix, content in (("mp4", key * 100), ("txt", text)):
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(content.encode())
                tar.addfile(member, io.BytesIO(content.encode()))
    known = preset("webdataset")
    frame = pl.DataFrame({"path": ["a.mp4", "b.mp4"]})
    frame.write_csv(tmp_path / "meta.csv")
    items = [
        Item(key, f"{key}.mp4", 64, 64, 8, 8.0, False, "x", i, f"{key}.mp4") for i, key in enumerate("ab")
    ]
    write_manifest(
        folder, items, About(known, known.trainer.setup(known.model), tmp_path / "meta.csv", frame)
    )
    return folder


def test_tar_files_of_others(tmp_path):
    assert verify(shards(tmp_path, [("a", "A dog."), ("b", "A cat.")])).ok


def test_captions_and_counts_inside_of_tar_files(tmp_path):
    folder = shards(tmp_path, [("a", "A dog.\nA cat."), ("b", ""), ("c", "One too many."), ("a", "Twice.")])
    assert faults(folder) == {"captions": 2, "extra clips": 2}
    assert verify(folder).faults["extra clips"].examples == [
        "shards/000000.tar: c is not in the list of clips",
        "shards/000000.tar: a is there twice",
    ]


def test_members_inside_of_tar_files(tmp_path):
    """A key of two captions, with which WebDataset ends, and one without a video."""
    folder = shards(tmp_path, [("a", "A dog.")])
    with tarfile.open(folder / "shards" / "000000.tar", "a") as tar:
        for name in ("a.txt", "b.txt"):
            member = tarfile.TarInfo(name)
            member.size = 6
            tar.addfile(member, io.BytesIO(b"A cat."))
    assert faults(folder) == {"changed": 1, "extra clips": 1, "missing": 1}


def test_a_further_tar_file_would_be_read(tmp_path):
    folder = shards(tmp_path, [("a", "A dog."), ("b", "A cat.")])
    shutil.copy(folder / "shards" / "000000.tar", folder / "shards" / "000001.tar")
    shutil.copy(folder / "shards" / "000000.tar", folder / "other.tar")
    report = verify(folder)
    assert report.faults["extra clips"].examples == [
        "shards/000001.tar",
        "shards/000001.tar: a is there twice",
        "shards/000001.tar: b is there twice",
    ]
    assert report.notes == ["1 other file is in the folder that the export has not written"]


with_lance = pytest.mark.skipif(find_spec("lance") is None, reason="pylance (extra: lance) is not installed")
SHARDED = ["webdataset", "mds", "litdata", pytest.param("lance", marks=with_lance)]


@pytest.mark.parametrize("trainer", SHARDED)
def test_what_is_inside_of_shards(tmp_path, trainer, monkeypatch):
    """Shards of another list of clips, in one split of two: a key, and a caption, are not as they were."""
    monkeypatch.setattr("tools.export.verify.EXAMPLES", 50)
    folder = export(tmp_path, trainer, ("train", "val"))
    assert verify(folder).ok
    layout = layout_of(trainer)
    items = [
        Item(key, f"val/clips/{key}.mp4", 832, 480, 97, 24.0, False, caption, 0, "a.mp4", "val")
        for key, caption in (("kval0", ""), ("kval1", "A dog."), ("new", "A cat."))
    ]
    for item in items:
        (folder / item.file).write_bytes(b"x" * 5000)
    (folder / "val" / "clips" / "new.mp4").write_bytes(b"")
    layout.write(folder, items, 12_000)
    found = {
        (kind, text.rpartition(": ")[0].partition("/shards")[0], re.split(r"shards[^:]*: ", text)[-1])
        for kind, fault in verify(folder).faults.items()
        for text in fault.examples
        if ": " in text  # others are files of which the manifest knows another digest
    }
    assert found == {
        ("extra clips", "val", "new is not in the list of clips"),
        ("missing", "val", "new: an empty video"),
        ("missing", "val", "no sample of clip kval2"),
        ("captions", "val", "kval0: an empty caption"),
    }


@pytest.mark.parametrize("trainer", SHARDED)
def test_a_torn_shard(tmp_path, trainer):
    folder = export(tmp_path, trainer)
    pattern = {"webdataset": "*.tar", "mds": "*.mds", "litdata": "*.bin", "lance": "data/*.lance"}[trainer]
    shard = max((folder / "shards").glob(pattern), key=lambda path: path.stat().st_size)
    shard.write_bytes(shard.read_bytes()[:-9000])
    found = verify(folder).faults
    assert found["changed"].count == 2 and set(found) <= {"changed"}
    assert "cannot be read" in found["changed"].examples[1]


@with_lance
def test_shards_that_nothing_can_read_here(tmp_path, monkeypatch):
    """Lance is not installed: the digests tell what is there, and a line says that no more was looked at."""
    folder = export(tmp_path, "lance")
    monkeypatch.setitem(sys.modules, "lance", None)
    report = verify(folder)
    assert report.ok
    assert report.notes == [
        "what is inside of the shards was not read: package lance is not installed: "
        "pip install 'vidsieve[lance]'"
    ]


def test_clips_may_be_removed_when_they_are_packed(tmp_path):
    folder = export(tmp_path, "webdataset", kept=True)
    assert verify(folder).notes == []
    shutil.rmtree(folder / "clips")
    report = verify(folder)
    assert report.ok
    assert report.notes == ["3 clips are in the shards alone, no longer beside them"]


def test_text_fits_the_terminal(tmp_path):
    folder = export(tmp_path, clips=12)
    assert "as the manifest says" in " ".join(verify_text(verify(folder), Style()).split())
    for path in folder.glob("clips/*.mp4"):
        path.unlink()
    text = verify_text(verify(folder), Style())
    assert "not as the manifest says" in " ".join(text.split())
    assert "missing: 12" in text and "and 7 more" in text
    # The folder is one word, which is not broken.
    assert all(len(line) <= 80 for line in text.splitlines() if str(folder) not in line)


def test_the_list_of_clips_is_gone(tmp_path):
    folder = export(tmp_path)
    (folder / CLIPS).unlink()
    assert faults(folder)["missing"] == 1
    assert faults(folder)["counts"] >= 1
