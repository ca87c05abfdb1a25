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


@pytest.mark.parametrize("words", [("--crf", "20"), ("--preset", "fast"), ("--crf", "0", "--preset", "fast")])
def test_a_quality_and_its_numbers_exclude_each_other(words: tuple[str, ...]) -> None:
    with pytest.raises(
        UserError, match=f"^quality fast sets crf and preset: leave out --quality or {words[0]}$"
    ):
        options_of("--quality", "fast", *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--mode", "copy"), "mode copy encodes nothing: it has no quality"),
        (("--codec", "mpeg4"), "the encoder mpeg4 has no quality best; set --crf and --preset"),
        (("--codec", "h264_nvenc"), "the encoder h264_nvenc has no quality best"),
    ],
)
def test_where_there_is_no_quality(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        options_of("--quality", "best", *words)


def test_balanced_is_the_default() -> None:
    """Clips of earlier versions, whose fingerprints know of no quality, are not cut again."""
    assert CutOptions(quality="balanced").config() == CutOptions().config()
    assert "quality" not in CutOptions().config() and CutOptions().config()["codec"] == "h264"
    names = ("fast", "balanced", "best")
    for mode in ("exact", "smart"):
        configs = [str(CutOptions(quality=name, mode=mode).config()) for name in names]
        assert len(set(configs)) == 3
    assert options_of("--quality", "balanced", "--codec", "h264_nvenc").codec == "h264_nvenc"


@pytest.mark.parametrize(
    ("words", "source", "codec"),
    [
        ((), "hevc", "h264"),
        (("--mode", "smart"), "hevc", "hevc"),
        (("--mode", "smart"), "h264", "h264"),
        (("--mode", "smart"), "vp9", "h264"),
        (("--mode", "smart", "--codec", "h264"), "hevc", "h264"),
    ],
)
def test_what_encodes(words: tuple[str, ...], source: str, codec: str) -> None:
    assert options_of(*words).codec_for(source) == codec
