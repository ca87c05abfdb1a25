"""Tables whose paths are addresses, run with real worker processes and a real server that misbehaves.

The values are CRC-32 sums, known from zlib.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest

from tests.media.fetching.http_server import serve
from tests.stage.stages import CrcStage
from tools.errors import UserError
from tools.media.fetching.cache import FOLDER
from tools.media.fetching.sources import FetchOptions
from tools.media.fetching.storage import PACKAGES
from tools.stage.estimate.trial import dry_run
from tools.stage.remote_files import changed_files, fetch_options
from tools.stage.runner import RunOptions, run_stage
from tools.table import read_table, write_table

ROOT = Path(__file__).resolve().parents[2]
FAST = RunOptions(num_workers=0, progress=False)
FILES = {f"/{i}.bin": bytes([i]) * (1000 * i) for i in range(1, 9)}


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with serve(dict(FILES)) as served:
        yield served
    assert list(temporary.iterdir()) == []


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """Servers are asked again at once: three times in all."""

    def without_pauses(options, paths):
        found = fetch_options(options, paths)
        limits = dataclasses.replace(FetchOptions().limits, pauses=(0.0, 0.0))
        return found and dataclasses.replace(found, limits=limits)

    monkeypatch.setattr("tools.stage.plan.fetch_options", without_pauses)


def table(server, folder: Path, *more: str) -> Path:
    paths = [*(f"{server.url}{name}?signature=a/b" for name in FILES), *more]
    return write_table(pl.DataFrame({"path": paths, "id": ["007"] * len(paths)}), folder / "meta.csv")


def sums(output: Path) -> list[int | None]:
    return [None if crc is None else int(crc) for crc in read_table(output)["crc"]]


EXPECTED = [zlib.crc32(content) for content in FILES.values()]


@pytest.mark.parametrize("cached", [False, True])
def test_addresses_and_paths_in_one_table(server, tmp_path, cached):
    (tmp_path / "local.bin").write_bytes(b"local")
    missing = f"{server.url}/nothing.bin"
    meta = table(server, tmp_path, str(tmp_path / "local.bin"), (tmp_path / "local.bin").as_uri(), missing)
    cache = str(tmp_path / "cache") if cached else None
    options = RunOptions(num_workers=2, fetch_ahead=3, cache=cache, progress=False)
    result = run_stage(CrcStage(), meta, options=options)
    assert sums(result.output) == [*EXPECTED, *[zlib.crc32(b"local")] * 2, None]
    assert [str(failure) for failure in result.failures] == [
        f"{missing}: missing: the server answers 404 Not Found"
    ]
    assert read_table(result.output)["path"].to_list() == read_table(meta)["path"].to_list()
    assert server.busiest <= 3
    kept = list((tmp_path / "cache").rglob("*.mp4"))
    assert len(kept) == (len(FILES) if cached else 0)


def test_a_second_stage_reads_from_the_cache(server, tmp_path):
    meta = table(server, tmp_path)
    options = RunOptions(num_workers=0, cache=str(tmp_path / "cache"), progress=False)
    run_stage(CrcStage(), meta, options=options)
    server.seen.clear()
    result = run_stage(CrcStage(salt=1), meta, output=tmp_path / "salted.csv", options=options)
    assert sums(result.output) == [zlib.crc32(content, 1) for content in FILES.values()]
    assert server.seen == ["bytes=0-0"] * len(FILES)


def test_a_cache_has_the_size_that_was_asked_for(server, tmp_path):
    meta = table(server, tmp_path)
    options = RunOptions(num_workers=0, cache=str(tmp_path / "cache"), cache_size=2e-5, progress=False)
    result = run_stage(CrcStage(), meta, options=options)
    assert sums(result.output) == EXPECTED
    kept = [path.stat().st_size for path in (tmp_path / "cache" / FOLDER).glob("*.mp4")]
    assert 0 < sum(kept) <= 20_000


def test_without_a_change_nothing_is_done_again(server, tmp_path):
    meta = table(server, tmp_path)
    first = run_stage(CrcStage(), meta, options=FAST)
    before = first.output.read_bytes()
    server.seen.clear()
    again = run_stage(CrcStage(), meta, options=FAST)
    assert again.already_complete
    assert first.output.read_bytes() == before
    assert server.seen == ["bytes=0-0"] * len(FILES)


@pytest.mark.parametrize("tells", ["etag", "modified", "size"])
def test_a_file_that_has_changed_at_its_address_is_noticed(server, tmp_path, tells, caplog):
    server.etag = '"1"' if tells == "etag" else None
    server.modified = "Thu, 26 Nov 2026 10:00:00 GMT" if tells == "modified" else None
    meta = table(server, tmp_path)
    output = run_stage(CrcStage(), meta, options=FAST).output
    server.files["/3.bin"] = b"changed" if tells == "size" else b"x" * len(FILES["/3.bin"])
    if tells == "size":
        changed = 1
    else:  # the server gives all files a new version
        server.etag, server.modified = (
            server.etag and '"2"',
            server.modified and server.modified[:-5] + "1 GMT",
        )
        changed = len(FILES)
    with pytest.raises(UserError, match="made from files that have changed since; --overwrite replaces it"):
        run_stage(CrcStage(), meta, options=FAST)
    assert sums(output) == EXPECTED
    result = run_stage(CrcStage(), meta, options=RunOptions(num_workers=0, overwrite=True))
    assert result.fresh == changed
    assert sums(output) == [zlib.crc32(content) for content in server.files.values()]
    assert run_stage(CrcStage(), meta, options=FAST).already_complete
    assert f"{changed} files have changed at their addresses" in caplog.text


def test_a_server_that_is_away_costs_no_finished_row(server, tmp_path, caplog):
    meta = table(server, tmp_path)
    run_stage(CrcStage(), meta, options=FAST)
    server.status = [503] * 99
    assert run_stage(CrcStage(), meta, options=FAST).already_complete
    assert "the server does not say whether their files have changed" in caplog.text
    assert len(server.seen) < 2 * len(FILES) + 1


def test_without_validators_a_row_is_finished_once(server, tmp_path):
    server.etag, server.claimed = None, None
    meta = table(server, tmp_path)
    assert sums(run_stage(CrcStage(), meta, options=FAST).output) == EXPECTED
    assert run_stage(CrcStage(), meta, options=FAST).already_complete


def test_failures_of_the_network_are_those_of_their_rows(server, tmp_path):
    meta = table(server, tmp_path)
    server.status = [503] * 3  # of the row that is fetched first, as the others wait for it
    result = run_stage(CrcStage(), meta, options=RunOptions(num_workers=0, fetch_ahead=1, progress=False))
    assert sums(result.output) == [None, *EXPECTED[1:]]
    assert [failure.kind for failure in result.failures] == ["network"]
    retry = RunOptions(num_workers=0, retry_failed="network", progress=False)
    assert sums(run_stage(CrcStage(), meta, options=retry).output) == EXPECTED


@pytest.mark.parametrize("trouble", ["drops", "lies", "stalls"])
def test_servers_that_misbehave(server, tmp_path, trouble):
    meta = table(server, tmp_path)
    options = RunOptions(num_workers=0, fetch_ahead=1, progress=False)
    if trouble == "drops":
        server.break_after = [300, 300]
    elif trouble == "stalls":
        server.hang = [0.5]
    else:
        server.claimed = 9000
    result = run_stage(CrcStage(), meta, options=options)
    if trouble == "lies":
        assert {failure.kind for failure in result.failures} == {"network"}
        assert sums(result.output) == [None] * len(FILES)
    else:
        assert sums(result.output) == EXPECTED


def test_messages_name_the_address_and_no_copy(server, tmp_path):
    server.files["/1.bin"] = b"bad batch"
    meta = table(server, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CrcStage, "score", _complain)
        result = run_stage(CrcStage(), meta, options=FAST)
    assert len(result.failures) == len(FILES)
    assert all(str(failure).startswith(f"{server.url}/") for failure in result.failures)
    assert "temporary" not in " ".join(map(str, result.failures))


def _complain(self, batch):
    from tools.errors import MediaError

    return [MediaError("decode", "", "its pictures are odd") for _ in batch]


def test_after_a_kill_finished_rows_are_not_fetched_again(server, tmp_path):
    meta = table(server, tmp_path)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    flags = ("--num-workers", "1", "--fetch-ahead", "1", "--cache", str(tmp_path / "cache"), "--quiet")
    command = [sys.executable, "-m", "tests.stage.stages", str(meta), *flags]
    process = subprocess.Popen([*command, "--delay", "0.3"], cwd=ROOT, env=env, start_new_session=True)
    ledger = tmp_path / ".vidsieve" / "meta_crc.csv" / "rank0.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (ledger.exists() and ledger.stat().st_size):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    finished = [json.loads(line) for line in ledger.read_text().splitlines() if line.endswith("}")]
    assert 0 < len(finished) < len(FILES)
    assert all(line["file"][0] == '"1"' for line in finished)
    result = run_stage(CrcStage(), meta, options=FAST)
    assert (result.reused, sums(result.output)) == (len(finished), EXPECTED)


def test_a_dry_run_fetches_a_few_files_and_changes_nothing(server, tmp_path, capsys):
    meta = table(server, tmp_path)
    cache = str(tmp_path / "cache")
    dry_run(CrcStage(), meta, options=RunOptions(num_workers=0, cache=cache, progress=False))
    assert "none failed" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"meta.csv", "temporary"}


def test_tables_of_local_paths_are_run_as_ever(tmp_path):
    assert fetch_options(FAST, ["a.mp4", "/b.mp4", "file:///c.mp4", "", None, "C:/d.mp4"]) is None
    made = RunOptions(num_workers=0, cache=str(tmp_path / "cache"))
    assert fetch_options(made, ["a.mp4"]) is None
    assert not (tmp_path / "cache").exists()
    assert changed_files({}) == set()


def test_a_storage_without_its_package_is_reported_before_any_work(tmp_path):
    missing = [scheme for scheme, package in PACKAGES.items() if find_spec(package) is None]
    assert missing, "not all of these packages can be installed together"
    paths = ["http://127.0.0.1:1/a.mp4", f"{missing[0]}://bucket/a.mp4", "nosuch://a", "zip://x"]
    meta = write_table(pl.DataFrame({"path": paths}), tmp_path / "meta.csv")
    with pytest.raises(
        UserError, match=f"{missing[0]}://bucket/a.mp4: package {PACKAGES[missing[0]]} is not"
    ):
        run_stage(CrcStage(), meta, options=FAST)
    assert list(tmp_path.iterdir()) == [meta]


@pytest.mark.parametrize("given", [{"cache_size": 0}, {"cache_size": -1.0}, {"fetch_ahead": 0}])
def test_limits_are_checked(given):
    with pytest.raises(UserError):
        RunOptions(**given)
