"""Files in TOML, read with the standard library, or on Python 3.10 with tomli."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from tools.base.disk import system_message


def read_toml(path: Path) -> dict[str, Any]:
    """Read a file in TOML.

    Raises:
        ValueError: It cannot be read, is not UTF-8, or not TOML; the message does not name the file.
    """
    tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {system_message(error)}") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"not TOML: {error}") from None
