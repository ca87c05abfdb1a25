"""The packages daft and ray: imported here first, so that their absence is one clear line."""

from __future__ import annotations

from types import ModuleType

from tools.base.other_tools import keep_workers_away
from tools.base.packages import require_package


def import_daft() -> ModuleType:
    """The package daft.

    Raises:
        UserError: It is not installed; or see `keep_workers_away`.
    """
    require_package("daft")
    import daft

    keep_workers_away()
    return daft


def import_ray() -> ModuleType:
    """The package ray.

    Raises:
        UserError: It is not installed.
    """
    require_package("ray")
    import ray

    return ray
