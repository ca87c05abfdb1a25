"""Kill a run before each of its file operations in turn, run it again, and compare the bytes.

python -m tests.stage.kill_sweep FOLDER SCENARIO: prints how many operations there were. Every run is a fork
of this process, which has imported all that is needed and has not used it.
"""

import os
import shutil
import signal
import sys
import zlib
from pathlib import Path

import polars as pl

from tests.stage.stages import CrcStage
from tools.stage.runner import RunOptions, run_stage
from tools.table import merge_tables, write_table

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod")
ROWS = 4
EXPECTED = [zlib.crc32(b"fix" if i == 1 else bytes([i])) for i in range(ROWS)]


def run(folder, ranks=1, salt=0, **options):
    options = RunOptions(num_workers=0, progress=False, **options)
    for rank in range(ranks):
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(ranks))
        run_stage(CrcStage(salt=salt), folder / "meta.csv", options=options)


def make(folder):
    """Files of known bytes and their table; the second file holds a fault until it is fixed."""
    folder.mkdir()
    for i in range(ROWS):
        (folder / f"f{i}").write_bytes(bytes([i]))
    fault(folder, b"fix")
    # By hand: a fork of a process that has used Polars may hang.
    (folder / "meta.csv").write_text("path\n" + "".join(f"f{i}\n" for i in range(ROWS)))


def fault(folder, data):
    """Change a file so that its size and time do not tell."""
    (folder / "f1").write_bytes(data)
    os.utime(folder / "f1", (1, 1))


def fresh(folder):
    return [], lambda: run(folder)


def retry(folder):
    before = [lambda: fault(folder, b"bug"), lambda: run(folder), lambda: fault(folder, b"fix")]
    return before, lambda: run(folder, retry_failed=True)


def overwrite(folder):
    return [lambda: run(folder, salt=1)], lambda: run(folder, overwrite=True)


def fewer_ranks(folder):
    return [lambda: run(folder, ranks=3)], lambda: run(folder, ranks=2)


def no_ranks(folder):
    return [lambda: run(folder, ranks=3)], lambda: run(folder)


def ranks_overwrite(folder):
    return [lambda: run(folder, ranks=2, salt=1)], lambda: run(folder, ranks=2, overwrite=True)


SCENARIOS = {f.__name__: f for f in (fresh, retry, overwrite, fewer_ranks, no_ranks, ranks_overwrite)}


def in_fork(folder, action, kill_at=None):
    """Run an action in a process of its own; give its wait status."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    try:
        os.chdir(folder)
        if kill_at is not None:
            count_down(folder, kill_at)
        action()
        os._exit(0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def count_down(folder, kill_at):
    left = kill_at

    def hook(event, args):
        nonlocal left
        if event not in EVENTS or (event == "open" and not args[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        if str(folder) in str(args[0]) or not str(args[0]).startswith("/"):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def runs_that_stand_together(folder):
    """How many runs the parts come from, by what stands in their cells."""

    def look():
        runs = set()
        for part in folder.glob("meta_crc_part*.csv"):
            table = pl.read_csv(part)
            if table.height:  # salted sums are other numbers; the label tells the number of ranks
                salted = table["crc"][0] != EXPECTED[table["_row"][0]]
                runs.add((table["_part"][0].partition("/")[2], salted))
        os._exit(len(runs))

    return os.waitstatus_to_exitcode(in_fork(folder, look))


def check(condition, what):
    if not condition:
        sys.exit(what)


def sweep(base, scenario):
    """Give the number of kills after which the next run made all as it should be."""
    begun, whole = base / "begun", base / "whole"
    make(begun)
    for step in SCENARIOS[scenario](begun)[0]:
        check(in_fork(begun, step) == 0, "the earlier run failed")
    shutil.copytree(begun, whole)
    check(in_fork(whole, SCENARIOS[scenario](whole)[1]) == 0, "the uninterrupted run failed")
    killed = 0
    while True:
        folder = base / f"killed{killed}"
        shutil.copytree(begun, folder)
        _, action = SCENARIOS[scenario](folder)
        status = in_fork(folder, action, kill_at=killed)
        if os.WIFEXITED(status):
            check(status == 0, f"operation {killed}: the run failed")
            return killed
        check(os.WTERMSIG(status) == signal.SIGKILL, "not killed")
        check(runs_that_stand_together(folder) <= 1, f"operation {killed}: parts of two runs")
        check(in_fork(folder, action) == 0, f"operation {killed}: the second run failed")
        check(in_fork(folder, lambda f=folder: same(f, whole)) == 0, f"operation {killed}: other bytes")
        killed += 1


def same(folder, whole):
    names = [{p.name for p in f.iterdir()} - {"merged.csv"} for f in (folder, whole)]
    assert names[0] == names[1], names[0] ^ names[1]
    assert not [p for p in folder.rglob("*") if ".tmp" in p.name]
    assert bytes_of(folder) == bytes_of(whole)


def bytes_of(folder):
    """What the run wrote, its parts merged; the sums in it are those of zlib."""
    table = folder / "meta_crc.csv"
    if parts := sorted(folder.glob("meta_crc_part*.csv")):
        table = write_table(merge_tables(parts), folder / "merged.csv")
    assert pl.read_csv(table)["crc"].to_list() == EXPECTED
    return table.read_bytes()


if __name__ == "__main__":
    print(sweep(Path(sys.argv[1]), sys.argv[2]))
