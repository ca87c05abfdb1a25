"""The manifest of folders made here: digests by hashlib, counts and hours worked by hand."""

import hashlib
import json
from dataclasses import replace

import polars as pl
import pytest

from tools.errors import UserError
from tools.export.items import Item
from tools.export.manifest import (
    CLIPS,
    FILES,
    MANIFEST,
    About,
    files_in,
    read_list,
    read_manifest,
    write_manifest,
)
from tools.export.presets import preset
from tools.export.provenance import steps_of
from tools.models.published import WEIGHTS
from tools.stage.provenance import weights_in
from tools.stage.run_options import RunOptions
from tools.stage.runner import run_stage

WAN = preset("wan2.1@diffusion-pipe")


def item(number, split="train", frames=81, **changes):
    key = f"clip{number}"
    file = f"{split}/clips/{key}.mp4" if split else f"clips/{key}.mp4"
    known = Item(
        key, file, 832, 480, frames, 16.0, False, f"Caption {number}.", number, f"films/{number}.mp4", split
    )
    return replace(known, **changes)


def about(tmp_path, **changes):
    table = tmp_path / "meta.csv"
    frame = pl.DataFrame(
        {
            "path": [f"films/{i}.mp4" for i in range(9)],
            "license": ["CC-BY", "CC0", "CC-BY", None, " ", *["CC0"] * 4],
        }
    )
    frame.write_csv(table)
    return replace(About(WAN, WAN.trainer.setup(WAN.model), table, frame), **changes)


def folder_of(tmp_path, items, name="out"):
    folder = tmp_path / name
    for one in items:
        path = folder / one.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"film {one.key}".encode() * 1000)
        path.with_suffix(".txt").write_text(one.caption)
    return folder


@pytest.fixture
def exported(tmp_path):
    items = [item(0), item(1), item(2, "val"), item(3, frames=49), item(4)]
    folder = folder_of(tmp_path, items)
    write_manifest(folder, items, about(tmp_path))
    return folder


def test_counts_hours_and_licences(exported):
    whole = read_manifest(exported)
    assert whole["count"] == 5
    assert whole["hours"] == pytest.approx((4 * 81 + 49) / 16 / 3600, abs=1e-5)
    assert {name: one["clips"] for name, one in whole["splits"].items()} == {"train": 4, "val": 1}
    assert whole["splits"]["val"]["hours"] == pytest.approx(81 / 16 / 3600, abs=1e-5)
    # The setup has one bucket, of 81 frames: of clip 3 with 49 nothing is used.
    assert [(one["split"], one["clips"], one["examples"]) for one in whole["buckets"]] == [
        ("train", 3, 3),
        ("val", 1, 1),
    ]
    assert all("x81" in one["bucket"] for one in whole["buckets"])
    assert whole["buckets"][0]["hours"] == pytest.approx(3 * 81 / 16 / 3600, abs=1e-5)
    assert whole["licences"] == {"CC-BY": 2, "not said": 2, "CC0": 1}
    assert list(whole["licences"]) == ["CC-BY", "not said", "CC0"]


def test_every_file_with_its_size_and_digest(exported):
    there = {path.relative_to(exported).as_posix(): path for path in exported.rglob("*") if path.is_file()}
    listed = {entry["file"]: entry for entry in read_list(exported / FILES)}
    assert set(listed) == set(there) - {MANIFEST, FILES}
    for name, entry in listed.items():
        content = there[name].read_bytes()
        assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    files = read_manifest(exported)["files"]
    assert files["sha256"] == hashlib.sha256((exported / FILES).read_bytes()).hexdigest()
    assert (files["count"], files["bytes"]) == (len(listed), sum(entry["bytes"] for entry in listed.values()))


def test_lists_are_json_for_anybody(exported):
    clips = json.loads((exported / CLIPS).read_text())
    assert [clip["key"] for clip in clips] == [f"clip{i}" for i in range(5)]
    assert clips == list(read_list(exported / CLIPS))
    assert (clips[2]["split"], clips[2]["source_row"], clips[2]["source_path"]) == ("val", 2, "films/2.mp4")
    assert json.loads((exported / FILES).read_text()) == list(read_list(exported / FILES))


def test_where_it_comes_from(tmp_path):
    folder = folder_of(tmp_path, [item(0)])
    given = about(
        tmp_path, command=["meta.csv", "--for", "wan2.1@diffusion-pipe", "-o", str(folder), "--gpus", "2"]
    )
    write_manifest(folder, [item(0)], given)
    whole = read_manifest(folder)
    digest = hashlib.sha256((tmp_path / "meta.csv").read_bytes()).hexdigest()
    assert whole["source"] == {"table": "meta.csv", "sha256": digest, "rows": 9}
    assert whole["preset"] == "wan2.1@diffusion-pipe"
    assert whole["trainer"]["commit"] == WAN.trainer.rule.commit
    assert whole["command"] == ["meta.csv", "--for", "wan2.1@diffusion-pipe", "--gpus", "2"]
    assert whole["setup"]["frames"] == [81]
    assert str(tmp_path) not in (folder / MANIFEST).read_text()


def test_the_same_export_is_the_same_to_the_byte(tmp_path):
    items = [item(i, split) for i, split in enumerate(["train", "val", "train", "train"])]
    texts = []
    for name, given in (("one", items), ("two", items[::-1])):
        folder = folder_of(tmp_path, given, name)
        write_manifest(folder, given, about(tmp_path, command=["meta.csv", "-o", str(folder)]))
        texts.append([(folder / file).read_bytes() for file in (MANIFEST, CLIPS, FILES)])
        write_manifest(folder, given, about(tmp_path, command=["meta.csv", "-o", str(folder)]))  # once more
        assert texts[-1] == [(folder / file).read_bytes() for file in (MANIFEST, CLIPS, FILES)]
    assert texts[0] == texts[1]
    assert "time" not in read_manifest(folder)
    write_manifest(folder, items, about(tmp_path, time="2026-11-26"))
    assert read_manifest(folder)["time"] == "2026-11-26"


def test_hidden_files_and_state_are_not_of_the_data_set(exported):
    before = list(files_in(exported))
    (exported / ".vidsieve").mkdir()
    (exported / ".vidsieve" / "ledger").write_text("x")
    (exported / ".DS_Store").write_text("x")
    assert list(files_in(exported)) == before


def test_names_that_are_no_plain_text(tmp_path):
    folder = folder_of(tmp_path, [])
    folder.mkdir()
    names = ["a b.mp4", "ü\u4e2d.mp4", 'quo"te.mp4', "line\nbreak.mp4"]
    for name in names:
        (folder / name).write_text(name)
    write_manifest(folder, [], about(tmp_path))
    assert {entry["file"] for entry in read_list(folder / FILES)} == {*names, CLIPS}


def test_an_export_of_nothing(tmp_path):
    (tmp_path / "out").mkdir()
    write_manifest(tmp_path / "out", [], about(tmp_path))
    whole = read_manifest(tmp_path / "out")
    assert (whole["count"], whole["hours"], whole["splits"]) == (0, 0, {})
    assert json.loads((tmp_path / "out" / CLIPS).read_text()) == []


def test_a_key_that_is_there_twice_is_refused(tmp_path):
    folder = folder_of(tmp_path, [item(0)])
    with pytest.raises(UserError, match="clip0"):
        write_manifest(folder, [item(0), item(0, "val")], about(tmp_path))


@pytest.mark.parametrize(
    ("content", "said"), [(b"{", "no JSON"), (b"[]", "no manifest"), (b'{"format": 99}', "no manifest")]
)
def test_damaged_manifests(tmp_path, content, said):
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(UserError, match=said):
        read_manifest(tmp_path)


def test_a_file_of_somebody_else_stays(tmp_path):
    folder = folder_of(tmp_path, [item(0)])
    (folder / MANIFEST).write_text('{"name": "mine"}')
    with pytest.raises(UserError, match="no manifest of an export"):
        write_manifest(folder, [item(0)], about(tmp_path))
    assert (folder / MANIFEST).read_text() == '{"name": "mine"}'
    assert not (folder / CLIPS).exists()


def test_no_manifest(tmp_path):
    with pytest.raises(UserError, match="--check"):
        read_manifest(tmp_path)


def test_damaged_lists(exported):
    path = exported / FILES
    path.write_text(path.read_text().replace('"file"', '"fi', 1))
    with pytest.raises(UserError, match="line 2 is damaged"):
        list(read_list(path))


def test_stages_behind_the_table(tmp_path):
    """Tables of real runs: probed, then filtered under another name, as datautil does without a receipt."""
    from tools.datasets.probe_stage import ProbeStage

    (tmp_path / "meta.csv").write_text("path\nmissing.mp4\n")
    first, second = tmp_path / "meta_info.csv", tmp_path / "meta_info_info.csv"
    run = RunOptions(num_workers=0, progress=False)
    run_stage(ProbeStage(), tmp_path / "meta.csv", output=first, options=run)
    run_stage(ProbeStage(as_video=True), first, output=second, options=run)
    digest = hashlib.sha256(second.read_bytes()).hexdigest()
    steps = steps_of(second, digest)
    assert [(step["table"], step["stage"]) for step in steps] == [
        ("meta_info.csv", "info"),
        ("meta_info_info.csv", "info"),
    ]
    renamed = second.rename(tmp_path / "other.csv")
    assert steps_of(renamed, digest) == steps  # found by digest
    filtered = tmp_path / "meta_info_fmin1.csv"
    filtered.write_bytes(first.read_bytes())
    with_more = filtered.read_text() + "b.mp4\n"
    assert [s["table"] for s in steps_of(filtered, hashlib.sha256(with_more.encode()).hexdigest())] == [
        "meta_info.csv"
    ]
    assert steps_of(tmp_path / "meta.csv", "0" * 64) == []
    assert steps_of(tmp_path / "nowhere" / "x.csv", "0" * 64) == []


def test_weights_are_found_wherever_options_have_their_digest():
    known = next(iter(WEIGHTS.values()))
    found = weights_in({"weights": {"clip": known.sha256}, "heads": ["0" * 64], "note": "abc", "n": 3})
    assert found == [
        {"option": "weights.clip", "sha256": known.sha256, "title": known.title, "licence": known.licence},
        {"option": "heads", "sha256": "0" * 64},
    ]
