"""Options as data: one field gives the flag, the check, the error and the help."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from pathlib import Path

import pytest

from tools import cli
from tools.errors import UserError
from tools.options import add_options, check_options, option, read_options
from tools.options.values import Choice, Names, Number, Parsed, Text, Whole


@dataclasses.dataclass
class Options:
    """One of each kind."""

    factor: float = option(1.5, "factor of the result", Number(0, above=True))
    count: int = option(3, "rows", Whole(1), flag="rows", aliases=("--n",))
    method: str = option("fast", "", Choice({"fast": "a guess", "exact": "the truth"}))
    names: tuple[str, ...] = option(("a",), "which", Names(("a", "b", "c")))
    prompts: tuple[str, ...] = option(("x",), "several", Text("PROMPT"), many=True)
    limit: float | None = option(None, "seconds", Number(0, 10), shown="no limit", everyday=False)
    strict: bool = option(False, "stop at errors")
    sound: bool = option(True, "keep the sound", flag="silent", off="without sound")

    def __post_init__(self) -> None:
        check_options(self)


def parse(*words: str) -> Options:
    parser = cli.ArgumentParser("tools.example", "Does a thing.", "python -m tools.example")
    add_options(parser, Options)
    return Options(**read_options(parser.parse_args(list(words)), Options))


def test_flags_give_the_fields_in_their_types():
    assert parse() == Options()
    words = "--factor 2 --n 7 --method exact --names c,a --prompts p q --limit 5 --strict --silent"
    given = parse(*words.split(" "))
    assert dataclasses.astuple(given) == (2.0, 7, "exact", ("c", "a"), ("p", "q"), 5.0, True, False)
    assert parse("--rows", "9").count == 9


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("factor", 0, "numbers above 0"),
        ("factor", math.nan, "numbers above 0"),
        ("factor", True, "numbers above 0"),
        ("count", 0, "whole numbers from 1 on"),
        ("count", 2.5, "whole numbers from 1 on"),
        ("method", "slow", "fast, exact"),
        ("names", "a,d", "a, b, c"),
        ("names", "", "a, b, c"),
        ("limit", 10.5, "numbers from 0 to 10"),
        ("strict", "yes", "True, False"),
    ],
)
def test_python_and_the_command_line_refuse_the_same_with_the_same_words(field, value, words):
    with pytest.raises(UserError, match=rf"^Invalid {field} \(.*\)\. Supported values are {words}\.$"):
        Options(**{field: value})
    if not isinstance(value, bool) and field != "strict":
        flag = "rows" if field == "count" else field
        with pytest.raises(
            UserError, match=rf"^Invalid {flag} \(.*\)\. Supported values are {words}\. \(see: "
        ):
            parse(f"--{flag}", str(value))


def test_python_gives_values_as_they_are():
    assert Options(limit=None).limit is None
    assert Options(names=["b"]).names == ("b",)
    assert Options(prompts="one").prompts == ("one",)
    assert Options(count=4.0).count == 4 and isinstance(Options(count=4.0).count, int)
    assert Text().convert(Path("a") / "b") == "a/b"


def test_help_shows_defaults_and_meanings_and_help_all_the_rest(capsys):
    parser = cli.ArgumentParser("tools.example", "Does a thing.", "python -m tools.example")
    add_options(parser, Options, defaults={"factor": 4.0})
    everyday, everything = parser.format_help(), parser.format_help(everything=True)
    assert "factor of the result (4)" in everyday and "fast: a guess; exact: the truth (fast)" in everyday
    assert "--limit" not in everyday and "seconds (no limit)" in everything
    assert "without sound" in everyday and "1 more flags: --help-all" in everyday
    assert parser.format_help() == everyday
    with pytest.raises(SystemExit, match="0"):
        parser.parse_args(["--help-all"])
    assert capsys.readouterr().out == everything


def test_a_value_that_a_function_reads_keeps_the_functions_error():
    def rate(text: object) -> Fraction:
        if text == "never":
            raise UserError("the frame rate cannot be never")
        return Fraction(str(text))

    values = Parsed(rate, "FPS", "frame rates such as 24 and 30000/1001")
    assert values.check("fps", "30000/1001") == Fraction(30000, 1001)
    with pytest.raises(UserError, match=r"Invalid fps \(x\)\. Supported values are frame rates such as 24"):
        values.check("fps", "x")
    with pytest.raises(UserError, match=r"^the frame rate cannot be never$"):
        values.check("fps", "never")


def test_limits_may_be_exclusive():
    assert Number(0, 1, below=True).supported == "numbers from 0 to below 1"
    with pytest.raises(ValueError):
        Number(0, 1, below=True).convert(1)
    assert Whole(2, even=True).convert("4") == 4
    assert Whole(3, odd=True).convert("5") == 5
    with pytest.raises(UserError, match="Supported values are odd numbers from 3 to 255"):
        Whole(3, 255, odd=True).check("size", 4)
    with pytest.raises(ValueError):
        Whole(2, even=True).convert(3)
