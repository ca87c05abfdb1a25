"""The caption command on real clips with a model of random weights: ranks, kills, and failures."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import polars as pl
import pytest
import torch
import transformers
from PIL import Image

from tools.caption.prompts import PROMPTS
from tools.table import write_table

ROOT = Path(__file__).resolve().parents[2]
CLIPS = ("skv_bikes.mp4", "gradio_b.avi", "bikes_vfr.mp4")
TOKENS = 24


@pytest.fixture(scope="module")
def model(data_dir):
    return data_dir / "llava_tiny"


@pytest.fixture(scope="module")
def paths(data_dir, tmp_path_factory):
    """Clips, an image, and a file that is no video, in the middle."""
    broken = tmp_path_factory.mktemp("broken") / "broken.mp4"
    broken.write_text("no video\n")
    clips = [data_dir / "videos" / name for name in CLIPS]
    return [*clips[:2], broken, clips[2], data_dir / "clip_preprocess" / "123_456.jpg"]


def middle_frame(path):
    """Frame n // 2 of all that a decoder gives, its shorter side not above 336 pixels."""
    if path.suffix == ".jpg":
        image = Image.open(path).convert("RGB")
    else:
        with av.open(str(path)) as container:
            frames = list(container.decode(video=0))
        image = frames[len(frames) // 2].to_image()
    scale = min(1, 336 / min(image.size))
    return image.resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def expected(model, paths):
    """Captions by transformers alone, one row at a time, from frames that PyAV alone decoded."""
    processor = transformers.AutoProcessor.from_pretrained(model)
    llava = transformers.AutoModelForImageTextToText.from_pretrained(model)
    captions = {}
    for path in paths:
        if path.stem == "broken":
            continue
        prompt = PROMPTS["image" if path.suffix == ".jpg" else "video"].request
        text = f"USER: <image>\n{prompt} ASSISTANT:"
        inputs = processor(text=text, images=[middle_frame(path)], return_tensors="pt")
        with torch.inference_mode():
            tokens = llava.generate(**inputs, max_new_tokens=TOKENS, do_sample=False)
        new = processor.tokenizer.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        captions[str(path)] = new.replace("\r", " ").replace("\n", " ").strip()
    return captions


def make_table(paths, folder, **columns):
    ids = [f"{i:03}" for i in range(len(paths))]
    return write_table(
        pl.DataFrame({"path": [str(p) for p in paths], "id": ids, **columns}), folder / "meta.csv"
    )


def environment():
    threads = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")} | threads


def run(*arguments, code=0):
    command = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=600)
    assert done.returncode == code, done.stderr
    return done


def torchrun(*arguments, code=0):
    return run("torch.distributed.run", "--nproc_per_node", 2, "--standalone", "-m", *arguments, code=code)


def read(path):
    return pl.read_csv(path, infer_schema=False)


def test_the_three_steps_on_two_ranks(model, paths, expected, tmp_path):
    meta = make_table(paths, tmp_path, text=["before"] * 5, aes=["5.10"] * 5)
    torchrun(
        "tools.caption.caption_llava",
        meta,
        *("--dp-size", 2, "--tp-size", 1, "--model-path", model, "--prompt", "video"),
        *("--max-tokens", TOKENS),
    )
    parts = sorted(tmp_path.glob("meta_caption_part*.csv"))
    assert [part.name for part in parts] == ["meta_caption_part0.csv", "meta_caption_part1.csv"]
    merged, cleaned = tmp_path / "merged.csv", tmp_path / "cleaned.csv"
    run("tools.datasets.datautil", *parts, "--output", merged)
    table = read(merged)
    assert table.columns == ["path", "id", "text", "aes", "text_finish"]
    assert table["id"].to_list() == [f"{i:03}" for i in range(5)]
    assert table["aes"].to_list() == ["5.10"] * 5
    captions = dict(zip(table["path"], table["text"], strict=True))
    assert captions == {str(path): expected.get(str(path)) for path in paths}
    assert table["text_finish"].to_list() == ["length", "length", None, "length", "length"]
    failures = read(tmp_path / "meta_caption.failures_part0.csv")
    assert failures["path"].to_list() == [str(paths[2])]
    assert failures["kind"].to_list() == ["unreadable"]
    cleaning = ("--clean-caption", "--refine-llm-caption", "--remove-empty-caption")
    run("tools.datasets.datautil", merged, *cleaning, "--output", cleaned)
    assert read(cleaned)["id"].to_list() == ["000", "001", "003", "004"]


def test_a_killed_run_goes_on_and_ends_the_same(model, paths, expected, tmp_path):
    meta = make_table(paths, tmp_path)
    command = ["tools.caption.caption_llava", str(meta), "--model-path", str(model), "--bs", "1"]
    command += ["--max-tokens", str(TOKENS), "--num-workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, env=environment(), start_new_session=True
    )
    state = tmp_path / ".vidsieve"
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if sum(file.read_bytes().count(b"\n") for file in state.glob("*/*.jsonl")) >= 2:
            break
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "meta_caption.csv").exists()
    done = run(*command)
    assert "by an earlier run" in done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "meta_caption.csv")
    table = read(tmp_path / "meta_caption.csv")
    assert dict(zip(table["path"], table["text"], strict=True)) == {
        str(path): expected.get(str(path)) for path in paths
    }


@pytest.mark.skipif(not importlib.util.find_spec("accelerate"), reason="accelerate is not installed")
def test_two_processes_share_a_model(model, paths, expected, tmp_path):
    """Clips whose captions on one process are known; 'typed' wrongly, it says what is wrong."""
    meta = make_table(paths[:3], tmp_path)
    common = ("tools.caption.caption_llava", meta, "--model-path", model, "--max-tokens", TOKENS)
    torchrun(*common, "--dp-size", 1, "--tp-size", 2)
    assert [p.name for p in tmp_path.glob("meta_caption*.csv")].count("meta_caption.csv") == 1
    assert read(tmp_path / "meta_caption.csv")["text"].to_list() == [expected.get(str(p)) for p in paths[:3]]


def test_errors_are_one_line(model, paths, tmp_path):
    meta = make_table(paths[:1], tmp_path)
    wrong = run("tools.caption.caption_llava", meta, "--model-path", model, "--dp-size", 2, code=2)
    assert wrong.stderr.startswith("error: --dp-size 2 x --tp-size 1: work for 2 processes, there are 1")
    no_text = run("tools.caption.caption_llava", meta, "--model-path", model, "--existing-text", code=2)
    assert no_text.stderr.splitlines()[-1].startswith("error: ") and "text" in no_text.stderr
