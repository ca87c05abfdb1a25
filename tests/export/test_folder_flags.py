"""The command on folders: real exports, read back, damaged, and checked for other trainers."""

import json

import polars as pl
import pytest

from tests.support import make_video
from tools.errors import UserError
from tools.export.__main__ import main
from tools.export.splits import split_rows

SMALL = ["--frames", "17", "--sizes", "160x96", "--num-workers", "0", "--quiet"]


@pytest.fixture(scope="module")
def meta(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    rows = []
    for number in range(4):
        path = make_video(folder / f"f{number // 2}_scene-{number}.mp4", 30, size=(160, 96), fps=16)
        rows.append({"path": str(path), "width": 160, "height": 96, "num_frames": 30, "fps": 16.0})
    frame = pl.DataFrame(rows).with_columns(text=pl.Series([f"Caption {i}." for i in range(4)]))
    frame.write_csv(folder / "meta.csv")
    return folder / "meta.csv"


def export(meta, folder, *flags, name="wan2.1@diffusion-pipe", how=SMALL):
    return main([str(meta), "--for", name, "-o", str(folder), *how, *flags])


def test_an_export_verifies_until_it_is_damaged(meta, tmp_path, capsys):
    out = tmp_path / "out"
    assert export(meta, out) == 0
    assert main(["--verify", str(out)]) == 0
    assert "4 clips" in capsys.readouterr().out
    clip = next(out.glob("clips/*.mp4"))
    content = clip.read_bytes()
    clip.write_bytes(content[::-1])
    assert main(["--verify", str(out), "--quick"]) == 0
    assert main(["--verify", str(out)]) == 1
    assert f"clips/{clip.name}" in capsys.readouterr().out


def test_the_same_export_has_the_same_manifest(meta, tmp_path):
    found, folder = [], tmp_path / "run"
    for name in ("one", "two"):  # one after the other in one place, as configurations have its path
        folder.mkdir()
        assert export(meta, folder / "out") == 0
        found.append({path.name: path.read_bytes() for path in (folder / "out").glob("dataset*.json")})
        folder.rename(tmp_path / name)
    one, two = found
    assert len(one) == 3
    assert one == two


def test_splits_of_the_command_are_those_of_the_rows(meta, tmp_path, capsys):
    out, shares = tmp_path / "out", "train:0.5,val:0.5"
    seed = next(
        seed for seed in range(50) if len(set(split_rows(pl.read_csv(meta), shares, seed).tolist())) == 2
    )
    assert export(meta, out, "--split", shares, "--seed", str(seed)) == 0
    clips = json.loads((out / "dataset_clips.json").read_text())
    names = split_rows(pl.read_csv(meta), shares, seed)
    assert {clip["source_row"]: clip["split"] for clip in clips} == dict(enumerate(names.tolist()))
    assert all(clip["file"].startswith(f"{clip['split']}/") for clip in clips)
    assert main(["--verify", str(out)]) == 0
    capsys.readouterr()
    assert main(["--check", str(out), "--for", "wan2.1@musubi", *SMALL]) == 0
    printed = capsys.readouterr().out
    assert printed.count("2 of 2 clips are used") == 2


def test_check_of_a_folder_that_is_of_no_use(meta, capsys):
    assert main(["--check", str(meta.parent), "--for", "wan2.1@musubi", *SMALL]) == 1
    assert "no caption: 4 clips" in capsys.readouterr().out


def test_shards(meta, tmp_path):
    how = ["--num-workers", "0", "--quiet", "--shards", "10KB"]
    assert export(meta, tmp_path / "out", name="webdataset", how=how) == 0
    assert len(list((tmp_path / "out" / "shards").glob("*.tar"))) > 1
    assert main(["--verify", str(tmp_path / "out")]) == 0


def test_somebody_elses_manifest_is_left_alone(meta, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "dataset.json").write_text("{}")
    with pytest.raises(UserError, match="no manifest of an export"):
        export(meta, out)
    assert [path.name for path in out.iterdir()] == ["dataset.json"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--quick"], "--quick goes with --verify"),
        (["--check", "nowhere"], "--for is missing"),
        (["--check", "nowhere", "--for", "wan2.1@musubi"], "no such folder"),
        (["--verify", "nowhere"], "cannot read"),
        (
            ["m.csv", "--for", "wan2.1@musubi", "-o", "x", "--shards", "1GB"],
            "--shards: musubi reads no shards",
        ),
    ],
)
def test_what_is_refused(tmp_path, monkeypatch, flags, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said):
        main(flags)


def test_sizes_of_shards_that_are_none(capsys):
    with pytest.raises(SystemExit):
        main(["m.csv", "--for", "webdataset", "-o", "x", "--shards", "big"])
    assert "1GB or 512MiB" in capsys.readouterr().err
