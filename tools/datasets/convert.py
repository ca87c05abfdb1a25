"""Make a table from a folder, or from a data set in one of the layouts that others write."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from tools import cli
from tools.base.terminal import counted, harmless
from tools.datasets.sources import SOURCES, Found, SourceOptions, sources_that_read
from tools.datasets.sources.folders import convert_image, convert_video
from tools.datasets.sources.published import convert_imagenet, convert_ucf101, convert_vidprom
from tools.errors import UserError, check_choice

__all__ = [
    "convert_image",
    "convert_imagenet",
    "convert_ucf101",
    "convert_video",
    "convert_vidprom",
    "main",
    "read_source",
]


def read_source(kind: str, places: list[str], options: SourceOptions | None = None) -> Found:
    """Read a data set.

    Args:
        kind: One of `SOURCES`.
        places: What to read: one folder or file; of ``webdataset`` also several.
        options: What else was said about it.

    Returns:
        The rows, with a column path at least, and what could not be used.

    Raises:
        UserError: There is no such layout, nothing is found, or what is there cannot be read.
    """
    check_choice("kind", kind, SOURCES)
    source = SOURCES[kind]
    if len(places) != 1 and not source.several:
        raise UserError(f"convert {kind}: name {source.place}, not {len(places)} of them")
    options = options or SourceOptions()
    found = source.load()(places, options)
    if not found.table.height:
        why = f" ({found.failures[0]})" if found.failures else ""
        raise UserError(f"{places[0]}: nothing in it can be a row{why}")
    if options.text_column and "text" not in found.table.columns:
        has = ", ".join(found.table.columns)
        raise UserError(f"{places[0]}: no text under '{options.text_column}' (there are: {has})")
    return found


def _parser() -> cli.ArgumentParser:
    parser = cli.ArgumentParser(
        "tools.datasets.convert",
        "Make a table from a folder, or from a data set in another layout. All give path; video, image and\n"
        "urls give id and relpath, too; imagenet, ucf101 and vidprom give text; videofolder, webdataset,\n"
        "lance and jsonl give text where there are captions, and all their other columns. Folders are\n"
        "searched in depth, also through links; hidden files are left out.",
        """
        python -m tools.datasets.convert video /data/videos --output meta/meta.csv
        python -m tools.datasets.convert video /data/videos --output meta.csv --exts .mp4 .mkv
        python -m tools.datasets.convert videofolder /data/hub_dataset --output meta.csv
        python -m tools.datasets.convert webdataset 'shards/{000..009}.tar' --extract clips --output meta.csv
        python -m tools.datasets.convert lance clips.lance --extract clips --output meta.csv
        python -m tools.datasets.convert jsonl train.jsonl --base /data/videos --output meta.csv
        python -m tools.datasets.convert urls list.txt --output meta.csv
        python -m tools.datasets.convert vidprom /data/vidprom --info VidProM_unique.csv --output vidprom.csv
        """,
    )
    parser.add_argument("dataset", choices=tuple(SOURCES))
    parser.add_argument(
        "root",
        nargs="+",
        help="the folder; for jsonl and urls the file; for webdataset a folder, a pattern (with * or "
        "{000..009}) or .tar files",
    )
    parser.add_argument("--output", metavar="FILE", help="table to write: .csv, .parquet or .jsonl")
    parser.add_argument(
        "--exts", nargs="+", metavar="EXT", help=f"file extensions, for {sources_that_read('exts')}"
    )
    parser.add_argument(
        "--extract",
        metavar="DIR",
        help="folder for the videos that lie in .tar files (webdataset) or in a column (lance)",
    )
    parser.add_argument(
        "--base",
        metavar="DIR",
        help="folder in which relative paths begin (that of the list itself), for "
        + sources_that_read("base"),
    )
    parser.add_argument(
        "--path-column",
        metavar="NAME",
        help="key or column with paths or addresses (of lance also one with videos), for "
        + sources_that_read("path_column"),
    )
    parser.add_argument(
        "--text-column",
        metavar="NAME",
        help=f"key or column with captions, for {sources_that_read('text_column')}",
    )
    cli.advanced(
        parser.add_argument(
            "--split",
            help="folder below root, for imagenet and ucf101 (train); only this split, for videofolder",
        )
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="also replace a table that has more columns (scores, for example)",
    )
    parser.add_argument("--info", metavar="FILE", help="table with uuid and prompt, for vidprom")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and write the table."""
    args = _parser().parse_args(argv)

    from tools.stage.failures import count_kinds, write_failures
    from tools.table import failures_path, refuse_inputs, refuse_loss, table_format, write_table
    from tools.table.recording import Recording

    source = SOURCES[args.dataset]
    output = Path(args.output or source.output.format(split=args.split or "train"))
    if not output.name:
        raise UserError(f"convert {args.dataset}: name the table to write: --output meta.csv")
    table_format(output)
    if source.columns:  # those of the others are known when they have been read
        refuse_loss(output, source.columns, overwrite=args.overwrite)
    for name in (field.name for field in dataclasses.fields(SourceOptions)):
        if getattr(args, name) is not None and name not in source.reads:
            flag = "--" + name.replace("_", "-")
            raise UserError(f"convert {args.dataset}: {flag} is only for {sources_that_read(name)}")
    exts = [f".{ext.lower().lstrip('.')}" for group in args.exts or [] for ext in group.split(",") if ext]
    options = SourceOptions(
        exts=exts,
        split=args.split,
        info=args.info,
        base=args.base,
        extract=args.extract,
        path_column=args.path_column,
        text_column=args.text_column,
    )
    recording = Recording(options={"dataset": args.dataset, "root": args.root, **dataclasses.asdict(options)})
    found = read_source(args.dataset, args.root, options)
    refuse_inputs(output, found.inputs)
    refuse_loss(output, found.table.columns, overwrite=args.overwrite)
    recording.add(found.inputs)
    path = write_table(found.table, output, inputs=found.inputs)
    recording.write(path, found.table.columns, made=found.table.columns)
    listed = write_failures(found.failures, failures_path(output))
    print(counted(found.table.height, found.noun), file=sys.stderr)
    for note in found.notes:
        print(harmless(note), file=sys.stderr)
    if listed is not None:
        count = len(found.failures)
        print(f"{count} left out ({count_kinds(found.failures)}), see {listed}", file=sys.stderr)
    print(path)


if __name__ == "__main__":
    cli.run(main)
