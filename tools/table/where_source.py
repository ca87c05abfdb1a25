"""The text of a ``--where`` condition: parsed into Python's syntax tree, and places in it for messages."""

from __future__ import annotations

import ast
import keyword
import re
import warnings
from collections.abc import Iterable

from tools.errors import UserError

MAX_LENGTH = 20_000
"""Characters of a condition."""
MAX_DEPTH = 100
"""How deep brackets, operators and calls may be nested."""

_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`([^`\n]+)`", re.DOTALL)


class Source:
    """One condition as it was typed.

    Args:
        text: The condition. It may have line breaks, and columns in backticks.

    Attributes:
        text: The same.
        quoted: Where a column in backticks begins (characters from 0), to its name.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.quoted: dict[int, str] = {}
        # In brackets a condition may have line breaks; they move the first line by one character.
        self._lines = f"({_QUOTED.sub(self._hide, text)}\n)".split("\n")

    def _hide(self, match: re.Match[str]) -> str:
        """A name in backticks becomes a plain name of the same length, known by its place."""
        if match[1] is None:
            return match[0]
        self.quoted[match.start()] = match[1]
        return "_" * len(match[0])

    def parse(self, columns: Iterable[str]) -> ast.expr:
        """The syntax tree; nothing of it has been evaluated.

        Args:
            columns: Names of columns, for a hint when one is a keyword of Python.

        Raises:
            UserError: It is no expression, or too long or too deep for the parser.
        """
        if not self.text.strip():
            raise UserError("--where: the condition is empty; write for example aes >= 5")
        if len(self.text) > MAX_LENGTH:
            raise UserError(
                f"--where: longer than {MAX_LENGTH} characters; a long list of files goes with --intersection"
            )
        try:
            with warnings.catch_warnings():  # Python's advice on '\\d' or `5 is 5` is no concern of the user
                warnings.simplefilter("ignore")
                root = ast.parse("\n".join(self._lines), mode="eval").body
        except SyntaxError as error:
            raise self._syntax_error(error, columns) from None
        except (RecursionError, MemoryError):
            raise too_deep() from None
        except ValueError as error:  # a NUL, or bytes of the command line that are not UTF-8
            raise UserError(f"--where: not a text: {error}") from None
        if self.start(root) < 0:  # `a) or (b` and `a, b` make sense only with the brackets put round them
            raise self.error("brackets do not match, or there is a comma between conditions", root)
        return root

    def _syntax_error(self, error: SyntaxError, columns: Iterable[str]) -> UserError:
        place = 0
        if error.lineno and error.offset:
            lines = self._lines[: min(error.lineno, len(self._lines)) - 1]
            place = sum(len(line) + 1 for line in lines) + error.offset - 2
        words = set(re.findall(r"\w+", self.text)) & set(columns)
        hint = "".join(f"; the column {w} goes in backticks: `{w}`" for w in words if keyword.iskeyword(w))
        if "&&" in self.text or "||" in self.text:
            hint += "; && is written and, || is written or"
        return self._error_at(f"{error.msg or 'invalid syntax'}{hint}", place)

    def start(self, node: ast.expr) -> int:
        """Where a node begins, in characters from 0; -1 for one that took the brackets of `Source`."""
        return self._offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr) -> int:
        """Where a node ends, exclusive."""
        line, column = node.end_lineno, node.end_col_offset
        assert line is not None and column is not None  # as in every tree that was parsed
        return self._offset(line, column)

    def _offset(self, line: int, column: int) -> int:
        # The tree counts lines from 1, and columns in bytes of UTF-8.
        before = sum(len(text) + 1 for text in self._lines[: line - 1])
        return before + len(self._lines[line - 1].encode()[:column].decode()) - 1

    def typed(self, node: ast.expr) -> str:
        """A node as it was typed."""
        return self.text[self.start(node) : self.end(node)]

    def error(self, message: str, node: ast.expr) -> UserError:
        """An error at a node."""
        return self._error_at(message, self.start(node))

    def _error_at(self, message: str, place: int) -> UserError:
        place = min(max(place, 0), len(self.text))
        rest = " ".join(self.text[place : place + 20].split())
        near = f" (at {rest!r})" if rest else ""
        return UserError(f"--where: character {place + 1}{near}: {message}")


def too_deep() -> UserError:
    """The condition is nested deeper than `MAX_DEPTH`."""
    return UserError(f"--where: nested deeper than {MAX_DEPTH}; use in [..] for a list of values")
