"""Installed packages against what the project asks for, and weight files against their digests."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from tools.base.toml_files import read_toml
from tools.doctor.findings import MISSING, OK, PROBLEM, Finding
from tools.errors import first_line

_PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
_MODULES = {
    "beautifulsoup4": "bs4",
    "ffmpeg-python": "ffmpeg",
    "imageio-ffmpeg": "imageio_ffmpeg",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "scenedetect-headless": "scenedetect",
}
"""Import names of packages that are called otherwise."""
_NOT_FOR_USERS = ("dev", "docs")


def package_findings() -> Iterator[Finding]:
    """Each package that the project asks for, with its version; without those of extras most things run."""
    from packaging.requirements import InvalidRequirement, Requirement

    for extra, texts in _requirements().items():
        group, of = ("optional packages", f" (extra {extra})") if extra else ("packages", "")
        for text in texts:
            try:
                wanted = Requirement(text)
            except InvalidRequirement:
                continue
            if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
                continue
            fix = (
                f"pip install 'vidsieve[{extra}]'"
                if extra
                else f"pip install '{wanted.name}{wanted.specifier}'"
            )
            bad = MISSING if extra else PROBLEM
            try:
                version = metadata.version(wanted.name)
            except metadata.PackageNotFoundError:
                yield Finding(group, wanted.name, bad, f"not installed{of}", fix)
                continue
            if not extra and (why := _broken(wanted.name)):
                yield Finding(
                    group,
                    wanted.name,
                    bad,
                    f"{version}, cannot be imported: {why}",
                    f"{fix} --force-reinstall",
                )
            elif wanted.specifier.contains(version, prereleases=True):
                yield Finding(group, wanted.name, OK, f"{version}{of}")
            else:
                yield Finding(group, wanted.name, bad, f"{version}, not {wanted.specifier}{of}", fix)


def _broken(distribution: str) -> str:
    """Why a package cannot be imported; empty where it can."""
    try:
        importlib.import_module(_MODULES.get(distribution, distribution))
    except Exception as error:  # a library of the system that is missing, for example
        return first_line(error)
    return ""


def _requirements() -> dict[str, list[str]]:
    """Requirements by extra, those of the project itself under an empty name."""
    if _PROJECT.is_file():  # a checkout, installed or not
        project = read_toml(_PROJECT)["project"]
        extras = project["optional-dependencies"]
        own = {name: texts for name, texts in extras.items() if name not in _NOT_FOR_USERS}
        return {"": project["dependencies"], **own}
    found: dict[str, list[str]] = {"": []}
    for text in metadata.requires("vidsieve") or ():
        extra = re.search(r"""extra\s*==\s*['"]([\w-]+)['"]""", text)
        name = extra[1] if extra else ""
        if name not in _NOT_FOR_USERS:
            found.setdefault(name, []).append(text)
    return found


def weight_findings() -> Iterator[Finding]:
    """Each weight file: the published one, another that was chosen, missing, or one of other bytes."""
    from tools.models.hub import HUB_MODELS
    from tools.models.published import WEIGHTS
    from tools.models.weights import find_weights, weight_state

    download = "python -m tools.models.weights download"
    for key, file in WEIGHTS.items():
        state, detail = weight_state(file)
        if state in ("ok", "own"):
            what = "" if state == "ok" else ", not the published file"
            digest = find_weights(key).sha256
            yield Finding("weights", key, OK, f"{detail}, sha256 {digest[:12]}…{what}")
        elif state == "missing":
            yield Finding("weights", key, MISSING, f"for {file.purpose}", f"{download} {key}")
        else:
            yield Finding("weights", key, MISSING, detail)
    for key, model in HUB_MODELS.items():
        if model.is_here():
            yield Finding("weights", key, OK, model.name)
        else:
            yield Finding("weights", key, MISSING, f"for {model.purpose}", f"{download} {key}")
