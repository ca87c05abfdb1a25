"""The command line that started this process, to be recorded beside what it makes."""

from __future__ import annotations

import os
import sys
from typing import Any


def command_line() -> list[str]:
    """What was typed: ``["python", "-m", "tools.…", …]`` or ``["vidsieve", NAME, …]``.

    Under ``torchrun`` it is the command of one rank. Empty where the toolkit is called from another program.
    """
    spec: Any = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = getattr(spec, "name", "") or ""
    if name == "tools" or name.startswith("tools."):
        return ["python", "-m", name.removesuffix(".__main__"), *sys.argv[1:]]
    if os.path.basename(sys.argv[0]) == "vidsieve":  # noqa: PTH119 - the name alone
        return ["vidsieve", *sys.argv[1:]]
    return []
