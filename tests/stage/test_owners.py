"""The threads of encoders: a run that resumes uses those of the run that made the first files."""

from __future__ import annotations

from tools.stage.owners import FileNames, NameRequest


def begin(folder, threads, *made, table="meta_clips.csv"):
    """Choose and reserve names as a run does; the threads that it gets."""
    names = FileNames(folder / "clips", folder / table)
    requests = [NameRequest(f"{name}.mp4", f"/videos/{name}.mp4", (how,)) for name, how in made]
    names.choose(requests)
    kept = names.kept_threads(threads)
    names.reserve()
    return kept


def test_a_run_that_resumes_keeps_the_threads(tmp_path):
    (tmp_path / "clips").mkdir()
    assert begin(tmp_path, 4, ("a", "h264"), ("b", "h264")) == 4
    assert begin(tmp_path, 1, ("a", "h264"), ("b", "h264")) == 4
    assert begin(tmp_path, 1, ("b", "h264"), ("c", "h264")) == 4
    assert begin(tmp_path, 2, ("a", "h264"), table="other_clips.csv") == 2  # a table of its own


def test_files_that_are_made_otherwise_are_made_with_other_threads(tmp_path):
    (tmp_path / "clips").mkdir()
    assert begin(tmp_path, 4, ("a", "h264")) == 4
    assert begin(tmp_path, 1, ("a", "hevc")) == 1
    assert begin(tmp_path, 3, ("a", "hevc")) == 1


def test_a_list_of_an_earlier_version_has_no_threads(tmp_path):
    (tmp_path / "clips").mkdir()
    begin(tmp_path, 4, ("a", "h264"))
    (listed,) = tmp_path.rglob("names.jsonl")
    listed.write_text(listed.read_text().replace(', "threads": 4', ""))
    assert begin(tmp_path, 2, ("a", "h264")) == 2
