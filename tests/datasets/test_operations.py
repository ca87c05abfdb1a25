"""What each operation does to a table: as documented for Open-Sora's datautil, with its errors fixed."""

import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tools.columns import COLUMNS
from tools.datasets.datautil import Settings, filter_table, run_datautil
from tools.datasets.operations import EXECUTION_ORDER, OPERATIONS
from tools.datasets.operations.filters import VALUES
from tools.errors import UserError
from tools.stage.run_options import RunOptions
from tools.table import read_table, write_table

HARD = ["a,b", 'say "hi"', "two\nlines", "\U0001f600", "None", "007", "NA", "", None, "x" * 100_000]
"""Captions that are easily damaged on their way through a table."""


@pytest.fixture
def hard(tmp_path) -> Path:
    rows = len(HARD)
    paths = [f"/d/{i}, {text[:9] if text else ''}.mp4" for i, text in enumerate(HARD)]
    table = {"path": paths, "id": ["007"] * rows, "note": HARD, "text": HARD, "cmotion": ["pan_left"] * rows}
    table["caption_flags"] = [""] * rows
    scores = [name for name, column in COLUMNS.items() if column.score or column.filter == "bounds"]
    table |= {one.name: ["true" if one.metavar == "true|false" else "h264"] * rows for one in VALUES}
    names = ("num_frames", "height", "width", "fps", "resolution", "filesize", "duration", "aspect_ratio")
    numbers = {name: ["1.50"] * rows for name in (*names, *scores)}
    return write_table(pl.DataFrame({**table, **numbers}), tmp_path / "hard.csv")


def run(meta, name, value=True, **settings) -> pl.DataFrame:
    settings.setdefault("options", RunOptions(num_workers=0, progress=False))
    output = meta.with_name(f"out_{name}.csv")
    return read_table(
        run_datautil(
            [meta], {name: value}, output=output, settings=Settings(**settings), overwrite=True
        ).outputs[0]
    )


def edit(column, values, operation, value=True, **others):
    frame = pl.DataFrame({"path": [f"{i}.mp4" for i in range(len(values))], **others, column: values})
    return filter_table(frame, **{operation: value})


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"info", "video_info"}))
def test_cells_that_an_operation_does_not_touch_stay_as_they_are(hard, name, data_dir):
    before = read_table(hard)
    other = write_table(before.select("path", "text").gather_every(2), hard.with_name("other.csv"))
    recipe = '[recipe]\ntitle = "x"\n[[step]]\nname = "x"\nwhere = "aes > 1"\n'
    hard.with_name("recipe.toml").write_text(recipe)
    values = {
        **dict.fromkeys(("difference", "intersection", "union", "update_text"), str(other)),
        **dict.fromkeys(("sort", "sort_ascending"), "note"),
        **dict.fromkeys(("relpath", "abspath"), "/d"),
        "load_caption": "json",
        "path_subset": "mp4",
        "lang": "en",
        "append_text": '," \n',
        "count_num_token": str(data_dir / "llava_tiny"),
        "where": "aes > 1",
        "recipe": str(hard.with_name("recipe.toml")),
        "head": 8,
        "sample": 8,
        "keep_hours": 0.001,
        "keep_fraction": 0.5,
        "keep_rows": 5,
        "balance": "text",
        "select": ["path", "note", "id", "aes"],
        "drop_columns": ["fps", "height"],
    }
    values |= {one.name: "true" if one.metavar == "true|false" else "h264" for one in VALUES}
    operation = OPERATIONS[name]
    value = values.get(name, (0 if name.endswith("min") else 99) if operation.parse else True)
    amounts = {"by": "-aes"} if name.startswith("keep_") else {"rows": 5} if name == "balance" else {}
    after = run(hard, name, value, **amounts)
    assert after.height > 0 or name in ("img_only", "ext", "lang")
    if name in ("relpath", "abspath"):
        assert after.drop("path").equals(before.drop("path"))
        return
    # The other table of a union or an intersection has the same cells.
    edits = set() if name in ("union", "intersection") else set(operation.added(value))
    kept = [column for column in before.columns if column in after.columns and column not in edits]
    expected = {row["path"]: row for row in before.to_dicts()}
    for row in after.to_dicts():
        assert {column: row[column] for column in kept} == {c: expected[row["path"]][c] for c in kept}


# Two tables


@pytest.fixture
def two(tmp_path):
    first = pl.DataFrame(
        {"path": ["a", "b", "b", "c", None], "text": ["A", "B1", None, "C", "none"], "aes": ["1"] * 5}
    )
    second = pl.DataFrame({"path": ["b", "d", "b"], "text": ["new", "D", "newer"], "extra": ["2", "3", "4"]})
    return write_table(first, tmp_path / "first.csv"), write_table(second, tmp_path / "second.csv")


def test_difference_and_intersection_partition_the_table(two):
    first, second = two
    without = run(first, "difference", str(second))
    within = run(first, "intersection", str(second))
    assert without.rows() == [("a", "A", "1"), ("c", "C", "1"), (None, "none", "1")]
    # Only columns that are new come along, and a path that is named twice makes no rows.
    assert within.columns == ["path", "text", "aes", "extra"]
    assert within.rows() == [("b", "B1", "1", "2"), ("b", None, "1", "2")]


def test_names_with_the_second_table(two):
    first, second = two
    assert (
        run_datautil([first], {"difference": second, "aesmin": 1}).outputs[0].name
        == "first-second_aesmin1.csv"
    )
    assert run_datautil([first], {"union": second}).outputs[0].name == "first+second.csv"
    for flag, value in (("intersection", second), ("path_to_id", True)):
        with pytest.raises(UserError, match=r"would overwrite the input, .* give --output"):
            run_datautil([first], {flag: value})
    with pytest.raises(UserError, match="overwrite the input"):
        run_datautil([first], {"difference": second}, output=second)


def test_union_fills_cells_and_adds_rows(two):
    first, second = two
    union = run(first, "union", str(second))
    assert union.rows() == [
        ("a", "A", "1", None),
        ("b", "B1", "1", "2"),
        ("b", "new", "1", "2"),
        ("c", "C", "1", None),
        (None, "none", "1", None),
        ("d", "D", None, "3"),
    ]


def test_update_text_takes_the_last_text_of_a_path(two):
    first, second = two
    result = run_datautil([first], {"update_text": second})
    assert result.outputs[0].name == "first_update.csv"
    assert read_table(result.outputs[0])["text"].to_list() == ["A", "newer", "newer", "C", "none"]
    assert read_table(result.outputs[0]).columns == ["path", "text", "aes"]
    assert any("1 row with the path of another" in note for note in result.notes)


def test_a_second_table_may_be_of_another_format(two, tmp_path):
    first, second = two
    lines = write_table(read_table(second), tmp_path / "second.jsonl.gz")
    for name in ("difference", "intersection", "union", "update_text"):
        assert run(first, name, str(lines)).equals(run(first, name, str(second)))


# Paths


def test_paths_are_rewritten_as_os_path_does(tmp_path):
    paths = ["/d/v/a.mp4", "/d/b.tar.gz", "/e/../d/c", "rel/x.mp4", "/d//v/./e.mp4", "/d/v/", "/d/v/.."]
    frame = pl.DataFrame({"path": [*paths, None]})
    for root in ("/d", "/d/v/", ".", "/other/place"):
        expected = [*(os.path.relpath(p, root) for p in paths), None]
        assert filter_table(frame, relpath=root)["path"].to_list() == expected
        joined = [*(str(os.path.join(root, p)) for p in paths), None]  # noqa: PTH118
        assert filter_table(frame, abspath=root)["path"].to_list() == joined


def test_ids_are_the_stems_of_paths():
    paths = ["/d/v/a.mp4", "/d/b.tar.gz", "c", "/d.x/.hidden", "/d/007.mp4"]
    ids = filter_table(pl.DataFrame({"path": [*paths, None]}), path_to_id=True)["id"].to_list()
    assert ids == [*(Path(p).stem for p in paths), None]


def test_rows_are_chosen_by_path():
    frame = pl.DataFrame({"path": ["a.mp4", "", "b.JPG", "a.mp4", None, " ", "c.webp", "x/b.jpg.mp4"]})
    assert filter_table(frame, remove_empty_path=True)["path"].to_list() == [
        "a.mp4", "b.JPG", "a.mp4", "c.webp", "x/b.jpg.mp4"
    ]  # fmt: skip
    named = frame.filter(pl.col("path").str.len_chars() > 1)
    assert filter_table(named, remove_path_duplication=True)["path"].to_list() == [
        "a.mp4", "b.JPG", "c.webp", "x/b.jpg.mp4"
    ]  # fmt: skip
    assert filter_table(frame, img_only=True)["path"].to_list() == ["b.JPG", "c.webp"]
    assert filter_table(named, vid_only=True)["path"].to_list() == ["a.mp4", "a.mp4", "x/b.jpg.mp4"]
    assert filter_table(named, path_subset=r"^[ab]\.").height == 3
    with pytest.raises(UserError, match=r"--path-subset: must be a regular expression, not \("):
        filter_table(frame, path_subset="(")


# Captions


def test_rows_are_chosen_by_text():
    texts = ["see https://x.y/z", "HTTP://x", "http:// is a scheme", None, "", " ", "same", "same", "Same"]
    frame = pl.DataFrame({"path": list("abcdefghi"), "text": texts})
    assert filter_table(frame, remove_url=True)["path"].to_list() == list("cdefghi")
    assert filter_table(frame, remove_empty_caption=True)["path"].to_list() == list("abcghi")
    assert filter_table(frame, remove_text_duplication=True)["path"].to_list() == list("abcdefgi")


def test_captions_that_were_checked_and_found_good():
    kept = edit("caption_flags", ["", None, "cut_off", "cut_off+prefix"], "caption_ok")
    assert kept["path"].to_list() == ["0.mp4"]  # the second was not checked


def test_of_equal_captions_the_best_stays_when_sorted_by_a_score():
    frame = pl.DataFrame({"path": list("abc"), "text": ["same"] * 3, "aes": ["2", "10", "9"]})
    assert filter_table(frame, remove_text_duplication=True, sort="aes")["path"].to_list() == ["b"]


def test_captions_beside_the_videos(tmp_path, capsys):
    (tmp_path / "dir.v1").mkdir()
    (tmp_path / "dir.v1" / "a.b.json").write_text(json.dumps({"caption": "Ünï, \n two"}), encoding="utf-8")
    (tmp_path / "dir.v1" / "a.b.txt").write_text(" from txt\n", encoding="utf-8")
    for name, content in (("list", "[1]"), ("broken", "{"), ("none", '{"caption": null}'), ("other", "{}")):
        (tmp_path / f"{name}.json").write_text(content)
    names = ["dir.v1/a.b.mp4", "gone.mp4", "list.mp4", "broken.mp4", "none.mp4", "other.mp4"]
    table = pl.DataFrame({"path": [str(tmp_path / n) for n in names], "text": ["old"] * 6})
    meta = write_table(table, tmp_path / "meta.csv")
    result = run_datautil([meta], {"load_caption": "json"})
    assert result.outputs[0].name == "meta_loadjson.csv"
    assert read_table(result.outputs[0])["text"].to_list() == ["Ünï, \n two", *[None] * 5]
    kinds = read_table(result.failures_file)["kind"].to_list()
    assert kinds == ["missing", "bad_value", "bad_value", "bad_value", "bad_value"]
    assert run(meta, "load_caption", "txt")["text"].to_list() == ["from txt", *[None] * 5]
    with pytest.raises(UserError, match="must be json or txt, not xml"):
        run_datautil([meta], {"load_caption": "xml"})


def test_camera_motion_is_said():
    labels = [
        "static",
        "pan_left",
        "zoom in",
        "pan_left+zoom_out",
        "roll_cw",
        "Undetermined",
        None,
        "tilt_up",
    ]
    texts = ["A cat."] * 7 + [None]
    said = edit("text", texts, "merge_cmotion", cmotion=labels)
    assert said["text"].to_list() == [
        "A cat. Camera motion: static.",
        "A cat. Camera motion: pan left.",
        "A cat. Camera motion: zoom in.",
        "A cat. Camera motion: pan left and zoom out.",
        "A cat. Camera motion: roll clockwise.",
        "A cat.",
        "A cat.",
        None,
    ]
    assert filter_table(said, merge_cmotion=True).equals(said)


def test_scores_are_said_in_four_rows_of_five():
    rows = 5000
    scores = {"aes": ["5.46"] * rows, "flow": ["3"] * (rows - 1) + [""]}
    said = edit("text", ["A cat."] * rows, "score_to_text", **scores)["text"]
    both = said.str.contains(r"^A cat\. \[aesthetic score: 5\.5, motion score: 3\.0\]$")
    aes, flow = (said.str.contains(rf"^A cat\. \[{n} score: [0-9.]+\]$") for n in ("aesthetic", "motion"))
    plain = said == "A cat."
    assert (both | aes | flow | plain).all()
    shares = np.array([both.sum(), aes.sum(), flow.sum(), plain.sum()]) / rows
    assert shares == pytest.approx([0.64, 0.16, 0.16, 0.04], abs=0.025)  # 0.8 and 0.2, independent
    # What a row gets does not depend on the rows around it.
    frame = pl.DataFrame({"path": [f"{i}.mp4" for i in range(rows)], "text": ["A cat."] * rows, **scores})
    assert filter_table(frame[100:200], score_to_text=True)["text"].to_list() == said[100:200].to_list()


def test_appending_is_raw():
    assert edit("text", ["a", None], "append_text", " {}")["text"].to_list() == ["a {}", None]


@pytest.mark.parametrize("name", ["append_text", "merge_cmotion", "score_to_text"])
def test_what_is_appended_is_never_the_whole_caption(name):
    frame = pl.DataFrame(
        {"path": ["a"] * 3, "text": ["", " ", None], "cmotion": ["static"] * 3, "aes": [5.0] * 3}
    )
    assert filter_table(frame, **{name: " [END]" if name == "append_text" else True}).equals(frame)


# Rows and columns


def test_sampling_takes_turns_among_the_sources():
    sources = ["long"] * 90 + ["short"] * 6 + ["tiny"] * 2
    frame = pl.DataFrame({"path": [f"{i}" for i in range(98)], "source": sources})
    kept = filter_table(frame, sample=10)
    assert kept.height == 10
    assert [int(p) for p in kept["path"]] == sorted(int(p) for p in kept["path"])
    assert filter_table(frame, sample=10).equals(kept)
    assert filter_table(frame, sample=1000).equals(frame)


def test_sampling_of_each_source_at_most(tmp_path):
    sources = ["long"] * 90 + ["short"] * 6 + ["tiny"] * 2
    names = [f"c/{source}_scene-{i}.mp4" for i, source in enumerate(sources)]
    for frame in (pl.DataFrame({"path": names, "source": sources}), pl.DataFrame({"path": names})):
        meta = write_table(frame, tmp_path / "meta.csv")
        for number, per_source, expected in ((12, 5, (5, 5, 2)), (9, 5, (4, 3, 2)), (99, 3, (3, 3, 2))):
            kept = run(meta, "sample", number, per_source=per_source)["path"].to_list()
            counts = [sum(f"c/{source}_" in path for path in kept) for source in ("long", "short", "tiny")]
            assert sorted(counts) == sorted(expected)
            assert kept == [path for path in names if path in kept]
    with pytest.raises(UserError, match="--sample N or --balance chooses"):
        run_datautil([meta], {"aesmin": 1}, settings=Settings(per_source=2))


@pytest.mark.parametrize(
    ("operation", "value", "kept"),
    [
        ("codec", "h264", ["a", "c"]),
        ("codec", "H264, av1", ["a", "b", "c"]),
        ("hdr", "sdr", ["a", "c"]),
        ("vfr", "false", ["a", "b"]),
        ("vfr", "true,false", ["a", "b", "c"]),
        ("bit_depthmax", 8, ["a", "c"]),
        ("rotationmin", 90, ["b"]),
    ],
)
@pytest.mark.parametrize("typed", [True, False])
def test_rows_by_what_their_files_are(operation, value, kept, typed):
    frame = pl.DataFrame(
        {
            "path": ["a", "b", "c", "d"],
            "codec": ["h264", "av1", "H264", None],
            "hdr": ["sdr", "pq", "sdr", None],
            "vfr": [False, False, True, None],
            "bit_depth": [8, 10, 8, None],
            "rotation": [0, 90, 0, None],
        }
    )
    if not typed:  # as a CSV holds them, pandas' spelling of the truth among them
        frame = frame.with_columns(pl.all().cast(pl.String)).with_columns(
            pl.col("vfr").replace("true", "True")
        )
    assert filter_table(frame, **{operation: value})["path"].to_list() == kept


@pytest.mark.parametrize(
    ("operation", "value"), [("vfr", "maybe"), ("has_audio", "1"), ("codec", ","), ("codec", "")]
)
def test_words_that_cannot_be_asked_for(operation, value):
    with pytest.raises(UserError, match=f"--{operation.replace('_', '-')}: must be"):
        filter_table(pl.DataFrame({"path": ["a"], operation: ["a"]}), **{operation: value})


def test_columns_are_chosen():
    frame = pl.DataFrame({"path": ["a"], "text": ["t"], "fps": ["1"], "zzz": ["z"]})
    assert filter_table(frame, train_column=True).columns == ["path", "text", "fps"]
    assert filter_table(frame, select=["zzz", "path"]).columns == ["zzz", "path"]
    assert filter_table(frame, drop_columns=["zzz", "path"]).columns == ["text", "fps"]
    with pytest.raises(UserError, match="--select: no column 'nope'"):
        filter_table(frame, select=["path", "nope"])
    with pytest.raises(UserError, match="no column would be left"):
        filter_table(frame, drop_columns=frame.columns)


def test_the_order_is_the_documented_one_but_where_it_was_wrong():
    documented = [
        "difference", "intersection", "load_caption", "info", "video_info", "ext", "remove_url", "lang",
        "remove_empty_path", "remove_empty_caption", "remove_path_duplication", "path_subset", "relpath",
        "abspath", "path_to_id", "merge_cmotion", "refine_llm_caption", "append_text", "score_to_text",
        "clean_caption", "count_num_token", "update_text", "sort", "sort_ascending", "filesize", "fsmax",
        "fmin", "fmax", "fpsmax", "hwmax", "aesmin", "matchmin", "flowmin", "remove_text_duplication",
        "img_only", "vid_only", "shuffle", "head", "train_column",
    ]  # fmt: skip
    moved = {
        # cheap before costly: by the path, by empty cells, by thresholds
        "ext", "path_subset", "img_only", "vid_only", "remove_empty_path", "remove_empty_caption",
        "remove_url", "lang", "remove_path_duplication", "info", "video_info",
        "filesize", "fsmax", "fmin", "fmax", "fpsmax", "hwmax", "aesmin", "matchmin", "flowmin",
        # what is appended was cleaned away; text_len was that of the old text
        "clean_caption", "merge_cmotion", "count_num_token",
    }  # fmt: skip
    stays = [name for name in documented if name not in moved]
    assert [name for name in EXECUTION_ORDER if name in stays] == stays
    first = [
        EXECUTION_ORDER.index(n)
        for n in ("remove_empty_caption", "remove_url", "lang", "info", "clean_caption")
    ]
    assert first == sorted(first)


def test_what_is_appended_is_not_cleaned():
    frame = pl.DataFrame({"path": ["a"], "text": ["The video shows A CAT (x)"], "cmotion": ["pan_left"]})
    edited = filter_table(
        frame, clean_caption=True, refine_llm_caption=True, merge_cmotion=True, append_text=" [END]"
    )
    assert edited["text"].to_list() == ["a cat x Camera motion: pan left. [END]"]


@pytest.mark.parametrize("missing", [None, "", "nan"])
def test_long_whole_numbers_are_sorted_exactly(missing):
    numbers = [2**53, 2**53 + 1, 2**53 - 1, -(2**63), 2**63 - 1, 2**63 - 2, -5]
    frame = pl.DataFrame({"path": map(str, range(8)), "id": [*map(str, numbers), missing]})
    exact = [str(number) for number in sorted(numbers)]
    assert filter_table(frame, sort_ascending="id")["id"].to_list() == [*exact, missing]
    assert filter_table(frame, sort="id")["id"].to_list() == [*exact[::-1], missing]


@pytest.mark.parametrize("name", ["has_audio", "vfr"])
def test_false_is_a_value_of_a_column_of_truth_values(name):
    frame = pl.DataFrame({"path": list("abc"), name: [True, False, None]})
    for value, path in {True: "a", False: "b", "true": "a", "false": "b"}.items():
        assert filter_table(frame, **{name: value})["path"].to_list() == [path]
    assert filter_table(frame, **{name: None}).equals(frame)


@pytest.mark.parametrize("cells", [["10", "9", None, "2", "9"], ["b", "a", "", None, "10"]])
@pytest.mark.parametrize("kind", ["sort", "sort_ascending"])
def test_categories_are_sorted_as_the_texts_that_a_csv_has(cells, kind):
    texts = pl.DataFrame({"path": list("abcde"), "grade": cells})
    order = filter_table(texts, **{kind: "grade"})["path"].to_list()
    for dtype in (pl.Categorical(), pl.Enum(["b", "9", "2", "", "a", "10"])):
        typed = texts.with_columns(pl.col("grade").cast(dtype))
        found = filter_table(typed, **{kind: "grade"})
        assert (found["path"].to_list(), found["grade"].dtype) == (order, dtype)


@pytest.mark.parametrize("column", ["path", "aes"])
def test_there_may_be_no_row_left_to_sort(tmp_path, column):
    meta = write_table(pl.DataFrame({"path": ["a"], "aes": [5.0]}), tmp_path / "meta.parquet")
    for kind in ("sort", "sort_ascending"):
        result = run_datautil([meta], {"aesmin": 9, kind: column}, output=tmp_path / "sorted.csv")
        assert read_table(result.outputs[0]).columns == ["path", "aes"]
        assert result.rows_out == 0


def test_names_of_columns_are_no_patterns():
    frame = pl.DataFrame({"path": ["a"], "*": ["1"], "^p.*$": ["2"], "x": ["3"]})
    assert filter_table(frame, select=["path", "*", "^p.*$"]).columns == ["path", "*", "^p.*$"]
    assert filter_table(frame, select=["^p.*$", "path"]).columns == ["^p.*$", "path"]
    assert filter_table(frame, drop_columns=["x"]).columns == ["path", "*", "^p.*$"]
    for name in ("*", "^p.*$"):
        with pytest.raises(UserError, match="taken for a pattern"):
            filter_table(frame, sort=name)
