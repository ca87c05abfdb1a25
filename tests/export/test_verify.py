"""Exports read back: each kind of damage is done on purpose, alone, to a folder that was whole before."""

import io
import json
import shutil
import tarfile

import polars as pl
import pytest

from tools.errors import UserError
from tools.export.check_text import verify_text
from tools.export.items import Item
from tools.export.layouts.shards import WebDataset
from tools.export.manifest import CLIPS, FILES, MANIFEST, About, write_manifest
from tools.export.presets import TRAINERS, layout_of, preset, presets
from tools.export.verify import verify
from tools.report.text_style import Style

WAN = "wan2.1@diffusion-pipe"
FIRST = {one.trainer.name: one.name for one in reversed(presets())}


def export(tmp_path, name=WAN, splits=("",), clips=3, **options):
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
    if isinstance(layout, WebDataset):
        layout.write(folder, items, 20_000)
        for item in items:  # all is in the shards
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
    folder.mkdir()
    with tarfile.open(folder / "000000.tar", "w") as tar:
        for key, text in samples.items():
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


def test_shards(tmp_path):
    assert verify(shards(tmp_path, {"a": "A dog.", "b": "A cat."})).ok


def test_captions_and_counts_inside_of_shards(tmp_path):
    folder = shards(tmp_path, {"a": "A dog.\nA cat.", "b": "", "c": "One too many."})
    assert faults(folder) == {"captions": 2, "counts": 1}


def test_a_torn_shard(tmp_path):
    folder = shards(tmp_path, {"a": "A dog.", "b": "A cat."})
    shard = folder / "000000.tar"
    shard.write_bytes(b"\xff" * 2000)
    assert faults(folder) == {"changed": 2, "counts": 1}


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
