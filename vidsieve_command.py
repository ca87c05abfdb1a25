"""The command ``vidsieve``: runs the package ``tools`` beside this file, whichever Python would find first.

A folder with a ``tools`` of its own may come before this one: PYTHONPATH may name it.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

_PLACE = str(Path(__file__).resolve().parent)


def main() -> None:
    """Run the command that the first argument names."""
    try:
        _import_own_tools()
        from tools.__main__ import main
        from tools.base.other_tools import others_last
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "tools":
            raise
        print(
            f"error: {Path(_PLACE) / 'tools'}: is not vidsieve's alone ({error}); another package named "
            "tools may have been installed over it: install vidsieve again, into an environment of its own",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.path[:] = others_last(sys.path)  # worker processes take it over
    main()


def _import_own_tools() -> None:
    spec = PathFinder.find_spec("tools", [_PLACE])
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("it is not there", name="tools")
    module = module_from_spec(spec)
    sys.modules["tools"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    main()
