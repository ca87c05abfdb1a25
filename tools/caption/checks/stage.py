"""All checks of a caption as a stage: labels of problems, in the column ``caption_flags``."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from tools.caption.checks.artifacts import is_damaged, is_wrapped, says_nothing
from tools.caption.checks.camera import contradicts_motion
from tools.caption.checks.form import is_cut_off, is_repetitive
from tools.caption.checks.phrases import echoes_prompt, has_introduction, prompt_texts
from tools.caption.checks.quotes import quotes_unseen_text
from tools.caption.checks.refusals import is_refusal
from tools.caption.prompt_options import PROMPT_VALUE
from tools.caption.prompts import resolve_prompt
from tools.media.reading.requests import Frames
from tools.options import Option, option_field
from tools.stage.stage import REMARKS, Row, Stage

if TYPE_CHECKING:
    import polars as pl

FLAGS: dict[str, str] = {
    "empty": "there is no caption, or a placeholder (None, null, nan), or no letter",
    "cut_off": "it is truncated: the tokens ran out, or the last sentence has no end",
    "repetitive": "it repeats words or sentences",
    "refusal": "the model says that it cannot or will not describe",
    "prompt": "it repeats the prompt, a sample caption, or the tags of a chat",
    "prefix": 'it begins with talk about itself ("The video shows", "Sure! Here is")',
    "wrapped": "it is wrapped in JSON, a fence, tags or quotes",
    "damaged": "characters were lost or decoded wrongly",
    "duplicate": "another file has the same caption: rows may have been mixed up",
    "camera": "it contradicts the measured camera motion, cmotion",
    "unseen_text": "it quotes text that OCR did not find",
}
"""Labels of `caption_flags`, in their order, with their meaning."""

_SAME = "_same_caption"
_SHORTEST = 6  # words; shorter captions may be the same by chance


@dataclasses.dataclass(frozen=True)
class _PromptsOption(Option):
    """``--prompt``, as often as it is given; the value is the texts of these prompts."""

    def check(self, name: str, value: Any, default: Any) -> tuple[str, ...]:
        """The texts, as they are."""
        return (value,) if isinstance(value, str) else tuple(value)

    def add(self, group: Any, name: str, default: Any) -> None:
        """Add the flag."""
        group.add_argument(
            "--prompt", dest=name, action="append", default=[], metavar=PROMPT_VALUE.metavar, help=self.help
        )

    def read(self, args: argparse.Namespace, name: str, default: Any) -> tuple[str, ...]:
        """The texts of the prompts."""
        texts = [text for prompt in getattr(args, name) for text in prompt_texts(resolve_prompt(prompt))]
        return tuple(dict.fromkeys(texts))


@dataclasses.dataclass
class CaptionCheckStage(Stage):
    """Labels of problems of a caption: column ``text`` in, ``caption_flags`` out.

    A cell holds labels of `FLAGS` in that order, joined by ``+``; it is empty when nothing was found.
    Uses ``text_finish``, ``cmotion``, ``ocr_text`` and ``path`` when they are there.

    Attributes:
        prompts: Texts of prompts, besides those that have names.
    """

    name = "capcheck"
    version = 3
    suffix = "_capcheck"
    required_columns = ("text",)
    optional_columns = ("path", "text_finish", "cmotion", "ocr_text", _SAME)
    output_columns = {"caption_flags": "String", REMARKS: "Object"}

    prompts: tuple[str, ...] = option_field(
        (), _PromptsOption("prompt of your own that the captions were made with; may be given several times")
    )

    def config(self) -> dict[str, Any]:
        """The prompts, as a list."""
        return {"prompts": list(self.prompts)}

    def plan(self, table: pl.DataFrame) -> pl.DataFrame:
        """Count the files that have the same caption, as words in lower case."""
        import polars as pl

        text = pl.col("text").cast(pl.String).str.to_lowercase()
        text = text.str.replace_all(r"[^\p{L}\p{N}]+", " ").str.strip_chars(" ")
        files = pl.col("path").n_unique() if "path" in table.columns else pl.len()
        long = text.str.count_matches(" ") >= _SHORTEST - 1
        return table.with_columns(pl.when(long).then(files.over(text)).otherwise(1).alias(_SAME))

    def prepare(self, row: Row, frames: Frames) -> dict[str, Any]:
        """Check one caption."""
        flags = check_caption(
            row.get("text") or "",
            finish=row.get("text_finish"),
            cmotion=row.get("cmotion"),
            ocr_text=row.get("ocr_text"),
            prompts=self.prompts,
            same_elsewhere=(row.get(_SAME) or 1) > 1,
        )
        return {"caption_flags": "+".join(flags), REMARKS: flags}


def check_caption(
    text: str,
    *,
    finish: str | None = None,
    cmotion: str | None = None,
    ocr_text: str | None = None,
    prompts: tuple[str, ...] = (),
    same_elsewhere: bool = False,
) -> list[str]:
    """Find problems of a caption.

    Args:
        text: The caption.
        finish: Why the model stopped, see `tools.caption.checks.form.is_cut_off`.
        cmotion: Measured camera motion, labels joined by ``+``; None when it was not measured.
        ocr_text: Text that OCR found, "" for none; None when it was not run.
        prompts: Texts of prompts, besides those that have names.
        same_elsewhere: Another file has the same caption.

    Returns:
        Labels of `FLAGS`, in their order.
    """
    if says_nothing(text):
        return ["empty", "repetitive"] if is_repetitive(text) else ["empty"]
    found = {
        "cut_off": is_cut_off(text, finish),
        "repetitive": is_repetitive(text),
        "refusal": is_refusal(text),
        "prompt": echoes_prompt(text, prompts),
        "prefix": has_introduction(text),
        "wrapped": is_wrapped(text),
        "damaged": is_damaged(text),
        "duplicate": same_elsewhere,
        "camera": contradicts_motion(text, cmotion),
        "unseen_text": ocr_text is not None and quotes_unseen_text(text, ocr_text),
    }
    return [label for label in FLAGS if found.get(label)]
