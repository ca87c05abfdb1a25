"""Batches: one bad row costs itself, a full device costs nothing, a lost device is nobody's failure."""

import math

import numpy as np
import polars as pl
import pytest

from tests.stage.odd_stages import DeviceStage, EchoStage
from tools.errors import MediaError, UserError
from tools.stage.batches import BatchScorer
from tools.stage.runner import RunOptions, map_rows, run_stage
from tools.table import read_table, write_table

FAST = RunOptions(num_workers=0, progress=False)


@pytest.fixture
def numbers(tmp_path):
    """A table of forty numbers; the stages here open no files."""
    return write_table(pl.DataFrame({"path": [str(i) for i in range(40)]}), tmp_path / "meta.csv")


def test_what_does_not_fit_goes_through_in_pieces_and_the_size_is_remembered():
    stage = DeviceStage(room=5)
    scorer = BatchScorer(stage)
    for start in (0, 100):
        values = scorer.score(list(range(start, start + 64)))
        assert values == [{"double": 2 * i} for i in range(start, start + 64)]
    # 64, 32, 16 and 8 were too many; after that nothing is tried that is known not to fit
    assert [size for size in stage._sizes if size > 5] == [64, 32, 16, 8]
    assert stage._sizes.count(4) == 32


def test_a_row_that_fits_on_no_device_is_a_failure_of_its_own():
    (outcome,) = BatchScorer(DeviceStage(room=0)).score([7])
    assert (outcome.kind, "OutOfMemoryError" in outcome.message) == ("memory", True)


def test_wrong_results_cost_the_rows_that_they_are_for():
    stage = DeviceStage(spoiled=(0, 1, 2, 3, 4))
    outcomes = BatchScorer(stage).score(list(range(64)))
    assert outcomes[5:] == [{"double": 2 * i} for i in range(5, 64)]
    assert [o.kind for o in outcomes[:5]] == ["internal"] * 5
    messages = [
        r"stage device: ValueError: columns ['twice'] instead of ['double']",
        r"stage device: TypeError: column double",
        r"a value of type module cannot be kept",
        r"stage device: ValueError: columns NoneType instead of ['double']",
        r"stage device: TypeError: column double",
    ]
    for outcome, message in zip(outcomes, messages, strict=False):
        assert message in outcome.message


def test_a_wrong_number_of_results_names_the_stage():
    outcomes = BatchScorer(DeviceStage(spoiled=(5,))).score([1, 5, 9])
    assert [getattr(o, "kind", "fine") for o in outcomes] == ["fine", "internal", "fine"]
    assert outcomes[1].message == "stage device: ValueError: 0 results for 1 rows"


def test_the_search_for_a_bad_row_is_short():
    stage = DeviceStage(spoiled=(0,))
    BatchScorer(stage).score(list(range(1024)))
    assert len(stage._sizes) == 2 * math.log2(1024) + 1  # both halves, once on each level


def test_a_lost_device_ends_the_run_and_fails_no_row(numbers):
    with pytest.raises(UserError, match=r"stage device: the GPU failed .CUDA error: device-side assert"):
        run_stage(DeviceStage(fatal=30), numbers, options=FAST)
    assert not numbers.with_name("meta_device.csv").exists()
    result = run_stage(DeviceStage(), numbers, options=FAST)
    assert (result.failed, 8 <= result.reused < 40) == (0, True)
    assert [int(d) for d in read_table(result.output)["double"]] == [2 * i for i in range(40)]


def test_numpy_values_are_taken_and_come_back_from_the_ledger_to_the_last_bit(tmp_path):
    values = [
        {"number": np.float32(0.1), "words": "a\u2028b", "list": np.array([1.5, 2.5])},
        {"number": np.int64(3), "words": None, "list": (0.1, math.pi)},
        {"number": math.nextafter(1, 2), "words": '\x85 \r "quoted", ', "list": None},
        {"number": math.nan, "words": "NA", "list": []},
        {"number": -0.0, "words": "007", "list": [5e-324, 1.7976931348623157e308]},
    ]
    meta = write_table(pl.DataFrame({"path": [str(i) for i in range(5)]}), tmp_path / "meta.jsonl")
    first = run_stage(EchoStage(values=values), meta, options=FAST)
    assert first.failed == 0
    written = first.output.read_bytes()
    rows = read_table(first.output)
    assert rows["number"].to_list()[:3] == [float(np.float32(0.1)), 3.0, math.nextafter(1, 2)]
    assert rows["words"].to_list() == [v["words"] for v in values]
    assert rows["list"].to_list()[1:3] == [[0.1, math.pi], None]
    first.output.unlink()
    again = run_stage(EchoStage(values=[]), meta, options=FAST)  # has nothing to give but the ledger
    assert (again.reused, again.output.read_bytes()) == (5, written)


@pytest.mark.logs_errors
def test_rows_in_memory_take_the_same_way():
    outcomes = map_rows(DeviceStage(spoiled=(1,)), [{"path": "0"}, {"path": "1"}, {"path": ""}], FAST)
    assert outcomes[0] == {"double": 0}
    assert [(o.kind, o.path) for o in outcomes[1:]] == [("internal", "1"), ("bad_value", "")]
    assert all(isinstance(o, MediaError) for o in outcomes[1:])
