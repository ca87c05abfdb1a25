"""All checks of a caption as a stage: labels of what is wrong, in the column ``caption_flags``."""

from __future__ import annotations

import dataclasses
from typing import Any

import polars as pl

from tools.caption.checks.camera import contradicts_motion
from tools.caption.checks.form import is_cut_off, is_repetitive
from tools.caption.checks.phrases import echoes_prompt, has_introduction
from tools.caption.checks.quotes import quotes_unseen_text
from tools.caption.checks.refusals import is_refusal
from tools.caption.checks.software import is_damaged, is_wrapped, says_nothing
from tools.media.reading.requests import Frames
from tools.stage.stage import REMARKS, Row, Stage

FLAGS: dict[str, str] = {
    "empty": "there is no caption, or one that says so (None, null, nan), or none with a letter",
    "cut_off": "it ends before its end: the tokens ran out, or there is no end of a sentence",
    "repetitive": "it says the same again and again",
    "refusal": "the model says that it cannot or will not describe",
    "prompt": "it repeats the question, a sample caption, or the marks of a chat",
    "prefix": 'it begins with talk about itself ("The video shows", "Sure! Here is")',
    "wrapped": "it stands in JSON, a fence, tags or quotes",
    "damaged": "characters were lost or misread on their way",
    "duplicate": "another file has the same caption: rows may have been mixed up",
    "camera": "what it says of the camera is not what cmotion says",
    "unseen_text": "it quotes text that OCR did not see",
}
"""Labels of `caption_flags`, in their order, with their meaning."""

_SAME = "_same_caption"
_SHORTEST = 6  # words; shorter captions may well be the same by chance


@dataclasses.dataclass
class CaptionCheckStage(Stage):
    """Labels of what is wrong with a caption: column ``text`` in, ``caption_flags`` out.

    A cell holds labels of `FLAGS` in that order, joined by ``+``; it is empty when nothing was found.
    Uses ``text_finish``, ``cmotion``, ``ocr_text`` and ``path`` when they are there.

    Attributes:
        prompts: What the model was asked, besides the prompts that have names.
    """

    name = "capcheck"
    version = 3
    suffix = "_capcheck"
    required_columns = ("text",)
    optional_columns = ("path", "text_finish", "cmotion", "ocr_text", _SAME)
    output_columns = {"caption_flags": pl.String, REMARKS: pl.Object}

    prompts: tuple[str, ...] = ()

    def config(self) -> dict[str, Any]:
        """The prompts, as a list."""
        return {"prompts": list(self.prompts)}

    def plan(self, table: pl.DataFrame) -> pl.DataFrame:
        """Count the files that have the same caption, as words in lower case."""
        said = pl.col("text").cast(pl.String).str.to_lowercase()
        said = said.str.replace_all(r"[^\p{L}\p{N}]+", " ").str.strip_chars(" ")
        files = pl.col("path").n_unique() if "path" in table.columns else pl.len()
        long = said.str.count_matches(" ") >= _SHORTEST - 1
        return table.with_columns(pl.when(long).then(files.over(said)).otherwise(1).alias(_SAME))

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
    """Find what is wrong with a caption.

    Args:
        text: The caption.
        finish: Why the model stopped, see `tools.caption.checks.form.is_cut_off`.
        cmotion: Measured camera motion, labels joined by ``+``; None when it was not measured.
        ocr_text: What OCR read, "" for nothing; None when it was not asked.
        prompts: What the model was asked, besides the prompts that have names.
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
