"""The scripts on the pages for those who come from elsewhere, on files as the other tools write them."""

import importlib.util
import json
import re
from pathlib import Path

import polars as pl
import pytest

from tests.support import make_video
from tools.scene_cut import cut
from tools.table import read_table

PAGES = Path(__file__).resolve().parents[1] / "docs" / "coming_from"


def run_script(page: str, monkeypatch, folder: Path) -> None:
    """Run the one Python block of a page in a folder."""
    (code,) = re.findall(r"```python\n(.*?)```", (PAGES / page).read_text(), re.DOTALL)
    monkeypatch.chdir(folder)
    exec(compile(code, page, "exec"), {})


def modules_of_open_sora() -> list[str]:
    """Its modules whose command here is said to be the same."""
    page = (PAGES / "opensora.md").read_text().split("## Commands")[1].split("\n## ")[0]
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 20
    same = [cells[0] for cells in rows if cells[1].startswith("the same")]
    return [name for cell in same for name in re.findall(r"`([a-z_0-9.]+)`", cell)]


@pytest.mark.parametrize("module", modules_of_open_sora())
def test_a_command_that_is_the_same_is_there(module):
    assert importlib.util.find_spec(f"tools.{module}") is not None


def test_the_clips_of_dataflow_are_cut(tmp_path, monkeypatch):
    make_video(tmp_path / "v.mp4", num_frames=20)
    clips = [
        {"id": f"v_{i}", "timestamp_start": start, "timestamp_end": start + 0.4, "frame_start": i * 10}
        for i, start in enumerate((0.0, 0.4))
    ]
    row = {"video": ["v.mp4"], "video_clips": {"success": True, "clips": clips}}
    (tmp_path / "clips.jsonl").write_text(json.dumps(row) + "\n")
    run_script("dataflow.md", monkeypatch, tmp_path)
    assert cut.main(["meta.csv", "--save_dir", "clips", "--num-workers", "0", "--quiet"]) == 0
    table = read_table("meta_clips.csv")
    # DataFlow's frame_start of the two clips, at 25 frames a second.
    assert table["start_frame"].cast(pl.Int64).to_list() == [0, 10]
    assert table["num_frames"].cast(pl.Int64).to_list() == [10, 10]


def test_the_clips_of_nemo_curator_become_a_table(tmp_path, monkeypatch):
    folder = tmp_path / "output" / "metas" / "v0"
    folder.mkdir(parents=True)
    for name, score in (("a", {"aesthetic_score": 4.5}), ("b", {"aesthetic_score": -1.0}), ("c", {})):
        meta = {"span_uuid": name, "source_video": "film.mp4", "duration_span": [1.5, 4.0]}
        meta |= {"clip_location": f"output/clips/{name}.mp4", "windows": [], "valid": True} | score
        (folder / f"{name}.json").write_text(json.dumps(meta))
    run_script("nemo_curator.md", monkeypatch, tmp_path)
    table = pl.read_csv("nemo.csv")
    assert table["path"].to_list() == [f"output/clips/{name}.mp4" for name in "abc"]
    assert table["nemo_aes"].to_list() == [4.5, None, None]  # -1 is its mark of a failure
    assert table.row(0, named=True)["end"] == 4.0
