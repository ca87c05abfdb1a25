"""What a run takes: the slowest of workers, device and cores; by construction."""

import numpy as np
import pytest

from tools.errors import MediaError
from tools.stage.estimate import Estimate, estimate, rates_of, spell_bytes
from tools.stage.estimate.meter import Meter, bytes_of
from tools.stage.estimate.sample import Sample


def meter(rows=100, *, prepare=1.0, prepare_cpu=1.0, score=0.0, score_cpu=0.0, written=10.0) -> Meter:
    """All rows alike."""
    sample = Sample.of(np.ones(rows))
    made = Meter(sample, {str(i): i for i in sample.numbers.tolist()})
    for number in sample.numbers.tolist():
        made.prepared(str(number), prepare, prepare_cpu)
        made.written[number] = written
    made.scored(list(map(str, sample.numbers.tolist())), score * len(sample.numbers), score_cpu)
    return made


@pytest.mark.parametrize(
    ("measured", "seconds"),
    [
        ({"prepare": 1.0, "prepare_cpu": 0.1}, 25.0),  # 100 rows, four workers that wait for the disk
        ({"prepare": 1.0, "prepare_cpu": 1.0}, 50.0),  # on two cores
        ({"prepare": 0.1, "prepare_cpu": 0.1, "score": 2.0}, 200.0),  # one device
    ],
)
def test_the_slowest_part_counts(measured, seconds):
    assert estimate(meter(**measured), workers=4, cores=2, gpu=False).seconds == pytest.approx(seconds)


def test_a_run_is_not_shorter_than_its_longest_row():
    assert estimate(meter(3, prepare=60.0), workers=16, cores=16, gpu=False).seconds == 60.0


def test_hours_and_bytes_are_those_of_all_ranks():
    found = estimate(
        meter(7200, prepare=2.0, prepare_cpu=1.0, score=0.5),
        workers=8,
        cores=8,
        gpu=True,
        ranks=3,
        table_bytes=5000.0,
    )
    assert (found.rows, found.measured) == (21600, 30)
    assert found.cpu_hours == pytest.approx(6.0) and found.gpu_hours == pytest.approx(3.0)
    assert found.written == pytest.approx(3 * 77_000)
    assert found.work() == "6 CPU hours, 3 GPU hours, 231 kB written"


def test_rows_that_were_not_measured_are_like_the_others():
    made = meter(20)
    made.forget(range(15))
    assert estimate(made, workers=1, cores=1, gpu=False).seconds == pytest.approx(20.0)
    assert made.is_complete is False
    made.finished([(str(number), {"a": 1}) for number in range(20)])
    assert made.is_complete


def test_how_the_time_depends_on_the_cost():
    sample = Sample.of(np.r_[np.ones(50), np.full(50, 9.0)])
    made = Meter(sample, {str(i): i for i in sample.numbers.tolist()})
    for number in sample.numbers.tolist():
        made.prepared(str(number), 2.0 + (0.5 if number < 50 else 4.5), 0.0)
    assert rates_of(made) == pytest.approx((2.0, 0.5), rel=0.05)


def test_bytes_of_a_row(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(bytes(5000))
    assert bytes_of({"a": 1}) == len('{"a": 1}')
    assert bytes_of({"rows": [{"path": str(tmp_path / "clip.mp4")}, {"path": "gone"}]}) in range(5000, 5200)
    assert bytes_of({"made": [["x.mp4", 7000, 1]], "rows": [{"path": "x.mp4"}]}) in range(7000, 7100)
    assert bytes_of({"embedding": np.zeros(512, np.float32)}) == 2048 + len("{}")
    assert bytes_of(MediaError("decode", "p", "no")) > 0


@pytest.mark.parametrize(
    ("count", "text"),
    [(7, "7 bytes"), (1234, "1.2 kB"), (56_789, "57 kB"), (1.26e9, "1.3 GB"), (3.4e15, "3400.0 TB")],
)
def test_sizes_are_short(count, text):
    assert spell_bytes(count) == text


def test_what_is_asked_of_a_server():
    found = Estimate(9, 3, None, 0.1, None, 1.0, {"tokens in": 1_200_000.0, "cost": 3.25})
    assert found.asked() == "1,200,000 tokens in, cost 3.25"
