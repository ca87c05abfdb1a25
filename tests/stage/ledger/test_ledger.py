"""What the ledger takes from its files after disks, clocks and other programs have been at them.

The values are lengths of files, known from the file system; whether a row was done again stands in the log
that the stage keeps.
"""

import json
import random
import time
import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.stage.odd_stages import LastDigitStage, NotingStage
from tests.stage.test_vectors import FourBytes
from tools.errors import MediaError, UserError
from tools.stage.ledger import Ledger, row_key, stage_config
from tools.stage.ledger.files import sealed
from tools.stage.runner import RunOptions, run_stage
from tools.stage.stage import FAILURES, REMARKS, VECTOR
from tools.stage.values import unfit
from tools.table import read_table, write_table

ROWS = 8
OPTIONS = {"num_workers": 0, "progress": False}


@pytest.fixture
def meta(tmp_path) -> Path:
    """Eight files, f0 to f7, each as long as its number."""
    for i in range(ROWS):
        (tmp_path / f"f{i}").write_bytes(b"x" * i)
    paths = [str(tmp_path / f"f{i}") for i in range(ROWS)]
    return write_table(pl.DataFrame({"path": paths}), tmp_path / "meta.csv")


def run(meta, **options):
    """Run over the table; give the result and the files that were worked on."""
    log = meta.with_name("log")
    log.unlink(missing_ok=True)
    result = run_stage(NotingStage(str(log)), meta, options=RunOptions(**OPTIONS, **options))
    lines = log.read_text().splitlines() if log.exists() else []
    return result, sorted(line.removeprefix("prepare ") for line in lines if line.startswith("prepare "))


def ledger_of(meta, rank=0) -> Path:
    return meta.parent / ".vidsieve" / "meta_size.csv" / f"rank{rank}.jsonl"


def flip(line):
    """Another digit in the value."""
    return line.replace(b'"size": 3', b'"size": 7')


def half(line):
    return line[: len(line) // 2] + b"\n"


def zeros(line):
    return bytes(len(line) - 1) + b"\n"


def old(line):
    """As lines were before they had a checksum."""
    record = json.loads(line)
    del record["crc32"], record["run"]
    return json.dumps(record | {"at": time.time_ns()}).encode() + b"\n"


def heard(caplog):
    """What was logged since this was asked last."""
    text = caplog.text
    caplog.clear()
    return text


@pytest.mark.parametrize("damage", [flip, half, zeros, old, lambda line: b"", lambda line: line[:-1]])
def test_a_line_that_is_not_whole_is_a_row_to_do_again(meta, caplog, damage):
    expected = run(meta)[0].output.read_bytes()
    lines = ledger_of(meta).read_bytes().splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if b'"size": 3' in line)
    damaged = damage(lines[number])
    # Longest first, so f2 comes after f3; without an end two lines are one.
    lost = ["f3"] if damaged.endswith(b"\n") or not damaged else ["f2", "f3"]
    ledger_of(meta).write_bytes(b"".join([*lines[:number], damaged, *lines[number + 1 :]]))
    caplog.clear()
    result, done = run(meta)
    assert (done, result.output.read_bytes()) == (lost, expected)
    told = [line for line in heard(caplog).splitlines() if "ledger" in line]
    assert len(told) == (1 if damaged else 0), told  # that a line is missing altogether cannot be seen
    if damaged:
        assert "cannot be used: 1 (damaged" in told[0] and "done again" in told[0]
    assert run(meta)[1] == [] and heard(caplog) == ""  # it is said once
    ledger_of(meta).write_bytes(ledger_of(meta).read_bytes().replace(b'"size": 0', b'"size": 1'))
    assert run(meta)[1] == ["f0"] and "cannot be used: 1 (" in heard(caplog)  # and then what is new


def test_bytes_at_the_end_cost_nothing_but_a_line(meta, caplog):
    expected = run(meta)[0].output.read_bytes()
    whole = ledger_of(meta).read_bytes()
    for garbage in (b"\0" * 4096, bytes(range(256)), b'{"ask": 1}\n', b"\n\n", b"[" * 100_000, b"\xff\xfe{"):
        ledger_of(meta).write_bytes(whole + garbage)
        caplog.clear()
        result, done = run(meta)
        assert (done, result.output.read_bytes()) == ([], expected)
        assert heard(caplog).count("WARNING") == 1, garbage


def test_lines_may_stand_twice_and_in_any_order(meta, caplog):
    expected = run(meta)[0].output.read_bytes()
    lines = ledger_of(meta).read_bytes().splitlines(keepends=True)
    random.Random(1).shuffle(lines)
    ledger_of(meta).write_bytes(b"".join(lines + lines[:5]))
    ledger_of(meta, 1).write_bytes(b"".join(lines))
    ledger_of(meta, 10).write_bytes(b"".join(lines[3:]))
    caplog.clear()
    result, done = run(meta)
    assert (done, result.output.read_bytes(), heard(caplog)) == ([], expected, "")


def test_lines_of_two_ranks_that_ran_into_each_other_are_done_again(meta, caplog):
    expected = run(meta)[0].output.read_bytes()
    lines = ledger_of(meta).read_bytes().splitlines(keepends=True)
    mixed = lines[1][:40] + lines[2][:60] + lines[1][40:] + lines[2][60:]
    ledger_of(meta).write_bytes(b"".join([lines[0], mixed, *lines[3:]]))
    result, done = run(meta)
    assert (done, result.output.read_bytes()) == (["f5", "f6"], expected)  # the longest is first, f7
    assert "cannot be used: 2 (" in heard(caplog)


def test_no_flipped_bit_gives_another_value(tmp_path):
    values = {"a": {"x": 1, "t": "text"}, "b": MediaError("decode", "p", "no")}
    with Ledger(tmp_path, 0, {}, values) as ledger:
        ledger.add(values.items())
    whole = (tmp_path / "rank0.jsonl").read_bytes()
    for place in range(0, 8 * len(whole), 5):  # every bit of a byte in turn
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        (tmp_path / "rank0.jsonl").write_bytes(data)
        with Ledger(tmp_path, 0, {}, values, read_only=True) as ledger:
            assert len(ledger.outcomes) < 2 and ledger.notice
            for key, outcome in ledger.outcomes.items():
                assert str(outcome) == str(values[key])


def test_the_order_of_lines_counts_and_not_the_clock(meta, monkeypatch):
    """Each run by a clock that is a day behind the one before, by turns in the files of two ranks."""
    days = iter(range(100, 0, -1))
    stage = LastDigitStage()
    key = row_key({"path": read_table(meta)["path"][1]})
    folder = meta.parent / ".vidsieve" / "meta_digit.csv"
    for rank, outcome in [(0, "decode"), (1, {"digit": 1}), (0, "timeout"), (0, {"digit": 2}), (1, "empty")]:
        day = next(days) * 86_400
        monkeypatch.setattr(time, "time_ns", lambda day=day: day * 10**9)
        monkeypatch.setattr(time, "time", lambda day=day: float(day))
        given = MediaError(outcome, "p", "") if isinstance(outcome, str) else outcome
        with Ledger(folder, rank, stage_config(stage), {key}) as ledger:
            ledger.forget([key])
            ledger.add([(key, given)])
        for reader in (0, 1):
            with Ledger(folder, reader, stage_config(stage), {key}) as ledger:
                assert str(ledger.outcomes[key]) == str(given)


@pytest.mark.logs_errors
def test_an_old_failure_does_not_come_back_when_the_line_of_its_success_is_lost(meta, caplog):
    lost = meta.with_name("f3")
    data = lost.read_bytes()
    lost.unlink()
    assert run(meta)[0].failed == 1
    lost.write_bytes(data)
    paths = read_table(meta)["path"].to_list()
    stage = NotingStage(str(meta.with_name("log")))
    keys = [row_key({"path": path}) for path in paths]
    with Ledger(ledger_of(meta).parent, 0, stage_config(stage), set(keys)) as ledger:
        ledger.add([(keys[3], MediaError("decode", paths[3], "once"))])
    assert run(meta, overwrite=True)[0].failed == 1
    result, done = run(meta, retry_failed=True)
    assert (result.failed, done) == (0, ["f3"])
    whole = ledger_of(meta).read_bytes()
    for end in (b"", b"torn", None):
        ledger_of(meta).write_bytes(whole if end is None else whole.rpartition(b'{"ask"')[0] + end)
        result, done = run(meta)
        assert (result.failed, done) == (0, [] if end is None else ["f3"])


FOREIGN = [
    None,
    {},
    [],
    5,
    "size",
    {"size": "5"},
    {"size": 5.0},
    {"size": 5.5},
    {"size": float("nan")},
    {"size": True},
    {"size": [5]},
    {"size": {"size": 5}},
    {"size": 2**70},
    {"length": 5},
    {"size": 5, "length": 5},
    {"size": 5, FAILURES: []},
]


@pytest.mark.parametrize("values", FOREIGN, ids=str)
def test_values_that_the_stage_does_not_give_are_not_taken(meta, caplog, values):
    """A line whose checksum is right may come from anywhere."""
    expected = run(meta)[0].output.read_bytes()
    record = json.loads(ledger_of(meta).read_bytes().splitlines()[4])
    record = {name: record[name] for name in ("ask", "row", "run")} | {"values": values}
    with ledger_of(meta).open("ab") as file:
        file.write(sealed(record))
    caplog.clear()
    result, done = run(meta)
    assert (len(done), result.output.read_bytes()) == (1, expected)
    assert "cannot be used: 1 (" in heard(caplog)
    assert run(meta)[1] == []


@pytest.mark.parametrize(
    "failure",
    [
        None,
        [],
        "decode",
        ["decode"],
        ["no_such_kind", "p", "m"],
        ["decode", "p", 5],
        [["decode"], "p", "m"],
        7,
    ],
    ids=str,
)
def test_failures_that_there_are_not_are_not_taken(meta, failure):
    run(meta)
    record = json.loads(ledger_of(meta).read_bytes().splitlines()[4])
    record = {name: record[name] for name in ("ask", "row", "run")} | {"failure": failure}
    with ledger_of(meta).open("ab") as file:
        file.write(sealed(record))
    result, done = run(meta)
    assert (result.failed, len(done)) == (0, 1)


def test_what_goes_to_the_failures_file_and_the_last_lines_is_looked_at_too():
    class Saying(NotingStage):
        output_columns = {"size": pl.Int64, FAILURES: pl.Object, REMARKS: pl.Object}

    good = [([], []), (None, None), ([["decode", "m"]], ["r"])]
    bad = [
        ([["no", "m"]], []),
        ([["decode"]], []),
        ([["decode", 5]], []),
        (["decode"], []),
        ([], [[]]),
        ([], 5),
    ]
    outcomes = {
        f"{name}{i}": {"size": i, FAILURES: failures, REMARKS: remarks}
        for name, cases in (("good", good), ("bad", bad))
        for i, (failures, remarks) in enumerate(cases)
    }
    assert sorted(unfit(Saying(""), outcomes)) == [f"bad{i}" for i in range(len(bad))]


def test_records_that_make_no_sense_are_passed_over(meta):
    expected = run(meta)[0].output.read_bytes()
    record = json.loads(ledger_of(meta).read_bytes().splitlines()[4])
    del record["crc32"]
    odd = [{}, record | {"row": [1]}, record | {"run": "x"}, record | {"run": None}, {"run": 1, "told": 5}]
    with ledger_of(meta).open("ab") as file:
        file.write(b"".join(map(sealed, odd)))
        for body in (b"7", b"[]", b'{"run": Infinity', b"{"):
            file.write(b'%b, "crc32": "%08x"}\n' % (body, zlib.crc32(body)))
    result, done = run(meta)
    assert (done, result.output.read_bytes()) == ([], expected)


def test_damaged_vectors_are_made_again(meta, tmp_path):
    for i in range(ROWS):
        meta.with_name(f"f{i}").write_bytes(bytes([i, 10, 20, 30]))
    run_stage(FourBytes(str(tmp_path / "v.npy")), meta, options=RunOptions(**OPTIONS))
    expected = (tmp_path / "v.npy").read_bytes()
    kept = tmp_path / ".vidsieve" / "meta_four.csv" / "rank0.vectors"
    data = bytearray(kept.read_bytes())
    data[5 * 16 + 3] ^= 0x40
    kept.write_bytes(data)
    stage = FourBytes(str(tmp_path / "v.npy"))
    run_stage(stage, meta, options=RunOptions(**OPTIONS))
    assert (stage.done, (tmp_path / "v.npy").read_bytes()) == (["f5"], expected)


@pytest.mark.parametrize(
    "place",
    [
        ["../x.vectors", 0, 4, 0],
        ["rank0.jsonl/..", 0, 4, 0],
        [0],
        5,
        ["rank0.vectors"],
        ["rank0.vectors", -4, 4, 0],
    ],
)
def test_vectors_lie_in_the_ledgers_folder(tmp_path, place):
    (tmp_path / "x.vectors").write_bytes(bytes(16))
    with Ledger(tmp_path / "state", 0, {}, {"a"}) as ledger:
        ledger.add([("a", {"x": 1, VECTOR: np.zeros(4, np.float32)})])
    file = tmp_path / "state" / "rank0.jsonl"
    record = json.loads(file.read_bytes())
    del record["crc32"]
    file.write_bytes(sealed(record | {"vector": place}))
    with Ledger(tmp_path / "state", 0, {}, {"a"}) as ledger:
        assert not ledger.has_vector("a")


@pytest.mark.logs_errors
def test_a_damaged_receipt_is_that_of_nobody(meta):
    """It has the counts that the exit code follows from; its table is then one that was made elsewhere."""
    meta.with_name("f3").unlink()
    assert run(meta)[0].totals == (ROWS, 1, 1)
    (receipt,) = ledger_of(meta).parent.glob("*.receipt.json")
    whole = receipt.read_bytes()
    refused = 0
    for place in range(0, 8 * len(whole), 67):
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        receipt.write_bytes(data)
        try:
            result, _ = run(meta)
        except UserError as error:
            assert "meta_size.csv: is in the way" in str(error)
            refused += 1
        else:
            assert (result.already_complete, result.totals) == (True, (ROWS, 1, 1))
    assert refused > 40


def test_a_ledger_that_cannot_be_read_ends_the_run(meta):
    run(meta)
    ledger_of(meta, 1).mkdir()
    with pytest.raises(UserError, match=r"cannot read the ledger: Is a directory"):
        run(meta)
