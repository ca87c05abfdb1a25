"""The threads of encoders: a run that resumes uses those of the run that made the first files."""

from __future__ import annotations

import os

import pytest

from tools.base.temporary_files import write_whole
from tools.stage.names.folder_tables import is_alive, listed_tables, remember_table
from tools.stage.names.new_files import MadeFiles
from tools.stage.names.owners import FileNames, NameRequest
from tools.stage.shards import state_of


def begin(folder, threads, *made, table="meta_clips.csv"):
    """Choose and reserve names as a run does; the threads that it gets."""
    names = FileNames(folder / "clips", folder / table)
    requests = [NameRequest(f"{name}.mp4", f"/videos/{name}.mp4", (how,)) for name, how in made]
    names.choose(requests)
    kept = names.kept_threads(threads)
    names.reserve()
    return kept


def test_a_run_that_resumes_keeps_the_threads(tmp_path):
    (tmp_path / "clips").mkdir()
    assert begin(tmp_path, 4, ("a", "h264"), ("b", "h264")) == 4
    assert begin(tmp_path, 1, ("a", "h264"), ("b", "h264")) == 4
    assert begin(tmp_path, 1, ("b", "h264"), ("c", "h264")) == 4
    assert begin(tmp_path, 2, ("a", "h264"), table="other_clips.csv") == 2  # a table of its own


def test_files_that_are_made_otherwise_are_made_with_other_threads(tmp_path):
    (tmp_path / "clips").mkdir()
    assert begin(tmp_path, 4, ("a", "h264")) == 4
    assert begin(tmp_path, 1, ("a", "hevc")) == 1
    assert begin(tmp_path, 3, ("a", "hevc")) == 1


def test_a_list_of_an_earlier_version_has_no_threads(tmp_path):
    (tmp_path / "clips").mkdir()
    begin(tmp_path, 4, ("a", "h264"))
    (listed,) = tmp_path.rglob("names.jsonl")
    listed.write_text(listed.read_text().replace(', "threads": 4', ""))
    assert begin(tmp_path, 2, ("a", "h264")) == 2


@pytest.mark.parametrize("clock", [1e9, 2e9])
def test_a_run_counts_from_its_names_to_its_receipt_whatever_the_clock_says(tmp_path, clock):
    """The clock shows 2001 or 2033 when receipts are written; the table is removed by the user."""
    (tmp_path / "clips").mkdir()
    table = tmp_path / "meta_clips.csv"
    receipt = state_of(table) / "meta_clips.csv.receipt.json"

    def finish():
        write_whole(receipt, b"{}")
        os.utime(receipt, (clock, clock))

    assert not is_alive(table)
    begin(tmp_path, 1, ("a", "h264"))
    assert is_alive(table)
    finish()
    assert not is_alive(table)
    begin(tmp_path, 1, ("a", "h264"))
    assert is_alive(table)
    finish()
    assert not is_alive(table)
    table.touch()
    assert is_alive(table)
    begin(tmp_path, 1, ("a", "h264"))  # of a run that finds the table complete
    table.unlink()
    assert not is_alive(table)


def test_what_follows_a_torn_line_counts(tmp_path):
    """A kill or a full disk ends the line of a list anywhere; the same run goes on behind it."""
    listed = tmp_path / "clips.tables"
    listed.write_text("/data/meta_cl")
    remember_table(listed, tmp_path / "meta_clips.csv")
    assert tmp_path / "meta_clips.csv" in listed_tables(listed)
    table, clip = tmp_path / "meta_clips.csv", tmp_path / "a.mp4"
    clip.write_bytes(b"a clip")
    state_of(table).mkdir(parents=True)
    (state_of(table) / "made.jsonl").write_text('["/clips/b.mp4", 12')
    made = MadeFiles(str(tmp_path / "clips"), table)
    made.add(clip, clip)
    assert made.is_own(clip, "a.mp4")
