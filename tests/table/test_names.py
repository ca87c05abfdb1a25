import os
from pathlib import Path

import pytest

from tools.table import failures_path, is_failures_file, output_path, part_path, split_part, table_stem


def test_the_suffix_goes_between_stem_and_extension():
    assert output_path("d/meta.csv", "_info_fmin1") == Path("d/meta_info_fmin1.csv")
    assert output_path("d/my.videos.csv", "_aes") == Path("d/my.videos_aes.csv")
    assert output_path("d/meta.parquet", "_aes") == Path("d/meta_aes.parquet")
    assert output_path("d/meta.csv", "_aes", format="parquet") == Path("d/meta_aes.parquet")
    assert output_path("d/meta.v2.csv.gz", "_aes") == Path("d/meta.v2_aes.csv.gz")
    assert output_path("d/meta.csv", "_aes", output="x/y.csv") == Path("x/y.csv")


def test_parts_and_back():
    part = part_path("d/meta_aes.csv", 12)
    assert part == Path("d/meta_aes_part12.csv")
    assert split_part(part) == (Path("d/meta_aes.csv"), 12)
    assert split_part("d/meta_aes.csv") is None
    packed = part_path("d/meta_aes.jsonl.zst", 3)
    assert packed == Path("d/meta_aes_part3.jsonl.zst")
    assert split_part(packed) == (Path("d/meta_aes.jsonl.zst"), 3)


def test_failures_files_do_not_match_the_pattern_of_the_parts():
    for rank in (None, 0, 11):
        path = failures_path("d/meta_aes.csv", rank)
        assert is_failures_file(path)
        assert not path.match("meta_aes_part*.csv")
    assert failures_path("d/meta_aes.csv") == Path("d/meta_aes.failures.csv")
    assert failures_path("d/meta_aes.parquet") == Path("d/meta_aes.failures.csv")


@pytest.mark.parametrize("stem", ["x" * 400, "猫" * 200])
def test_names_too_long_for_a_file_system_are_shortened(stem):
    name = output_path(f"{stem}.csv", "_aes").name
    assert len(os.fsencode(name)) < 255
    assert name.endswith("_aes.csv")
    assert table_stem(name).startswith(stem[:10])
