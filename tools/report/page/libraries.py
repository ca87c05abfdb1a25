"""The script of the charts, from the installed package that carries it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from tools.base.disk import system_message
from tools.base.packages import not_installed
from tools.errors import UserError

_SCRIPTS = ("bokeh.min.js", "bokeh-api.min.js")
_FOLDER = Path("server", "static", "js")


def require_charts() -> Path:
    """Check that charts can be drawn, before the work is done.

    Returns:
        The folder of the scripts.

    Raises:
        UserError: bokeh is not installed.
    """
    found = find_spec("bokeh")
    if found is None or found.origin is None:
        raise not_installed("bokeh", "the page")
    return Path(found.origin).parent / _FOLDER


def chart_scripts() -> list[str]:
    """BokehJS and its programming interface, as the package bokeh carries them.

    It draws on a canvas, needs no ``eval``, and is read without importing the package. (Plotly's script has
    four times the size; Vega's needs ``eval``, which the page does not allow.)

    Raises:
        UserError: bokeh is not installed, or lacks its scripts.
    """
    folder = require_charts()
    try:
        return [(folder / name).read_text(encoding="utf-8") for name in _SCRIPTS]
    except OSError as error:
        raise UserError(
            f"{folder}: the scripts of the package bokeh cannot be read ({system_message(error)}); "
            "install it again: pip install --force-reinstall --no-deps bokeh"
        ) from None
