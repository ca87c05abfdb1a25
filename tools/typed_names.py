"""Commands as the user types them: ``python -m tools.…``, or ``vidsieve NAME``."""

from __future__ import annotations

import re
import shlex

from tools.commands import COMMANDS

_typed_vidsieve = False


def typed_vidsieve() -> None:
    """From now on texts name commands as ``vidsieve NAME``: so the user has typed this one."""
    global _typed_vidsieve
    _typed_vidsieve = True


def is_vidsieve_typed() -> bool:
    """Whether the user has typed this command as ``vidsieve NAME``."""
    return _typed_vidsieve


def failures_command(*places: object) -> str:
    """The command that says what to do about the failures of tables, or of failures files."""
    return as_typed(f"python -m tools.failures {shlex.join(map(str, places))}")


def as_typed(text: str) -> str:
    """A text in which commands are named as the user has typed this one."""
    if not _typed_vidsieve:
        return text
    names = {command.typed: command.name for command in COMMANDS}

    def rewrite(match: re.Match[str]) -> str:
        name = names.get(match["module"])
        if name is None:
            return match[0]
        return f"vidsieve {name}" if match["python"] else f"--no-python vidsieve {name}"  # torchrun

    return re.sub(r"(?P<python>python )?-m (?P<module>tools[\w.]*)", rewrite, text)
