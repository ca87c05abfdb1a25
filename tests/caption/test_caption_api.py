"""The command against a real server: which row gets which caption, what a kill costs, where the key goes."""

from __future__ import annotations

import base64
import dataclasses
import io
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.caption.chat_server import KEY, ChatServer, answer, failure
from tests.support import barcode_picture, make_video, read_barcode
from tools.caption import caption_api, caption_gpt4
from tools.caption.api.command import run_server_stage
from tools.caption.caption_api import main
from tools.caption.caption_gpt4 import main as main_gpt4
from tools.caption.prompts import PROMPTS
from tools.errors import UserError
from tools.media.reading.sampling import Sampling

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("OPENAI_BASE_URL", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def pictures(request):
    """The pictures of a request, decoded by Pillow."""
    content = request["messages"][0]["content"]
    urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    data = [base64.b64decode(url.removeprefix("data:image/jpeg;base64,"), validate=True) for url in urls]
    return [np.asarray(Image.open(io.BytesIO(d))) for d in data]


def words(request):
    return "\n".join(part["text"] for part in request["messages"][0]["content"] if part["type"] == "text")


def number_of(request):
    """Which of the numbered pictures of `numbered` is asked about."""
    return read_barcode(pictures(request)[0])


def describe(request, number):
    return answer(f"Picture number {number_of(request)}.\nIt is striped.")


@pytest.fixture
def numbered(tmp_path):
    """A table of pictures that say which they are; by column filesize none is first."""

    def make(count, **columns):
        folder = tmp_path / "pictures"
        folder.mkdir(exist_ok=True)
        for n in range(count):
            Image.fromarray(barcode_picture(n, 160, 96)).save(folder / f"{n}.png")
        meta = tmp_path / "meta.csv"
        paths = [str(folder / f"{n}.png") for n in range(count)]
        table = {"id": [f"{n:03}" for n in range(count)], "path": paths, "filesize": [1.0] * count}
        pl.DataFrame({**table, **columns}).write_csv(meta)
        return meta

    return make


def command(meta, server, *more):
    quick = ["--backoff", "0.02", "--quiet", "--num-workers", "0"]
    return [str(meta), "--base-url", server.url, "--model", "m", *quick, *more]


def read(path):
    return pl.read_csv(path, infer_schema=False)


def test_every_row_gets_its_own_caption_from_a_server_that_fails_half_of_the_time(numbered, capsys):
    meta = numbered(30, note=["kept"] * 30)
    chance = random.Random(1)

    def coin(request, number):
        if chance.random() < 0.5:
            return chance.choice((None, failure(500), failure(429), (200, {}, '{"choi')))
        time.sleep(chance.random() / 50)
        return describe(request, number)

    with ChatServer(coin, key=KEY) as server:
        prices = ["--price-in", "2", "--price-out", "8"]
        assert main(command(meta, server, *prices, "--num-workers", "2", "--retries", "30")) == 0
    told = capsys.readouterr()
    output = meta.with_name("meta_caption.csv")
    assert told.out.splitlines()[-1] == str(output)
    table = read(output)
    assert table.columns == ["id", "path", "filesize", "note", "text", "text_finish"]
    assert table["text"].to_list() == [f"Picture number {n}. It is striped." for n in range(30)]
    assert table["text_finish"].to_list() == ["stop"] * 30
    assert table.drop("text", "text_finish").equals(read(meta))
    assert "30 answers" in told.err and "tokens, this run: 3,000 in, 300 out" in told.err
    assert f"cost: {(3000 * 2 + 300 * 8) / 1e6:.4f}" in told.err
    assert not list(output.parent.glob(".vidsieve/*/answers*"))


def test_a_limit_sends_requests_for_the_next_rows_and_a_dry_run_for_none(numbered, capsys):
    meta = numbered(5)
    with ChatServer(describe, key=KEY) as server:
        assert main(command(meta, server, "--dry-run")) == 0
        assert len(server.requests) == 0
        assert "rows: 5 to do" in capsys.readouterr().out.splitlines()
        assert main(command(meta, server, "--limit", "2")) == 0
        assert sorted(map(number_of, server.requests)) == [0, 1]
        assert read(meta.with_name("meta_caption.csv"))["id"].to_list() == ["000", "001"]
        assert main(command(meta, server)) == 0
        assert sorted(map(number_of, server.requests)) == [0, 1, 2, 3, 4]
    table = read(meta.with_name("meta_caption.csv"))
    assert table["text"].to_list() == [f"Picture number {n}. It is striped." for n in range(5)]


def test_frames_of_a_video_come_in_order_and_scaled(tmp_path):
    video = make_video(tmp_path / "v.mp4", 12, size=(320, 192), fps=12)
    meta = tmp_path / "meta.csv"
    pl.DataFrame({"path": [str(video)]}).write_csv(meta)
    with ChatServer(lambda *_: answer("A video.")) as server:
        main(command(meta, server, "--num-frames", "4", "--resize", "96", "--detail", "low"))
    (request,) = server.requests
    found = pictures(request)
    assert [read_barcode(picture) for picture in found] == [1, 4, 7, 10]  # the middles of four quarters of 12
    assert [picture.shape for picture in found] == [(96, 160, 3)] * 4
    assert words(request) == PROMPTS["video"].request
    kinds = [part["type"] for part in request["messages"][0]["content"]]
    assert kinds == ["image_url"] * 4 + ["text"]
    assert request["messages"][0]["content"][0]["image_url"]["detail"] == "low"
    assert (request["temperature"], request["max_tokens"], request["seed"]) == (0, 300, 0)


def test_caption_gpt4_sends_three_frames_and_needs_no_model(tmp_path):
    video = make_video(tmp_path / "v.mp4", 9, fps=9)
    meta = tmp_path / "meta.csv"
    pl.DataFrame({"path": [str(video)]}).write_csv(meta)
    with ChatServer(lambda *_: answer("A video.")) as server:
        assert main_gpt4([str(meta), "--base-url", server.url, "--quiet"]) == 0
    assert len(pictures(server.requests[0])) == 3
    assert server.requests[0]["model"] == "gpt-4o"


def test_the_existing_caption_goes_into_the_prompt_and_an_image_has_the_prompt_of_images(numbered):
    meta = numbered(2, text=["A zebra crossing in Bonn.", ""])
    with ChatServer(describe) as server:
        main(command(meta, server, "--prompt", "video", "--existing-text"))
    asked = {number_of(request): words(request) for request in server.requests}
    assert "A zebra crossing in Bonn." in asked[0] and asked[0].startswith(PROMPTS["image"].request)
    assert asked[1] == PROMPTS["image"].request
    assert read(meta.with_name("meta_caption.csv")).columns == [
        "id",
        "path",
        "filesize",
        "text",
        "text_finish",
    ]


def test_rows_that_failed_have_empty_cells_and_a_reason_and_are_retried_on_demand(numbered, capsys):
    meta = numbered(6)
    refuse = {2}

    def behave(request, number):
        n = number_of(request)
        if n in refuse:
            return answer(None, refusal="I must not look at this.")
        return answer("Cut of", finish="length") if n == 4 else describe(request, number)

    with ChatServer(behave) as server:
        assert main(command(meta, server)) == 0
        output = meta.with_name("meta_caption.csv")
        table = read(output)
        assert table["text"][2] is None and table["text_finish"][2] is None
        assert (table["text"][4], table["text_finish"][4]) == ("Cut of", "length")
        reasons = read(output.with_name("meta_caption.failures.csv"))
        assert "must not look" in reasons["message"][0] and reasons["path"][0].endswith("2.png")
        assert "1 row: cut off after 300 tokens" in capsys.readouterr().err
        assert main(command(meta, server)) == 0
        assert len(server.requests) == 6
        refuse.clear()
        assert main(command(meta, server, "--retry-failed")) == 0
    assert len(server.requests) == 7
    assert read(output)["text"][2] == "Picture number 2. It is striped."
    assert not output.with_name("meta_caption.failures.csv").exists()


def test_a_killed_run_pays_for_no_answer_twice(numbered):
    """SIGKILL in the middle of a batch, then Ctrl-C: no request that was answered is sent again."""
    meta = numbered(24)
    answered = []

    def slow(request, number):
        time.sleep(0.08)
        answered.append(number_of(request))
        return describe(request, number)

    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with ChatServer(slow, key=KEY) as server:
        arguments = [
            sys.executable,
            "-m",
            "tools.caption.caption_api",
            *command(meta, server, "--concurrency", "2"),
        ]
        for stop_at, how in ((5, signal.SIGKILL), (11, signal.SIGINT)):
            process = subprocess.Popen(arguments, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
            wait_until(lambda at=stop_at: len(answered) >= at, process)
            process.send_signal(how)
            process.wait()
            time.sleep(0.3)  # requests that were under way come to their end
        killed = len(answered)
        assert killed < 24
        done = subprocess.run(
            arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
    table = read(meta.with_name("meta_caption.csv"))
    assert table["text"].to_list() == [f"Picture number {n}. It is striped." for n in range(24)]
    twice = len(answered) - len(set(answered))
    assert twice <= 2  # SIGKILL cut off the answers of at most two open requests, Ctrl-C waits for them
    assert "with the runs before it" in done.stderr


def test_a_server_that_knows_idempotency_keys_is_paid_once_for_each_row(numbered):
    """It keeps its answers by the key, as the IETF's draft has it; what was under way at a kill is there."""
    meta = numbered(12)
    stored, bodies = {}, {}

    def behave(request, number):
        key = server.headers[number]["Idempotency-Key"]
        assert bodies.setdefault(key, request) == request
        if key not in stored:
            stored[key] = answer("<think>", finish="length") if number_of(request) == 3 else None
            stored[key] = stored[key] or describe(request, number)
            time.sleep(0.08)
        return stored[key]

    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with ChatServer(behave, key=KEY) as server:
        words = command(meta, server, "--concurrency", "4")
        arguments = [sys.executable, "-m", "tools.caption.caption_api", *words]
        for stop_at in (3, 8):
            process = subprocess.Popen(arguments, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
            wait_until(lambda at=stop_at: len(stored) >= at, process)
            process.kill()
            process.wait()
        assert main(words) == 0
        assert len(stored) == 12 < len(server.requests)
        texts = read(meta.with_name("meta_caption.csv"))["text"].to_list()
        assert texts == [None if n == 3 else f"Picture number {n}. It is striped." for n in range(12)]
        assert main([*words, "--retry-failed"]) == 0
        assert len(stored) == 13  # an answer of no use is not asked for under its old key
        assert not list(meta.parent.rglob("answers*"))


def test_answers_of_no_use_are_paid_once_too(numbered):
    """A run that ends before its batch does has written down what it paid for, usable or not."""
    meta = numbered(12)
    asked = []
    repaired = False

    def behave(request, number):
        n = number_of(request)
        if n >= 6 and not repaired:
            return failure(401, "the key has expired")
        asked.append(n)
        return answer("<think>A picture", finish="length") if n % 2 else describe(request, number)

    with ChatServer(behave) as server:
        with pytest.raises(UserError, match="401"):
            main(command(meta, server, "--concurrency", "1"))
        paid = sorted(asked)
        assert paid == list(range(6))
        repaired = True
        assert main(command(meta, server)) == 0
        assert sorted(asked) == list(range(12))
        texts = read(meta.with_name("meta_caption.csv"))["text"].to_list()
        assert texts == [None if n % 2 else f"Picture number {n}. It is striped." for n in range(12)]
        assert main(command(meta, server, "--retry-failed")) == 0
    assert sorted(asked[12:]) == [1, 3, 5, 7, 9, 11]


def test_rows_that_failed_are_retried_on_demand_after_a_run_that_was_stopped(numbered):
    meta = numbered(6)
    state = {"healthy": False}

    def behave(request, number):
        n = number_of(request)
        if state["healthy"]:
            return describe(request, number)
        return answer("") if n < 3 else failure(401)

    with ChatServer(behave) as server:
        with pytest.raises(UserError):
            main(command(meta, server, "--concurrency", "1"))
        state["healthy"] = True
        assert main(command(meta, server, "--retry-failed")) == 0
    assert read(meta.with_name("meta_caption.csv"))["text"].null_count() == 0


def test_ranks_that_go_on_from_one_process_find_its_answers_whoever_ends_first(numbered, monkeypatch):
    meta = numbered(6)

    def dies(request, number):
        return failure(401) if number_of(request) == 5 else describe(request, number)

    with ChatServer(dies) as server, pytest.raises(UserError):
        main(command(meta, server, "--concurrency", "1"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with ChatServer(describe) as server:
        for rank in ("0", "1"):
            monkeypatch.setenv("RANK", rank)
            main(command(meta, server))
    assert [number_of(request) for request in server.requests] == [5]
    assert not list(meta.parent.glob(".vidsieve/*/answers*"))


def test_a_limited_or_dry_run_after_a_kill_loses_no_answer(numbered, capsys):
    meta = numbered(6)

    def dies(request, number):
        return failure(401) if number_of(request) == 5 else describe(request, number)

    with ChatServer(dies) as server, pytest.raises(UserError):
        main(command(meta, server, "--concurrency", "1"))
    with ChatServer(describe) as server:
        main(command(meta, server, "--dry-run"))
        main(command(meta, server, "--limit", "2"))
        assert main(command(meta, server)) == 0
    assert [number_of(request) for request in server.requests] == [5]


def test_a_damaged_journal_costs_the_damaged_answers_alone(numbered, caplog):
    meta = numbered(6)

    def dies(request, number):
        return failure(401) if number_of(request) == 5 else describe(request, number)

    with ChatServer(dies) as server, pytest.raises(UserError):
        main(command(meta, server, "--concurrency", "1"))
    (journal,) = meta.parent.glob(".vidsieve/*/answers0.jsonl")
    lines = journal.read_text().splitlines()
    assert len(lines) == 5
    lines[1] = lines[1].replace("Picture number 1", "Picture number 3")
    lines[2] = lines[2][:40]
    lines[3] = '{"question": 1}'
    journal.write_text("\n".join(lines))
    with ChatServer(describe) as server:
        assert main(command(meta, server)) == 0
    assert sorted(number_of(request) for request in server.requests) == [1, 2, 3, 5]
    assert "3 damaged lines" in caplog.text
    texts = read(meta.with_name("meta_caption.csv"))["text"].to_list()
    assert texts == [f"Picture number {n}. It is striped." for n in range(6)]


def test_an_answer_that_no_table_can_store_is_paid_once(numbered):
    meta = numbered(16)

    def behave(request, number):
        if number_of(request) != 3:
            return describe(request, number)
        body = r'{"choices": [{"message": {"content": "A cat \ud83d runs."}, "finish_reason": "stop"}]}'
        return 200, {}, body

    with ChatServer(behave) as server:
        assert main(command(meta, server)) == 0
    assert len(server.requests) == 16
    assert read(meta.with_name("meta_caption.csv"))["text"][3] == "A cat \ufffd runs."


def test_rows_with_the_same_request_share_one(numbered):
    meta = numbered(3)
    for copy in ("a.png", "b.png"):
        (meta.parent / "pictures" / copy).write_bytes((meta.parent / "pictures" / "1.png").read_bytes())
    paths = [str(meta.parent / "pictures" / name) for name in ("0.png", "1.png", "2.png", "a.png", "b.png")]
    pl.DataFrame({"path": paths}).write_csv(meta)
    with ChatServer(describe) as server:
        assert main(command(meta, server, "--bs", "4")) == 0
    assert sorted(number_of(request) for request in server.requests) == [0, 1, 2]
    texts = read(meta.with_name("meta_caption.csv"))["text"].to_list()
    assert texts == [f"Picture number {n}. It is striped." for n in (0, 1, 2, 1, 1)]


def test_truncated_reasoning_is_recognized_by_the_other_answers(numbered, capsys):
    """A template that opens the mark: what has no mark and was cut off is thought, and no caption."""
    meta = numbered(4)

    def thinks(request, number):
        n = number_of(request)
        if n == 2:
            return answer("This shows stripes, but which of", finish="length")
        return answer(f"Stripes.</think>Picture {n}.")

    with ChatServer(thinks) as server:
        assert main(command(meta, server)) == 0
    table = read(meta.with_name("meta_caption.csv"))
    assert table["text"].to_list() == ["Picture 0.", "Picture 1.", None, "Picture 3."]
    (reason,) = read(meta.with_name("meta_caption.failures.csv")).rows()
    assert reason[1] == "server" and "still reasoning" in reason[2]


def test_the_last_lines_name_the_server_and_the_model(numbered, capsys):
    meta = numbered(1)
    with ChatServer(describe) as server:
        main(command(meta, server))
    told = capsys.readouterr().err
    assert f"model: m at {server.url.split('/')[2]}\n" in told and KEY not in told


def wait_until(condition, process, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the command has ended"
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.01)


def test_a_wrong_key_ends_the_run_and_is_written_nowhere(numbered, monkeypatch, capfd):
    meta = numbered(40)
    wrong = "sk-wrong-fedcba9876543210"
    monkeypatch.setenv("OPENAI_API_KEY", wrong)
    with ChatServer(describe, key=KEY) as server, pytest.raises(UserError) as caught:
        main(command(meta, server))
    told = capfd.readouterr()
    assert "OPENAI_API_KEY" in str(caught.value)
    assert not meta.with_name("meta_caption.csv").exists()
    assert_nowhere(
        wrong, meta.parent, told.out + told.err + str(caught.value) + repr(caught.value.__context__)
    )


def test_the_key_is_written_nowhere(numbered, monkeypatch, capfd):
    """Not even by a server that puts it into answers and errors, with tracebacks on."""
    meta = numbered(8)
    monkeypatch.setenv("TOOLS_DEBUG", "1")

    def chatty(request, number):
        n = number_of(request)
        said = f"your key is {KEY}"
        return failure(400, said) if n == 3 else failure(500, said) if n == 5 else answer(said)

    with ChatServer(chatty, key=KEY) as server:
        main(command(meta, server, "--retries", "1"))
    told = capfd.readouterr()
    assert_nowhere(KEY, meta.parent, told.out + told.err)
    assert read(meta.with_name("meta_caption.csv"))["text"][0] == "your key is ***"


def assert_nowhere(secret, folder, told):
    assert secret not in told
    for path in folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("flags", "prompt", "frames"),
    [
        ([], "video", Sampling("uniform_mid", 3)),
        ([], "video-f1-detail-3ex", Sampling("uniform_mid", 1)),
        (["--num-frames", "5"], "video-f1-detail-3ex", Sampling("uniform_mid", 5)),
        (["--sampling", "fps:2"], "video", Sampling("fps", fps=2)),
        (["--sampling", "fps:2", "--num-frames", "5"], "video", Sampling("fps", fps=2, max_frames=5)),
        (["--sampling", "middle"], "video", Sampling("middle")),
    ],
)
def test_frames_are_as_many_as_the_prompt_says_unless_a_flag_does(flags, prompt, frames):
    def config(command, *more):
        common = ["meta.csv", "--base-url", "http://127.0.0.1:9/v1", "--prompt", prompt]
        return command.make_stage(command.parser().parse_args([*common, *more, *flags])).config()

    found = config(caption_api.COMMAND, "--model", "m", "--resize", "0")
    assert found["sampling"] == frames.asdict() and found["resize"] is None
    assert found["prompt"] == dataclasses.asdict(PROMPTS[prompt])
    other = config(caption_gpt4.COMMAND)
    assert other["sampling"] == frames.asdict() and other["model"] == "gpt-4o"


@pytest.mark.parametrize(("flags", "rows"), [([], 256), (["--concurrency", "2"], 16), (["--bs", "5"], 5)])
def test_a_batch_has_eight_requests_for_each_concurrent_one(numbered, flags, rows):
    """So that the ledger of a run with few concurrent requests is written often."""
    common = ["--model", "m", "--base-url", "http://127.0.0.1:9/v1", "--dry-run"]
    args = caption_api.COMMAND.parser().parse_args([str(numbered(1)), *common, *flags])
    assert run_server_stage(caption_api.COMMAND.make_stage(args), args) == 0
    assert args.batch_size == rows


def test_a_key_on_the_command_line_is_refused(numbered, capsys):
    with pytest.raises(SystemExit) as caught:
        main([str(numbered(1)), "--model", "m", "--key", "sk-secret"])
    told = capsys.readouterr().err
    assert caught.value.code == 2 and "OPENAI_API_KEY" in told and "sk-secret" not in told


def test_a_run_that_was_stopped_goes_on_elsewhere(numbered, capsys):
    """The server goes down; another takes its place at another address; nothing is asked again."""
    meta = numbered(20)
    first = []

    def dies(request, number):
        if len(first) >= 7:
            return failure(503, "down for repair")
        first.append(number_of(request))
        return describe(request, number)

    with ChatServer(dies) as server, pytest.raises(UserError, match="in a row"):
        main(command(meta, server, "--retries", "1", "--concurrency", "1", "--max-failures-in-a-row", "3"))
    with ChatServer(describe) as server:
        assert main(command(meta, server, "--retry-failed")) == 0
    assert sorted(first + [number_of(request) for request in server.requests]) == list(range(20))
    texts = read(meta.with_name("meta_caption.csv"))["text"].to_list()
    assert texts == [f"Picture number {n}. It is striped." for n in range(20)]


def test_other_options_are_another_request(numbered):
    meta = numbered(2)
    with ChatServer(describe) as server:
        main(command(meta, server))
        with pytest.raises(UserError, match="--overwrite"):
            main(command(meta, server, "--prompt", "What is this?"))
        assert main(command(meta, server, "--concurrency", "3", "--retries", "1")) == 0
        assert len(server.requests) == 2
        assert main(command(meta, server, "--prompt", "What is this?", "--overwrite")) == 0
    assert len(server.requests) == 4


def test_ranks_write_parts(numbered, monkeypatch):
    meta = numbered(5)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with ChatServer(describe) as server:
        for rank in ("0", "1"):
            monkeypatch.setenv("RANK", rank)
            main(command(meta, server))
    parts = [read(meta.with_name(f"meta_caption_part{rank}.csv")) for rank in (0, 1)]
    assert [part["text"].to_list() for part in parts] == [
        [f"Picture number {n}. It is striped." for n in numbers] for numbers in ((0, 2, 4), (1, 3))
    ]


def test_a_table_whose_text_is_wanted_has_one(numbered):
    with pytest.raises(UserError, match="text"):
        main([str(numbered(1)), "--model", "m", "--base-url", "http://127.0.0.1:9/v1", "--existing-text"])
