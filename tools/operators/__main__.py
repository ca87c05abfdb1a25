"""Run a script that was written for DataFlow or LAS unchanged: ``python -m tools.operators SCRIPT``."""

from __future__ import annotations

import re
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any

from tools import cli
from tools.base.other_tools import others_last
from tools.base.packages import EXTRAS, missing_package
from tools.errors import UserError, VidsieveError


def main(argv: list[str] | None = None) -> int:
    """Run the script; its own errors are shown with their traceback."""
    parser = cli.ArgumentParser(
        "tools.operators",
        "Run a script that imports operators from dataflow or daft.las, which need not be installed.\n"
        "Arguments after the script are the script's.",
        "python -m tools.operators evaluate.py",
    )
    parser.add_argument("script", help="a Python file")
    own, *arguments = (sys.argv[1:] if argv is None else argv) or [""]
    script = Path(parser.parse_args([own] if own else []).script)
    try:
        run_script(script, arguments)
    except VidsieveError:
        raise
    except ModuleNotFoundError as error:
        if error.name in EXTRAS:
            raise UserError(f"{script}: {missing_package(error)}") from None
        traceback.print_exc()
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def run_script(script: Path, arguments: list[str]) -> None:
    """Run a file as ``python SCRIPT ARGUMENTS`` does, with `tools.integrations.aliases` in place.

    Raises:
        UserError: There is no such file.
    """
    from tools.integrations.aliases import install

    if not script.is_file():
        raise UserError(f"{script}: no such script")
    install()
    sys.argv = [str(script), *arguments]
    sys.path[:] = others_last([str(script.resolve().parent), *sys.path])
    runpy.run_path(str(script), _named_otherwise(script), run_name="__main__")


def _named_otherwise(script: Path) -> dict[str, Any]:
    """A name that a script calls and never imports: DataFlow's page does, of LocalModelLLMServing."""
    text = script.read_text(encoding="utf-8", errors="replace")
    imported, called = "LocalModelLLMServing", "LocalModelLLMServing_vllm"
    if not re.search(rf"import .*\b{imported}\b", text) or called not in text:
        return {}
    from tools.operators import LocalModelLLMServing_vllm

    return {called: LocalModelLLMServing_vllm}


if __name__ == "__main__":
    cli.run(main)
