"""Fixtures for all tests."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

# One thread for a process: small models, split over threads that wait for each other on a busy machine, take
# minutes. Read when numpy and PyTorch are imported, here and in child processes.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

ROOT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """``-n auto``: the cores that may be used, which may be fewer than the machine has."""
    from tools.media.workers.pool import usable_cores

    return usable_cores()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules that are marked slow come first, so that no process is at one of them when all others are done.

    Processes that have nothing left to do take over the last tests of another, which would pay once more for
    what the tests of a module share.
    """

    def is_quick(item: pytest.Item) -> bool:
        module = item.getparent(pytest.Module)
        return module is None or module.get_closest_marker("slow") is None

    items.sort(key=is_quick)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked gpu need a CUDA device: without, they are skipped, or fail with FAIL_WITHOUT_CUDA."""
    if item.get_closest_marker("gpu") is None:
        return
    import torch

    if not torch.cuda.is_available():
        stop = pytest.fail if os.environ.get("FAIL_WITHOUT_CUDA") else pytest.skip
        stop("PyTorch sees no CUDA device")


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A test run that a shell started in the background ignores Ctrl-C, and so would all its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


class _Errors(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture(autouse=True)
def no_error_is_logged(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test during which the toolkit logs an error fails, unless it is marked logs_errors: then it must."""
    log, errors = logging.getLogger("vidsieve"), _Errors()
    handlers, level = list(log.handlers), log.level
    log.addHandler(errors)
    yield
    log.handlers[:] = handlers  # a command that ran in this process shows the log from then on
    log.setLevel(level)
    if request.node.get_closest_marker("logs_errors") is None:
        assert not errors.lines, "the toolkit logged an error"
    else:
        assert errors.lines, "the toolkit was expected to log an error"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real videos and model files: the folder VIDSIEVE_TEST_DATA, by default ../shared/data.

    scripts/test_data.py fills it. Without it tests are skipped, or fail with FAIL_WITHOUT_DATA.
    """
    folder = Path(os.environ.get("VIDSIEVE_TEST_DATA") or ROOT.parent / "shared" / "data").resolve()
    if not folder.is_dir():
        stop = pytest.fail if os.environ.get("FAIL_WITHOUT_DATA") else pytest.skip
        stop(f"no folder of test data at {folder}: scripts/test_data.py makes it; or set VIDSIEVE_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def videos_dir(data_dir: Path) -> Path:
    """The real videos, with their manifest.json."""
    return data_dir / "videos"
