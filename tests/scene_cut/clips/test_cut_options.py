"""The options of clips: what the command line and Python give, and what is refused."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tools.errors import UserError
from tools.scene_cut import cut
from tools.scene_cut.clips.options import CutOptions


def options_of(*words: str) -> CutOptions:
    return cut._make_stage(cut._parser().parse_args(["meta.csv", "--save_dir", "clips", *words])).options


def test_the_command_without_flags_scales_down_to_1080() -> None:
    assert options_of() == CutOptions(shorter_size=1080)


@pytest.mark.parametrize("words", [("--shorter_size", "0"), ("--mode", "copy"), ("--mode", "smart")])
def test_sizes_are_kept(words: tuple[str, ...]) -> None:
    assert options_of(*words).shorter_size is None


def test_zero_keeps_sizes_in_python_too() -> None:
    assert CutOptions(shorter_size=0) == CutOptions()


@pytest.mark.parametrize(
    ("text", "rate"),
    [  # the rates of NTSC are those of ITU-R BT.601 and BT.709, with 1001 as denominator
        ("29.97", Fraction(30000, 1001)),
        ("23.976", Fraction(24000, 1001)),
        ("59.94", Fraction(60000, 1001)),
        ("30000/1001", Fraction(30000, 1001)),
        ("12.5", Fraction(25, 2)),
        ("24", Fraction(24)),
    ],
)
def test_frame_rates_as_they_are_written(text: str, rate: Fraction) -> None:
    assert options_of("--target_fps", text).target_fps == rate


def test_sound_is_kept_unless_it_is_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    assert options_of("--keep_audio").keep_audio and not options_of("--drop-audio").keep_audio
    with pytest.raises(SystemExit, match="2"):
        options_of("--keep-audio", "--drop-audio")
    assert "not allowed with" in capsys.readouterr().err


def test_a_folder_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cut.main(["meta.csv"])
    assert "required: --save-dir" in capsys.readouterr().err


def test_fingerprints_have_the_quality_as_python_gave_it() -> None:
    """Clips of earlier versions, whose fingerprints have the number as it was given, are not cut again."""
    assert repr(CutOptions(crf=20).config()["crf"]) == "20"
    assert repr(options_of("--crf", "20").config()["crf"]) == "20.0"


@pytest.mark.parametrize(
    ("name", "value", "supported"),
    [
        ("mode", "quick", "exact, copy, smart"),
        ("engine", "gpu", "pyav, ffmpeg"),
        ("hdr", "drop", "tonemap, keep, fail"),
        ("shorter_size", 33, "even numbers from 0 on"),
        ("min_seconds", 0, "numbers above 0"),
        ("target_fps", 1001, "numbers above 0, up to 1000"),
        ("target_fps", "1/0", "numbers above 0, up to 1000"),
        ("keep_audio", "no", "True, False"),
    ],
)
def test_python_gets_the_same_errors(name: str, value: object, supported: str) -> None:
    with pytest.raises(UserError, match=rf"^Invalid {name} \(.*\)\. Supported values are {supported}\.$"):
        CutOptions(**{name: value})
