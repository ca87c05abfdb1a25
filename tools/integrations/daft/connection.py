"""Where Daft runs: on this machine, or on a Ray cluster."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.base.disk import system_message
from tools.base.other_tools import has_other_tools
from tools.errors import UserError
from tools.integrations.daft.packages import import_daft, import_ray
from tools.integrations.daft.resources import is_on_ray, this_machine

_ANSWERS_WITHIN = 10.0  # seconds


def connect(address: str | None) -> None:
    """Make Daft run on a cluster, or on this machine.

    Args:
        address: See `DaftOptions.ray`.

    Raises:
        UserError: There is no such cluster, or Daft runs elsewhere already.
    """
    daft = import_daft()
    os.environ.setdefault("DAFT_PROGRESS_BAR", "0")  # the run has its own
    if address is None:
        _set_runner(daft.set_runner_native)
        return
    ray = import_ray()
    if not ray.is_initialized():
        _check_listening(address)
        # Weights must be found in the same folders everywhere; a node's own environment may differ.
        weights = {name: value for name, value in os.environ.items() if name.startswith("VIDSIEVE_")}
        local = _local_cluster() if address == "local" else {}
        try:
            with _away_from_other_tools():
                ray.init(address, runtime_env={"env_vars": weights}, log_to_driver=False, **local)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            text = str(error).strip().partition("\n")[0]
            raise UserError(f"--ray {address}: no Ray cluster can be reached there: {text}") from error
    _set_runner(daft.set_runner_ray, noop_if_initialized=True)


def _local_cluster() -> dict[str, Any]:
    """Options of `ray.init` for a cluster of this machine."""
    # A worker keeps a CPU as long as the run lasts, and reading takes another: on one core they take turns.
    cpus = max(2, int(this_machine().cpus))
    return {"_node_ip_address": "127.0.0.1", "include_dashboard": False, "num_cpus": cpus}


@contextmanager
def _away_from_other_tools() -> Iterator[None]:
    """Keep Ray's workers from importing another project's ``tools`` from the current folder.

    Ray puts the folder in which it starts before the packages of every worker.
    """
    here = Path.cwd()
    if not has_other_tools(str(here)):
        yield
        return
    os.chdir(os.sep)
    try:
        yield
    finally:
        os.chdir(here)


def _check_listening(address: str) -> None:
    """Make sure that something answers at ``host:port``; Ray would try for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return  # auto and local: Ray looks for itself
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWERS_WITHIN).close()
    except OSError as error:
        raise UserError(
            f"--ray {address}: no Ray cluster can be reached there: {system_message(error)}"
        ) from error


def _set_runner(set_runner: Any, **options: Any) -> None:
    wants_ray = bool(options)
    try:
        set_runner(**options)
    except Exception as error:  # the class of Daft's error is not part of its interface
        if is_on_ray() == wants_ray:
            return
        raise UserError(f"Daft runs elsewhere in this process already: {error}") from error
