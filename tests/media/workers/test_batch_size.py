"""How many jobs go to a worker at once; the sums are done by hand."""

from tools.media.workers.batch_size import MOST_JOBS, BatchSize


def test_one_until_it_is_known_how_long_a_job_takes():
    assert BatchSize().jobs == 1


def test_ten_milliseconds_of_work():
    size = BatchSize()
    size.note(0.0011)
    assert size.jobs == 9
    size.note(0.0)  # 0.00099
    assert size.jobs == 10


def test_a_long_job_counts_at_once_and_short_ones_slowly():
    size = BatchSize()
    for _ in range(100):
        size.note(1e-5)
    assert size.jobs == MOST_JOBS
    size.note(0.05)
    assert size.jobs == 1
    for _ in range(22):  # 0.05 * 0.9 ** 22 = 0.0049
        size.note(0.0)
    assert size.jobs == 2
