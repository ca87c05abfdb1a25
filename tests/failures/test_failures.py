"""What failed, by counts made by hand; a retry and a bundle by what the real command then does with them."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import polars as pl
import pytest

from tests.support import make_video, run_command
from tools.errors import FAILURE_KINDS, MediaError, UserError
from tools.failures.__main__ import main
from tools.failures.bundle import redacted, redacted_words, write_bundle
from tools.failures.groups import group_failures
from tools.failures.reading import read_failed
from tools.stage.failures import write_failures
from tools.table import failures_path, read_table

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Ten rows in two folders; four have failed, three in the second folder, two of them AV1 files."""
    monkeypatch.chdir(tmp_path)
    paths = [f"a/{i}.mp4" for i in range(6)] + [f"b/{i}.webm" for i in range(4)]
    codecs = ["h264"] * 6 + ["av1"] * 2 + [None] * 2
    pl.DataFrame({"path": paths, "codec": codecs, "num_frames": range(10)}).write_csv("meta_x.csv")
    failures = [
        MediaError("decode", "b/0.webm", "frame 17 of 'b/0.webm' cannot be decoded"),
        MediaError("decode", "b/1.webm", "frame 4 of 'b/1.webm' cannot be decoded"),
        MediaError("decode", "b/2.webm", "no key frame"),
        MediaError("missing", "a/5.mp4", "no such file"),
    ]
    write_failures(failures, failures_path("meta_x.csv"))
    return "meta_x.csv"


def test_failures_are_grouped_by_kind_folder_codec_and_message(table):
    decode, missing = group_failures(read_failed([table])[0])
    assert (decode.kind, decode.count, missing.kind, missing.count) == ("decode", 3, "missing", 1)
    assert [(s.name, s.failed, s.rows) for s in decode.codecs] == [("av1", 2, 2), (".webm", 1, 2)]
    assert [(s.name, s.failed, s.rows) for s in decode.folders] == [("b", 3, 4)]
    assert [(s.name, s.failed, s.rows) for s in missing.folders] == [("a", 1, 6)]
    messages = [(s.name, s.failed) for s in decode.messages]
    assert messages == [("frame … of … cannot be decoded", 2), ("no key frame", 1)]


def test_the_text_says_what_to_do(table):
    shown = run_command(main, table)
    assert (shown.returncode, shown.stderr) == (0, "")
    words = " ".join(shown.stdout.split())
    for kind in ("decode", "missing"):
        assert FAILURE_KINDS[kind].remedy.replace("`", "") in words
    assert "3 of 4 b" in words and "the table has 10 rows" in words
    only = run_command(main, table, "--kind", "missing").stdout
    assert "missing 1" in only and "decode" not in only


def test_the_same_is_said_of_a_folder_and_of_a_failures_file(table):
    whole = run_command(main, table).stdout
    assert run_command(main, ".").stdout == whole
    alone = run_command(main, "meta_x.failures.csv").stdout
    assert "decode 3" in alone and " of 4" not in alone  # nothing is known of the other rows


def test_nothing_failed(tmp_path):
    pl.DataFrame({"path": ["a.mp4"]}).write_csv(tmp_path / "meta.csv")
    shown = run_command(main, tmp_path / "meta.csv")
    assert (shown.returncode, shown.stdout) == (0, f"{tmp_path}/meta.csv: no failures\n")


def test_hostile_paths_do_not_reach_the_terminal(tmp_path):
    pl.DataFrame({"path": ["a\x1b[31m\n影.mp4"]}).write_csv(tmp_path / "meta.csv")
    failure = MediaError("crash", "a\x1b[31m\n影.mp4", "\x1b[2J")
    write_failures([failure], failures_path(tmp_path / "meta.csv"))
    done = run_tool("tools.failures", tmp_path / "meta.csv", PYTHONIOENCODING="utf-8")
    assert "\x1b" not in done.stdout and "影" in done.stdout
    packed = run_tool(
        "tools.failures", tmp_path / "meta.csv", "--bundle", tmp_path / "x.zip", PYTHONIOENCODING="utf-8"
    )
    assert packed.returncode == 0 and "\x1b" not in packed.stdout and "影" in packed.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--retry", "all", "--bundle", "x.zip"], "--retry and --bundle do not go together"),
        (["--dry-run"], "--dry-run goes with --retry"),
        (["--kind", "bad"], "Invalid kind (bad)"),
        (["--bundle", "x.tar"], "must end in .zip"),
        (["--retry", "all"], "the command that made it is not recorded"),
    ],
)
def test_wrong_arguments_are_one_line(table, arguments, message):
    shown = run_command(main, table, *arguments)
    assert shown.returncode == 2
    assert message in shown.stderr and shown.stderr.count("\n") == 1


def run_tool(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def run(tmp_path, monkeypatch):
    """One good video and one that is not there, measured by the command itself."""
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "good.mp4", num_frames=12)
    Path("broken.mp4").write_bytes(Path("good.mp4").read_bytes()[:700])
    Path("m.csv").write_text("path,text\ngood.mp4,a dog\nbroken.mp4,private words\nlater.mp4,a cat\n")
    done = run_tool("tools.scoring.technical.inference", "m.csv", "--num-workers", 0)
    assert done.returncode == 0, done.stderr
    return Path("m_technical.csv")


def test_retry_runs_the_command_again_for_rows_that_failed(run):
    assert run_command(main, run, "--retry", "timeout").stdout == "nothing failed so\n"
    Path("later.mp4").write_bytes(Path("good.mp4").read_bytes())
    dry = run_command(main, run, "--retry", "missing", "--dry-run")
    typed = "python -m tools.scoring.technical.inference m.csv --num-workers 0 --retry-failed=missing"
    assert dry.stdout.startswith(typed) and read_table(run)["sharpness"].null_count() == 2
    refused = run_tool("tools.failures", run, "--retry", "missing")
    assert refused.returncode == 2 and "from files that have changed since" in refused.stderr
    done = run_tool("tools.failures", run, "--retry", "missing", "--overwrite")
    assert done.returncode == 0, done.stderr
    table = read_table(run)
    assert table["sharpness"].null_count() == 1
    assert table["sharpness"][2] == table["sharpness"][0]


def test_a_bundle_reproduces_the_failure_elsewhere(run, tmp_path, monkeypatch):
    done = run_command(main, run, "--bundle", "b.zip")
    assert done.returncode == 0, done.stderr
    assert run_command(main, run, "--bundle", "b.zip").returncode == 2  # the file is not replaced
    elsewhere = tmp_path / "elsewhere"
    with zipfile.ZipFile("b.zip") as archive:
        archive.extractall(elsewhere)
    everything = b"".join(file.read_bytes() for file in elsewhere.rglob("*") if file.is_file())
    assert b"private" not in everything
    before = {(row["kind"], row["message"]) for row in read_table(failures_path(run)).rows(named=True)}
    monkeypatch.chdir(elsewhere)
    again = run_tool("tools.scoring.technical.inference", "table.csv", "--num-workers", 0)
    assert again.returncode == 1, again.stderr  # every row fails
    after = read_table("table_technical.failures.csv")
    assert {(row["kind"], row["message"]) for row in after.rows(named=True)} == before


def test_a_large_file_is_packed_by_its_beginning_and_end(tmp_path):
    data = bytes(range(1, 251)) * 40_000  # 10 MB without a zero
    (tmp_path / "large.mp4").write_bytes(data)
    pl.DataFrame({"path": [str(tmp_path / "large.mp4")]}).write_csv(tmp_path / "m.csv")
    write_failures(
        [MediaError("decode", tmp_path / "large.mp4", f"in {tmp_path}/large.mp4")],
        failures_path(tmp_path / "m.csv"),
    )
    (packed,) = write_bundle(read_failed([str(tmp_path / "m.csv")]), tmp_path / "b.zip", head=1_000_000)
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        found = archive.read(packed.name)
        assert str(tmp_path).encode() not in b"".join(archive.read(name) for name in archive.namelist())
    assert found[:1_000_000] == data[:1_000_000] and found[-250_000:] == data[-250_000:]
    assert found[1_000_000:-250_000] == bytes(len(data) - 1_250_000)


def test_a_bundle_says_no_secret():
    assert redacted("s3://user:word@bucket/a.mp4 https://x.org/a.mp4?token=1") == (
        "s3://bucket/a.mp4 https://x.org/a.mp4"
    )
    words = ["python", "--api-key", "sk-1", "--hf-token=2", "--model", "m"]
    assert list(redacted_words(words)) == ["python", "--api-key", "***", "--hf-token=***", "--model", "m"]


def test_a_pipe_and_an_address_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    failures = [
        MediaError("not_a_file", tmp_path / "pipe.mp4", "is a named pipe"),
        MediaError("network", "http://localhost:1/a.mp4", "refused"),
    ]
    pl.DataFrame({"path": [f.path for f in failures]}).write_csv(tmp_path / "m.csv")
    write_failures(failures, failures_path(tmp_path / "m.csv"))
    packed = write_bundle(read_failed([str(tmp_path / "m.csv")]), tmp_path / "b.zip", head=1000)
    assert [one.name for one in packed] == ["", ""]


def test_a_file_that_is_no_failures_file_is_named(tmp_path):
    pl.DataFrame({"a": [1]}).write_csv(tmp_path / "m.failures.csv")
    with pytest.raises(UserError, match=r"m\.failures\.csv: is no failures file"):
        read_failed([str(tmp_path / "m.failures.csv")])
