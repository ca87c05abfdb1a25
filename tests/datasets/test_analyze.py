import json
import re
import subprocess
import sys

import pytest

from tools.datasets.analyze import analyze, main
from tools.errors import UserError

VIDEOS = "a.mp4,50,25,4.5\nb.mp4,100,25,6.5\n"


@pytest.fixture
def meta(tmp_path):
    path = tmp_path / "meta.csv"
    path.write_text(f"path,num_frames,fps,aes\n{VIDEOS}c.jpg,1,,5.0\nd.mp4,0,,\n")
    return path


def test_images_and_videos_are_summarized_apart_and_broken_files_only_counted(meta):
    found = analyze([meta])
    assert found.overview.kinds == {"video": 2, "image": 1, "broken": 1, "unknown": 0}
    assert found.overview.seconds == pytest.approx(150 / 25)
    assert list(found.kinds) == ["video", "image"]
    assert found.kinds["video"].numbers["aes"].mean == pytest.approx(5.5)
    assert found.kinds["image"].numbers["aes"].mean == pytest.approx(5.0)
    assert found.kinds["video"].numbers["num_frames"].minimum == 50


def test_num_frames_is_not_needed(tmp_path):
    meta = tmp_path / "meta.csv"
    meta.write_text("path,aes\na.mp4,1\nb.png,2\n")
    assert {kind: summary.overview.rows for kind, summary in analyze([meta]).kinds.items()} == {
        "video": 1,
        "image": 1,
    }


def test_a_table_with_neither_paths_nor_frames_is_summarized_too(tmp_path):
    meta = tmp_path / "meta.csv"
    meta.write_text("aes\n1\n3\n")
    assert analyze([meta]).kinds["unknown"].numbers["aes"].mean == 2


def test_parts_are_one_table(tmp_path):
    for rank in range(2):
        (tmp_path / f"m_part{rank}.csv").write_text(
            f"path,aes,_row,_part\n{rank}.mp4,{rank},{rank},{rank}/2\n"
        )
    assert analyze([tmp_path / "m_part*.csv"]).overview.rows == 2


def test_the_command_prints_and_writes(meta, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="plots need the extra vidsieve[report]")
    main([str(meta), "--save_img", str(tmp_path / "out"), "--json", str(tmp_path / "out/sum.json")])
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert lines[-1] == str(tmp_path / "out/report.html")
    assert (tmp_path / "out/report.html").stat().st_size > 10_000
    assert (tmp_path / "out/video_aes.png").exists() and (tmp_path / "out/image_aes.png").exists()
    assert "videos (2)" in lines and "images (1)" in lines
    values = json.loads((tmp_path / "out/sum.json").read_text())
    assert values["hours"] == pytest.approx(6 / 3600)
    assert values["summaries"]["video"]["numbers"]["aes"]["quantiles"]["0.5"] == pytest.approx(5.5)


def test_without_flags_nothing_is_written(meta, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main([str(meta)])
    assert [path.name for path in tmp_path.iterdir()] == ["meta.csv"]


def test_bad_input_is_one_line(meta, tmp_path):
    (tmp_path / "empty.csv").write_text("path,aes\n")
    with pytest.raises(UserError, match="no rows"):
        analyze([tmp_path / "empty.csv"])
    with pytest.raises(UserError, match="there is no such table"):
        analyze([tmp_path / "none.csv"])
    with pytest.raises(UserError, match="the summary is JSON"):
        main([str(meta), "--json", str(meta)])
    assert meta.read_text().startswith("path,num_frames")


def test_without_matplotlib_the_package_is_named_before_any_work(meta, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"pip install 'vidsieve\[report\]'"):
        main([str(meta), "--save-img"])


@pytest.mark.parametrize("module", ["tools.datasets.analyze", "tools.datasets.split"])
def test_help_is_quick(module):
    command = [sys.executable, "-X", "importtime", "-m", module, "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "examples:" in done.stdout
    assert not re.search(r"\| +(polars|pandas|torch|av|numpy|matplotlib)$", done.stderr, re.MULTILINE)
