"""What probing a file costs, beside decoding it: CPU time, medians, in turn.

    python benchmarks/probe.py VIDEO... [--repeat 3] [--json FILE]

`datautil --info` probes; decoding on one thread is what a tool does that counts frames with a decoder.
"""

from __future__ import annotations

from pathlib import Path

from measuring import finish, leaving_out, make_parser, medians_in_turn, print_head, print_row, run

from tools.media.reading.probe import probe
from tools.media.reading.video_frames import iter_video_frames


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument("--repeat", type=int, default=3, help="how often each way runs (3)")
    args = parser.parse_args()
    rows = []
    print_head("file", "frames", "probe, ms", "decode, ms", "probe / decode")
    for path in args.videos:
        with leaving_out(path):
            frames = probe(path).num_frames
            ways = {
                "probe": lambda path=path: probe(path),
                "decode": lambda path=path: sum(1 for _ in iter_video_frames(path)),
            }
            spent = medians_in_turn(ways, args.repeat)
            rows.append({"file": path.name, "frames": frames, **spent})
            _print_line(path.name, frames, **spent)
    if rows:
        _print_line("all", "", *(sum(row[way] for row in rows) for way in ("probe", "decode")))
    finish(args.json, rows)


def _print_line(name: str, frames: object, probe: float, decode: float) -> None:
    print_row(name, frames, f"{probe * 1e3:.1f}", f"{decode * 1e3:.0f}", f"{probe / decode:.3f}")


if __name__ == "__main__":
    run(main)
