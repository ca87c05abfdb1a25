#!/usr/bin/env python3
"""Score a table on a Ray cluster of two nodes, both on this machine, and lose one of them in the middle.

    python scripts/ray_two_nodes.py META [--score technical] [--cpus 2] [any flag of the score]

The second node is killed as soon as the first part of the output is there. The run goes on with what is left,
and at the end the script counts: every row of META must stand in the parts, and no row twice.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tools import cli
from tools.errors import UserError
from tools.integrations.daft.engine import DaftOptions, run_on_daft
from tools.integrations.daft.packages import import_ray
from tools.scoring.scorers import SCORERS, make_scorer, typed_options
from tools.stage.run_options import RunOptions
from tools.stage.summary import summary
from tools.table import ROW_COLUMN, count_rows, output_path

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster


def main(argv: list[str] | None = None) -> int:
    """Start the cluster, score, kill a node meanwhile, count."""
    args, flags = _parser().parse_known_args(argv)
    stage = make_scorer(args.score, typed_options(args.score, flags))
    folder = Path(args.output or output_path(args.meta, stage.suffix, format="parquet"))
    if folder.exists():
        raise UserError(f"{folder}: is there already; the example begins with an empty place")
    cluster, second = _start_cluster(args.cpus)
    try:
        killer = threading.Thread(target=_kill_at_first_part, args=(cluster, second, folder), daemon=True)
        killer.start()
        result = run_on_daft(
            stage,
            args.meta,
            output=folder,
            options=RunOptions(num_workers=args.cpus - 1, progress=True),
            where=DaftOptions(
                ray=cluster.address, concurrency=2, cpus=args.cpus - 1, part_rows=args.part_rows
            ),
        )
        killer.join()
    finally:
        import_ray().shutdown()
        cluster.shutdown()
    print(summary(result), file=sys.stderr)
    return _count(folder, count_rows(args.meta))


def _parser() -> cli.ArgumentParser:
    parser = cli.ArgumentParser(
        "scripts.ray_two_nodes",
        "Score a table on two Ray nodes of this machine, and lose one of them in the middle.",
        "python scripts/ray_two_nodes.py meta.csv --score technical",
    )
    parser.add_argument("meta", help="table with a column path")
    parser.add_argument("--score", default="technical", choices=tuple(SCORERS), help="what to compute")
    parser.add_argument("--output", help="folder of parts (META with the score's suffix)")
    parser.add_argument("--part-rows", type=cli.whole_number(1), default=2, help="rows of a part (2)")
    parser.add_argument("--cpus", type=_two_or_more, default=2, help="CPUs that each node claims to have (2)")
    return parser


def _two_or_more(text: str) -> int:
    return cli.whole_number(2)(text)


def _start_cluster(cpus: int) -> tuple[Cluster, Any]:
    """Two nodes that claim so many CPUs each: a worker of all but one of them, and one to read with."""
    import_ray()
    from ray.cluster_utils import Cluster

    node: dict[str, Any] = {"num_cpus": cpus, "num_gpus": 0, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    second = cluster.add_node(**node)
    cluster.wait_for_nodes()
    return cluster, second


def _kill_at_first_part(cluster: Cluster, node: Any, folder: Path) -> None:
    while not any(folder.glob("part-*.parquet")):
        time.sleep(0.05)
    print(f"killing a node, {len(list(folder.glob('part-*.parquet')))} parts are there", file=sys.stderr)
    cluster.remove_node(node, allow_graceful=False)
    print(f"killed, {len(list(folder.glob('part-*.parquet')))} parts are there", file=sys.stderr)


def _count(folder: Path, rows: int) -> int:
    numbers = pl.read_parquet(sorted(folder.glob("part-*.parquet")))[ROW_COLUMN].sort().to_list()
    if numbers == list(range(rows)):
        print(f"{rows} rows, each once")
        print(folder)
        return 0
    there = len(set(numbers))
    print(f"error: of {rows} rows {there} are there, {len(numbers) - there} more than once", file=sys.stderr)
    return 1


if __name__ == "__main__":
    cli.run(main)
