"""The command of a stage: flags of its options, of those that it shares, and the same under another name."""

from __future__ import annotations

import dataclasses

import pytest

from tools.errors import UserError
from tools.options import check_options, option, options_field
from tools.options.values import Number, Text
from tools.stage.command import StageChoice, StageCommand
from tools.stage.stage import Stage


@dataclasses.dataclass(frozen=True)
class Server:
    url: str | None = option(None, "address", Text("URL"), group="server")
    tries: int = option(3, "attempts", Number(1), flag="max-attempts", group="server")

    def __post_init__(self) -> None:
        check_options(self)


@dataclasses.dataclass
class AskingStage(Stage):
    name = "asking"
    suffix = "_asking"

    model: str = option("", "name of the model", Text("NAME"), required=True, group="server")
    server: Server = options_field(Server)
    words: int = option(5, "most words", Number(1))


COMMAND = StageCommand(
    "tools.one", AskingStage, "answers", "Ask.", "python -m tools.one meta.csv", engines=False
)


def stage_of(command: StageCommand, *flags: str) -> Stage:
    return command.make_stage(command.parser().parse_args(["meta.csv", *flags]))


def test_shared_options_have_flags_beside_those_of_the_stage():
    made = stage_of(COMMAND, "--model", "m", "--url", "http://x", "--max_attempts", "7", "--words", "2")
    assert made == AskingStage(model="m", server=Server("http://x", 7), words=2)


def test_options_are_shown_under_their_heading():
    text = COMMAND.parser().format_help()
    server, answers = text.index("\nserver:"), text.index("\nanswers:")
    assert server < text.index("--model NAME") < text.index("--max-attempts X") < answers
    assert answers < text.index("--words X")


def test_a_required_option_is_asked_for_at_once(capsys):
    with pytest.raises(SystemExit, match="2"):
        stage_of(COMMAND)
    assert "--model" in capsys.readouterr().err
    with pytest.raises(UserError, match="--model is required: name of the model"):
        AskingStage()


def test_a_second_name_of_a_command_has_its_own_defaults_and_examples():
    renamed = COMMAND.renamed("tools.two", defaults={"model": "gpt", "words": 9})
    assert stage_of(renamed) == AskingStage(model="gpt", words=9)
    help_text = renamed.parser().format_help()
    assert "python -m tools.two meta.csv" in help_text and "tools.one" not in help_text
    assert "most words (9)" in help_text


def test_values_of_shared_options_are_checked():
    with pytest.raises(UserError, match=r"Invalid max_attempts \(0\)"):
        stage_of(COMMAND, "--model", "m", "--max-attempts", "0")


def test_options_by_name_are_those_of_the_command_line():
    typed = stage_of(COMMAND, "--model", "m", "--max-attempts", "7", "--words", "2")
    for name in ("max_attempts", "tries"):
        assert COMMAND.stage_from({"model": "m", name: 7, "words": 2}) == typed
    assert COMMAND.stage_from({"model": "m"}, {"words": 2, "unknown": 1}).words == 2
    assert COMMAND.stage_from({"model": "m", "words": 3}, {"words": 2}).words == 3
    assert COMMAND.stage_from({"model": "m", "server": Server("http://x")}).server.url == "http://x"
    with pytest.raises(UserError, match=r"Invalid option \(speed\). Supported values are model, words, url"):
        COMMAND.stage_from({"model": "m", "speed": 2})
    with pytest.raises(UserError, match="max_attempts: is the same option as tries"):
        COMMAND.stage_from({"model": "m", "tries": 2, "max_attempts": 3})


@dataclasses.dataclass
class QuietStage(AskingStage):
    words: int = option(1, "most words", Number(1))
    volume: int = option(0, "how loud", Number(0), flag="loudness")


@dataclasses.dataclass
class PlainStage(Stage):
    name = "asking"
    suffix = "_asking"

    words: int = option(5, "most words", Number(1))
    device: str = option("auto", "where it runs", Text("DEVICE"))


CHOICE = StageCommand(
    "tools.one",
    StageChoice(
        "manner", "", {"plain": PlainStage, "quiet": QuietStage}, {"plain": "as it is", "quiet": "calm"}
    ),
    "answers",
    "Ask.",
    "python -m tools.one meta.csv",
    engines=False,
)


def test_an_option_chooses_the_stage():
    assert stage_of(CHOICE) == PlainStage()
    quiet = ("--manner", "quiet", "--model", "m")
    assert stage_of(CHOICE, *quiet, "--loudness", "3") == QuietStage(model="m", words=1, volume=3)
    assert CHOICE.stage_from({"manner": "quiet", "model": "m"}) == QuietStage(model="m")
    assert stage_of(CHOICE, *quiet, "--device", "cpu") == QuietStage(model="m")  # which has none
    text = CHOICE.parser().format_help()
    assert "plain: as it is; quiet: calm (plain)" in text and "most words (5; quiet: 1)" in text
    with pytest.raises(UserError, match="--model is required"):
        stage_of(CHOICE, "--manner", "quiet")
    with pytest.raises(UserError, match="--loudness is for --manner quiet, not for plain"):
        stage_of(CHOICE, "--loudness", "3")
    with pytest.raises(UserError, match=r"Invalid manner \(rude\). Supported values are plain, quiet"):
        CHOICE.stage_from({"manner": "rude"})
