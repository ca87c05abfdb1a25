"""Rows kept are those that pandas.DataFrame.query and SQLite keep for the same condition."""

import ast
import builtins
import itertools
import math
import operator
import re
import sqlite3

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.errors import UserError
from tools.table import scan_table, write_table
from tools.table.where import parse_where
from tools.table.where_source import MAX_LENGTH

CAPTIONS = [
    "a cat",
    "A Cat",
    "None",
    "NA",
    "007",
    "7",
    "a,b",
    'say "hi"',
    "two\nlines",
    "\U0001f600 ok",
    "é",
    " x ",
]
FORMATS = ("csv", "parquet", "jsonl")


def kept(condition: str, frame) -> list[int]:
    """Numbers of the rows that are kept."""
    lazy = frame.lazy()
    return lazy.with_row_index("#").filter(parse_where(condition, lazy)).collect()["#"].to_list()


def kept_everywhere(condition: str, frame: pl.DataFrame, folder) -> list[int]:
    """The same from each file format, and from a CSV that has nothing where there was an empty text."""
    paths = [write_table(frame, folder / f"t.{suffix}") for suffix in FORMATS]
    bare = folder / "bare.csv"
    bare.write_text(paths[0].read_text().replace('""\n', "\n").replace(',"",', ",,"))
    results = [kept(condition, scan_table(path)) for path in (*paths, bare)]
    assert all(result == results[0] for result in results), (condition, results)
    return results[0]


def refused(condition: str, frame) -> str:
    with pytest.raises(UserError) as caught:
        parse_where(condition, frame)
    message = str(caught.value)
    assert message.startswith("--where: ")
    assert "\n" not in message
    return message


@pytest.fixture
def table() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": ["007", "7", "x", None, "7.0", "8"],
            "text": ["a cat", "", None, "None", "NA", "Dog (1.5)"],
            "aes": [5.0, 4.9, None, float("nan"), 5.5, 6.0],
            "flow": [3.0, 3.0, None, 14.0, 2.0, 1.0],
            "num_frames": [100, 48, 1, None, 30, 300],
            "has_audio": [True, False, None, True, None, False],
            "odd name": ["1", "2", "3", None, "5", "6"],
            "speaker": ["1", "b", None, "", "2", "3"],
        }
    )


# Expected rows read off the table above by the rules of SQL, an empty cell being NULL.
MEANINGS = {
    "aes >= 5 and flow.between(2, 14) and not text.isna()": [0, 4],
    "aes >= 5": [0, 4, 5],
    "not aes >= 5": [1],
    "~(aes >= 5)": [1],
    "aes < 5 or flow > 10": [1, 3],
    "(aes >= 5) & (flow > 2)": [0],
    "(aes < 5) | (flow > 10)": [1, 3],
    "aes.isna()": [2, 3],
    "aes.notna() and aes.isnull()": [],
    "aes == None": [2, 3],
    "aes is not None": [0, 1, 4, 5],
    "text.isna()": [1, 2],
    "text == ''": [1, 2],
    "'' != text": [0, 3, 4, 5],
    "text != 'NA'": [0, 3, 5],
    "text in ['NA', None]": [1, 2, 4],
    "text not in ['NA']": [0, 3, 5],
    "text.isin(['NA', 'None'])": [3, 4],
    "id == 7": [0, 1, 4],
    "id == '007'": [0],
    "'007' == id": [0],
    "id in [7, 8]": [0, 1, 4, 5],
    "2 <= flow <= 3": [0, 1, 4],
    "2 < flow <= 3 < aes": [0, 1],
    "flow.between(2, 3, inclusive='neither')": [],
    "flow.between(2, 3, inclusive='right')": [0, 1],
    "aes.between(flow, 5)": [0, 1],
    "has_audio": [0, 3],
    "not has_audio": [1, 5],
    "has_audio == True": [0, 3],
    "has_audio != True": [1, 5],
    "has_audio.isna()": [2, 4],
    "has_audio in [False]": [1, 5],
    "`odd name` > 3": [4, 5],
    'col("odd name") <= 2': [0, 1],
    "num(speaker) > 1": [4, 5],
    "text(speaker) > text(`odd name`)": [1],
    "speaker == 'b'": [1],
    "speaker >= 2": [4, 5],
    "text.contains('(1.5)')": [5],
    "text.str.contains('^[aD]', regex=True)": [0, 5],
    "text.contains('CAT', case=False)": [0],
    "text.contains('(1.5', case=False)": [5],
    "not text.contains('a', na=False)": [1, 2, 3, 4, 5],
    "text.startswith('N') and text.endswith('e')": [3],
    "text.str.lower() == 'none' or text.upper() == 'A CAT'": [0, 3],
    "text.len() == 2": [4],
    "len(text) > 4": [0, 5],
    "num_frames / 2 >= 24 and num_frames % 100 == 0": [0, 5],
    "num_frames // 7 == 4 or -num_frames > -2": [2, 4],
    "abs(aes - 6) <= 0.5": [4, 5],
    "aes.round() == 5 or round(aes, 1) == 4.9": [0, 1],
    "aes / (flow - 3) > 0": [],
    "aes >= 5 and True": [0, 4, 5],
    "aes >= 5 # good\n and flow >\n 1": [0, 4],
}


@pytest.mark.parametrize("condition", MEANINGS)
def test_meaning_in_every_format(condition, table, tmp_path):
    # aes / (flow - 3): flow 3 divides by zero; row 4 gives 5.5 / -1, row 5 gives 6 / -2; row 3 has no aes.
    assert kept_everywhere(condition, table, tmp_path) == MEANINGS[condition]


def test_a_unicode_position_and_quotes(table):
    condition = "text == 'éé\U0001f600' or bogus > 1"
    assert f"character {condition.index('bogus') + 1} " in refused(condition, table)
    assert kept("text == 'a`cat`' or aes == 6", table) == [5]


numbers = st.none() | st.integers(-4, 4).map(float) | st.sampled_from([0.25, -1.5, 2.5])
tables = st.lists(
    st.tuples(numbers, numbers, numbers, st.none() | st.sampled_from(CAPTIONS)), min_size=1, max_size=12
).map(
    lambda rows: pl.DataFrame(
        rows,
        schema={"aes": pl.Float64, "flow": pl.Float64, "match": pl.Float64, "text": pl.String},
        orient="row",
    )
)
signs = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
names = st.sampled_from(["aes", "flow", "match"])
constants = st.integers(-4, 4).map(str) | st.sampled_from(["0.25", "-1.5", "2.5"])
sums = st.recursive(
    names | constants,
    lambda part: st.builds("({} {} {})".format, part, st.sampled_from("+-*"), part),
    max_leaves=4,
)


def conditions(quote):
    """Random conditions that Python, pandas and SQL write alike."""
    texts = st.sampled_from([t for t in CAPTIONS if "\n" not in t and "'" not in t and '"' not in t]).map(
        quote
    )
    simple = st.one_of(
        st.builds("{} {} {}".format, names, signs, sums),
        st.builds("{} {} {}".format, sums, signs, names),
        st.builds("text {} {}".format, signs, texts),
    )
    return st.recursive(
        simple,
        lambda part: st.one_of(
            st.builds("({} and {})".format, part, part),
            st.builds("({} or {})".format, part, part),
            st.builds("not ({})".format, part),
        ),
        max_leaves=6,
    )


@settings(max_examples=250, deadline=None)
@given(tables, conditions("'{}'".format))
def test_null_logic_is_that_of_sqlite(frame, condition):
    database = sqlite3.connect(":memory:")
    database.execute("create table t (n integer, aes real, flow real, match real, text text)")
    database.executemany(
        "insert into t values (?, ?, ?, ?, ?)", [(i, *r) for i, r in enumerate(frame.rows())]
    )
    # `match` is a word of SQL; a constant alone is an integer there, which only / and % would notice.
    sql = condition.replace("match", '"match"')
    expected = [row[0] for row in database.execute(f"select n from t where {sql} order by n")]
    assert kept(condition, frame) == expected
    csv_like = frame.with_columns(pl.all().cast(pl.String))
    assert kept(condition, csv_like) == expected


extras = st.one_of(
    st.builds("{}.between({}, {})".format, names, constants, constants),
    st.builds("{} in [{}, {}]".format, names, constants, constants),
    st.builds("{} not in [{}]".format, names, constants),
    st.builds("{} <= {} < {}".format, constants, names, names),
    st.builds("{} {} {} // 3".format, names, signs, names),
    st.builds("{} {} -{} % 3".format, names, signs, names),
    st.builds("{} / 4 {} {}".format, names, signs, names),
    st.builds("{}.abs() {} {}".format, names, signs, names),
    st.builds("{}.round() {} {}".format, names, signs, names),
    st.builds("text.str.contains({!r}, regex=False)".format, st.sampled_from(["a", "A", ".", "\U0001f600"])),
    st.builds("text.str.contains({!r}, regex=True)".format, st.sampled_from(["^a", "[0-9]+$", "a.?c"])),
    st.builds("text.str.contains({!r}, regex=False, case=False)".format, st.sampled_from(["a", "A C", "É"])),
    st.builds(
        "text.str.{}({!r})".format, st.sampled_from(["startswith", "endswith"]), st.sampled_from(["a", "7"])
    ),
    st.builds(
        "text.str.{}() == {!r}".format,
        st.sampled_from(["lower", "upper", "strip"]),
        st.sampled_from(CAPTIONS),
    ),
    st.builds("text.str.len() {} {}".format, signs, st.integers(0, 9)),
    st.builds("text in {!r}".format, st.lists(st.sampled_from(CAPTIONS), min_size=1, max_size=4)),
    st.builds("text.isin({!r})".format, st.lists(st.sampled_from(CAPTIONS), min_size=1, max_size=4)),
)
together = st.recursive(
    extras | conditions(repr),
    lambda part: (
        st.builds("({}) {} ({})".format, part, st.sampled_from(["and", "or"]), part)
        | st.builds("not ({})".format, part)
    ),
    max_leaves=4,
)


@settings(max_examples=250, deadline=None)
@given(tables, together)
def test_rows_without_empty_cells_are_those_of_pandas_query(frame, condition):
    frame = frame.drop_nulls()
    pandas = frame.to_pandas()
    if not frame.height:
        return
    expected = pandas.query(condition, engine="python").index.to_list()
    assert kept(condition, frame) == expected
    assert kept(condition, frame.with_columns(pl.all().cast(pl.String))) == expected


@pytest.mark.parametrize("value", ["nan", "x", "", " 5", "1,5", "٣"])
def test_a_cell_that_is_no_number_is_unknown(value, tmp_path):
    frame = pl.DataFrame({"path": ["a", "b"], "aes": [value, "5"]})
    assert kept_everywhere("aes >= 0 or aes < 0", frame, tmp_path) == [1]
    assert kept_everywhere("aes.isna()", frame, tmp_path) == [0]


@pytest.mark.parametrize("engine", ["streaming", "in-memory"])
def test_quotients_and_remainders_are_those_of_python(engine):
    numbers = [1.0, 0.1, 0.3, -7.5, 29.97, 1e300, math.inf, -math.inf]
    pairs = list(itertools.product(numbers, numbers))
    frame = pl.LazyFrame(pairs, schema=["a", "b"], orient="row")
    for sign, python in {"//": operator.floordiv, "%": operator.mod}.items():
        expected = [python(a, b) for a, b in pairs]
        keep = parse_where(f"a {sign} b == c", columns := frame.with_columns(c=pl.Series(expected)))
        wanted = [pair for pair, number in zip(pairs, expected, strict=True) if not math.isnan(number)]
        assert columns.filter(keep).select("a", "b").collect(engine=engine).rows() == wanted
    constant = parse_where("a // 0.1 == 9 and 1 % 0.3 < 1", frame)
    assert frame.filter(constant).collect(engine=engine).height == len(numbers)


def test_columns_of_the_users_own_with_types_are_read_as_in_a_csv(tmp_path):
    frame = pl.DataFrame({"take": [7, 8, None], "weight": [0.5, None, 2.0], "good": [True, None, False]})
    for condition, rows in {
        "take == 7": [0],
        "take == '7'": [0],
        "take in ['8']": [1],
        "take == '007'": [],
        "weight > 1": [2],
        "good": [0],
        "not good": [2],
        "good == 'true'": [0],
        "(take > 1) & good": [0],
        "~good | (weight < 1)": [0, 2],
        "take.isna()": [2],
        "num(take) > num(weight)": [0],
    }.items():
        assert kept_everywhere(condition, frame, tmp_path) == rows, condition


def test_lists_and_dates_take_isna_only():
    frame = pl.DataFrame({"boxes": [[1], None]})
    assert kept("boxes.isna()", frame) == [1]
    assert "only isna() and notna()" in refused("boxes == 1", frame)


def test_a_schema_will_do():
    schema = pl.Schema({"aes": pl.String})
    assert isinstance(parse_where("aes > 1", schema), pl.Expr)
    assert isinstance(parse_where("aes > 1", dict(schema)), pl.Expr)


@pytest.mark.parametrize(
    "condition",
    [
        "__import__('os').system('touch {file}')",
        "exec(\"open('{file}', 'w')\")",
        "eval(\"open('{file}', 'w')\") == 1",
        "open('{file}', 'w') == 1",
        "(lambda: open('{file}', 'w'))()",
        "[open('{file}', 'w') for x in [1]]",
        "any(open('{file}', 'w') for x in [1])",
        "f\"{{open('{file}', 'w')}}\" == text",
        "f'{{aes}}' == text",
        "aes.__class__",
        "aes.__class__.__mro__[1].__subclasses__() == 1",
        "text.__len__() > 1",
        "text.format(aes) == 'x'",
        "text.map_elements(print) == 'x'",
        "aes.to_csv('{file}')",
        "col.write_csv('{file}')",
        "pl.read_csv('{file}')",
        "(x := 5) > aes",
        "aes[0] > 1",
        "text[0:2] == 'a'",
        "aes if has_audio else flow",
        "{{'a': aes}}",
        "aes > 1 if has_audio else True",
        "yield aes",
        "await aes",
        "import os",
        "aes = 5",
        "aes > 5; import os",
        "aes > @x",
        "aes ** 9 > 1",
        "aes ^ 1",
        "aes << 3 > 1",
        "aes > 5 && flow > 1",
        "!has_audio",
        "*aes",
        "print(aes)",
        "num(*aes)",
        "aes.between(**aes)",
        "aes.between(*aes)",
        "text.contains(open('{file}'))",
        "text.str.str.len() > 1",
        "aes.str > 1",
        "col(text) > 1",
        "col('{file}') > 1",
        "...",
        "aes > 1j",
        "b'a' == text",
        "aes > ...",
        "'a' 'b'",
        "",
        "  \n ",
        "\0",
        "aes > 5\0",
        "\udcff",
        "aes > 5) and (flow > 1",
        "aes > 5, flow > 1",
        ") or (",
        "(aes > 5",
        "'unclosed",
        "`aes > 5",
        "`` > 5",
    ],
)
def test_what_is_not_the_language_is_refused_and_nothing_runs(condition, table, tmp_path, monkeypatch):
    for name in ("eval", "exec", "open", "__import__"):
        monkeypatch.setattr(builtins, name, _forbidden(name, getattr(builtins, name)))
    file = tmp_path / "made"
    refused(condition.format(file=file), table)
    assert not file.exists()


def _forbidden(name, real):
    def call(*args, **kwargs):
        if name == "__import__":  # the machinery of Python imports by this name
            assert args[0] != "os" or kwargs or len(args) > 1, "a module was imported"
            return real(*args, **kwargs)
        raise AssertionError(f"{name} was called")

    return call


@pytest.mark.parametrize(
    "condition",
    [
        "(" * 5000 + "aes" + ")" * 5000,
        "-" * 10_000 + "aes > 1",
        "not " * 4000 + "aes > 1",
        "aes" + " + aes" * 3000 + " > 1",
        "aes" + ".abs()" * 2000 + " > 1",
        "aes > 1 " + "| (aes > 1)" * 500,
        "aes > 1 or " * MAX_LENGTH + "aes > 1",
        "aes > " + "9" * 5000,
        "aes > 9007199254740992",  # 2 ** 53, to which 2 ** 53 + 1 is rounded
        "aes > 1e999",
        "aes in [1e999]",
    ],
)
def test_huge_conditions_are_refused(condition, table):
    refused(condition, table)


def test_whole_numbers_are_exact():
    numbers = [2**53 - 2, 2**53 - 1, 2**53, 2**53 + 1, 2**62]
    for frame in (pl.DataFrame({"n": numbers}), pl.DataFrame({"n": map(str, numbers)})):
        assert kept(f"n > {2**53 - 1}", frame) == [2, 3, 4]
        assert kept(f"n == {2**53 - 1}", frame) == [1]


def test_long_conditions_are_not(table):
    assert kept(" or ".join(["aes == 6"] * 1500), table) == [5]
    assert kept(f"id in {[str(i) for i in range(2000)]}", table) == [1, 5]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("aes >= 5 & flow > 2", "character 8 .*& binds tighter than comparisons; write and, or"),
        ("aes >= 5 | flow > 2", r"\| binds tighter .*write or"),
        ("aes > 5 && flow > 2", "character 10 .*; && is written and"),
        ("has_audio == has_audio & has_audio", "character 14 .*binds tighter"),
        ("has_audio & has_audio == has_audio", "character 1 .*binds tighter"),
        ("~aes >= 5", "~ binds tighter"),
        ("aess > 5", "character 1 .*no column 'aess'; did you mean 'aes'. .it has: id, text, aes"),
        ("flow > 1 and quality > 1", "character 14 .*python -m tools.scoring.quality.inference"),
        ("aes", "aes is a number, where a condition is needed"),
        ("text", "text is a text, where a condition is needed"),
        ("not text", "text is a text"),
        ("aes and flow", "aes is a number"),
        ("aes == '5'", "aes is a number, '5' is a text"),
        ("text > 'a' > 5", "'a' is a text.*|5 is a number"),
        ("text + 'x' == 'y'", "text is a text, where a number is needed; num.text."),
        ("aes.contains('5')", "aes is a number, where a text is needed"),
        ("text.abs() > 1", "text is a text, where a number is needed"),
        ("has_audio > 1", "has_audio is true or false, 1 is a number"),
        ("has_audio == 'true'", "has_audio is true or false, 'true' is a text"),
        ("has_audio < True", "neither larger nor smaller"),
        ("aes > None", "None is neither larger nor smaller"),
        ("text < ''", "neither larger"),
        ("aes + None > 1", "None stands for an empty cell"),
        ("speaker == `odd name`", "may be numbers or texts; say num.speaker. or text.speaker."),
        ("id == aes", "num.id. reads it as one"),
        ("text(aes) == '5'", "aes is a number, where a text is needed"),
        ("aes in [5, 'x']", "several kinds"),
        ("aes in []", "the list is empty"),
        ("aes in [flow]", "character 9 .*written out"),
        ("aes in 5", "in takes a list"),
        ("'cat' in text", r"in takes a list.*text.contains"),
        ("aes is 5", "is goes with None only"),
        ("text.len > 3", r"write .len\(\) with brackets"),
        ("text.replace('a', 'b') == 'x'", r".replace\(\) is not known here; there are .between\(\)"),
        ("sqrt(aes) > 1", r"sqrt\(\) is not known here; there are col\(\), num\(\)"),
        ("aes.between(1)", "missing a required argument: 'high'"),
        ("aes.between(1, 2, 'both', 4)", "too many positional"),
        ("aes.between(1, 2, inclusive='yes')", "must be one of both, left, right, neither"),
        ("aes.round('x') > 1", "decimals must be a whole number"),
        ("aes.round(True) > 1", "decimals must be a whole number"),
        ("aes.round(-1) > 1", "between 0 and 15"),
        ("text.contains(5)", "part must be a text"),
        ("text.contains('a', regex=1)", "regex must be True or False"),
        ("text.contains('(', regex=True)", "not a regular expression"),
        ("text.contains('(?=a)', regex=True)", "not a regular expression.*look"),
        ("text.contains('a{1000}{1000}', regex=True)", "not a regular expression"),
        ("1 == 1", "names no column"),
        ("aes > ", "character [67].*invalid syntax"),
        ("aes > 5 adn flow > 2", "character 1.* .*invalid syntax"),
        ("aes ** 2 > 4", r"\*\* cannot be used here; there are column names"),
    ],
)
def test_messages_say_what_and_where(condition, message, table):
    assert re.search(message, refused(condition, table)), refused(condition, table)


def test_a_column_with_the_name_of_a_keyword():
    frame = pl.DataFrame({"class": ["a", "b"], "from": ["1", "2"]})
    assert "the column class goes in backticks: `class`" in refused("class == 'a'", frame)
    assert kept("`class` == 'a' or `from` > 1", frame) == [0, 1]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="aesflowtx.'\"`()[]<>=!&|~+-*/%,0123456789 \n#:@{}é_", max_size=40))
def test_any_text_gives_an_expression_or_a_user_error(condition):
    schema = {"aes": pl.String(), "flow": pl.String(), "text": pl.String()}
    try:
        expression = parse_where(condition, schema)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        ast.parse("(" + re.sub("`[^`]*`", "x", condition) + "\n)")
        pl.DataFrame(schema=schema).filter(expression)
