"""Tags from captions, as a stage: a prompt to a model, a list in JSON back, a cell of the table."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

from tools.caption.api.answers import Answer
from tools.caption.api.pictures import chat_messages
from tools.caption.api.stage import Prepared, ServerStage
from tools.caption.prompts import TEXT_SLOT
from tools.caption.reasoning import LENGTH
from tools.columns import COLUMNS
from tools.errors import MediaError
from tools.media.reading.requests import Frames
from tools.options import option
from tools.options.values import Parsed
from tools.stage.stage import Row
from tools.table.cells import whole_characters

NONE = "NONE"
"""The cell of a caption that has no tag."""

WHAT: dict[str, str] = {
    "objects": "the things, people and animals that it mentions, as short nouns in the singular",
    "actions": "what the people, animals and things in it do, as verbs in the -ing form with what they need",
}
"""What the prompt asks for under each of the known keys."""

_FENCE = re.compile(r"\A```(?:json)?\s*(.*?)\s*```\Z", re.DOTALL)


def _column_name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", text) or (text in COLUMNS and text not in WHAT):
        raise ValueError
    return text


def _with_slot(text: str) -> str | None:
    if text and TEXT_SLOT not in text:
        raise ValueError
    return text or None


@dataclasses.dataclass
class TagStage(ServerStage):
    """Tags of one kind: column ``text`` in, a column named like the key out.

    A cell holds the tags in the order of the caption, in lower case, each once, with a comma and a blank
    between them; or `NONE`.

    Raises:
        UserError: A value that is not supported.
    """

    name = "tag"
    required_columns = ("text",)
    optional_columns = ("path",)

    key: str = option(
        "objects",
        "what to extract, which becomes the name of the column: objects, actions, or another noun",
        Parsed(
            _column_name,
            "NAME",
            f"names of new columns, such as {', '.join(WHAT)}: letters a to z, digits and _",
        ),
    )
    prompt: str | None = option(
        None,
        f"prompt, with {TEXT_SLOT} for the caption",
        Parsed(_with_slot, "TEXT", f"texts with {TEXT_SLOT} where the caption goes"),
        shown="one that suits the key",
        none=True,
    )
    response_format: bool = option(
        True,
        "send the form of the JSON as response_format",
        flag="no-response-format",
        off="do not send the form of the JSON as response_format; the prompt describes it anyway",
        everyday=False,
    )

    def configure(self) -> None:
        """Name the column and the output after the key."""
        super().configure()
        self.suffix = f"_{self.key}"
        self.output_columns: dict[str, Any] = {self.key: "String"}

    @property
    def parameters(self) -> dict[str, Any]:
        """As for every request, and the form of the JSON."""
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
        """Put the caption into the prompt."""
        text = " ".join((row.get("text") or "").split())
        if not text:
            raise MediaError("bad_value", row.get("path") or "", "the caption, column text, is empty")
        prompt = self.prompt or _prompt(self.key)
        return self.request_of(row, chat_messages(prompt.replace(TEXT_SLOT, text)))

    def values(self, answer: Answer) -> dict[str, Any]:
        """The tags as a cell."""
        try:
            tags = read_tags(answer.text, self.key)
        except ValueError as error:
            cut = " (cut off: --max-tokens allows more)" if answer.finish == LENGTH else ""
            raise MediaError("server", "", f"{error}{cut}") from None
        return {self.key: ", ".join(tags) or NONE}


def _prompt(key: str) -> str:
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
        key: The requested key.

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
