"""Tags from captions, as a stage: a question to a model, a list in JSON back, a cell of the table."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import polars as pl

from tools.caption.api.answers import Answer
from tools.caption.api.pictures import chat_messages
from tools.caption.api.stage import AskStage, Prepared
from tools.caption.prompts import TEXT_SLOT
from tools.columns import COLUMNS
from tools.errors import MediaError, UserError
from tools.media.reading.requests import Frames
from tools.stage.stage import Row
from tools.table.cells import whole_characters

NONE = "NONE"
"""The cell of a caption that has no tag."""

WHAT: dict[str, str] = {
    "objects": "the things, people and animals that it mentions, as short nouns in the singular",
    "actions": "what the people, animals and things in it do, as verbs in the -ing form with what they need",
}
"""What is asked for under the keys that are known."""

_FENCE = re.compile(r"\A```(?:json)?\s*(.*?)\s*```\Z", re.DOTALL)


@dataclasses.dataclass
class TagStage(AskStage):
    """Tags of one kind: column ``text`` in, a column named like the key out.

    A cell holds the tags in the order of the caption, in lower case, each once, with a comma and a blank
    between them; or `NONE`.

    Attributes:
        key: Name of the column; ``objects``, ``actions``, or any other noun, which is then asked for by name.
        prompt: The question, with ``{text}`` for the caption; None for the one that belongs to the key.
        response_format: Ask the server to hold the model to JSON of one form; the prompt asks for it anyway.

    Raises:
        UserError: The key is no name of a column, or one that the tables have already.
    """

    name = "tag"
    required_columns = ("text",)
    optional_columns = ("path",)

    key: str = "objects"
    prompt: str | None = None
    response_format: bool = True

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        super().configure()
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.key) or (self.key in COLUMNS and self.key not in WHAT):
            raise UserError(
                f"--key {self.key}: must be a new column's name, such as {', '.join(WHAT)}: letters a to z, "
                "digits and _"
            )
        if self.prompt is not None and TEXT_SLOT not in self.prompt:
            raise UserError(f"--prompt: must say with {TEXT_SLOT} where the caption goes")

    @property
    def suffix(self) -> str:
        """The key."""
        return f"_{self.key}"

    @property
    def output_columns(self) -> dict[str, Any]:
        """The column named like the key."""
        return {self.key: pl.String}

    @property
    def parameters(self) -> dict[str, Any]:
        """As for every question, and that the answer is to be JSON of one form."""
        if not self.response_format:
            return super().parameters
        tags = {"type": "array", "items": {"type": "string"}}
        schema = {
            "type": "object",
            "properties": {self.key: tags},
            "required": [self.key],
            "additionalProperties": False,
        }
        form = {"name": self.key, "strict": True, "schema": schema}
        return {**super().parameters, "response_format": {"type": "json_schema", "json_schema": form}}

    def prepare(self, row: Row, frames: Frames) -> Prepared:
        """Put the caption into the question."""
        text = " ".join((row.get("text") or "").split())
        if not text:
            raise MediaError("bad_value", row.get("path") or "", "the caption, column text, is empty")
        question = self.prompt or _question(self.key)
        return self.question(row, chat_messages(question.replace(TEXT_SLOT, text)))

    def values(self, answer: Answer) -> dict[str, Any]:
        """The tags as a cell."""
        try:
            tags = read_tags(answer.text, self.key)
        except ValueError as error:
            cut = " (cut off: --max-tokens allows more)" if answer.finish == "length" else ""
            raise MediaError("server", "", f"{error}{cut}") from None
        return {self.key: ", ".join(tags) or NONE}


def _question(key: str) -> str:
    what = WHAT.get(key, f"its {key.replace('_', ' ')}")
    example = json.dumps({key: ["first", "second"]})
    return (
        f"Here is the caption of a video:\n{TEXT_SLOT}\n\nList {what}. Take only what the caption says. "
        f"Answer with JSON alone, in the form {example}; when there is nothing to list, with "
        f"{json.dumps({key: []})}."
    )


def read_tags(text: str, key: str) -> list[str]:
    """Read a model's answer.

    Args:
        text: JSON: a list of texts, or an object that has it under the key and nothing else; with or without
            a fence of backquotes.
        key: What was asked for.

    Returns:
        The tags in lower case, each once, in their order; commas inside a tag become blanks.

    Raises:
        ValueError: It is anything else.
    """
    fenced = _FENCE.match(text.strip())
    try:
        found = json.loads(fenced.group(1) if fenced else text)
    except (ValueError, RecursionError):
        raise ValueError(f"the answer is not JSON: {text[:100]!r}") from None
    if isinstance(found, dict) and set(found) == {key}:
        found = found[key]
    if not isinstance(found, list) or not all(isinstance(tag, str) for tag in found):
        raise ValueError(f"the answer is no list of texts: {text[:100]!r}")
    tags = (" ".join(whole_characters(tag).replace(",", " ").split()).lower() for tag in found)
    return list(dict.fromkeys(tag for tag in tags if tag and tag not in ("none", "n/a")))
