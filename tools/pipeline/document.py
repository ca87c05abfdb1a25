"""The file of a pipeline: its variables and its steps, as they are written there.

::

    [variables]
    videos = "videos"
    out = "out"

    [pipeline]
    tables = "${out}/meta"            # step NAME writes the table NAME.csv there
    format = "csv"                    # csv, parquet or jsonl

    [[step]]
    name = "find"
    run = "convert video ${videos}"   # a command, and what follows it without a flag

    [[step]]
    name = "probe"
    run = "datautil"
    options = { info = true, fmin = 1 }

A step may also have ``input`` (names of steps, or paths; the table of the step before), ``output`` (a path),
``ranks`` (processes, by torchrun) and ``needs`` (packages and weights without which it is left out).
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.base.toml_files import read_toml
from tools.errors import UserError

FORMATS = ("csv", "parquet", "jsonl")
"""Formats in which steps write tables."""

_NAME = re.compile(r"[A-Za-z0-9][\w-]*")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_KEYS = ("name", "run", "input", "output", "options", "ranks", "needs")


@dataclass(frozen=True)
class WrittenStep:
    """A step as it stands in the file, with its variables filled in.

    Attributes:
        name: Its name, unique in the file.
        command: Name of the command, as after ``vidsieve``.
        words: What follows the name of the command without a flag.
        inputs: Names of steps or paths of tables; None where nothing is said.
        output: Where it writes; empty where nothing is said.
        options: Values by the names of flags.
        ranks: Processes that share its rows.
        needs: Packages and weights without which it is left out.
    """

    name: str
    command: str
    words: tuple[str, ...] = ()
    inputs: tuple[str, ...] | None = None
    output: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    ranks: int = 1
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    """What a file says.

    Attributes:
        path: The file.
        tables: Folder of the tables.
        format: Format of the tables.
        steps: In the order in which they are run.
    """

    path: Path
    tables: Path
    format: str
    steps: tuple[WrittenStep, ...]

    def error(self, step: str, message: object) -> UserError:
        """An error in a step of this file."""
        return UserError(f"{self.path}: step '{step}': {message}")

    def find(self, name: str, flag: str) -> int:
        """The number of a step from 0.

        Raises:
            UserError: There is none of this name.
        """
        names = [step.name for step in self.steps]
        if name not in names:
            raise UserError(f"{self.path}: {flag}: {unknown('step', name, names)}")
        return names.index(name)


def unknown(what: str, given: str, known: Iterable[str]) -> str:
    """``no step 'sorce'; did you mean 'score'?``, or all that there are where none is near."""
    known = list(known)
    close = difflib.get_close_matches(given, known, n=1)
    listed = f" (there are {', '.join(known)})" if len(known) <= 30 else ""
    return f"no {what} '{given}'" + (f"; did you mean '{close[0]}'?" if close else listed)


def read_document(path: str | Path, settings: Sequence[str] = ()) -> Document:
    """Read the file of a pipeline.

    Args:
        path: The file.
        settings: Other values than stand there: ``VARIABLE=VALUE`` and ``STEP.OPTION=VALUE``.

    Raises:
        UserError: It cannot be read, or is not as it must be; says where, and which name may be meant.
    """
    return _Reading(Path(path)).document(settings)


class _Reading:
    """The reading of one file; every error of it names the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.variables: dict[str, str] = {}

    def document(self, settings: Sequence[str]) -> Document:
        raw = self._toml()
        self._known(raw, ("variables", "pipeline", "step"), "")
        steps = raw.get("step")
        if not isinstance(steps, list) or not steps or not all(isinstance(one, dict) for one in steps):
            raise self._error("it has no [[step]]")
        for number, step in enumerate(steps, 1):
            self._check_name(step, number, [one.get("name") for one in steps[: number - 1]])
        self._take(self._table(raw, "variables"), steps, settings)
        where = self._table(raw, "pipeline")
        self._known(where, ("tables", "format"), "[pipeline]: ")
        tables = self._text(where.get("tables", "meta"), "[pipeline]: tables")
        kind = self._text(where.get("format", FORMATS[0]), "[pipeline]: format")
        if kind not in FORMATS:
            raise self._error(f"[pipeline]: {unknown('format', kind, FORMATS)}")
        return Document(self.path, Path(tables), kind, tuple(self._step(step) for step in steps))

    def _toml(self) -> dict[str, Any]:
        try:
            return read_toml(self.path)
        except ValueError as error:
            raise self._error(str(error)) from None

    def _check_name(self, step: dict[str, Any], number: int, before: list[Any]) -> None:
        name = step.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise self._error(
                f"step {number}: name must be a text of letters, digits, _ and -, not {_shown(name)}"
            )
        if name in before:
            raise self._error(f"two steps are named '{name}'")

    def _take(self, variables: dict[str, Any], steps: list[dict[str, Any]], settings: Sequence[str]) -> None:
        """Keep the variables, and put what was set in the place of what is written."""
        self.variables = {
            name: self._plain(value, f"[variables]: {name}") for name, value in variables.items()
        }
        by_name = {step["name"]: step for step in steps}
        for setting in settings:
            where, equals, value = setting.partition("=")
            target, dot, option = where.partition(".")
            if not equals or not target or (dot and not option):
                raise UserError(f"--set {setting}: write VARIABLE=VALUE or STEP.OPTION=VALUE")
            if not dot:
                if target not in self.variables:
                    raise self._error(f"--set {setting}: {unknown('variable', target, self.variables)}")
                self.variables[target] = value
            elif target not in by_name:
                raise self._error(f"--set {setting}: {unknown('step', target, by_name)}")
            elif option in ("output", "ranks"):
                by_name[target][option] = value
            else:
                options = by_name[target].setdefault("options", {})
                if isinstance(options, dict):
                    _put(options, option, value)
        for name in list(self.variables):  # one may be made of those above it
            self.variables[name] = self._fill(self.variables[name], f"[variables]: {name}")
            if left := _VARIABLE.search(self.variables[name]):
                raise self._error(f"[variables]: {name}: {left[0]} must stand above it")

    def _step(self, raw: dict[str, Any]) -> WrittenStep:
        name = raw["name"]
        where = f"step '{name}': "
        self._known(raw, _KEYS, where)
        command, *words = self._run(raw.get("run"), where)
        inputs = None if "input" not in raw else self._texts(raw["input"], f"{where}input")
        options = raw.get("options", {})
        if not isinstance(options, dict):
            raise self._error(f"{where}options must be a table, {{ NAME = VALUE }}, not {_shown(options)}")
        return WrittenStep(
            name,
            command,
            tuple(words),
            inputs,
            self._text(raw["output"], f"{where}output") if "output" in raw else "",
            self._flat(options, where),
            self._ranks(raw.get("ranks", 1), where),
            self._texts(raw.get("needs", []), f"{where}needs"),
        )

    def _run(self, raw: Any, where: str) -> list[str]:
        if not isinstance(raw, str) or not raw.strip():
            raise self._error(f'{where}run must name a command, such as run = "datautil", not {_shown(raw)}')
        try:
            words = shlex.split(raw)  # before the variables, whose values may have spaces
        except ValueError as error:
            raise self._error(f"{where}run: {error}") from None
        if flags := [word for word in words if word.startswith("-")]:
            raise self._error(f"{where}run: {flags[0]} is a flag; flags are options = {{ NAME = VALUE }}")
        return [self._fill(word, f"{where}run") for word in words]

    def _ranks(self, raw: Any, where: str) -> int:
        if isinstance(raw, str):
            raw = self._fill(raw, f"{where}ranks")
        if isinstance(raw, bool) or not str(raw).isdecimal() or int(raw) < 1:
            raise self._error(f"{where}ranks must be a whole number from 1 on, not {_shown(raw)}")
        return int(raw)

    def _flat(self, options: Mapping[str, Any], where: str, before: str = "") -> dict[str, Any]:
        """Options by the names of their flags; ``flow.method = "dis"`` is a table in a table."""
        found: dict[str, Any] = {}
        for key, value in options.items():
            name = f"{before}{key}"
            if isinstance(value, dict):
                found |= self._flat(value, where, f"{name}.")
            elif isinstance(value, list):
                found[name] = [self._plain(one, f"{where}{name}", fill=True) for one in value]
            else:
                found[name] = (
                    value if isinstance(value, bool) else self._plain(value, f"{where}{name}", fill=True)
                )
        return found

    def _plain(self, value: Any, where: str, *, fill: bool = False) -> str:
        """A text or a number, as it is typed."""
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise self._error(f"{where} must be a text or a number, not {_shown(value)}")
        return self._fill(value, where) if fill and isinstance(value, str) else str(value)

    def _text(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self._error(f"{where} must be a text in quotes, not {_shown(value)}")
        return self._fill(value, where)

    def _texts(self, value: Any, where: str) -> tuple[str, ...]:
        values = value if isinstance(value, list) else [value]
        return tuple(self._text(one, where) for one in values)

    def _fill(self, text: str, where: str) -> str:
        def value_of(match: re.Match[str]) -> str:
            if match[1] not in self.variables:
                raise self._error(f"{where}: {unknown('variable', match[1], self.variables)}")
            return self.variables[match[1]]

        return _VARIABLE.sub(value_of, text)

    def _table(self, raw: Mapping[str, Any], name: str) -> dict[str, Any]:
        table = raw.get(name, {})
        if not isinstance(table, dict):
            raise self._error(f"[{name}] must be a table, not {_shown(table)}")
        return table

    def _known(self, raw: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
        for key in raw:
            if key not in known:
                raise self._error(f"{where}{unknown('key', key, known)}")

    def _error(self, what: str) -> UserError:
        return UserError(f"{self.path}: {what}")


def _put(options: dict[str, Any], name: str, value: str) -> None:
    """Set an option, and remove what the file says of it under another spelling."""
    for key in [key for key in options if _spelled(key) == _spelled(name)]:
        del options[key]
    first, dot, rest = name.partition(".")
    if dot and isinstance(options.get(first), dict):
        _put(options[first], rest, value)
    else:
        options[name] = value


def _spelled(name: str) -> str:
    return name.replace("_", "-")


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)
