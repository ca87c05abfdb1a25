"""Options that several stages share: the frames of a video, the device, the decoder, weights."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any

from tools.errors import UserError
from tools.media.reading.decoders import DECODERS
from tools.media.reading.sampling import SAMPLING_POLICIES, Sampling, parse_sampling
from tools.models.device import PRECISIONS, check_names
from tools.options import Option, option, option_field
from tools.options.values import Choice, Number, Parsed, Text, Whole


def device_option(help: str = "where models run") -> Any:
    """The field ``device: str``: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``."""
    return option("auto", f"{help}: auto, cpu, cuda or cuda:N", Parsed(_device, "DEVICE"), everyday=False)


def precision_option(help: str) -> Any:
    """The field ``precision: str``, one of `tools.models.device.PRECISIONS`.

    Args:
        help: What it is the precision of, and what ``auto`` means there.
    """
    return option("auto", help, Choice(PRECISIONS), everyday=False)


def decoder_option() -> Any:
    """The field ``decoder: str``, a name of `tools.media.reading.decoders.DECODERS`."""
    return option("pyav", "video decoder", Choice(tuple(DECODERS)), everyday=False)


def weights_option(help: str, shown: str) -> Any:
    """The field of a file of weights: ``str | None``, None for where weights are kept.

    Args:
        help: What weights.
        shown: Where they are by default.
    """
    return option(None, help, Text("PATH"), shown=shown, everyday=False)


def frames_option(default: Sampling | None, shown: str, *, limits: bool = False) -> Any:
    """The field ``sampling: Sampling``: which frames of a video are read.

    Its flags are ``--num-frames`` and ``--sampling``.

    Args:
        default: The frames when no flag says otherwise. None: the stage decides, `Sampling` of
            ``uniform_mid`` with the number of frames where only that is given.
        shown: The default number of frames in words.
        limits: Also ``--start``, ``--end`` and ``--max-frames``.
    """
    return option_field(default, FramesOption("which frames of a video", shown=shown, limits=limits))


def audio_track_option(help: str, shown: str, *, everyday: bool = True) -> Any:
    """The field ``audio_track: str | None``, None for the track that the stage chooses.

    Args:
        help: What the track is used for.
        shown: The default in words.
        everyday: ``--help`` shows it.
    """
    text = f"{help}: its number from 0 on, or its language (eng, en)"
    return option(None, text, Parsed(_audio_track, "N|LANG"), shown=shown, none=True, everyday=everyday)


def choose_frames(default: Sampling | None, policy: str | None, count: int | None) -> Sampling | None:
    """The sampling for a policy and a number of frames.

    A number alone keeps the default policy, or spreads frames evenly where that takes one frame only.

    Args:
        default: The frames where neither is given.
        policy: See `parse_sampling`; None for the default's.
        count: Number of frames; None for the policy's own.

    Raises:
        UserError: There is no such policy, or it takes no such number.
    """
    if policy is None and count is None:
        return default
    if policy is None and default is None:
        policy = "uniform_mid"
    if policy is None:
        policy = default.policy if default and default.count is not None else "first_middle_last"
        policy += f"~{default.nearest}" if default and default.nearest else ""
    return parse_sampling(policy, count)


@dataclasses.dataclass(frozen=True)
class FramesOption(Option):
    """The option of a field that is a `Sampling`; several flags make it, see `frames_option`."""

    limits: bool = False

    def check(self, name: str, value: Any, default: Any) -> Any:
        """A `Sampling` from the name of a policy; any other rule as it is."""
        return parse_sampling(value, None) if isinstance(value, str) else value

    def parts(self, name: str, default: Any) -> dict[str, Option]:
        """The flags by name; without one, all of them are None."""
        policy = default.policy if default is not None else "uniform_mid"
        frames = Option("frames of a video", Whole(1), shown=self.shown)
        which = Option(
            f"which frames: {', '.join(SAMPLING_POLICIES)}; with a value: fps:2; the key frames nearest to "
            "them, which are decoded fast: middle~key",
            Text("POLICY"),
            shown=policy,
            everyday=False,
        )
        return {"num_frames": frames, name: which, **(_LIMITS if self.limits else {})}

    def add(self, group: Any, name: str, default: Any) -> None:
        """Add the flags."""
        for part, made in self.parts(name, default).items():
            made.add(group, part, None)

    def names(self, name: str) -> dict[str, str]:
        """The flags, each by its name."""
        return {part: part for part in self.parts(name, None)}

    def read(self, args: argparse.Namespace, name: str, default: Any) -> Any:
        """The sampling that the flags ask for.

        Raises:
            UserError: There is no such policy, or the flags contradict each other.
        """
        return self.combine({part: getattr(args, part) for part in self.names(name)}, name, default)

    def combine(self, given: Mapping[str, Any], name: str, default: Any) -> Any:
        """The frames from the values of the flags; that of the field may be a `Sampling` already.

        Raises:
            UserError: There is no such policy, or the flags contradict each other.
        """
        given = {part: value for part, value in given.items() if value is not None}
        parts = self.parts(name, default)
        policy = given.pop(name, None)
        limits = {part: parts[part].check(part, value, None) for part, value in given.items()}
        count = limits.pop("num_frames", None)
        if policy is not None and not isinstance(policy, str):
            default, policy = policy, None
        chosen = choose_frames(default, policy, count)
        if not limits or chosen is None:
            return chosen
        if chosen.max_frames not in (None, limits.get("max_frames", chosen.max_frames)):
            raise UserError(f"--num-frames {count} and --max-frames {limits['max_frames']} contradict")
        return dataclasses.replace(chosen, **limits)


_LIMITS = {
    "start": Option("no frames before this second", Number(metavar="S"), everyday=False),
    "end": Option("no frames after this second", Number(metavar="S"), everyday=False),
    "max_frames": Option("only the first N of the chosen frames", Whole(), everyday=False),
}


def _audio_track(track: Any) -> Any:
    from tools.media.reading.tracks import check_audio_track  # which imports libav

    return check_audio_track(track)


def _device(name: str) -> str:
    check_names(name)
    return name
