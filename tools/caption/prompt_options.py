"""Options that captioners share: the prompt, and the frames that it refers to."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

from tools.caption.prompts import PROMPTS, Prompt, resolve_prompt
from tools.media.reading.sampling import Sampling, parse_sampling
from tools.options import Option, Text, option_field
from tools.stage.common_options import FramesOption

PROMPT_VALUE = Text("NAME|FILE|TEXT")

_POLICY = "uniform_mid"


def prompt_option(default: str) -> Any:
    """The field ``prompt: Prompt``, with the flags ``--prompt`` and ``--existing-text``.

    Python code may also give what `resolve_prompt` takes.

    Args:
        default: A name of `PROMPTS`.
    """
    return option_field(default, _PromptOption(f"prompt: {', '.join(PROMPTS)}, a text file, or the text"))


def prompt_frames_option(default: int, count: Callable[[str, int | None], int | None]) -> Any:
    """The field ``sampling: Sampling | None``: which frames of a video the prompt is about.

    None stands for `default_frames`. The flags are ``--num-frames`` and ``--sampling``.

    Args:
        default: Frames of a video where neither a flag nor the prompt gives a number.
        count: From a policy and the number in the prompt to the number of frames without ``--num-frames``.
    """
    made = _PromptFramesOption("frames", shown=f"the number in the prompt, else {default}", count=count)
    return option_field(None, made)


def default_frames(prompt: Prompt, default: int) -> Sampling:
    """The middles of as many equal parts of a video as the prompt names, or as `default` says."""
    return Sampling(_POLICY, prompt.num_frames or default)


@dataclasses.dataclass(frozen=True)
class _PromptOption(Option):
    def check(self, name: str, value: Any, default: Any) -> Prompt:
        """The prompt of a text."""
        return resolve_prompt(value) if isinstance(value, str) else value

    def add(self, group: Any, name: str, default: Any) -> None:
        """Add the flags."""
        Option(self.help, PROMPT_VALUE).add(group, name, default)
        Option("insert the existing caption, column text, into the prompt").add(group, "existing_text", False)

    def read(self, args: argparse.Namespace, name: str, default: Any) -> Prompt:
        """The prompt that the flags ask for."""
        return resolve_prompt(args.prompt, existing_text=args.existing_text)


@dataclasses.dataclass(frozen=True)
class _PromptFramesOption(FramesOption):
    count: Callable[[str, int | None], int | None] = lambda policy, count: count

    def read(self, args: argparse.Namespace, name: str, default: Any) -> Sampling:
        """The frames that the flags and the prompt ask for."""
        policy = getattr(args, name) or _POLICY
        count = args.num_frames
        if count is None:
            count = self.count(policy, resolve_prompt(args.prompt).num_frames)
        return parse_sampling(policy, count)
