"""Names and meanings are those documented for Open-Sora's datautil."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from tests.media.damage import set_times
from tests.support import make_video
from tools import cli
from tools.columns import COLUMNS
from tools.datasets import datautil
from tools.datasets.datautil import REFUSED, Settings, filter_table, run_datautil
from tools.datasets.operations import (
    EXECUTION_ORDER,
    OPERATIONS,
    SUFFIX_ORDER,
    Operation,
    Phase,
    execution_order,
    suffix_order,
)
from tools.errors import UserError
from tools.table import read_table, write_table
from tools.table.sidecar import is_sidecar

ROOT = Path(__file__).resolve().parents[2]
HARD = ["a,b", 'say "hi"', "two\nlines", "\U0001f600", "None", "007", "", "x" * 100_000]


@pytest.fixture
def meta(tmp_path) -> Path:
    """Eight rows with numbers at, below and above thresholds, and captions that are hard to keep."""
    table = pl.DataFrame(
        {
            "path": [f"v{i}.mp4" for i in range(8)],
            "id": ["007"] * 8,
            "text": HARD,
            "num_frames": ["1", "48", "49", "", "0", "300", "nan", "x"],
            "height": ["100"] * 8,
            "width": ["100", "101", "99", "100", "100", "100", "100", ""],
            "fps": ["24", "30.0", "", "60", "29.97", "NaN", "30", "31"],
            "aes": ["5", "4.99", "5.5", "", "nan", "6", "10", "-1"],
            "flow": ["1"] * 8,
            "match": ["20"] * 8,
        }
    )
    return write_table(table, tmp_path / "meta.csv")


def rows(path) -> list[int]:
    return [int(p[1:-4]) for p in read_table(path)["path"]]


@pytest.mark.parametrize(
    ("flags", "name", "kept"),
    [
        (["--aesmin", "5"], "meta_aesmin5.csv", [0, 2, 5, 6]),
        (["--aesmin", "5.0"], "meta_aesmin5.0.csv", [0, 2, 5, 6]),
        (["--aesmin=5.5"], "meta_aesmin5.5.csv", [2, 5, 6]),
        (["--fmin", "48"], "meta_fmin48.csv", [1, 2, 5]),
        (["--fmin", "1", "--fmax", "48"], "meta_fmin1_fmax48.csv", [0, 1]),
        (["--fpsmax", "30"], "meta_fpsmax30.csv", [0, 1, 2, 4, 5, 6]),
        (["--hwmax", "10000"], "meta_hwmax10000.csv", [0, 2, 3, 4, 5, 6]),
        (["--flowmin", "1", "--matchmin", "20"], "meta_matchmin20_flowmin1.csv", list(range(8))),
        (["--aesmax", "5"], "meta_aesmax5.csv", [0, 1, 7]),
        (["--fpsmin", "30"], "meta_fpsmin30.csv", [1, 2, 3, 5, 6, 7]),
        (["--hwmin", "10000"], "meta_hwmin10000.csv", [0, 1, 3, 4, 5, 6]),
        (["--sort", "aes"], "meta_sort.csv", [6, 5, 2, 0, 1, 7, 3, 4]),
        (["--sort-ascending", "aes"], "meta_sort.csv", [7, 1, 0, 2, 5, 6, 3, 4]),
        (["--head", "3"], "meta_first_3_data.csv", [0, 1, 2]),
        (["--head", "2", "--sort", "aes", "--aesmin", "5"], "meta_sort_aesmin5_first_2_data.csv", [6, 5]),
    ],
)
def test_names_and_rows(meta, capsys, flags, name, kept):
    assert datautil.main([str(meta), *flags]) == 0
    output = meta.with_name(name)
    captured = capsys.readouterr()
    assert captured.out == f"{output}\n"
    assert captured.err.splitlines()[-1] == f"{len(kept)} of 8 rows kept"
    assert rows(output) == kept
    before = {row[0]: row for row in read_table(meta).rows()}
    assert read_table(output).rows() == [before[f"v{i}.mp4"] for i in kept]


def test_shuffle_is_a_permutation_that_a_seed_repeats(meta):
    first, again, other = (
        run_datautil(
            [meta], {"shuffle": True}, settings=Settings(seed), output=meta.with_name(f"{i}.csv")
        ).outputs[0]
        for i, seed in enumerate((7, 7, 8))
    )
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    assert sorted(rows(first)) == list(range(8))
    assert (
        run_datautil([meta], {"shuffle": True}, settings=Settings(7)).outputs[0].name
        == "meta_shuffled_seed7.csv"
    )


def test_shards_are_contiguous_and_merge_to_the_original(meta):
    result = run_datautil([meta], shard=3, output=meta.with_name("s.csv"))
    assert [p.name for p in result.outputs] == ["s_0.csv", "s_1.csv", "s_2.csv"]
    assert [rows(p) for p in result.outputs] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    (merged,) = run_datautil([meta.with_name("s_*.csv")], output=meta.with_name("merged.csv")).outputs
    assert merged.read_bytes() == write_table(read_table(meta), meta.with_name("plain.csv")).read_bytes()


@pytest.mark.parametrize(
    ("flags", "same"),
    [
        # Open-Sora 1.3's names and those of 1.2 that they replaced, as its history tells.
        ("--path_subtract {other}", "--difference {other}"),
        ("--path_intersect {other}", "--intersection {other}"),
        ("--path_filter_empty", "--remove-empty-path"),
        ("--path_dedup", "--remove-path-duplication"),
        ("--path_keep_substr v[12]", "--path-subset v[12]"),
        ("--text_filter_empty", "--remove-empty-caption"),
        ("--text_filter_url", "--remove-url"),
        ("--text_dedup", "--remove-text-duplication"),
        ("--text_remove_prefix", "--refine-llm-caption"),
        ("--text_refine_t5", "--clean-caption"),
        ("--text_append=!", "--append-text=!"),
        ("--train_column --disable_parallel", "--train-column --disable-parallel"),
        ("--chunk 2", "--shard 2"),
    ],
)
def test_the_names_of_open_sora_1_3(meta, tmp_path, flags, same):
    other = write_table(read_table(meta)[::2].with_columns(new=pl.lit("n")), tmp_path / "other.csv")
    found = []
    for number, options in enumerate((flags, same)):
        folder = tmp_path / str(number)
        folder.mkdir()
        words = options.format(other=other).split()
        assert datautil.main([str(meta), *words, "--output", str(folder / "out.csv"), "--quiet"]) == 0
        found.append({p.name: p.read_bytes() for p in folder.iterdir() if not is_sidecar(p)})
    assert found[0] == found[1] and found[0]


@pytest.mark.parametrize("flag", REFUSED)
def test_names_that_are_refused_are_told_what_to_use(meta, tmp_path, capsys, flag):
    for typed in (flag, flag.replace("-", "_").replace("__", "--", 1), f"{flag}=5"):
        with pytest.raises(SystemExit, match="2"):
            datautil.main([str(meta), typed])
        told = capsys.readouterr().err
        assert told.startswith(f"error: there is no {flag} here: use ") and told.count("\n") == 1
    # What is told to use works: the flags exist, and the conditions can be carried out.
    numbers = ("pred_score", "face_area_ratio", "text_len")
    table = write_table(
        read_table(meta).with_columns(pl.lit("5").alias(n) for n in numbers), tmp_path / "m.csv"
    )
    parser = cli.parser_of(datautil.main)
    known = {option for action in parser._actions for option in action.option_strings} | {"--existing-text"}
    assert set(re.findall(r"--[a-z0-9-]+", REFUSED[flag])) <= known
    for condition in re.findall(r'--where "([^"]+)"', REFUSED[flag]):
        assert datautil.main([str(table), "--where", condition.replace("X", "2"), "--quiet"]) == 0


def test_shard_alone(meta, capsys):
    assert datautil.main([str(meta), "--shard", "3"]) == 0
    parts = [meta.with_name(f"meta_{number}.csv") for number in range(3)]
    assert [rows(part) for part in parts] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert capsys.readouterr().out.splitlines() == [str(part) for part in parts]
    assert datautil.main([str(meta), "--shard", "2"]) == 0
    assert f"{parts[2]}: of an earlier run with more shards (1 such tables)" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"meta_1\.csv: the output would overwrite the input"):
        run_datautil([meta.with_name("meta_1.csv")], shard=2, output=meta)


@pytest.mark.parametrize(
    "flag", [[], ["--fmin", "1"], ["--select", "path"], ["--drop-columns", "aes"], ["--train-column"]]
)
def test_a_table_that_knows_more_is_replaced_only_with_overwrite(meta, tmp_path, flag):
    """What the new table has is told by the new table itself, once it may be written."""
    out, options = tmp_path / "out.csv", [str(meta), "--output", str(tmp_path / "out.csv"), *flag]
    assert datautil.main(options) == 0
    assert datautil.main(options) == 0  # written again
    written, names = out.read_bytes(), read_table(out).columns
    scored = write_table(read_table(out).with_columns(motion=pl.lit("1")), out).read_bytes()
    for extra in ([], ["--dry-run"]):
        with pytest.raises(UserError, match=r"would lack \(motion\); --overwrite replaces it"):
            datautil.main([*options, *extra])
    assert out.read_bytes() == scored
    assert datautil.main([*options, "--overwrite"]) == 0
    assert out.read_bytes() == written
    fewer = write_table(read_table(out).select(names[:1]), out)
    assert datautil.main(options) == 0 and fewer.read_bytes() == written


def test_columns_that_operations_add_are_not_lacking(meta, tmp_path):
    out = tmp_path / "out.csv"
    flags = [str(meta), "--filesize", "--path-to-id", "--output", str(out)]
    assert datautil.main(flags) == datautil.main(flags) == 0
    with pytest.raises(UserError, match=r"out\.csv: .*would lack \(filesize\)"):
        datautil.main([str(meta), "--fmin", "1", "--output", str(tmp_path / "x.csv"), "--rejected", str(out)])
    assert not (tmp_path / "x.csv").exists()
    with pytest.raises(UserError, match=r"out_0\.csv: .*would lack \(more\)"):
        write_table(pl.DataFrame({"more": ["1"]}), tmp_path / "out_0.csv")
        datautil.main([*flags, "--shard", "2"])


def test_filtering_twice_is_filtering_once(meta):
    once = run_datautil([meta], {"aesmin": 5}).outputs[0]
    twice = run_datautil([once], {"aesmin": 5}).outputs[0]
    assert once.read_bytes() == twice.read_bytes()


def test_several_inputs_are_joined_under_a_joined_name(meta, tmp_path):
    other = write_table(pl.DataFrame({"path": ["v9.mp4"], "extra": ["e"]}), tmp_path / "other.csv")
    (output,) = run_datautil([meta, other]).outputs
    assert output.name == "meta+other.csv"
    table = read_table(output)
    assert table.height == 9
    assert (table["extra"][8], table["text"][8], table["extra"][0]) == ("e", None, None)


def test_formats(meta):
    (parquet,) = run_datautil([meta], {"aesmin": 5}, format="parquet").outputs
    assert parquet.name == "meta_aesmin5.parquet"
    (lines,) = run_datautil([parquet], output=meta.with_name("x.jsonl")).outputs
    assert [json.loads(line)["id"] for line in lines.read_text().splitlines()] == ["007"] * 4


@pytest.mark.parametrize("count", [2, 3])
def test_parts_without_output_get_the_name_of_the_whole(tmp_path, count):
    for rank in range(count):
        text = "path,aes,_row,_part\n" + "".join(
            f"v{i}.mp4,5,{i},{rank}/{count}\n" for i in range(rank, 5, count)
        )
        (tmp_path / f"m_aes_part{rank}.csv").write_text(text)
    (output,) = run_datautil([tmp_path / "m_aes_part*.csv"]).outputs
    assert output.name == "m_aes.csv"
    assert rows(output) == [0, 1, 2, 3, 4]
    assert read_table(output).columns == ["path", "aes"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["nothing*.csv"], r"nothing\*\.csv: the pattern matches no table"),
        (["nothing.csv"], "there is no such table"),
        (["meta.csv"], "nothing to do"),
        (["meta.csv", "--output", "meta.csv"], "overwrite the input"),
        (["meta.csv", "--output", "meta.txt"], "not a table"),
        (["empty.csv", "--fmin", "1"], "no rows"),
        (["bare.csv", "--aesmin", "5"], r"bare\.csv: --aesmin: no column 'aes'; .*tools\.scoring\.aesthetic"),
        (["bare.csv", "--sort", "nope"], "no column 'nope'"),
        (["meta.csv", "--sort", "aes", "--sort-ascending", "aes"], "give one of them"),
    ],
)
def test_bad_input_is_one_clear_line(meta, monkeypatch, flags, message):
    monkeypatch.chdir(meta.parent)
    Path("empty.csv").write_text("path,num_frames\n")
    Path("bare.csv").write_text("path\na.mp4\n")
    before = meta.read_bytes()
    with pytest.raises(UserError, match=message) as caught:
        datautil.main(flags)
    assert "\n" not in str(caught.value)
    assert meta.read_bytes() == before


@pytest.mark.parametrize(
    "flags",
    [
        ["--aesmin", "abc"],
        ["--aesmin", "nan"],
        ["--head", "0"],
        ["--nope"],
        ["--where", "aes > 0", "--where", "aes < 9"],  # argparse would drop the first
        ["--aesmin", "1", "--head", "3", "--aesmin=2"],
    ],
)
def test_bad_flags_exit_2(meta, capsys, flags):
    with pytest.raises(SystemExit) as stop:
        datautil.main([str(meta), *flags])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_info_gives_the_labelled_facts_of_every_file(videos_dir, tmp_path, capsys):
    manifest = json.loads((videos_dir / "manifest.json").read_text())
    meta = write_table(
        pl.DataFrame({"path": [str(videos_dir / v["file"]) for v in manifest]}), tmp_path / "meta.csv"
    )
    assert datautil.main([str(meta), "--info", "--format", "parquet"]) == 0
    table = read_table(tmp_path / "meta_info.parquet")
    assert table.columns == [
        "path",
        "num_frames",
        "height",
        "width",
        "aspect_ratio",
        "fps",
        "resolution",
        "duration",
        "timing",
        *("codec", "pix_fmt", "bit_depth", "color", "hdr", "rotation", "vfr", "bitrate", "bpp", "gop"),
        *("size_changes", "has_audio", "audio_codec", "audio_tracks"),
    ]
    for row, known in zip(table.to_dicts(), manifest, strict=True):
        if known["frames"] is None:
            assert list(row.values())[1:] == [0, *[None] * 21]
            continue
        width, height = map(int, known["size"].split("x"))
        if known["rotation"] % 180:
            width, height = height, width
        if "carphone" in known["file"]:
            width = round(width * 128 / 117)  # pixels that are not square
        rate = pd.eval(known["average_rate"])
        assert (row["num_frames"], row["height"], row["width"]) == (known["frames"], height, width), known[
            "file"
        ]
        assert row["fps"] == pytest.approx(rate, rel=1e-3), known["file"]
        assert row["aspect_ratio"] == pytest.approx(height / width)
        assert row["resolution"] == height * width
    assert "36 files: 35 probed, 1 failed (unreadable 1)" in capsys.readouterr().err
    failures = read_table(tmp_path / "meta_info.failures.csv")
    assert [Path(p).name for p in failures["path"]] == ["bikes_truncated.mp4"]


def test_damaged_times_are_said(tmp_path, capsys):
    from tools.scene_cut import cut, scene_detect

    sound = make_video(tmp_path / "sound.ts", 40)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(sound.read_bytes() * 2)
    whole = make_video(tmp_path / "whole.mkv", 40, b_frames=0)
    repeated = set_times(whole, tmp_path / "repeated.mkv", {20: 19 / 25})
    paths = [str(path) for path in (sound, joined, repeated)]
    meta = write_table(pl.DataFrame({"path": paths}), tmp_path / "meta.csv")
    assert datautil.main([str(meta), "--info", "--num-workers", "0"]) == 0
    table = read_table(tmp_path / "meta_info.csv")
    assert table["timing"].to_list() == ["ok", "restarted", "repaired"]
    assert table["num_frames"].to_list() == ["40", "80", "40"]
    assert [float(fps) for fps in table["fps"]] == [25.0] * 3
    assert [float(d) for d in table["duration"]] == pytest.approx([1.6, 3.2, 1.6], abs=0.0011)
    saved = ["--save_dir", str(tmp_path / "clips")]
    runs = (
        lambda: None,
        lambda: scene_detect.main([str(meta), "--detector", "content", "--num-workers", "0"]),
        lambda: cut.main([str(meta), *saved, "--num-workers", "0"]),
    )
    for run in runs:
        run()
        said = capsys.readouterr().err
        assert "the clock restarts within the file" in said, said
        assert "damaged times were interpolated between their neighbours" in said, said


def test_info_of_what_is_no_video(tmp_path, data_dir, capsys):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video")
    os.mkfifo(tmp_path / "pipe.mp4")
    image = data_dir / "clip_preprocess" / "123_456.jpg"
    names = ["empty.mp4", "text.mp4", "pipe.mp4", "gone.mp4"]
    table = pl.DataFrame({"path": [*(str(tmp_path / n) for n in names), str(image)], "num_frames": ["9"] * 5})
    meta = write_table(table, tmp_path / "meta.csv")
    assert datautil.main([str(meta), "--info", "--fmin", "1"]) == 0
    kept = read_table(tmp_path / "meta_info_fmin1.csv")
    assert kept.select("num_frames", "height", "width", "fps").rows() == [("1", "456", "123", None)]
    failures = read_table(tmp_path / "meta_info_fmin1.failures.csv")
    assert failures["kind"].to_list() == ["empty", "unreadable", "not_a_file", "missing"]
    only_bad = write_table(table.head(4), tmp_path / "bad.csv")
    assert datautil.main([str(only_bad), "--info"]) == 1
    assert "no file could be read" in capsys.readouterr().err


def test_file_sizes(tmp_path):
    (tmp_path / "a.mp4").write_bytes(bytes(3 << 20))
    (tmp_path / "b.mp4").write_bytes(b"x")
    paths = [str(tmp_path / n) for n in ("a.mp4", "b.mp4", "gone.mp4")]
    meta = write_table(pl.DataFrame({"path": paths}), tmp_path / "meta.csv")
    sizes = read_table(run_datautil([meta], {"filesize": True}).outputs[0])["filesize"].to_list()
    assert [float(s) for s in sizes[:2]] + sizes[2:] == [3.0, 2**-20, None]
    assert read_table(run_datautil([meta], {"fsmax": "2.5"}).outputs[0])["path"].to_list() == paths[1:2]
    assert read_table(run_datautil([meta], {"ext": True}).outputs[0])["path"].to_list() == paths[:2]


def test_frames_are_filtered_in_memory_and_stay_what_they_are():
    frame = pd.DataFrame({"path": ["a", "b", "c"], "aes": [4.0, 5.0, float("nan")], "num_frames": [1, 2, 3]})
    kept = filter_table(frame, aesmin=5)
    assert isinstance(kept, pd.DataFrame)
    assert kept["path"].tolist() == ["b"]
    assert filter_table(pl.from_pandas(frame), fmax=2)["path"].to_list() == ["a", "b"]
    assert isinstance(filter_table(pl.from_pandas(frame).lazy(), fmax=2), pl.LazyFrame)
    with pytest.raises(UserError, match="Invalid operation"):
        filter_table(frame, nonsense=1)


def test_the_registry_and_its_orders_have_the_same_operations():
    assert set(EXECUTION_ORDER) == set(OPERATIONS)
    assert set(SUFFIX_ORDER) == {name for name, operation in OPERATIONS.items() if operation.suffix}


def test_a_new_operation_is_said_in_one_place():
    """Its phase says when it is carried out, and its suffix stands before those of the choice of rows."""
    new = Operation("short", "keep short texts", lambda frame, value, context: frame, Phase.CELLS, "_short")
    known = list(OPERATIONS.values())
    order = execution_order([*known, new])
    assert [name for name in order if name != "short"] == list(EXECUTION_ORDER)
    assert order.index("remove_url") < order.index("short") < order.index("ext")
    suffixes = suffix_order([*known, new])
    assert [name for name in suffixes if name != "short"] == list(SUFFIX_ORDER)
    assert suffixes[suffixes.index("short") - 1] == "vid_only"
    assert suffixes[suffixes.index("short") + 1] == "keep_hours"


def shown_flags(text: str) -> list[str]:
    """The first name of each flag of a help, in its order."""
    return re.findall(r"^  (--[\w-]+)", text, re.MULTILINE)


def test_help_fits_a_screen_and_lists_operations_in_their_order(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = cli.parser_of(datautil.main).format_help()
    assert text.count("\n") <= 75
    listed = shown_flags(text[text.index("operations, carried out") : text.index("output:")])
    everyday = [one for one in OPERATIONS.values() if one.everyday and one.phase != Phase.BOUNDS]
    before = sum(one.phase < Phase.BOUNDS for one in everyday)
    flags = [one.flag for one in everyday]
    assert listed == [*flags[:before], "--COLUMNmin", "--COLUMN", *flags[before:]]
    assert flags.index("--info") < flags.index("--where") < flags.index("--sort") < flags.index("--head")
    assert "aes" in text and "pix-fmt" in text and "--aesmin X  " not in text
    assert not any(alias in text for one in OPERATIONS.values() for alias in one.flags[1:])


def test_help_all_has_every_flag_with_all_its_names(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = cli.parser_of(datautil.main).format_help(everything=True)
    assert set(re.findall(r"--[\w-]+", text)) >= {flag for one in OPERATIONS.values() for flag in one.flags}
    assert "--chunk N" in text and "--lang-threshold P" in text


def test_docs_and_registry_know_the_same_flags():
    text = (ROOT / "docs" / "datautil.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `--")]
    documented = {flag for row in rows for flag in re.findall(r"`(--[a-z-]+)", row.split(" | ")[0])}
    scores = [name for name, column in COLUMNS.items() if column.score]
    of_scores = {f"{score}{bound}" for score in scores for bound in ("min", "max")}
    others = {name: operation for name, operation in OPERATIONS.items() if name not in of_scores}
    assert {operation.flag for operation in others.values()} == documented - OTHERS
    for operation in others.values():
        row = next(row for row in rows if f"`{operation.flag}" in row.split(" | ")[0])
        assert (f"`{operation.suffix.format('V')}`" in row) == bool(operation.suffix), operation.name
    listed = text[text.index("SCORE is one of") :].partition("\n\n")[0]
    assert all(f"`{score}`" in listed or score.startswith("quality_") for score in scores)


OTHERS = {"--explain", "--dry-run", "--stats", "--stale", "--rejected"}
"""Flags that show what happens; no operations."""


def test_help_is_quick():
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "tools.datasets.datautil", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0
    assert not re.search(r"\| +(polars|pandas|torch|av|numpy)$", run.stderr, re.MULTILINE)


@pytest.mark.parametrize("flags", [["--fmin", "10"], ["--where", "num_frames < 30"], ["--sort", "path"]])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_cells_with_quotes_keep_them_whatever_the_other_tables_have(tmp_path, flags, separator):
    """Tables without a quote are written without looking for cells that need one, all others with."""
    odd = 'x,y "z"\tw'
    for name, text in (("a", "plain"), ("b", odd)):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(
                [["path", "num_frames", "text"], *([f"{name}{i}", i, text] for i in range(50))]
            )
    with (tmp_path / "t.tsv").open("w", newline="") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows(
            [["path", "num_frames", "text"], *([f"t{i}", i, "a, b"] for i in range(50))]
        )
    out = tmp_path / ("o.csv" if separator == "," else "o.tsv")
    for inputs in (["a.csv"], ["a.csv", "b.csv"], ["t.tsv"], ["a.csv", "t.tsv"]):
        paths = [str(tmp_path / name) for name in inputs]
        datautil.main([*paths, *flags, "--output", str(out)])
        with out.open(newline="") as file:
            texts = {row["text"] for row in csv.DictReader(file, delimiter=separator)}
        assert texts == {{"a": "plain", "b": odd, "t": "a, b"}[name[0]] for name in inputs}
