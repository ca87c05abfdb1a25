"""Which table of a folder was made from which; the folders are made so that the answer is known."""

import os
import shutil

import polars as pl
import pytest

from tools.caption.caption_checks import main as caption_checks
from tools.errors import UserError
from tools.report.chain import read_chain
from tools.stage.shards import Shard
from tools.table import PART_COLUMN, ROW_COLUMN, write_table


def rows(first, last, folder="v"):
    return pl.DataFrame({"path": [f"{folder}/{i}.mp4" for i in range(first, last)], "text": "a dog"})


class Folder:
    """A folder in which each table that is written is a minute newer than the one before."""

    def __init__(self, path):
        self.path = path
        self.time = 1_700_000_000

    def write(self, name, frame):
        file = write_table(frame, self.path / name)
        self.touch(file)
        return file

    def touch(self, file):
        self.time += 60
        os.utime(file, (self.time, self.time))

    def names(self):
        return [step.name for step in read_chain([str(self.path)]).steps]

    def notes(self):
        return list(read_chain([str(self.path)]).notes)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_names_count_before_times(folder):
    for name in ("a_info_fmin1.csv", "a_info.csv", "a.csv"):  # the first made is the oldest
        folder.write(name, rows(0, 5))
    assert folder.names() == ["a.csv", "a_info.csv", "a_info_fmin1.csv"]


def test_without_names_that_tell_times_do(folder):
    for name, last in (("zebra.csv", 9), ("probed.csv", 7), ("good.parquet", 5)):
        folder.write(name, rows(0, last))
    folder.write("another_set.csv", rows(0, 5, "other"))
    assert folder.names() == ["zebra.csv", "probed.csv", "good.parquet"]
    assert folder.notes() == ["other branches, which are not shown: another_set.csv"]


def test_times_of_numbered_tables_that_are_the_same(folder):
    for number in (10, 9, 2):
        file = folder.write(f"step{number}.csv", rows(0, number + 1))
        os.utime(file, (1, 1))
    assert folder.names() == ["step2.csv", "step9.csv", "step10.csv"]


def test_a_receipt_counts_before_names(folder):
    folder.write("a.csv", rows(0, 5))
    file = folder.write("b.csv", rows(0, 5).with_columns(text=pl.lit("a cat")))
    folder.touch(folder.path / "a.csv")
    assert caption_checks([str(file), "--output", str(folder.path / "a_checked.csv"), "--quiet"]) == 0
    chain = read_chain([str(folder.path)])
    # a was changed last, and has its rows in common with b; a_checked was made from b.
    assert [step.name for step in chain.steps] == ["b.csv", "a_checked.csv"]
    assert chain.steps[1].operation == "caption_checks"


def test_a_receipt_of_a_table_that_was_replaced_since_is_not_believed(folder):
    file = folder.write("b.csv", rows(0, 5))
    caption_checks([str(file), "--quiet"])
    folder.write("b_capcheck.csv", rows(0, 2))
    chain = read_chain([str(folder.path)])
    assert chain.steps[1].options == {} and chain.steps[1].operation == "caption_checks"  # from its name


def test_of_two_branches_the_longer_one_is_shown_and_of_equal_ones_the_newer(folder):
    folder.write("a.csv", rows(0, 9))
    folder.write("a_info.csv", rows(0, 9))
    folder.write("a_info_fmin1.csv", rows(0, 5))
    folder.write("a_aes.csv", rows(0, 8))
    assert folder.names() == ["a.csv", "a_info.csv", "a_info_fmin1.csv"]
    assert folder.notes() == ["other branches, which are not shown: a_aes.csv"]
    folder.write("a_info_fmin2.csv", rows(0, 3))
    assert folder.names()[-1] == "a_info_fmin2.csv"
    assert folder.notes() == ["other branches, which are not shown: a_info_fmin1.csv, a_aes.csv"] or (
        folder.notes() == ["other branches, which are not shown: a_aes.csv, a_info_fmin1.csv"]
    )


def test_a_name_that_only_begins_alike_is_another_table(folder):
    folder.write("a.csv", rows(0, 3, "one"))
    folder.write("ab.csv", rows(0, 3, "two"))
    assert folder.names() == ["ab.csv"]


def test_side_files_are_no_steps(folder):
    folder.write("a.csv", rows(0, 9))
    folder.write("a_integrity.csv", rows(0, 9))
    folder.write("a_integrity_x.csv", rows(0, 8))
    folder.write("a_intact.csv", rows(0, 8))
    folder.write("a_broken.csv", rows(8, 9))
    folder.write("out.csv", rows(8, 9).with_columns(rejected_by=pl.lit("--x")))
    folder.write("stats.csv", pl.DataFrame({"n": [1]}))
    folder.write("ratings.jsonl", pl.DataFrame({"path": ["v/1.mp4"], "rating": [3]}))
    folder.write(
        "a_integrity_x.failures.csv", pl.DataFrame({"path": ["v/8.mp4"], "kind": ["k"], "message": ["m"]})
    )
    (folder.path / "broken.parquet").write_bytes(b"no table")
    (folder.path / "notes.txt").write_text("x")
    (folder.path / "a_more.csv").mkdir()
    (folder.path / ".hidden.csv").write_text("path\nx\n")
    chain = read_chain([str(folder.path)])
    assert [step.name for step in chain.steps] == ["a.csv", "a_integrity.csv", "a_integrity_x.csv"]
    assert [reason.text for reason in chain.steps[2].change.reasons] == ["--x"]
    assert [kind.kind for kind in chain.steps[2].failures] == ["k"]
    first, second = sorted(chain.notes)
    assert "broken.parquet" in first and "stats.csv" in second


def test_half_of_a_table_is_a_step_if_it_was_gone_on_with(folder):
    for name in ("a.csv", "a_integrity.csv", "a_intact.csv", "a_intact_info.csv"):
        folder.write(name, rows(0, 9))
    assert folder.names() == ["a.csv", "a_intact.csv", "a_intact_info.csv"]


def part(frame, number, world):
    taken = frame.with_row_index(ROW_COLUMN)[list(Shard(number, world).rows(frame.height))]
    return taken.with_columns(pl.lit(f"{number}/{world}").alias(PART_COLUMN))


def test_parts_of_one_table_are_one_step(folder):
    folder.write("a.csv", rows(0, 20))
    for number in range(11):
        folder.write(f"a_aes_part{number}.csv", part(rows(0, 20), number, 11))
    failed = pl.DataFrame({"path": ["v/1.mp4"], "kind": ["timeout"], "message": ["m"]})
    folder.write("a_aes.failures_part1.csv", failed)
    folder.write("a_aes.failures_part10.csv", failed)
    chain = read_chain([str(folder.path)])
    step = chain.steps[1]
    assert (step.name, step.rows, len(step.files), step.operation) == ("a_aes.csv", 20, 11, "aesthetic")
    assert step.columns_added == () and step.change.lost == 0
    assert [(kind.kind, kind.rows) for kind in step.failures] == [("timeout", 2)]
    assert chain.frame().collect()["path"].to_list() == rows(0, 20)["path"].to_list()
    named = sorted(map(str, folder.path.glob("a_aes_part*.csv")))
    assert read_chain([str(folder.path / "a.csv"), *named]).steps == chain.steps


def test_a_set_of_parts_that_is_not_complete_is_an_error_that_names_the_missing_one(folder):
    folder.write("a.csv", rows(0, 9))
    folder.write("a_aes_part0.csv", part(rows(0, 9), 0, 3))
    folder.write("a_aes_part2.csv", part(rows(0, 9), 2, 3))
    with pytest.raises(UserError, match=r"a_aes_part1\.csv: missing"):
        folder.names()


def test_parts_beside_the_table_they_were_merged_into_are_no_steps(folder):
    folder.write("a.csv", rows(0, 9))
    folder.write("a_aes_part0.csv", part(rows(0, 9), 0, 2))
    folder.write("a_aes.csv", rows(0, 9))
    assert folder.names() == ["a.csv", "a_aes.csv"] and folder.notes() == []


def test_the_same_table_in_two_formats(folder):
    folder.write("a.csv", rows(0, 9))
    folder.write("a.parquet", rows(0, 9))
    folder.write("a_info.csv", rows(0, 4))
    assert folder.names() == ["a.csv", "a_info.csv"]


def test_copies_of_a_folder_tell_the_same(folder, tmp_path_factory):
    file = folder.write("a.csv", rows(0, 5))
    caption_checks([str(file), "--output", str(folder.path / "checked.csv"), "--quiet"])
    copy = tmp_path_factory.mktemp("copy") / "c"
    shutil.copytree(folder.path, copy)
    assert [step.name for step in read_chain([str(copy)]).steps] == ["a.csv", "checked.csv"]
