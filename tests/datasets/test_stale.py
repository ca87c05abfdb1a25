"""Where columns come from through chains of commands, and which of them are stale, by construction."""

import hashlib
import json
import re
import shlex
from pathlib import Path

import polars as pl
import pytest

from tests.stage.stages import CrcStage
from tests.support import run_command
from tools.datasets import convert, datautil, split
from tools.datasets.diff.__main__ import main as diff
from tools.errors import UserError
from tools.scoring.technical import inference as technical
from tools.stage.runner import RunOptions, run_stage
from tools.table import read_table, write_table
from tools.table.sidecar import read_sidecar, table_digest

QUICK = ("--quiet", "--num-workers", "0")
IN_PROCESS = RunOptions(num_workers=0, progress=False)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with four pictures, of which one is damaged."""
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for number in range(3):
        Image.new("RGB", (64 + 16 * number, 64), (number * 60, 90, 120)).save(f"in/{number}.png")
    Path("in/x.png").write_bytes(b"no picture")
    convert.main(["image", "in", "--output", "meta.csv"])
    return tmp_path


def edited(table, change):
    """Change what the sidecar of a table says."""
    path = Path(f"{table}.provenance.json")
    document = json.loads(path.read_text())
    for step in document["steps"].values():
        change(step)
    path.write_text(json.dumps(document))


def test_columns_keep_their_makers_through_a_chain(here):
    datautil.main(["meta.csv", "--info", "--fmin", "1", *QUICK, "--output", "info.csv"])
    assert technical.main(["info.csv", "--measures", "sharpness", *QUICK, "--output", "sharp.csv"]) == 0
    datautil.main(
        ["sharp.csv", "--where", "sharpness >= 0", "--rejected", "out.csv", "--output", "kept.parquet"]
    )
    datautil.main(["kept.parquet", "--shard", "2", "--output", "shards.csv"])
    datautil.main(["shards_0.csv", "shards_1.csv", "--output", "all.csv"])
    for table in ("kept.parquet", "shards_1.csv", "all.csv", "out.csv"):
        known = read_sidecar(table)
        (info,), (sharp,) = known.columns["num_frames"], known.columns["sharpness"]
        assert [one["name"] for one in known.steps[info]["stages"]] == ["info"]
        assert [one["name"] for one in known.steps[sharp]["stages"]] == ["technical"]
        assert known.steps[sharp]["inputs"][0]["step"] == info
        assert list(known.columns) == read_table(table).columns
    first, second = (read_sidecar(f"shards_{number}.csv") for number in range(2))
    assert first == second and first.last in read_sidecar("all.csv").steps  # one run has written both


def test_joins_take_the_makers_of_the_columns_that_they_take(here):
    paths = read_table("meta.csv")["path"]
    for name, columns in {"a": ["aes", "text"], "b": ["aes", "flow", "text"]}.items():
        frame = pl.DataFrame({"path": paths, **{column: [name] * len(paths) for column in columns}})
        write_table(frame, f"raw_{name}.csv")
        datautil.main([f"raw_{name}.csv", "--filesize", "--output", f"{name}.csv"])
        known = Path(f"{name}.csv.provenance.json")
        document = json.loads(known.read_text())  # as if this run had made all of its columns
        document["columns"] = {name: [document["step"]] for name in document["columns"]}
        known.write_text(json.dumps(document))
    own, other = read_sidecar("a.csv").last, read_sidecar("b.csv").last
    expected = {
        "--intersection": {"aes": [own], "flow": [other], "text": [own]},
        "--union": {"aes": [own, other], "flow": [other], "text": [own, other]},
        "--difference": {"aes": [own], "text": [own]},
        "--update-text": {"aes": [own], "text": [own, other]},
    }
    for flag, columns in expected.items():
        datautil.main(["a.csv", flag, "b.csv", "--output", "joined.csv", "--overwrite"])
        found = read_sidecar("joined.csv").columns
        assert {name: found[name] for name in ("aes", "flow", "text") if name in found} == columns, flag


def test_a_caption_has_the_step_that_cleaned_it_too(here):
    frame = read_table("meta.csv").with_columns(text=pl.lit("A dog, a dog"))
    write_table(frame, "raw.csv")
    datautil.main(["raw.csv", "--append-text", "!", "--output", "a.csv"])
    datautil.main(["a.csv", "--append-text", "?", "--output", "b.csv"])
    a, b = read_sidecar("a.csv").last, read_sidecar("b.csv").last
    assert read_sidecar("b.csv").columns == {name: [a, b] if name == "text" else [] for name in frame.columns}


def test_stages_keep_versions_options_and_what_they_read(here):
    result = run_stage(CrcStage(), "meta.csv", options=IN_PROCESS)
    known = read_sidecar(result.output)
    (record,) = known.steps[known.last]["stages"]
    stage = CrcStage()
    assert (record["name"], record["version"]) == (stage.name, stage.version)
    assert record["columns"] == list(stage.output_columns)
    before = Path(f"{result.output}.provenance.json").read_bytes()
    assert run_stage(CrcStage(), "meta.csv", options=IN_PROCESS).already_complete
    assert Path(f"{result.output}.provenance.json").read_bytes() == before
    Path(f"{result.output}.provenance.json").unlink()  # as if it was killed before it wrote it
    assert run_stage(CrcStage(), "meta.csv", options=IN_PROCESS).already_complete
    assert read_sidecar(result.output) == known or read_sidecar(result.output).columns == known.columns


def test_parts_of_ranks_merge_to_one_step(here, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        run_stage(CrcStage(), "meta.csv", options=IN_PROCESS)
    monkeypatch.delenv("RANK"), monkeypatch.delenv("WORLD_SIZE")
    parts = sorted(Path().glob("meta_*_part*.csv"))
    steps = {read_sidecar(part).last for part in parts}
    assert len(parts) == 3 and len(steps) == 1
    datautil.main([*map(str, parts), "--output", "merged.csv"])
    assert [read_sidecar("merged.csv").columns[name] for name in CrcStage().output_columns] == [
        [*steps],
        [*steps],
    ]
    run_stage(
        CrcStage(), "meta.csv", options=IN_PROCESS
    )  # without ranks: the parts go, and what is beside them
    assert not list(Path().glob("*_part*"))


def test_stale_columns_are_listed_with_the_commands_that_mend_them(here, capsys):
    assert technical.main(["meta.csv", "--measures", "sharpness", *QUICK, "--output", "s.csv"]) == 0
    datautil.main(["s.csv", "--info", *QUICK, "--output", "si.csv"])
    capsys.readouterr()
    assert datautil.main(["si.csv", "--stale"]) == 0
    assert capsys.readouterr().out.startswith("si.csv: 0 of ")

    def older(step):
        for record in step["stages"]:
            if record["name"] == "technical":
                record["version"] = 1
                step["command"] = ["python", "-m", "tools.x", "my meta.csv"]

    edited("si.csv", older)
    assert datautil.main(["si.csv", "--stale"]) == 1
    said = capsys.readouterr().out
    now = technical.COMMAND.stage_class.version
    assert f"\n  sharpness: technical version 1, now {now}\n" in said
    commands = said.partition("to make them again:\n")[2].splitlines()
    assert shlex.split(commands[0]) == ["python", "-m", "tools.x", "my meta.csv", "--overwrite"]
    assert len(commands) == 2  # what came after it is made again, too


def test_other_weights_are_stale(here, capsys, monkeypatch, data_dir):
    model = (data_dir / "iqa" / "niqe_image_params.mat").read_bytes()
    files = [Path("first.mat"), Path("second.mat")]
    files[0].write_bytes(model)
    files[1].write_bytes(b"X" + model[1:])  # in the file's description
    monkeypatch.setenv("VIDSIEVE_NIQE", str(files[0]))
    arguments = ["meta.csv", "--measures", "sharpness,niqe", *QUICK, "--output", "n.csv"]
    assert technical.main(arguments) == 0
    assert datautil.main(["n.csv", "--stale"]) == 0
    monkeypatch.setenv("VIDSIEVE_NIQE", str(files[1]))
    capsys.readouterr()
    assert datautil.main(["n.csv", "--stale"]) == 1
    said = capsys.readouterr().out
    digests = [hash_of(file)[:12] for file in files]
    assert re.search(
        rf"sharpness, .*niqe: technical with other weights: niqe .*{digests[0]}, now .*{digests[1]}", said
    )
    files[1].unlink()
    assert datautil.main(["n.csv", "--stale"]) == 1
    assert "cannot be judged: " in capsys.readouterr().out


def test_a_measured_column_of_another_version_of_the_toolkit_is_stale(here, capsys):
    datautil.main(["meta.csv", "--filesize", "--output", "f.csv"])
    edited("f.csv", lambda step: step.update(vidsieve="0.0.9"))
    capsys.readouterr()
    assert datautil.main(["f.csv", "--stale"]) == 1
    said = capsys.readouterr().out
    assert "  filesize: vidsieve 0.0.9, now " in said and "path" not in said.partition("to make")[0]


def test_a_class_that_a_sidecar_names_is_one_of_the_toolkit(here, capsys):
    assert technical.main(["meta.csv", "--measures", "sharpness", *QUICK, "--output", "s.csv"]) == 0

    def evil(step):
        for record in step["stages"]:
            record |= {"class": "os:system", "arguments": [["touch evil"], {}]}

    edited("s.csv", evil)
    assert datautil.main(["s.csv", "--stale"]) == 1
    assert "cannot be judged" in capsys.readouterr().out and not Path("evil").exists()


@pytest.mark.parametrize("flags", [["--fmin", "1"], ["--info"]])
def test_stale_takes_no_operation(here, flags, capsys):
    assert run_command(datautil.main, "meta.csv", "--stale", *flags).returncode == 2


def test_a_table_without_a_sidecar_is_an_error(here):
    write_table(pl.DataFrame({"path": ["a"]}), "mine.csv")
    with pytest.raises(UserError, match=r"mine.csv: nothing is known of where it comes from"):
        datautil.main(["mine.csv", "--stale"])


def test_a_difference_says_why(here, capsys):
    for number in (1, 2):
        arguments = ["meta.csv", "--measures", "sharpness,logo", "--num-frames", str(number)]
        technical.main([*arguments, *QUICK, "--output", f"t{number}.csv"])
    table = read_table("t2.csv").with_columns(sharpness=pl.lit("1"))
    sidecar = Path("t2.csv.provenance.json").read_text()
    write_table(table, "t2.csv")
    document = json.loads(sidecar)
    document["table"] |= table_digest(Path("t2.csv"))
    Path("t2.csv.provenance.json").write_text(json.dumps(document))
    datautil.main(["t2.csv", "--head", "2", "--output", "few.csv"])
    capsys.readouterr()
    assert diff(["t1.csv", "few.csv"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "why sharpness: made with other options: num_frames 1, then 2" in said
    assert "why + made by " in said


def test_buckets_and_lists_of_others(here):
    frame = read_table("meta.csv").with_columns(num_frames=pl.lit(51), height=pl.lit(480), width=pl.lit(854))
    write_table(frame, "sized.csv")
    datautil.main(["sized.csv", "--filesize", "--output", "m.csv"])
    Path("b.json").write_text(json.dumps({"bucket_config": {"480p": {"51": [1.0, 4]}}}))
    split.main(["m.csv", "-c", "b.json", "--per-bucket"])
    (table,) = (path for path in Path().glob("m_split_*.csv"))
    known = read_sidecar(table)
    assert known.columns["bucket"] == [known.last]
    assert known.columns["filesize"] == [known.steps[known.last]["inputs"][0]["step"]]


def hash_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
