"""Options as data: the field of a dataclass says what its option is, once.

A field made by `option` carries its help, its range or choices, and how its default is shown. From it come
the flag of a command line (`add_options`, `read_options`), the check of a value that Python code gives
(`check_options`), and the tables of flags in the documents. A text from a command line and a value from
Python are checked by the same `Values`, with the same error.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from tools.errors import UserError
from tools.options.values import Values


@dataclasses.dataclass(frozen=True)
class Option:
    """What a field says of its option.

    Attributes:
        help: What it does, with its unit.
        values: What it can be; None for a switch.
        shown: The default in words; by default the value itself.
        flag: Its flag without dashes, where it is not the field's name.
        off: For a switch that is on by default, what its flag does, which turns it off.
        aliases: Further flags, with their dashes.
        many: It takes several values, and is a tuple.
        none: Python code may also say None, which stands for no value.
        everyday: ``--help`` shows it; the others are shown by ``--help-all``.
        required: There is no default; an empty value is refused.
        group: Heading of ``--help`` under which it is shown; None for that of the command.
    """

    help: str
    values: Values | None = None
    shown: str | None = None
    flag: str | None = None
    aliases: tuple[str, ...] = ()
    many: bool = False
    none: bool = False
    everyday: bool = True
    required: bool = False
    group: str | None = None
    off: str | None = None

    def check(self, name: str, value: Any, default: Any) -> Any:
        """A value in its type. What is the default, None for example, is right as it is.

        Raises:
            UserError: It is not allowed.
        """
        if self.required and not value:
            raise UserError(f"{self.flag_of(name)} is required: {self.help}")
        if (value is None and self.none) or (value == default and type(value) is type(default)):
            return value
        if self.values is None:
            if not isinstance(value, bool):
                raise UserError(f"Invalid {name} ({value}). Supported values are True, False.")
            return value
        if not self.many:
            return self.values.check(name, value)
        several = (value,) if isinstance(value, str) else tuple(value or ())
        return tuple(self.values.check(name, one) for one in several)

    def add(self, group: Any, name: str, default: Any) -> None:
        """Add the flag to a parser or a group of its arguments.

        Args:
            group: An argparse parser or group; `tools.cli.ArgumentParser` understands `everyday`.
            name: The field.
            default: Its default.
        """
        flags = [self.flag_of(name), *self.aliases]
        if self.values is None:
            action = group.add_argument(
                *flags,
                dest=name,
                action="store_false" if default is True else "store_true",
                default=default,
                help=self.off or self.help,
            )
        else:
            values = self.values
            action = group.add_argument(
                *flags,
                dest=name,
                default=default,
                type=lambda text: values.check((self.flag or name).replace("-", "_"), text),
                choices=values.choices,
                metavar=values.metavar,
                nargs="+" if self.many else None,
                required=self.required and not default,
                help=self._help(default),
            )
        action.everyday = self.everyday

    def flag_of(self, name: str) -> str:
        """The flag of a field, with its dashes."""
        return f"--{(self.flag or name).replace('_', '-')}"

    def read(self, args: argparse.Namespace, name: str, default: Any) -> Any:
        """The field's value from a parsed command line."""
        value = getattr(args, name)
        return tuple(value) if self.many and isinstance(value, list) else value

    def names(self, name: str) -> dict[str, str]:
        """What the option can be called in Python, to the argument that it is in a parsed command line.

        Args:
            name: The field.

        Returns:
            First the field itself, then its flags in ``underscore_form``, without one that turns it off.
        """
        flags = [] if self.off else [self.flag_of(name), *self.aliases]
        return dict.fromkeys([name, *(flag.lstrip("-").replace("-", "_") for flag in flags)], name)

    def combine(self, given: Mapping[str, Any], name: str, default: Any) -> Any:
        """The field's value from what is given by name.

        Args:
            given: Values by the names that `names` leads to.
            name: The field.
            default: Its default.

        Raises:
            UserError: They contradict each other.
        """
        value = given.get(name, default)
        return tuple(value) if self.many and isinstance(value, list) else value

    def _help(self, default: Any) -> str:
        meanings = getattr(self.values, "meanings", {})
        text = self.help + ("; " if meanings and self.help else "")
        text += "; ".join(f"{name}: {meaning}" for name, meaning in meanings.items())
        shown = self.shown if self.shown is not None else _shown(default)
        return (f"{text} ({shown})" if shown else text).replace("%", "%%")


def _shown(default: Any) -> str:
    if default is None:
        return ""
    if isinstance(default, (tuple, list)):
        return ",".join(map(str, default))
    if isinstance(default, float) and not isinstance(default, Fraction):
        return f"{default:g}"
    return str(default)


def option(
    default: Any,
    help: str,
    values: Values | None = None,
    *,
    shown: str | None = None,
    flag: str | None = None,
    aliases: tuple[str, ...] = (),
    many: bool = False,
    none: bool = False,
    everyday: bool = True,
    required: bool = False,
    group: str | None = None,
    off: str | None = None,
) -> Any:
    """The field of a dataclass that is an option; the arguments are those of `Option`."""
    made = Option(help, values, shown, flag, aliases, many, none, everyday, required, group, off)
    return option_field(default, made)


def option_field(default: Any, made: Option) -> Any:
    """The field of a dataclass with an `Option` made already, for those that several stages share."""
    return dataclasses.field(default=default, metadata={"option": made})


def options_field(cls: type) -> Any:
    """The field of a dataclass that holds a dataclass of options, which several classes share.

    Its options have the flags that they would have in the outer dataclass.
    """
    return dataclasses.field(default_factory=cls, metadata={"options": cls})


def options_of(cls: Any) -> Iterator[tuple[str, Option, Any]]:
    """The options of a dataclass in the order of its fields: name, `Option`, default."""
    for field in dataclasses.fields(cls):
        if "option" in field.metadata:
            yield field.name, field.metadata["option"], field.default


def add_options(
    parser: Any, cls: Any, *, title: str | None = None, defaults: Mapping[str, Any] | None = None
) -> None:
    """Add a flag for each option of a dataclass, and of those in its `options_field`.

    Args:
        parser: An argparse parser, or a group of its arguments.
        cls: The dataclass.
        title: Heading of options without a `group`; None adds all options to `parser` itself.
        defaults: Other defaults than the class has, by name.
    """
    groups: dict[str, Any] = {}

    def group_of(made: Option) -> Any:
        heading = title and (made.group or title)
        if heading is None:
            return parser
        if heading not in groups:
            groups[heading] = parser.add_argument_group(heading)
        return groups[heading]

    def add(cls: Any) -> None:
        for field in dataclasses.fields(cls):
            if "options" in field.metadata:
                add(field.metadata["options"])
            elif "option" in field.metadata:
                made: Option = field.metadata["option"]
                default = (defaults or {}).get(field.name, field.default)
                made.add(group_of(made), field.name, default)

    add(cls)


def read_options(args: argparse.Namespace, cls: Any) -> dict[str, Any]:
    """The options of a dataclass as a command line gives them, by name.

    Raises:
        UserError: Flags contradict each other.
    """
    values = {name: made.read(args, name, default) for name, made, default in options_of(cls)}
    for field in dataclasses.fields(cls):
        if shared := field.metadata.get("options"):
            values[field.name] = shared(**read_options(args, shared))
    return values


def check_options(instance: Any) -> None:
    """Check the options of an instance, and bring each into its type; for ``__post_init__``.

    Raises:
        UserError: A value that is not supported.
    """
    for name, made, default in options_of(instance):
        value = getattr(instance, name)
        checked = made.check(name, value, default)
        if checked is not value:
            object.__setattr__(instance, name, checked)
