"""Search for copies among a million hashes and 100 000 features, beside faiss where it is installed.

    python benchmarks/dedup_search.py [--hashes 1000000] [--features 100000] [--json FILE]

Made numbers: a tenth of the hashes are others with 0 to 12 of 64 bits flipped, a tenth of the
features others with a cosine of 0.985. Seconds are on the clock, of one run; the ratio is that to the first
search of a table. faiss runs on one thread for hashes, as our index does, and on all
for features.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from measuring import finish, installed, make_parser, print_head, print_row, run

FAR = 12  # bits
COSINE = 0.985


class Searches:
    """Searches of one table: each is timed, printed and kept."""

    def __init__(self) -> None:
        self.rows: list[dict] = []
        print_head("search", "s", "found %", "ratio")

    def time(self, name: str, search: Callable[[], float]) -> None:
        """Run one; it gives the part that was found."""
        started = time.perf_counter()
        found = float(search())
        seconds = time.perf_counter() - started
        self.rows.append({"search": name, "seconds": seconds, "found": found})
        ratio = seconds / self.rows[0]["seconds"]
        print_row(name, f"{seconds:.2f}", f"{100 * found:.1f}", f"{ratio:.2f}")


def hashes(count: int) -> list[dict]:
    """Seconds to build and to search for the copies, and how many of their originals are among the hits."""
    from tools.scoring.dedup.candidates import HashIndex

    rng = np.random.default_rng(0)
    stored = rng.integers(0, 2**64, count, dtype=np.uint64)
    originals = rng.choice(count, count // 10, replace=False)
    masks = np.zeros(len(originals), np.uint64)
    order = rng.random((len(originals), 64)).argsort(axis=1)[:, :FAR].astype(np.uint64)
    flips = rng.integers(0, FAR + 1, len(originals))
    for bit in range(FAR):
        masks |= np.where(bit < flips, np.uint64(1) << order[:, bit], np.uint64(0))
    queries = stored[originals] ^ masks

    def ours() -> float:
        hit = np.zeros(len(queries), bool)
        for hits in HashIndex(stored).near(queries, FAR):
            hit[hits.query[hits.found == originals[hits.query]]] = True
        return hit.mean()

    print(f"\n{count} hashes, {len(queries)} queries")
    searches = Searches()
    searches.time("sorted hashes", ours)
    if not installed("faiss", "faiss"):
        return searches.rows
    import faiss

    faiss.omp_set_num_threads(1)
    codes, query_codes = (
        np.ascontiguousarray(values).view(np.uint8).reshape(-1, 8) for values in (stored, queries)
    )

    def theirs(index: object, neighbours: int = 1) -> float:
        if not index.is_trained:
            index.train(codes[:100_000])
        index.add(codes)
        _, found = index.search(query_codes, neighbours)
        return (found == originals[:, None]).any(axis=1).mean()

    searches.time(
        "faiss IndexBinaryMultiHash, 4 x 16 bits", lambda: theirs(faiss.IndexBinaryMultiHash(64, 4, 16))
    )
    ivf = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(64), 64, 1024)
    ivf.nprobe, ivf.own_fields = 16, False
    searches.time("faiss IndexBinaryIVF, 1024 lists, 16 probed", lambda: theirs(ivf))
    return searches.rows


def features(count: int, length: int = 512) -> list[dict]:
    """Seconds of the whole search, and how many of the copies that there are it finds."""
    from tools.scoring.dedup.features import find_similar

    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((count, length), dtype=np.float32) + 2 * rng.standard_normal(length)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    copies = np.arange(count - count // 10, count)
    originals = rng.choice(copies[0], len(copies), replace=False)
    aside = rng.standard_normal((len(copies), length), dtype=np.float32)
    aside -= (aside * vectors[originals]).sum(axis=1, keepdims=True) * vectors[originals]
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    vectors[copies] = COSINE * vectors[originals] + np.sqrt(1 - COSINE**2) * aside

    def ours(search: str) -> float:
        found = find_similar(vectors, COSINE - 0.005, search=search)
        return np.mean([
            match is not None and match.kept == original
            for match, original in zip(map(found.get, copies.tolist()), originals, strict=True)
        ])  # fmt: skip

    print(f"\n{count} features of {length} numbers")
    searches = Searches()
    searches.time("exact", lambda: ours("exact"))
    searches.time("index: random planes", lambda: ours("index"))
    if not installed("faiss", "faiss"):
        return searches.rows
    import faiss

    def theirs() -> float:
        lists = 4 * int(np.sqrt(count))
        index = faiss.index_factory(length, f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
        index.train(vectors[: 40 * lists])
        index.add(vectors)
        index.nprobe = 8
        _, found = index.search(vectors, 4)  # of every row, as no one knows which are copies
        return (found[copies] == originals[:, None]).any(axis=1).mean()

    searches.time("faiss IVF, 8 lists probed", theirs)
    return searches.rows


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--hashes", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=100_000)
    args = parser.parse_args()
    finish(args.json, {"hashes": hashes(args.hashes), "features": features(args.features)})


if __name__ == "__main__":
    run(main)
