"""Modules that have moved can still be imported by the names that documents showed."""

import importlib
import subprocess
import sys

import pytest

from tools.base.moved import MOVED, REMOVED_IN


@pytest.mark.parametrize("old", sorted(MOVED))
def test_the_old_name_gives_the_module_of_today(old):
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} is now {MOVED[old]}; .* version {REMOVED_IN}"):
        module = importlib.import_module(old)
    assert module is importlib.import_module(MOVED[old])


def test_a_name_that_never_was_is_still_missing():
    with pytest.raises(ModuleNotFoundError, match=r"tools\.media\.nothing"):
        importlib.import_module("tools.media.nothing")


def test_a_script_imports_names_from_the_old_module():
    script = "from tools.media.sampling import parse_sampling; print(parse_sampling('middle'))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, "middle" in ran.stdout.lower()) == (0, True), ran.stderr
