"""What an option can be: the kinds of values, each with its range, its words in help and its error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import Any

from tools.errors import UserError


class Values:
    """What an option can be. A subclass says which values there are, and turns a text into one of them.

    Attributes:
        supported: The values in words, for the error: ``numbers from 0 to 1``.
        metavar: What stands for the value in ``--help``; None shows the choices.
        choices: All values, where they are few; else None.
    """

    supported = "texts"
    metavar: str | None = "TEXT"
    choices: tuple[str, ...] | None = None

    def convert(self, value: Any) -> Any:
        """The value in its type, from a text or from Python.

        Raises:
            ValueError: It is none of the supported values; the message is not used.
        """
        if not isinstance(value, str):
            raise ValueError
        return value

    def check(self, name: str, value: Any) -> Any:
        """As `convert`, with the error that users see.

        Raises:
            UserError: ``Invalid NAME (VALUE). Supported values are ...``.
        """
        try:
            return self.convert(value)
        except (ValueError, TypeError, OverflowError):
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            raise UserError(f"Invalid {name} ({shown}). Supported values are {self.supported}.") from None


class Text(Values):
    """Any text.

    Args:
        metavar: What stands for it in ``--help``. ``FILE``, ``DIR`` and ``PATH`` are places on this machine.
    """

    def __init__(self, metavar: str = "TEXT") -> None:
        self.metavar = metavar

    def convert(self, value: Any) -> str:
        """The text; a path may also be a `pathlib.Path`."""
        return super().convert(str(value) if hasattr(value, "__fspath__") else value)


class Choice(Values):
    """One of a few names.

    Args:
        names: The names, or the names with their meanings, which the help then lists.
    """

    metavar = None

    def __init__(self, names: Iterable[str] | Mapping[str, str]) -> None:
        self.choices = tuple(names)
        self.meanings: dict[str, str] = {}
        if isinstance(names, Mapping) and all(isinstance(text, str) for text in names.values()):
            self.meanings = dict(names)
        self.supported = ", ".join(self.choices)

    def convert(self, value: Any) -> str:
        """The name."""
        if value not in self.choices:  # type: ignore[operator]
            raise ValueError
        return value


def _may_be_number(value: Any) -> bool:
    return isinstance(value, (str, Real)) and not isinstance(value, bool)


class Number(Values):
    """A finite number.

    Args:
        least: The smallest one; None for no limit.
        most: The largest one; None for no limit.
        above: The number must be larger than `least`.
        below: The number must be smaller than `most`.
        metavar: What stands for it in ``--help``.
    """

    kind = "numbers"

    def __init__(
        self,
        least: float | None = None,
        most: float | None = None,
        *,
        above: bool = False,
        below: bool = False,
        metavar: str = "X",
    ) -> None:
        self.least, self.most, self.above, self.below, self.metavar = least, most, above, below, metavar
        begin = "" if least is None else f" above {least:g}" if above else f" from {least:g}"
        end = f" to {most:g}" if most is not None else " on" if begin and not above else ""
        end = end.replace(" to ", " to below ") if below else end
        self.supported = f"{self.kind}{begin}{end}"

    def convert(self, value: Any) -> Any:
        """The number as a float."""
        if not _may_be_number(value):
            raise ValueError
        return self._within(float(value))

    def _within(self, number: Any) -> Any:
        if not math.isfinite(number):
            raise ValueError
        if self.least is not None and (number < self.least or (self.above and number == self.least)):
            raise ValueError
        if self.most is not None and (number > self.most or (self.below and number == self.most)):
            raise ValueError
        return number


class Whole(Number):
    """A whole number, or only an even or odd one; the arguments are those of `Number`."""

    kind = "whole numbers"

    def __init__(
        self,
        least: int | None = None,
        most: int | None = None,
        *,
        even: bool = False,
        odd: bool = False,
        metavar: str = "N",
    ) -> None:
        self.even, self.odd = even, odd
        self.kind = "even numbers" if even else "odd numbers" if odd else "whole numbers"
        super().__init__(least, most, metavar=metavar)

    def convert(self, value: Any) -> int:
        """The number as an int."""
        if not _may_be_number(value):
            raise ValueError
        number = int(value)
        if not isinstance(value, str) and number != value:
            raise ValueError
        if (self.even and number % 2) or (self.odd and not number % 2):
            raise ValueError
        return self._within(number)


class Parsed(Values):
    """A value that a function makes of a text.

    Args:
        parse: From a text, or from a value of Python, to the value. Raises ValueError, or a UserError of its
            own, for what is none.
        metavar: What stands for it in ``--help``.
        supported: The values in words.
    """

    def __init__(self, parse: Callable[[Any], Any], metavar: str, supported: str = "") -> None:
        self._parse, self.metavar, self.supported = parse, metavar, supported

    def convert(self, value: Any) -> Any:
        """What the function makes of it."""
        return self._parse(value)


class Names(Values):
    """Several of a few names, joined by commas, or a list of them in Python.

    Args:
        names: All of them.
    """

    metavar = "A,B,..."

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)
        self.supported = ", ".join(self._names)

    def convert(self, value: Any) -> tuple[str, ...]:
        """The names, each once, in their order."""
        given = value.split(",") if isinstance(value, str) else value
        names = [name.strip() for name in given if name.strip()]
        if not names or any(name not in self._names for name in names):
            raise ValueError
        return tuple(dict.fromkeys(names))
