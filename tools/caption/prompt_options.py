"""Options that captioners share: the prompt, and the frames that it refers to."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any

from tools.caption.prompts import PROMPTS, Prompt, resolve_prompt
from tools.media.reading.sampling import Sampling, parse_sampling
from tools.options import Option, option_field
from tools.options.values import Text
from tools.stage.common_options import FramesOption

PROMPT_VALUE = Text("NAME|FILE|TEXT")

DEFAULT_POLICY = "uniform_mid"
"""The policy of `prompt_frames_option`."""


def prompt_option(default: str) -> Any:
    """The field ``prompt: Prompt``, with the flags ``--prompt`` and ``--existing-text``.

    Args:
        default: A name of `PROMPTS`.
    """
    return option_field(default, _PromptOption(f"prompt: {', '.join(PROMPTS)}, a text file, or the text"))


def prompt_frames_option(default: int) -> Any:
    """The field ``sampling``, with the flags ``--num-frames`` and ``--sampling``.

    A policy without a number of frames stays a text, and no flag is None: the stage makes a `Sampling` of
    them when it knows its prompt.

    Args:
        default: Frames of a video where neither a flag nor the prompt gives a number.
    """
    made = _PromptFramesOption("which frames of a video", shown=f"the number in the prompt, else {default}")
    return option_field(None, made)


@dataclasses.dataclass(frozen=True)
class _PromptOption(Option):
    def check(self, name: str, value: Any, default: Any) -> Prompt:
        """The prompt of a text."""
        return resolve_prompt(value)

    def add(self, group: Any, name: str, default: Any) -> None:
        """Add the flags."""
        Option(self.help, PROMPT_VALUE).add(group, name, default)
        Option("insert the existing caption, column text, into the prompt").add(group, "existing_text", False)

    def names(self, name: str) -> dict[str, str]:
        """The flags, each by its name."""
        return {name: name, "existing_text": "existing_text"}

    def read(self, args: argparse.Namespace, name: str, default: Any) -> Prompt:
        """The prompt that the flags ask for."""
        return self.combine({part: getattr(args, part) for part in self.names(name)}, name, default)

    def combine(self, given: Mapping[str, Any], name: str, default: Any) -> Prompt:
        """The prompt from the values of the flags."""
        return resolve_prompt(given.get(name, default), existing_text=given.get("existing_text", False))


@dataclasses.dataclass(frozen=True)
class _PromptFramesOption(FramesOption):
    def check(self, name: str, value: Any, default: Any) -> Any:
        """The value as it is; the stage checks a policy together with its prompt."""
        return value

    def combine(self, given: Mapping[str, Any], name: str, default: Any) -> Sampling | str | None:
        """The frames from the values of the flags, or the policy alone."""
        policy, count = given.get(name), given.get("num_frames")
        if count is None or isinstance(policy, Sampling):
            return policy if count is None else super().combine(given, name, default)
        return parse_sampling(
            policy or DEFAULT_POLICY, self.parts(name, default)["num_frames"].check("num_frames", count, None)
        )
