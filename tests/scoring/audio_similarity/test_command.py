"""The command: columns, failures, resuming, ranks, and flags that do not go together."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.scoring.commands import run_as_ranks
from tools.errors import UserError
from tools.media.reading.sampling import Sampling
from tools.scoring.audio_similarity.inference import COMMAND, main
from tools.scoring.audio_similarity.moments import ShotChanges
from tools.scoring.audio_similarity.picture_stages import CompatStage, LabelsStage
from tools.scoring.audio_similarity.stage import ClapStage
from tools.stage.run_options import RunOptions
from tools.stage.session import map_rows
from tools.table import merge_tables, read_table, write_table

NAMES = ("parts", "mute", "silent", "short")


@pytest.fixture
def meta(films, tmp_path) -> Path:
    texts = ["a dog", "a bell", "rain", "the sound of a train"]
    frame = pl.DataFrame(
        {"path": [str(films[name]) for name in NAMES], "text": texts, "id": ["001", "1", "", "x"]}
    )
    return write_table(frame, tmp_path / "meta.csv")


def asked(*flags: str) -> object:
    return COMMAND.make_stage(COMMAND.parser().parse_args(["meta.csv", "--device", "cpu", *flags]))


@pytest.fixture
def environment(clip_environment, small_clap, monkeypatch) -> None:
    monkeypatch.setenv("VIDSIEVE_CLAP", str(small_clap.folder))
    monkeypatch.setenv("VIDSIEVE_CLIP_VIT_B_32", str(clip_environment.weights))


def test_the_table_gets_columns_and_failures_a_file(environment, meta, small_clap, capsys):
    assert main([str(meta), "--device", "cpu", "--num_workers", "0", "--quiet"]) == 0
    output = meta.with_name("meta_audio.csv")
    assert capsys.readouterr().out.splitlines()[-1] == str(output)
    table = read_table(output)
    assert table.columns == ["path", "text", "id", "audio_match", "audio_mode", "av_offset", "audio_level"]
    assert table["id"].to_list() == ["001", "1", "", "x"] or table["id"].to_list() == ["001", "1", None, "x"]
    rows = read_table(meta).to_dicts()
    stage = ClapStage(clap_model=str(small_clap.folder), device="cpu")
    outcomes = map_rows(stage, rows, RunOptions(num_workers=0, progress=False))
    for name, cell, outcome in zip(NAMES, table["audio_match"], outcomes, strict=True):
        assert (cell is None) == (name in ("mute", "silent"))
        if cell is not None:
            assert float(cell) == outcome["audio_match"]
    assert table["audio_level"].to_list()[1] is None and float(table["audio_level"][2]) == -120
    assert table["audio_mode"].to_list() == ["clap", None, "clap", "clap"]
    failures = meta.with_name("meta_audio.failures.csv").read_text()
    assert "mute.mp4,no_audio" in failures and "silent.mp4,silent" in failures
    # run again, there is nothing to do; with other options, it has to be said
    assert main([str(meta), "--device", "cpu", "--num_workers", "0", "--quiet"]) == 0
    assert "complete already" in capsys.readouterr().err
    with pytest.raises(UserError, match="--overwrite"):
        main([str(meta), "--device", "cpu", "--reduce", "max", "--quiet"])


def test_ranks_write_parts_that_merge(environment, meta, small_clap, tmp_path):
    run_as_ranks(main, meta, "--device", "cpu", "--num_workers", 1, "--quiet")
    parts = [meta.with_name(f"meta_audio_part{rank}.csv") for rank in (0, 1)]
    merged = merge_tables(parts).collect()
    main(
        [str(meta), "--device", "cpu", "--num_workers", "0", "--quiet", "--output", str(tmp_path / "one.csv")]
    )
    whole = read_table(tmp_path / "one.csv")
    assert merged.select(whole.columns).equals(whole)


def test_what_flags_ask_for(environment):
    stage = asked()
    assert (
        isinstance(stage, ClapStage) and stage.sampling is None and stage.required_columns == ("path", "text")
    )
    assert asked("--num-frames", "5").sampling == Sampling("first_middle_last", 5)
    assert asked("--sampling", "fps:2", "--end", "3").sampling == Sampling("fps", fps=2, end=3)
    assert asked("--sampling", "all_keyframes").sampling == ShotChanges()
    stage = asked("--mode", "audio_caption", "--hflip", "--audio-column", "wav")
    assert stage.required_columns == ("path", "audio_caption", "wav")
    assert (stage.horizontal_flip, stage.vertical_flip, stage.reduce) == (True, False, "avg")
    assert stage.sampling == Sampling("first_middle_last", 3) and stage.clip_model == "ViT-L/14"
    stage = asked("--mode", "labels", "--sampling", "all_keyframes", "--window", "1.5", "--silence", "-50")
    assert isinstance(stage, LabelsStage) and stage.sampling == ShotChanges()
    assert (stage.sound_settings.seconds, stage.sound_settings.silence) == (1.5, -50)
    stage = asked("--mode", "compat", "--num-frames", "1")
    assert (
        isinstance(stage, CompatStage)
        and stage.clip_model == "ViT-B/32"
        and stage.required_columns == ("path",)
    )


@pytest.mark.parametrize(
    "flags",
    [
        ["--mode", "compat", "--audio-column", "a"],
        ["--mode", "labels", "--caption-column", "c"],
        ["--labels", "l.txt"],
        ["--clip-model", "ViT-B/32"],
        ["--mode", "audio_caption", "--window", "3"],
        ["--hflip"],
        ["--sampling", "all_keyframes", "--num-frames", "3"],
    ],
)
def test_flags_that_do_not_go_together(environment, flags):
    with pytest.raises(UserError, match=flags[-2] if flags[-1] != "--hflip" else "--hflip"):
        asked(*flags)


def test_a_missing_model_is_told_before_files_are_read(meta, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("VIDSIEVE_CLAP", raising=False)
    monkeypatch.setenv("HF_HOME", str(meta.parent / "none"))
    with pytest.raises(UserError, match="laion/clap-no-such"):
        main([str(meta), "--device", "cpu", "--clap-model", "laion/clap-no-such"])
