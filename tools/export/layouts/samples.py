"""MDS of MosaicML Streaming, and LitData: an index, and shards of samples that are dictionaries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.export.items import Item
from tools.export.layouts.formats import json_text
from tools.export.layouts.sample_files import FIXED, MOST, Form, write_shards
from tools.export.layouts.shards import Shards
from tools.export.layouts.tables import facts

INDEX = "index.json"


class MDS(Shards):
    """Shards of MosaicML Streaming, with the video in column ``video`` as bytes."""

    def pack(self, target: Path, folder: Path, items: Sequence[Item], size: int) -> None:
        """Each shard has its checksum in ``index.json``."""
        target.mkdir()
        form = mds_form(_fields("int", "float64", "int"), size)
        shards = list(write_shards(target, "shard.{:05}.mds", form, _rows(folder, items), size))
        entries = [
            {
                **_config(form.fields, size),
                "raw_data": {"basename": one.name, "bytes": one.size, "hashes": {"sha256": one.sha256}},
                "samples": one.samples,
                "zip_data": None,
            }
            for one in shards
        ]
        (target / INDEX).write_text(json_text({"shards": entries, "version": 2}))


class LitData(Shards):
    """Chunks of LitData; each sample is a dictionary with the video in ``video`` as bytes."""

    def pack(self, target: Path, folder: Path, items: Sequence[Item], size: int) -> None:
        """Each chunk has its checksum in ``index.json``.

        Where LitData has the time of the last change, by which readers tell a new data set from a copy that
        they keep, there is a digest of the chunks: the same data set has the same index.
        """
        target.mkdir()
        form = Form(_fields("int", "float", "bool"), all_lengths=True)
        shards = write_shards(target, "chunk-0-{}.bin", form, _rows(folder, items), size)
        chunks = [
            {
                "chunk_bytes": one.size,
                "chunk_size": one.samples,
                "dim": None,
                "filename": one.name,
                "sha256": one.sha256,
            }
            for one in shards
        ]
        leaf = {"type": None, "context": None, "children_spec": []}
        tree = {"type": "builtins.dict", "context": json.dumps(list(form.fields))}
        config = {
            "chunk_bytes": size,
            "chunk_size": None,
            "compression": None,
            "data_format": list(form.fields.values()),
            # As `torch.utils._pytree.treespec_dumps` writes a dictionary of values.
            "data_spec": json.dumps([1, {**tree, "children_spec": [leaf] * len(form.fields)}]),
            "encryption": None,
            "item_loader": "PyTreeLoader",
        }
        digest = hashlib.sha256(json.dumps([chunks, config]).encode()).hexdigest()
        index = {"chunks": chunks, "config": config, "updated_at": digest[:32]}
        (target / INDEX).write_text(json_text(index))


def _fields(whole: str, decimal: str, truth: str) -> dict[str, str]:
    """The values of a sample and their kinds, of which the format has its own names."""
    numbers = dict.fromkeys(("width", "height", "num_frames"), whole)
    return {
        "caption": "str",
        **numbers,
        "fps": decimal,
        "has_audio": truth,
        "key": "str",
        "source_row": whole,
        "source_path": "str",
        "video": "bytes",
    }


def _rows(folder: Path, items: Sequence[Item]) -> Iterator[tuple[Mapping[str, Any], Path]]:
    return ((facts(item), folder / item.file) for item in items)


def mds_form(fields: Mapping[str, str], size: int) -> Form:
    """Samples of MDS: values in the order of their names; each shard says how it was made."""
    ordered = dict(sorted(fields.items()))
    return Form(ordered, False, json.dumps(_config(ordered, size), sort_keys=True).encode())


def _config(fields: Mapping[str, str], size: int) -> dict[str, Any]:
    return {
        "column_encodings": list(fields.values()),
        "column_names": list(fields),
        "column_sizes": [FIXED[kind].size if kind in FIXED else None for kind in fields.values()],
        "compression": None,
        "format": "mds",
        "hashes": ["sha256"],
        "size_limit": min(size, MOST),
        "version": 2,
    }


def indexed(index: Any) -> tuple[Form, list[tuple[str, int]]]:
    """The form of the samples that an index of MDS or LitData is of, and its shards.

    Args:
        index: What ``index.json`` holds.

    Returns:
        The form; name of each shard, and how many samples it should have.

    Raises:
        ValueError: It is no such index, or its shards are compressed.
    """
    try:
        if "shards" in index:
            shards = index["shards"]
            if any(one["format"] != "mds" or one["compression"] for one in shards):
                raise ValueError("its shards are compressed, or not of MDS")
            fields = dict(zip(shards[0]["column_names"], shards[0]["column_encodings"], strict=True))
            return Form(fields, False), [(one["raw_data"]["basename"], one["samples"]) for one in shards]
        config = index["config"]
        if config.get("compression") or config.get("encryption") or config["item_loader"] != "PyTreeLoader":
            raise ValueError("its chunks are compressed, encrypted, or of another kind")
        names = json.loads(json.loads(config["data_spec"])[1]["context"])
        if len(names) != len(config["data_format"]):
            raise ValueError("its samples are no dictionaries of single values")
        fields = dict(zip(names, config["data_format"], strict=True))
        return Form(fields, True), [(one["filename"], one["chunk_size"]) for one in index["chunks"]]
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"it is no index of MDS or LitData ({error!r})") from None
