"""datautil against pandas as Open-Sora's tool uses it, and against the same query in plain Polars.

    python benchmarks/datautil.py [--rows 2000000] [--rounds 3] [--folder DIR] [--only NAME ...] [--json FILE]

The table is made: paths, ids, sizes, scores, and a caption of about 200 characters. pandas does
`read_csv`, one operation and `to_csv`; Polars `scan_csv` of texts, the operation and `sink_csv`,
with one thread. Each way of each task is a process of its own, in turn; counted are the CPU seconds
(user and system) less those for a table of 1,000 rows, which are the start, medians of the rounds,
and the peak memory. Seconds below 0.05 are noise of the start, and get no ratio. The results of
pandas and datautil are compared, row by row, before a figure is printed. pandas cleans captions with
diffusers' own copy of the T5 cleaning, twice, as Open-Sora does it; that task needs
``pip install --no-deps diffusers requests``, and is left out without it.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from measuring import finish, installed, make_parser, ratio_of, run, run_child

CLEANED = 200_000  # rows of the table of captions; a loop over all of them would take hours
PARTS = 8
WORDS = """
    the a an video shows person people man woman child dog walking standing running street city night day
    light camera moves slowly across wide close up with and under over bright dark scene background car red
    blue green white mountain river sea sky cloud tree grass house window table in on of at while wearing
"""


def make_tables(rows_as_text: str) -> None:
    """meta.csv, its parts, a table of the paths to leave out, and one of captions."""
    import numpy as np
    import polars as pl

    if Path("captions.csv").exists():
        return
    rows = int(rows_as_text)
    rng = np.random.default_rng(0)
    captions = np.array([" ".join(rng.choice(WORDS.split(), 38)).capitalize() + "." for _ in range(50_000)])
    number = pl.Series(np.arange(rows)).cast(pl.String).str.zfill(9)
    table = pl.DataFrame(
        {
            "path": "/data/clips/" + number + "_scene-0.mp4",
            "id": number + "_scene-0",
            "num_frames": rng.integers(16, 600, rows),
            "height": rng.choice([360, 480, 720, 1080], rows),
            "width": rng.choice([640, 854, 1280, 1920], rows),
            "fps": rng.choice([24.0, 25.0, 29.97002997002997, 30.0], rows),
            "aes": rng.normal(5, 1, rows).round(6),
            "flow": rng.gamma(2, 3, rows).round(6),
            "match": rng.normal(20, 3, rows).round(6),
            "ocr": rng.integers(0, 20, rows),
            "text": captions[rng.integers(0, len(captions), rows)],
        }
    )
    table.write_csv("meta.csv")
    for part in range(PARTS):
        table[part * rows // PARTS : (part + 1) * rows // PARTS].write_csv(f"piece{part}.csv")
    table.filter(rng.random(rows) < 0.5).select("path", "aes").write_csv("done.csv")
    shown = " see https://example.com/a1 <b>now</b> &amp; “here” – 1920x1080, IMG_1234.jpg"
    some = table.head(CLEANED).with_columns(text=number.head(CLEANED) + " " + pl.col("text"))
    every_tenth = pl.int_range(pl.len()) % 10 == 0
    some = some.with_columns(text=pl.when(every_tenth).then(pl.col("text") + shown).otherwise("text"))
    some.write_csv("captions.csv")


TASKS = {
    "one threshold": (["meta.csv"], ["--aesmin", "5"]),
    "three thresholds": (["meta.csv"], ["--aesmin", "5", "--flowmin", "2", "--fmin", "48"]),
    "where": (["meta.csv"], ["--where", "aes >= 5 and not text.isna()"]),
    "sort": (["meta.csv"], ["--sort", "aes"]),
    "sample": (["meta.csv"], ["--sample", "20000"]),
    f"merge {PARTS} parts": ([f"piece{part}.csv" for part in range(PARTS)], []),
    "difference": (["meta.csv"], ["--difference", "done.csv"]),
    "clean captions": (["captions.csv"], ["--clean-caption"]),
}


def with_pandas(task: str) -> None:
    """The same task the way Open-Sora's datautil does it."""
    import pandas as pd

    data = pd.concat([pd.read_csv(file) for file in TASKS[task][0]], ignore_index=True)
    match task:
        case "one threshold":
            data = data[data["aes"] >= 5]
        case "three thresholds":
            data = data[data["num_frames"] >= 48]
            data = data[data["aes"] >= 5]
            data = data[data["flow"] >= 2]
        case "where":
            data = data[(data["aes"] >= 5) & ~data["text"].isna()]
        case "sample":
            data = data.sample(min(20_000, len(data)), random_state=0)
        case "sort":
            data = data.sort_values(by="aes", ascending=False)
        case "difference":
            data = data[~data["path"].isin(set(pd.read_csv("done.csv")["path"]))]
        case "clean captions":
            data["text"] = data["text"].apply(reference_cleaning())
    data.to_csv("theirs.csv", index=False)


def with_polars(task: str) -> None:
    """The same query in plain Polars."""
    import polars as pl

    data = pl.scan_csv(TASKS[task][0], infer_schema=False)
    aes, flow, frames = (pl.col(name).cast(pl.Float64) for name in ("aes", "flow", "num_frames"))
    match task:
        case "one threshold":
            data = data.filter(aes >= 5)
        case "three thresholds":
            data = data.filter(aes >= 5, flow >= 2, frames >= 48)
        case "where":
            data = data.filter(aes >= 5, pl.col("text").is_not_null())
        case "sample":
            table = data.collect(engine="streaming")
            data = table.sample(min(20_000, table.height), seed=0).lazy()
        case "sort":
            data = data.sort(aes, descending=True, nulls_last=True, maintain_order=True)
        case "difference":
            done = pl.scan_csv("done.csv", infer_schema=False).select("path")
            data = data.join(done, on="path", how="anti", maintain_order="left")
        case "clean captions":
            return
    data.sink_csv("polars.csv")


def reference_cleaning() -> Callable[[str], str]:
    from diffusers.pipelines.deepfloyd_if.pipeline_if import IFPipeline

    clean = IFPipeline._clean_caption
    pipeline = IFPipeline.__new__(IFPipeline)
    return lambda text: clean(pipeline, clean(pipeline, text))


def timed(command: list[str], folder: Path, output: str = "") -> tuple[float, float]:
    """CPU seconds and peak GiB of a process that writes a file, which is not there before."""
    if output:  # what is replaced has to be removed, which takes time, too
        (folder / output).unlink(missing_ok=True)
    child = run_child(command, folder=folder, POLARS_MAX_THREADS="1")
    return child.cpu, child.peak / 2**30


def check_equal(task: str) -> None:
    import polars as pl

    ours, theirs = (pl.read_csv(name, infer_schema=False) for name in ("ours.csv", "theirs.csv"))
    if task == "sort":  # pandas' sort is not stable
        ours, theirs = (frame.select(pl.col("aes").cast(pl.Float64)) for frame in (ours, theirs))
    else:
        ours, theirs = (frame.select("path", "text") for frame in (ours, theirs))
    if not ours.equals(theirs):
        raise SystemExit(f"{task}: the results differ")


STEPS = {"make": make_tables, "pandas": with_pandas, "polars": with_polars, "check": check_equal}
OUTPUTS = {"datautil": "ours.csv", "pandas": "theirs.csv", "polars": "polars.csv"}


def compare(task: str, rounds: int, folder: Path, step: list[str]) -> dict[str, float | None]:
    """Seconds and GiB of each way of a task."""
    inputs, flags = TASKS[task]
    module = [sys.executable, "-m", "tools.datasets.datautil", *inputs, *flags, "--output", "ours.csv"]
    commands = {"datautil": [*module, "--quiet", "--overwrite"]}
    if installed("pandas", "pandas"):
        commands = {"pandas": [*step, "pandas", task], **commands}
    if task != "clean captions":
        commands["polars"] = [*step, "polars", task]
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in commands}
    for _ in range(rounds):
        for way, command in commands.items():
            few = timed(command, folder / "few", OUTPUTS[way])
            many = timed(command, folder, OUTPUTS[way])
            found[way].append((many[0] - few[0], many[1]))
    if task != "sample" and "pandas" in commands:  # which rows is a matter of each one's random numbers
        timed([*step, "check", task], folder)
    figures: dict[str, float | None] = {}
    for way, values in found.items():
        figures[f"{way} s"], figures[f"{way} GiB"] = map(statistics.median, zip(*values, strict=True))
    if "pandas s" in figures:
        figures["faster than pandas"] = ratio_of(figures["pandas s"], figures["datautil s"])
    if "polars s" in figures:
        figures["of polars"] = ratio_of(figures["datautil s"], figures["polars s"])
    return figures


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the tables are made, and kept")
    parser.add_argument("--only", nargs="+", choices=tuple(TASKS), default=tuple(TASKS))
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        STEPS[args.step[0]](args.step[1])
        return
    with contextlib.ExitStack() as stack:
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        compare_all(args, folder.resolve() / f"{args.rows}_rows")


def compare_all(args: argparse.Namespace, folder: Path) -> None:
    """Make the tables, compare each task, and write JSON."""
    (folder / "few").mkdir(parents=True, exist_ok=True)
    # This process stays small: the peak of a child is at least that of its parent when it starts.
    step = [sys.executable, str(Path(__file__).resolve()), "--step"]
    timed([*step, "make", str(args.rows)], folder)
    timed([*step, "make", "1000"], folder / "few")
    print(f"{args.rows} rows, {(folder / 'meta.csv').stat().st_size / 2**30:.2f} GiB")
    figures: dict[str, dict[str, float | None]] = {}
    for task in args.only:
        if task == "clean captions" and not installed("clean captions", "pandas", "diffusers", "requests"):
            continue
        figures[task] = compare(task, args.rounds, folder, step)
        print(
            f"{task}: "
            + ", ".join(
                f"{name} {'-' if value is None else f'{value:.2f}'}" for name, value in figures[task].items()
            ),
            flush=True,
        )
    finish(args.json, figures)


if __name__ == "__main__":
    run(main)
