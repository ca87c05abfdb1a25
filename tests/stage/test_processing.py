"""A long run says what it takes as soon as the rows of a sample are done, and keeps that for --status."""

import re

import pytest

from tests.stage.stages import CrcStage
from tools.stage import processing
from tools.stage.progress.status import read_status
from tools.stage.runner import RunOptions, run_stage

ROWS = 130


@pytest.fixture
def meta(tmp_path):
    """Rows of one file, told apart by their ids."""
    (tmp_path / "f").write_bytes(b"abc")
    lines = ["path,id", *(f"{tmp_path / 'f'},{i}" for i in range(ROWS))]
    (tmp_path / "meta.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "meta.csv"


def test_a_long_run_says_what_it_takes(meta, monkeypatch, capfd):
    monkeypatch.setattr(processing, "_LONG", 0.5)
    run_stage(CrcStage(delay=0.02), meta, options=RunOptions(num_workers=0, progress=True))
    line = r"by the first 30 rows: about ([\d.]+) s in all, [\d.e-]+ CPU hours, [\d.]+ (kB|bytes) written\n"
    (found,) = re.finditer(line, capfd.readouterr().err)
    # By construction 2.6 s; sleeping takes longer on a busy machine.
    assert 2.5 < float(found[1]) < 8
    (rank,) = read_status(meta.with_name("meta_crc.csv"))
    assert rank.estimate is not None
    assert (rank.estimate["rows"], rank.estimate["measured"]) == (ROWS, 30)


@pytest.mark.parametrize("progress", [True, False])
def test_of_a_short_one_nothing_is_said(meta, capfd, progress):
    run_stage(CrcStage(), meta, options=RunOptions(num_workers=0, progress=progress))
    assert "by the first" not in capfd.readouterr().err
