"""Rating files: expected ratings are written down by hand beside the lines."""

import gzip
import json

import polars as pl
import pytest

from tools.errors import UserError
from tools.report.ratings import Rating, match_ratings, read_ratings, unmatched_text


def _write(path, *lines):
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_each_kind_of_line(tmp_path):
    file = _write(
        tmp_path / "my ratings.jsonl",
        {"path": "a.mp4", "id": "007", "rating": 4, "time": "2026-11-26T21:10:00Z"},
        "",
        {"path": "b.mp4", "keep": False, "reason": "text", "rater": "ada"},
        {"path": "c,\n.mp4", "defects": ["bars", "text", "bars"], "note": "süß", "unknown": 1},
        {"path": "d.mp4", "defects": [], "id": 7, "rating": None},
        {"path": "e.mp4", "rating": 2.5, "keep": True},
    )
    assert read_ratings([file]) == [
        Rating("a.mp4", "007", rating=4.0, time="2026-11-26T21:10:00Z"),
        Rating("b.mp4", keep=False, reason="text", rater="ada"),
        Rating("c,\n.mp4", defects=("text", "bars"), note="süß"),  # in the order of DEFECTS
        Rating("d.mp4", "7", defects=()),
        Rating("e.mp4", rating=2.5, keep=True),
    ]


def test_a_packed_file_with_a_byte_order_mark_and_a_list(tmp_path):
    packed = tmp_path / "r.jsonl.gz"
    packed.write_bytes(gzip.compress(b'\xef\xbb\xbf{"path": "a", "rating": 1}\r\n{"path": "b", "rating": 5}'))
    listed = tmp_path / "r.json"
    listed.write_text('[{"path": "c", "keep": true}]')
    assert [rating.path for rating in read_ratings([packed, listed])] == ["a", "b", "c"]


def test_the_last_line_of_each_rater_counts(tmp_path):
    file = _write(
        tmp_path / "r.jsonl",
        {"path": "a", "rating": 1},
        {"path": "a", "rating": 2, "rater": "ada"},
        {"path": "a", "rating": 3, "id": "1"},
        {"path": "a", "rating": 5},
        {"path": "a", "defects": ["ai"], "note": "hands"},  # says nothing of the rating
        {"path": "b", "rating": 5},
        {"path": "b", "keep": False},  # takes the place of the rating
    )
    assert read_ratings([file]) == [
        Rating("a", rating=5.0, defects=("ai",), note="hands"),
        Rating("a", rating=2.0, rater="ada"),
        Rating("a", "1", rating=3.0),
        Rating("b", keep=False),
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_time_tells_which_file_is_the_later_one(tmp_path, order):
    """21:30 at +01:00 is 20:30 UTC, before 21:00 UTC; as text it would come after."""
    files = [
        _write(tmp_path / "r.jsonl", {"path": "a", "rating": 1, "time": "2026-11-26T21:30:00+01:00"}),
        _write(tmp_path / "r (1).jsonl", {"path": "a", "rating": 5, "time": "2026-11-26T21:00:00.123Z"}),
    ]
    assert [rating.rating for rating in read_ratings([files[i] for i in order])] == [5.0]


def test_without_times_the_order_tells(tmp_path):
    first = _write(tmp_path / "1.jsonl", {"path": "a", "rating": 1, "time": "2026-11-26T21:30:00Z"})
    second = _write(tmp_path / "2.jsonl", {"path": "a", "rating": 5})
    assert read_ratings([first, second])[0].rating == 5
    assert read_ratings([second, first])[0].rating == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"rating": 4}, "needs the path"),
        ({"path": "", "rating": 4}, "needs the path"),
        ({"path": 3, "rating": 4}, "path must be a text, not 3"),
        ({"path": "a", "rating": 6}, "a number from 1 to 5, not 6"),
        ({"path": "a", "rating": 0}, "a number from 1 to 5, not 0"),
        ({"path": "a", "rating": "4"}, 'a number from 1 to 5, not "4"'),
        ({"path": "a", "rating": True}, "a number from 1 to 5, not true"),
        ({"path": "a", "keep": "no"}, 'keep must be true or false, not "no"'),
        ({"path": "a", "defects": "text"}, "defects must be a list"),
        ({"path": "a", "defects": ["blurry"]}, 'Invalid defect ("blurry"). Supported values are cut, text'),
        ({"path": "a", "defects": [["text"]]}, "Invalid defect"),
        ({"path": "a", "rating": 3, "time": "yesterday"}, 'time must be as .*, not "yesterday"'),
        ({"path": "a", "rating": 3, "id": 1.5}, "id must be a text"),
        ({"path": "a", "note": "nice"}, "says nothing of a"),
        ('{"path": "a", "rating": NaN}', "says nothing of a"),
        ('{"path": "a", "rating": 4', "no JSON"),
        ('["a", 4]', "a record is expected"),
    ],
)
def test_a_line_that_is_no_rating_is_named(tmp_path, line, message):
    file = _write(tmp_path / "r.jsonl", {"path": "ok", "rating": 1}, "", line)
    with pytest.raises(UserError, match=f"r.jsonl: line 3: .*{message.replace('(', '.').replace(')', '.')}"):
        read_ratings([file])


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"none\.jsonl: cannot read the ratings: No such file"):
        read_ratings([tmp_path / "none.jsonl"])
    with pytest.raises(UserError, match="cannot read the ratings: Is a directory"):
        read_ratings([tmp_path])
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(UserError, match=r"empty\.jsonl: no ratings"):
        read_ratings([tmp_path / "empty.jsonl"])


TABLE = pl.DataFrame({"id": ["1", "2", "", None, "1"], "path": ["a", "a", "a", "b", "c"]})
RATINGS = [
    Rating("a", "2", rating=1),
    Rating("c", rating=2),
    Rating("b", "9", rating=3),
    Rating("c", "2", rating=4),
    Rating("nowhere", rating=5),
]


@pytest.mark.parametrize("kind", [pl.DataFrame.clone, pl.DataFrame.lazy, pl.DataFrame.to_pandas])
def test_rows_are_matched_by_path_and_by_id_where_both_have_one(kind):
    matched = match_ratings(RATINGS, kind(TABLE), "meta.csv")
    # Rows 2 and 3 have no id, and the second rating has none: there the path is enough.
    assert [(r.rating, row) for r, row in matched.pairs] == [(1, 1), (1, 2), (2, 4), (3, 3)]
    assert [r.rating for r in matched.unmatched] == [4, 5]
    assert unmatched_text(matched) == "ratings of no row of the table: 2 (c, for example)"


def test_rows_of_a_table_without_ids_are_matched_by_path():
    matched = match_ratings(RATINGS, TABLE.drop("id"), "meta.csv")
    assert [(r.rating, row) for r, row in matched.pairs] == [
        (1, 0),
        (1, 1),
        (1, 2),
        (2, 4),
        (3, 3),
        (4, 4),
    ]
    assert [r.rating for r in matched.unmatched] == [5]


def test_ids_that_are_numbers_in_a_typed_table():
    table = pl.DataFrame({"path": ["a", "a"], "id": [6, 7]})
    assert match_ratings([Rating("a", "7", rating=1)], table, "meta.parquet").pairs[0][1] == 1


def test_ratings_of_another_table_are_an_error():
    table = pl.DataFrame({"path": ["/data/a.mp4"]})
    with pytest.raises(UserError, match=r"none of 1 ratings .* of a\.mp4, its first row is /data/a\.mp4"):
        match_ratings([Rating("a.mp4", rating=1)], table, "meta.csv")
    rows = pl.DataFrame({"path": ["a.mp4"], "id": ["7"]})
    with pytest.raises(UserError, match=r"of a\.mp4 the rating has id 007, the row 7"):
        match_ratings([Rating("a.mp4", "007", rating=1)], rows, "meta.csv")
    with pytest.raises(UserError, match="it has no rows"):
        match_ratings([Rating("a.mp4", rating=1)], table.clear(), "meta.csv")
    with pytest.raises(UserError, match="no column 'path'"):
        match_ratings([Rating("a.mp4", rating=1)], pl.DataFrame({"a": [1]}), "meta.csv")
