"""--verify and --check of a folder in object storage say what they say of the same folder on this machine."""

from __future__ import annotations

import pytest

from tests.export.remote.object_store import FOLDER
from tests.export.test_export import write_table
from tests.support import make_video, run_command
from tools.export.__main__ import main

SPLIT = ("--split", "train:0.5,val:0.5", "--seed", 3)
HOW = ("--num-workers", 0, "--frames", 17, "--sizes", "256x160")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """Exports to a folder that an object store has, for three trainers; the folder is its path here, too."""
    folder = tmp_path_factory.mktemp("objects")
    rows = []
    for name in "abcdef":
        source = make_video(folder / f"{name}.mp4", 17, size=(320, 192), fps=16)
        rows.append((source, 320, 192, 17, 16, f"Clip {name}.", ""))
    table = write_table(folder / "m.csv", rows)
    for preset, words in (
        ("wan2.1@diffusion-pipe", (*HOW, *SPLIT)),
        (
            "open-sora-2@open-sora",
            ("--root", "/data/os", "--num-workers", 0, "--keep-small", "--sizes", "256x256"),
        ),
        ("webdataset", ("--num-workers", 0)),
    ):
        done = run_command(main, table, "--for", preset, *words, "-o", folder / "bucket" / preset)
        assert done.returncode == 0, done.stderr
    return folder / "bucket"


@pytest.fixture
def both(bucket, monkeypatch):
    """Runs a command on a folder here and at its address; both must say the same."""
    monkeypatch.setenv(FOLDER, str(bucket.parent))

    def run(flag: str, name: str, *words: object):
        here = run_command(main, flag, bucket / name, *words)
        there = run_command(main, flag, f"objects://bucket/{name}", *words)
        assert there.returncode != 2, there.stderr
        local = here.stdout.replace(str(bucket), "objects://bucket")
        assert (there.returncode, " ".join(there.stdout.split())) == (
            here.returncode,
            " ".join(local.split()),
        )
        return there

    return run


@pytest.mark.parametrize("name", ["wan2.1@diffusion-pipe", "open-sora-2@open-sora", "webdataset"])
def test_an_export_is_verified(both, name):
    for words in ([], ["--quick"]) if name != "webdataset" else ([],):
        done = both("--verify", name, *words)
        assert done.returncode == 0, done.stdout
        assert "6 clips" in done.stdout


def test_quickly_shards_are_not_opened(bucket, monkeypatch):
    monkeypatch.setenv(FOLDER, str(bucket.parent))
    done = run_command(main, "--verify", "objects://bucket/webdataset", "--quick")
    assert done.returncode == 0
    assert "inside of the shards was not read" in " ".join(done.stdout.split())


def test_faults_are_found(both, bucket):
    (clip, other, gone) = sorted((bucket / "wan2.1@diffusion-pipe").rglob("*.mp4"))[:3]
    contents = {path: path.read_bytes() for path in (clip, other, gone)}
    try:
        clip.write_bytes(contents[clip][:-1] + b"x")
        clip.with_suffix(".txt").write_text("")
        gone.unlink()
        added = other.with_name("added.mp4")
        added.write_bytes(contents[other])
        done = both("--verify", "wan2.1@diffusion-pipe")
        assert done.returncode == 1
        for what in (f"{clip.name}", f"{gone.name}", "added.mp4", "an empty caption"):
            assert what in done.stdout
    finally:
        added.unlink()
        for path, content in contents.items():
            path.write_bytes(content)


@pytest.mark.parametrize("name", ["wan2.1@diffusion-pipe", "open-sora-2@open-sora"])
def test_a_folder_is_checked(both, name):
    words = ["--root", "/data/os"] if "open" in name else []
    done = both("--check", name, "--for", name, "--num-workers", 0, *words)
    assert done.returncode == 0
    assert "not there" not in done.stdout


def test_what_is_not_there(monkeypatch, bucket):
    monkeypatch.setenv(FOLDER, str(bucket.parent))
    for words in (
        ["--verify", "objects://bucket/none"],
        ["--check", "objects://bucket/none", "--for", "wan2.1@mochi"],
    ):
        words = [word.replace("wan2.1@mochi", "mochi-1@mochi") for word in words]
        done = run_command(main, *words)
        assert done.returncode == 2
        assert "there is nothing at this address" in done.stderr
