"""A Ray cluster of two nodes on this machine, of which one loses its processes on demand.

python -m tests.reliability.ray_nodes: prints the address. A line ``second`` or ``head`` on its standard input
kills that node, and is answered with a line. The rest ends with the standard input.
"""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_NODE = {"num_cpus": 2, "num_gpus": 0, "object_store_memory": 100 * 2**20}


class RayNodes:
    """The cluster, in a process of its own.

    Attributes:
        address: Where commands find it.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.ray_nodes"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.address = self._answer()

    def kill(self, node: str) -> None:
        """Kill all processes of the ``second`` node, or of the ``head``, with SIGKILL."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{node}\n")
        self._process.stdin.flush()
        self._answer()

    def close(self) -> None:
        """End what is left of it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(120)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:  # Ray writes there, too
            if line.startswith("now: "):
                return line.removeprefix("now: ").strip()
        raise RuntimeError("the Ray cluster has ended")


def main() -> None:
    """Start it, and kill what is asked for."""
    cluster = import_module("ray.cluster_utils").Cluster(
        initialize_head=True, head_node_args={**_NODE, "include_dashboard": False}
    )
    head, second = cluster.head_node, cluster.add_node(**_NODE)
    cluster.wait_for_nodes()
    print(f"now: {cluster.address}", flush=True)
    for line in sys.stdin:
        cluster.remove_node({"head": head, "second": second}[line.strip()], allow_graceful=False)
        print(f"now: no {line.strip()}", flush=True)
    if cluster.head_node is not None:
        cluster.shutdown()


if __name__ == "__main__":
    main()
