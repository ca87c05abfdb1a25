"""What a run has written: every file and object, and whether it is what an uninterrupted run writes."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.reliability.cases import STATE
from tests.reliability.object_storage import ObjectStorage

_PART = re.compile(r"(?P<stem>.*)_part(?P<rank>\d+)(?P<end>\.failures\.csv|\.[^.]+)")
_LEFT = re.compile(r"\.part$|\.tmp|\.unfinished")
_WORKERS = re.compile(rb'"--num-workers",\s*"\d+"')  # in the commands of manifests and sidecars
_OF_OTHERS = ("torchelastic_", "torchinductor_")  # a log and a cache, which PyTorch never removes
_SIDECAR = ".provenance.json"
_CACHED = re.compile(r"cache/vidsieve-files/\w+(?P<chance>-[0-9a-f]{12})?\.\w+")
_OBJECT = "s3://"

Files = dict[str, bytes]
"""Contents by path below the folder of the run, objects by address."""


class Outputs:
    """The files of a run.

    Args:
        folder: The current folder of its commands.
        temporary: Their folder of temporary files.
        merge: Merges parts of ranks, by their names, to a table at a path; the bytes of that, or an error.
        storage: Where its objects are; None for a run that writes none.
    """

    def __init__(
        self,
        folder: Path,
        temporary: Path,
        merge: Callable[[list[str], str], bytes],
        storage: ObjectStorage | None,
    ) -> None:
        self._folder, self._temporary, self._merge, self._storage = folder, temporary, merge, storage

    def files(self) -> Files:
        """All files and objects but the state of runs, without what says when and how they were made."""
        found = {name: (self._folder / name).read_bytes() for name in self._names()}
        if self._storage is not None:
            found |= {f"{_OBJECT}{key}": content for key, content in self._storage.objects().items()}
        kept = (name for name in found if f"{STATE}/" not in name and f"{STATE}." not in name)
        return {_without_chance(name): _comparable(name, found[name]) for name in kept}

    def faults(self, ranks: int, references: list[Files]) -> list[str]:
        """What is wrong in the end.

        Args:
            ranks: Ranks of the last run.
            references: Files of uninterrupted runs, one of which these must be.
        """
        names = [*self._names(), *(self._storage.objects() if self._storage is not None else ())]
        left = [name for name in names if _LEFT.search(name)]
        # Sockets are those of Daft to its workers, which nobody removes after a kill.
        there = (path.name for path in self._temporary.iterdir() if not path.is_socket())
        left += [f"TMPDIR/{name}" for name in there if not name.startswith(_OF_OTHERS)]
        faults = [f"temporary files are left: {left}"] if left else []
        if self._storage is not None:
            faults += self._storage.faults()
        found = self.files()
        if ranks > 1:  # each part has a sidecar of its own
            found, *references = [
                {name: content for name, content in files.items() if not name.endswith(_SIDECAR)}
                for files in (self._merged(found, ranks), *references)
            ]
        return faults + min((self._differences(found, one, ranks) for one in references), key=len)

    def _names(self) -> Iterator[str]:
        for folder, _, names in os.walk(self._folder):
            for name in names:
                yield os.path.relpath(os.path.join(folder, name), self._folder)  # noqa: PTH118

    def _differences(self, found: Files, expected: Files, ranks: int) -> list[str]:
        faults = []
        for name in sorted(found.keys() ^ expected.keys()):
            faults.append(f"{name}: {'is missing' if name in expected else 'should not be there'}")
        for name in sorted(found.keys() & expected.keys()):
            is_same = found[name] == expected[name]
            if not is_same and not (ranks > 1 and self._is_same(name, found[name], expected[name])):
                faults.append(f"{name}: differs from that of an uninterrupted run")
        return faults

    def _is_same(self, name: str, merged: bytes, expected: bytes) -> bool:
        """Whether a file put together from parts of ranks has the content of that of one process."""
        if name.endswith(".failures.csv"):  # ranks list their failures one after the other
            return sorted(merged.splitlines()) == sorted(expected.splitlines())
        if name.endswith(".parquet"):  # the same writer for both
            copy = self._temporary / "expected.parquet"
            copy.write_bytes(expected)
            try:
                return self._merge([str(copy)], name) == merged
            finally:
                copy.unlink()
        return False

    def _merged(self, files: Files, ranks: int) -> Files:
        """The files with the parts of ranks put together."""
        parts: dict[str, list[str]] = {}
        merged = {}
        for name in sorted(files, key=_rank_of):
            match = _PART.fullmatch(name)
            if match is None:
                merged[name] = files[name]
            else:
                parts.setdefault(match["stem"] + match["end"], []).append(name)
        for name, names in parts.items():
            if name.endswith(".failures.csv"):
                first, *others = (files[part].splitlines(keepends=True) for part in names)
                merged[name] = b"".join([*first, *(line for lines in others for line in lines[1:])])
            elif name.endswith(".npy"):
                arrays = [np.load(io.BytesIO(files[part])) for part in names]
                whole = np.empty((sum(len(array) for array in arrays), *arrays[0].shape[1:]), arrays[0].dtype)
                for rank, array in enumerate(arrays):
                    whole[rank::ranks] = array
                buffer = io.BytesIO()
                np.save(buffer, whole)
                merged[name] = buffer.getvalue()
            else:
                merged[name] = self._merge(names, name)
        return merged


def _without_chance(name: str) -> str:
    """The name of a file without what chance has chosen, as in a cache."""
    match = _CACHED.fullmatch(name)
    return name.replace(match["chance"], "") if match and match["chance"] else name


def _comparable(name: str, content: bytes) -> bytes:
    if name.endswith(".json") and _CACHED.fullmatch(name):  # says that name, and a version
        return b""
    if name.endswith(_SIDECAR):
        content = _comparable_sidecar(json.loads(content))
    return _WORKERS.sub(b"", content)


def _comparable_sidecar(document: dict[str, Any]) -> bytes:
    """A sidecar without what is under the keys ``run``; steps, whose names depend on commands, by numbers."""
    text = json.dumps(_without_runs(document))
    for number, step in enumerate(document.get("steps", ())):
        text = text.replace(step, f"step {number}")
    return text.encode()


def _without_runs(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_runs(one) for key, one in value.items() if key != "run"}
    return value


def _rank_of(name: str) -> tuple[int, str]:
    match = _PART.fullmatch(name)
    return (int(match["rank"]) if match else -1, name)
