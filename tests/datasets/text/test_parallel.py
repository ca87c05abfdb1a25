"""Mapping over captions with real worker processes."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from tests.datasets.text import batch_functions
from tests.support import process_exists
from tools.datasets.text.cleaning import clean_caption, clean_captions
from tools.datasets.text.parallel import map_texts
from tools.datasets.text.prefixes import refine_captions
from tools.errors import MediaError

ROOT = Path(__file__).resolve().parents[3]

MANY = pl.Series("text", [f"caption {i:04}" for i in range(5000)])


def test_rows_keep_their_order_and_nulls_stay_in_workers():
    texts = [None if i % 7 == 0 else f"caption of a video {i % 3000:04}" for i in range(9000)]
    results = map_texts(batch_functions.describe, pl.Series(texts), num_workers=2)
    assert [None if r is None else r[:2] for r in results] == [
        None if text is None else (len(text), text[-4:]) for text in texts
    ]
    assert os.getpid() not in {r[2] for r in results if r is not None}


@pytest.mark.parametrize(("texts", "num_workers"), [(MANY, 0), (MANY, 1), (MANY[:500], 2)])
def test_little_work_is_done_in_this_process(texts, num_workers):
    results = map_texts(batch_functions.describe, texts, num_workers=num_workers)
    assert {pid for _, _, pid in results} == {os.getpid()}
    assert [end for _, end, _ in results] == [text[-4:] for text in texts]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_each_distinct_text_is_given_once(tmp_path, num_workers):
    texts = pl.concat([MANY, MANY.reverse(), pl.Series("text", [None, ""])])
    results = map_texts(partial(batch_functions.note, tmp_path), texts, num_workers=num_workers)
    assert results == texts.to_list()
    given = [line for file in tmp_path.iterdir() for line in file.read_text().split("\n")]
    assert sorted(given) == ["", *MANY]


def test_long_texts_go_in_smaller_chunks(tmp_path):
    texts = pl.Series([f"{i:04}" * 25_000 for i in range(50)])  # 100 kB each
    map_texts(partial(batch_functions.note, tmp_path), texts, num_workers=1)
    assert max(file.stat().st_size for file in tmp_path.iterdir()) < 1_200_000


@pytest.mark.parametrize("texts", [pl.Series([], dtype=pl.String), pl.Series([None, None])])
def test_nothing_to_do(texts):
    assert map_texts(clean_captions, texts, num_workers=2) == [None] * len(texts)


def test_null_stays_null_and_never_becomes_a_word():
    texts = pl.Series([None, "NaN", "", "The video shows", None])
    assert map_texts(clean_captions, texts, num_workers=2) == [None, "nan", "", "the video shows", None]
    assert map_texts(refine_captions, texts, num_workers=2) == [None, "NaN", "", "", None]


def test_workers_and_one_process_clean_alike():
    texts = pl.Series([f"«Clip» no. {i} &amp; more – e.g. cats, dogs..." for i in range(2500)])
    assert map_texts(clean_captions, texts, num_workers=2) == [clean_caption(text) for text in texts]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_an_exception_reaches_the_caller(num_workers):
    with pytest.raises(ZeroDivisionError, match="at 2500") as caught:
        map_texts(batch_functions.fail, MANY, num_workers=num_workers)
    if num_workers == 2:
        assert "in fail" in str(caught.value.__cause__)  # the worker's traceback


def test_an_exception_that_cannot_be_pickled_is_told():
    with pytest.raises(RuntimeError, match="OddError: odd"):
        map_texts(batch_functions.fail_oddly, MANY, num_workers=2)


def test_a_dead_worker_is_an_error():
    with pytest.raises(MediaError, match="exit code 7"):
        map_texts(batch_functions.die, MANY, num_workers=2)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_wrong_number_of_results_is_an_error(num_workers):
    with pytest.raises(ValueError, match="999 results for 1000 texts"):
        map_texts(batch_functions.lose, MANY, num_workers=num_workers)


def test_ctrl_c_leaves_no_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from functools import partial\n"
        "import polars as pl\n"
        "from tests.datasets.text import batch_functions\n"
        "from tools.datasets.text.parallel import map_texts\n"
        "if __name__ == '__main__':\n"
        "    texts = pl.Series([str(i) for i in range(5000)])\n"
        f"    map_texts(partial(batch_functions.wait, {str(tmp_path / 'pids')!r}), texts, num_workers=2)\n"
    )
    (tmp_path / "pids").mkdir()
    process = subprocess.Popen(
        [sys.executable, script],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 60
        while not any((tmp_path / "pids").iterdir()) and time.monotonic() < end:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=600)
    finally:
        process.kill()
    pids = [int(file.name) for file in (tmp_path / "pids").iterdir()]
    assert pids and process.returncode != 0 and b"KeyboardInterrupt" in errors
    assert not any(process_exists(pid) for pid in pids)
