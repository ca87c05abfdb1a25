"""What the last lines say of new columns. Medians are those of the statistics module."""

import statistics

import polars as pl

from tools.stage.summary import describe


def test_numbers_have_least_median_and_largest():
    cells = [0.125, 7.5, None, 3.25, 1e-7]
    known = statistics.median(cell for cell in cells if cell is not None)
    table = pl.DataFrame({"aes": cells, "ocr": [3, 0, 12, 0, 1], "nan": [float("nan")] * 5})
    assert describe(table) == [
        f"aes: min 1e-07, median {known:.4g}, max 7.5; 1 empty",
        "ocr: min 0, median 1, max 12",
    ]


def test_labels_are_counted_each_for_itself():
    table = pl.DataFrame(
        {
            "cmotion": ["pan_left+zoom_in", "pan_left", "static", None],
            "intact": [True, True, False, None],
            "text_finish": ["stop"] * 4,
        }
    )
    assert describe(table) == [
        "cmotion: pan_left 2, zoom_in 1, static 1; 1 empty",
        "intact: true 2, false 1; 1 empty",
        "text_finish: stop 4",
    ]


def test_names_captions_and_places_are_not_told():
    table = pl.DataFrame({"path": ["a", "a"], "text": ["x", "x"], "start": [0.0, 1.0], "free": ["a", "b"]})
    assert describe(table) == []


def test_of_many_labels_the_most_frequent_are_told():
    cells = [f"l{i}" for i in range(8) for _ in range(9 - i)]
    assert describe(pl.DataFrame({"codec": cells})) == ["codec: l0 9, l1 8, l2 7, l3 6, l4 5, l5 4, 2 others"]
