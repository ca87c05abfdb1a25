"""Addresses where commands take paths: refused in one line, or the failure of their row."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import polars as pl
import pytest

from tests.media.fetching.http_server import serve
from tests.support import make_video
from tests.test_cli import RUNNABLE
from tools.base.addresses import is_address, local_path, refuse_address
from tools.datasets import check_integrity, convert, datautil, save_first_frame
from tools.datasets.edit import filter_table
from tools.datasets.transforms.frames import FirstFrameStage
from tools.errors import UserError
from tools.media.fetching.local_files import local_file
from tools.program import complain
from tools.scene_cut import cut, scene_detect
from tools.scene_cut.clips.stage import CutStage
from tools.scene_cut.shots.stage import SceneDetectStage
from tools.scoring.technical import inference as technical
from tools.scoring.technical.stage import TechnicalStage
from tools.stage.runner import run_stage
from tools.stage.shards import current_shard
from tools.stage.vectors import VectorFile
from tools.table import read_table, write_table

STRANGE = [  # texts that are addresses
    "http://127.0.0.1:1/a.mp4",
    "s3://bucket/a.mp4",
    "zip://x",
    "data.x+y-z://a",
    "file://elsewhere/a.mp4",
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, with a video whose name has a blank; no other folder may appear in it."""
    monkeypatch.chdir(tmp_path)
    make_video(Path("a b.mp4"), 3, size=(64, 48))
    yield tmp_path
    assert [place.name for place in tmp_path.iterdir() if place.is_dir()] in ([], [".vidsieve"])


@pytest.fixture
def server(here, tmp_path_factory, monkeypatch):
    """A server that has the video, under its name as in addresses."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve({"/a%20b.mp4": Path("a b.mp4").read_bytes()}) as served:
        served.folder = tmp_path_factory.mktemp("clips")
        yield served


def table(*paths: str, name: str = "meta.csv") -> str:
    return str(write_table(pl.DataFrame({"path": paths}), name))


def refusal(module, arguments, capsys) -> str:
    """The line with which a command refuses its arguments; it has written nothing else."""
    before = set(Path().iterdir())
    try:
        code = importlib.import_module(module).main(arguments)
    except UserError as error:
        code = complain(str(error)) or 2
    except SystemExit as done:
        code = done.code
    said = capsys.readouterr()
    assert (code, said.out, set(Path().iterdir()) - before) == (2, "", set())
    (line,) = (line for line in said.err.splitlines() if line.startswith("error: "))
    return line


def test_what_is_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in STRANGE:
        assert is_address(text) and is_address(Path(text))
    for text in ("a.mp4", "/a://b.mp4", "a:b.mp4", "http:x.mp4", "C://a.mp4", "s3/a", "://a", "3d://a", ""):
        assert not is_address(text) and not is_address(Path(text))
    Path("s3:").mkdir()
    assert not is_address(Path("s3://bucket/a.mp4"))
    with pytest.raises(UserError, match=r"^http://host/a\.csv: is an address, not a path on this machine"):
        refuse_address(Path("http://host/a.csv"))


def test_addresses_of_files_are_paths():
    assert local_path("file:///a%20b/c.mp4") == local_path("FILE://localhost/a%20b/c.mp4") == "/a b/c.mp4"
    for text in ("a%20b.mp4", "file://elsewhere/a.mp4", "file://[x", "file://", "http://host/a.mp4"):
        assert local_path(text) == text


@pytest.mark.parametrize("module", [name for name in RUNNABLE if "doctor" not in name])  # it reads no table
def test_no_command_takes_an_address_for_its_table(module, here, capsys):
    arguments = {
        "tools.datasets.convert": ["video", "s3://b/m.csv", "--output", "o.csv"],
        "tools.datasets.transform": ["vid_resize", "s3://b/m.csv", "--output-dir", "o"],
        "tools.scene_cut.cut": ["s3://b/m.csv", "--save-dir", "clips"],
        "tools.datasets.save_first_frame": ["s3://b/m.csv", "--img-dir", "o"],
        "tools.datasets.diff.__main__": ["s3://b/m.csv", "other.csv"],
        "tools.datasets.split": ["s3://b/m.csv", "--config", "c.json"],
        "tools.datasets.rate.__main__": ["s3://b/m.csv", "--ratings", "r.jsonl"],
        "tools.scoring.emscore.idf": ["s3://b/m.csv", "--output", "o.json"],
        "tools.models.weights": ["check", "s3://b/m.csv"],
        "tools.caption.caption_llava": ["s3://b/m.csv", "--model-path", "model"],
        "tools.scoring.__main__": ["s3://b/m.csv", "--scores", "technical"],
        **{f"tools.caption.{name}": ["s3://b/m.csv", "--model", "m"] for name in ("caption_api", "tag")},
    }.get(module, ["s3://b/m.csv"])
    line = refusal(module, arguments, capsys)
    assert line.startswith("error: s3://b/m.csv: is an address, not a path on this machine")


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("tools.datasets.datautil", ["meta.csv", "--output", "s3://b/o.csv"]),
        ("tools.datasets.datautil", ["meta.csv", "--difference", "s3://b/o.csv"]),
        ("tools.datasets.datautil", ["meta.csv", "--aesmin", "1", "--rejected", "s3://b/o.csv"]),
        ("tools.datasets.convert", ["video", ".", "--output", "s3://b/o.csv"]),
        ("tools.datasets.analyze", ["meta.csv", "--save-img", "s3://b/o.csv"]),
        ("tools.scene_cut.cut", ["meta.csv", "--save-dir", "s3://b/o.csv"]),
        ("tools.scene_cut.scene_detect", ["meta.csv", "--output=s3://b/o.csv"]),
        ("tools.datasets.transform", ["vid_resize", "meta.csv", "--output-dir", "s3://b/o.csv"]),
        ("tools.scoring.aesthetic.inference", ["meta.csv", "--save-embeddings", "s3://b/o.csv"]),
    ],
)
def test_no_command_writes_to_an_address(module, arguments, here, capsys):
    table("a b.mp4")
    line = refusal(module, arguments, capsys)
    assert line.startswith("error: s3://b/o.csv: is an address, not a path on this machine")


def test_on_daft_the_table_and_the_output_may_be_elsewhere():
    arguments = ["s3://b/m.csv", "--output", "s3://b/o", "--engine", "daft"]
    parsed = technical.COMMAND.parser().parse_args(arguments)
    assert (parsed.meta, parsed.output) == ("s3://b/m.csv", "s3://b/o")
    with pytest.raises(SystemExit):
        technical.COMMAND.parser().parse_args([*arguments, "--niqe-parameters", "s3://b/n.mat"])


def test_functions_refuse_addresses_too(here):
    meta = table("a b.mp4")
    for action in (
        lambda: read_table("s3://b/m.csv"),
        lambda: read_table(Path("s3://b/m.csv")),
        lambda: write_table(pl.DataFrame({"a": [1]}), "s3://b/m.csv"),
        lambda: write_table(pl.DataFrame({"a": [1]}), Path("s3://b/m.csv")),
        lambda: run_stage(TechnicalStage(), meta, output="s3://b/m.csv"),
        lambda: run_stage(TechnicalStage(), Path("s3://b/m.csv")),
        lambda: convert.convert_video("s3://b/m.csv"),
        lambda: CutStage("s3://b/m.csv"),
        lambda: FirstFrameStage("s3://b/m.csv"),
        lambda: SceneDetectStage(detector="content", stats_dir="s3://b/m.csv"),
        lambda: VectorFile("s3://b/m.csv", current_shard(), here),
    ):
        with pytest.raises(UserError, match=r"^s3://b/m\.csv: is an address"):
            action()


def test_strange_addresses_cost_their_rows(here, server):
    local = f"file://{here}/a%20b.mp4"
    strange = [f"{server.url}/nothing.mp4", "zip://x", "data.x+y-z://a", "file://elsewhere/a.mp4"]
    meta = table(*strange, "a b.mp4", local)
    alone = ["--num-workers", "0"]
    runs = (
        (lambda: datautil.main([meta, "--info", *alone]), "meta_info", "width"),
        (lambda: scene_detect.main([meta, "--detector", "content", *alone]), "meta_timestamp", "timestamp"),
        (lambda: technical.main([meta, "--measures", "contrast", *alone]), "meta_technical", "contrast"),
    )
    for run, name, column in runs:
        assert not run()
        written = read_table(f"{name}.csv")
        assert written["path"].to_list() == [*strange, "a b.mp4", local]
        assert written[column].is_null().to_list() == [True] * 4 + [False] * 2
        failures = read_table(f"{name}.failures.csv")
        assert failures["path"].to_list() == strange
        assert failures["kind"].to_list() == ["missing", *["bad_value"] * 3]


def test_commands_read_addresses_as_they_read_paths(here, server, tmp_path_factory):
    copies = tmp_path_factory.mktemp("copies")
    remote = table(f"{server.url}/a%20b.mp4?signature=a/b.c", name="remote.csv")
    Path(copies, "a%20b.mp4").write_bytes(Path("a b.mp4").read_bytes())
    local = table(str(copies / "a%20b.mp4"), name="local.csv")
    made = tmp_path_factory.mktemp("made")
    alone = ["--num-workers", "0", "--quiet"]
    runs = (
        (datautil.main, ["--info"], "info"),
        (scene_detect.main, ["--detector", "content"], "timestamp"),
        (technical.main, ["--measures", "contrast"], "technical"),
        (check_integrity.main, [], "integrity"),
        (cut.main, ["--save-dir"], "clips"),
        (save_first_frame.main, ["--output-dir"], "first-frame"),
    )
    for main, flags, suffix in runs:
        for meta in (remote, local):
            folder = [str(made / Path(meta).stem)] if flags and flags[-1].endswith("-dir") else []
            assert not main([meta, *flags, *folder, *alone])
        theirs, ours = (read_table(f"{stem}_{suffix}.csv") for stem in ("remote", "local"))
        names = [name for name in ours.columns if ours[name].dtype != pl.String or "path" not in name]
        assert (
            theirs.select(names)
            .drop("source", strict=False)
            .equals(ours.select(names).drop("source", strict=False))
        )
        if suffix == "clips":
            assert theirs["source"].to_list() == read_table(remote)["path"].to_list()
    names = [sorted(p.name for p in (made / stem).iterdir() if p.suffix) for stem in ("remote", "local")]
    assert names[0] == names[1] != []


def test_clips_of_an_address_are_kept_when_their_table_is_lost(here, server):
    meta = table(f"{server.url}/a%20b.mp4")
    command = [meta, "--save-dir", str(server.folder), "--num-workers", "0", "--quiet"]
    assert not cut.main(command)
    (clip,) = server.folder.glob("*.mp4")
    before, rows = clip.stat(), Path("meta_clips.csv").read_bytes()
    shutil.rmtree(".vidsieve")
    Path("meta_clips.csv").unlink()
    assert not cut.main(command)
    assert (clip.stat().st_mtime_ns, Path("meta_clips.csv").read_bytes()) == (before.st_mtime_ns, rows)
    server.etag, server.files["/a%20b.mp4"] = '"2"', server.files["/a%20b.mp4"] + bytes(8)
    assert not cut.main([*command, "--overwrite"])
    assert clip.stat().st_mtime_ns > before.st_mtime_ns


def test_addresses_stay_addresses_when_paths_are_rewritten(here):
    remote = ["http://host//a.mp4", "s3://bucket/d/a.mp4"]
    frame = pl.DataFrame({"path": [*remote, "/d/a.mp4", "a.mp4", None]})
    assert filter_table(frame, relpath="/d")["path"].to_list()[:3] == [*remote, "a.mp4"]
    assert filter_table(frame, abspath="/d")["path"].to_list() == [*remote, "/d/a.mp4", "/d/a.mp4", None]
    assert filter_table(frame, relpath="s3://bucket/d/")["path"].to_list()[1] == "a.mp4"
    assert filter_table(frame, abspath="s3://bucket/d")["path"].to_list()[3] == "s3://bucket/d/a.mp4"


@pytest.mark.parametrize("address", ["zip://x", "nosuch://a", "reference://a", "cached://a", "smb://h/a"])
def test_a_strange_address_is_no_reason_to_end_a_run_that_fetches(address):
    from tools.errors import MediaError

    pytest.importorskip("fsspec")
    with pytest.raises(MediaError) as caught, local_file(address):
        pass
    assert caught.value.kind == "bad_value"
