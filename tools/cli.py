"""What every command line of the toolkit shares: the parser, and kinds of flags; `tools.program` runs it."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, NoReturn

from tools import __version__
from tools.base.addresses import local_path, refuse_address
from tools.base.terminal import harmless
from tools.errors import UserError
from tools.program import is_program as is_program
from tools.program import of_step
from tools.program import run as run
from tools.typed_names import as_typed


class ArgumentParser(argparse.ArgumentParser):
    """argparse, with flags accepted in ``--dash-form`` and ``--underscore_form`` and one-line errors.

    Args:
        module: Name of the module as typed after ``python -m``.
        description: What the command does, which columns it needs, and what it writes.
        examples: Command lines shown under ``--help``, one per line.
        refused: Flags of other software, in ``--dash-form``, and what to type instead.

    Attributes:
        raises: A wrong flag raises `UserError`: the command line was made by a library call.
        may_be_remote: From parsed arguments, the names of those that may be addresses of object storage.
    """

    def __init__(
        self, module: str, description: str, examples: str, *, refused: Mapping[str, str] | None = None
    ) -> None:
        self._places: list[str] = []
        super().__init__(
            prog=as_typed(f"python -m {module}"),
            description=as_typed(description),
            epilog="examples:\n"
            + "\n".join(f"  {as_typed(line.strip())}" for line in examples.strip().splitlines()),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._refused = refused or {}
        self.raises = False
        self.may_be_remote: Callable[[argparse.Namespace], Container[str]] = lambda _: ()
        self.add_argument("--help-all", action=_HelpAll, help="show all flags")
        self.add_argument("--version", action="version", version=version())

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse after turning the underscores of flag names into dashes (values stay as typed)."""
        if _taking_parser:
            raise _Taken(self)
        args = sys.argv[1:] if args is None else args
        args = self._with_values([_dashed(a) for a in args])
        for flag in (arg.partition("=")[0] for arg in args):
            if flag in self._refused:
                self.error(f"there is no {flag} here: {self._refused[flag]}")
        namespace = argparse.Namespace() if namespace is None else namespace
        try:
            parsed, rest = super().parse_known_args(args, namespace)
        except UserError as error:  # of an option, see tools.options
            raise error if self.raises else UserError(f"{error} (see: {self.prog} --help)") from None
        self._localize(parsed)
        return parsed, rest

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """As argparse; what is left over is an error that names the flag that may be meant."""
        parsed, rest = self.parse_known_args(args, namespace)
        self.refuse(rest)
        return parsed

    def parse_intermixed_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """As `parse_args`, with flags also between arguments."""
        namespace = argparse.Namespace() if namespace is None else namespace
        parsed, rest = self.parse_known_intermixed_args(args, namespace)
        self.refuse(rest)
        return parsed

    def refuse(self, rest: Sequence[str]) -> None:
        """End with an error for what is left over, if anything is."""
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}{self.meant(rest)}")

    def meant(self, rest: Sequence[str]) -> str:
        """``; did you mean --columns?``, for the first flag that is one letter or so from another."""
        known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        for flag in (arg.partition("=")[0] for arg in rest if arg.startswith("--")):
            if close := difflib.get_close_matches(flag, known, n=1, cutoff=0.75):
                return f"; did you mean {close[0]}?"
        return ""

    def _localize(self, parsed: argparse.Namespace) -> None:
        """Make paths of ``file://`` addresses, and refuse other addresses where a path belongs."""
        remote = self.may_be_remote(parsed)
        for action in self._actions:
            value = getattr(parsed, action.dest, None)
            if action.dest in remote or not value or not _takes_place(action):
                continue
            if isinstance(value, str):
                setattr(parsed, action.dest, self._local(value))
            elif isinstance(value, list):
                value[:] = [self._local(v) if isinstance(v, str) else v for v in value]

    def _local(self, text: str) -> str:
        path = local_path(text)
        try:
            refuse_address(path)
        except UserError as error:
            self.error(str(error))
        return type(text)(path)

    def _with_values(self, args: list[str]) -> list[str]:
        """Settle for each `OptionalValue` whether the next argument is its value."""
        flags = {f: a for a in self._actions if isinstance(a, OptionalValue) for f in a.option_strings}
        completed: list[str] = []
        waiting: OptionalValue | None = None
        for arg in args:
            if waiting is not None:
                is_value = waiting.is_value(arg)
                completed[-1] += f"={arg if is_value else waiting.const}"
                waiting = None
                if is_value:
                    continue
            completed.append(arg)
            waiting = flags.get(arg)
        return completed

    def add_argument(self, *names: Any, **how: Any) -> argparse.Action:
        """As argparse; the usage line names what has no flag, and says that there are flags."""
        action = super().add_argument(*names, **how)
        if not action.option_strings:
            self._places.append(argparse.HelpFormatter(self.prog)._format_args(action, action.dest))
        self.usage = " ".join(["%(prog)s", *self._places, "[flags]"])
        return action

    def format_help(self, *, everything: bool = False) -> str:
        """The text of ``--help``, without the flags that `advanced` has marked; or of ``--help-all``."""
        if everything:
            return super().format_help()
        full = [(action, action.help, action.option_strings) for action in self._actions]
        hidden = sum(_is_advanced(action) for action in self._actions)
        epilog = self.epilog
        try:
            for action, text, names in full:
                short, without = getattr(action, "abridged", (text, ()))
                action.help = argparse.SUPPRESS if _is_advanced(action) else short
                action.option_strings = [name for name in names if name not in without]
            if hidden:
                self.epilog = f"{hidden} more flags: --help-all\n\n{epilog}"
            return super().format_help()
        finally:
            self.epilog = epilog
            for action, text, names in full:
                action.help, action.option_strings = text, names

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with 2."""
        if self.raises:
            raise UserError(message)
        self.exit(2, f"error: {of_step()}{harmless(as_typed(message))} (see: {self.prog} --help)\n")


class _HelpAll(argparse.Action):
    """``--help-all``: as ``--help``, with the flags that are rarely needed."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *rest: object) -> NoReturn:
        """Print the help and exit."""
        assert isinstance(parser, ArgumentParser)
        sys.stdout.write(parser.format_help(everything=True))
        parser.exit()


class _Taken(Exception):
    """A command was about to parse its command line; the argument is its parser."""


_taking_parser = False


def parser_of(main: Callable[[list[str]], object]) -> ArgumentParser:
    """The parser of a command, taken from its ``main`` when that begins to parse; nothing is done."""
    global _taking_parser
    _taking_parser = True
    try:
        main([])
    except _Taken as taken:
        return taken.args[0]
    finally:
        _taking_parser = False
    raise ValueError(f"{main.__module__}: parses no command line")


def advanced(action: argparse.Action) -> argparse.Action:
    """Mark a flag as rarely needed: ``--help-all`` shows it, ``--help`` does not."""
    action.everyday = False  # type: ignore[attr-defined]
    return action


def abridged(action: argparse.Action, help: str, *, without: Sequence[str] = ()) -> argparse.Action:
    """Let ``--help`` say less of a flag than ``--help-all``.

    Args:
        action: The flag.
        help: The help that ``--help`` shows.
        without: Names of the flag that ``--help`` does not show.
    """
    action.abridged = (help, without)  # type: ignore[attr-defined]
    return action


def pattern(group: argparse._ArgumentGroup, names: Sequence[str], metavar: str, help: str) -> None:
    """Add a line to the help of a group that describes many flags at once.

    Args:
        group: Where it is shown; no flag is added to the parser.
        names: Patterns of the names: ``--COLUMNmin``.
        metavar: What stands for their value.
        help: What they do.
    """
    group._group_actions.append(argparse.Action(names, argparse.SUPPRESS, metavar=metavar, help=help))


def _is_advanced(action: argparse.Action) -> bool:
    return not getattr(action, "everyday", True)


def version() -> str:
    """What ``--version`` prints: the name of the toolkit and its version."""
    return f"vidsieve {__version__}"


class OptionalValue(argparse.Action):
    """A flag with or without a value, which leaves a positional argument after it alone.

    Args:
        is_value: Whether the argument that follows is the flag's value.
        const: The value where none is given.
    """

    def __init__(self, *args: Any, is_value: Callable[[str], bool], const: str, **options: Any) -> None:
        super().__init__(*args, nargs="?", const=const, **options)
        self.is_value = is_value

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Keep the value."""
        setattr(namespace, self.dest, values)


def _takes_place(action: argparse.Action) -> bool:
    """Whether an argument names a file or a folder: all without a flag do."""
    return not action.option_strings or str(action.metavar).rpartition("|")[2] in _PLACES


_PLACES = ("FILE", "DIR", "META", "TABLE", "PATH")


def _dashed(arg: str) -> str:
    if not arg.startswith("--"):
        return arg
    flag, equals, value = arg.partition("=")
    return flag.replace("_", "-") + equals + value


def positive_number(text: str) -> float:
    """An argument that must be a finite number greater than 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number greater than 0, not {text}")
    return value


def whole_number(least: int) -> Callable[[str], int]:
    """An argument that must be a whole number, ``least`` or more."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} on, not {text}")
        return int(text)

    return parse
