"""Objects that an export has written, told from those of others; none of the others is ever replaced.

A list beside the ledger has a line for each object before it is written, with its size and SHA-256, and
another one afterwards, with the version that the storage gave it. So a run that was killed at any time knows
later what is its own, and the manifest need not read back what was written.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tools.base.disk import make_folder, writing
from tools.base.side_by_side import side_by_side
from tools.base.versions import Version
from tools.errors import MediaError, UserError
from tools.media.fetching.remote_folder import RemoteFolder
from tools.stage.provenance import digest_file

T = TypeVar("T")
R = TypeVar("R")

_AT_ONCE = 8  # objects that are written


class Written(NamedTuple):
    """What an export wrote as an object.

    Attributes:
        size: Bytes.
        sha256: Of its content.
        version: `Version.time_ns` of what the storage made of it; 0 where that is not known.
    """

    size: int
    sha256: str
    version: int


class Uploads:
    """The objects of an export in a folder. Several threads, and the ranks of a run, may write to it.

    Args:
        folder: The folder.
        listed: The list of what was written.
    """

    def __init__(self, folder: RemoteFolder, listed: Path) -> None:
        self.folder = folder
        self.objects: dict[str, Version] = {}
        self._listed = listed
        self._written: dict[str, list[Written]] = {}
        self._lock = threading.Lock()

    def refresh(self, names: Iterable[str] | None = None) -> None:
        """Read what is in the folder now, and the list.

        Args:
            names: Ask for these objects alone, in a folder with many others.
        """
        if names is None:
            self.objects = self.folder.listed()
        else:
            found = {name: self.folder.version(name) for name in names}
            self.objects = {name: version for name, version in found.items() if version is not None}
        self._written = {}
        with suppress(FileNotFoundError), self._listed.open(encoding="utf-8") as lines:
            for line in lines:
                with suppress(ValueError, TypeError):  # torn by a kill
                    name, *entry = json.loads(line)
                    self._written.setdefault(name, []).append(Written(*entry))

    def end_open_uploads(self, mine: Callable[[str], bool]) -> None:
        """End uploads in parts that a killed run has left open.

        Args:
            mine: Whether no other process may be writing an object.
        """
        # Those of which the list has no version after the line of their beginning.
        begun = {name for name, entries in self._written.items() if not entries[-1].version}
        self.folder.end_open_uploads({name for name in begun if mine(name)})

    def has(self, name: str, size: int, version: int) -> bool:
        """Whether an object is there with this size and version."""
        there = self.objects.get(name)
        return there is not None and there.size in (None, size) and there.time_ns == version

    def written(self, name: str) -> Written | None:
        """What this export wrote of an object that is there, by its version; None if that is not known."""
        there = self.objects.get(name)
        if there is None or not there.time_ns:
            return None
        return next((w for w in reversed(self._written.get(name, ())) if w.version == there.time_ns), None)

    def is_own(self, name: str) -> bool:
        """Whether this export has written an object; its content tells where its version does not."""
        if self.written(name) is not None:
            return True
        there = self.objects.get(name)
        alike = [w for w in self._written.get(name, ()) if there and there.size in (None, w.size)]
        return bool(alike) and self.folder.digest(name) in {w.sha256 for w in alike}

    def entry(self, name: str) -> dict[str, Any]:
        """Path, size and SHA-256 of an object that is there, as the manifest lists them.

        Raises:
            UserError: It is not there any more.
        """
        known = self.written(name)
        if known is not None:
            return {"file": name, "bytes": known.size, "sha256": known.sha256}
        digest = self.folder.digest(name) if name in self.objects else None
        if digest is None:
            raise UserError(f"{self.folder / name}: was removed meanwhile; run the same command again")
        return {"file": name, "bytes": self.objects[name].size, "sha256": digest}

    def put(
        self, source: Path | bytes, name: str, *, replace: bool = False, foreign: bool = False
    ) -> Written:
        """Write an object, unless it is there with the same content.

        Args:
            source: A file, or what to write.
            name: Its name.
            replace: Replace another content that this export has written there.
            foreign: Replace what others have written, too.

        Returns:
            What is there now.

        Raises:
            MediaError: encode: another object is there.
            UserError: See `RemoteFolder.put`.
        """
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        digest = hashlib.sha256(source).hexdigest() if isinstance(source, bytes) else digest_file(source)
        for _ in range(2):  # the second time where an object has come into being meanwhile
            if name in self.objects:
                if self._is_same(name, size, digest):
                    return self._note(name, size, digest, self.objects[name])
                self._check(name, replace=replace, foreign=foreign)
            self._note(name, size, digest, None)
            try:
                version = self.folder.put(source, name, replace=name in self.objects)
            except FileExistsError:
                found = self.folder.version(name)
                if found is not None:
                    self.objects[name] = found
                continue
            self.objects[name] = version
            return self._note(name, size, digest, version)
        raise MediaError("encode", self.folder / name, "another object is there")

    def put_all(self, texts: Mapping[str, bytes], *, foreign: bool = False) -> None:
        """Write small objects, several at a time, after all names were checked.

        Raises:
            UserError: Another object has one of the names.
        """
        if not foreign:
            self.refuse_others(texts)
        self.each(lambda name: self.put_text(texts[name], name, foreign=foreign), texts)

    def refuse_others(self, texts: Mapping[str, bytes]) -> None:
        """Make sure that no object of somebody else, with another content, has the name of a text.

        Raises:
            UserError: There is one.
        """

        def check(name: str) -> None:
            content = texts[name]
            if not self._is_same(name, len(content), hashlib.sha256(content).hexdigest()):
                self.refuse(name)

        self.each(check, [name for name in texts if name in self.objects])

    def put_text(self, source: Path | bytes, name: str, *, foreign: bool = False) -> None:
        """Write an object that is no clip: what this export has written there before is replaced.

        Raises:
            UserError: Another object has the name.
        """
        try:
            self.put(source, name, replace=True, foreign=foreign)
        except MediaError as error:
            raise UserError(error.message) from None

    def refuse(self, name: str) -> None:
        """Make sure that no object of somebody else has a name.

        Raises:
            UserError: There is one.
        """
        if name in self.objects and not self.is_own(name):
            way_out = "--overwrite replaces it, or choose another folder"
            raise UserError(f"{self.folder / name}: another object is there; {way_out}")

    def remove(self, names: Iterable[str]) -> list[str]:
        """Remove objects which this export has written; those of others stay.

        Returns:
            The names of those removed.
        """

        def remove(name: str) -> str:
            if not self.is_own(name):
                return ""
            self.folder.remove(name)
            self.objects.pop(name, None)
            return name

        return [name for name in self.each(remove, list(names)) if name]

    def noted(self) -> list[str]:
        """Names of all objects that this export may have written."""
        return sorted(self._written)

    def known(self) -> list[str]:
        """Names of those that are there."""
        return sorted(self._written.keys() & self.objects.keys())

    def is_there(self, source: Path, name: str) -> bool:
        """Whether an object is there with the content of a file."""
        return name in self.objects and self._is_same(name, source.stat().st_size, digest_file(source))

    @staticmethod
    def each(work: Callable[[T], R], over: Iterable[T]) -> list[R]:
        """Results of requests, several at a time."""
        return list(side_by_side(work, over, _AT_ONCE))

    def _is_same(self, name: str, size: int, digest: str) -> bool:
        there = self.objects[name]
        if there.size not in (None, size):
            return False
        known = self.written(name)
        return (self.folder.digest(name) if known is None else known.sha256) == digest

    def _check(self, name: str, *, replace: bool, foreign: bool) -> None:
        if foreign:
            return
        own = self.is_own(name)
        if not (replace and own):
            way_out = "--overwrite replaces it" if own else "move it away, or choose another folder"
            raise MediaError(
                "encode", self.folder / name, f"{self.folder / name}: another object is there; {way_out}"
            )

    def _note(self, name: str, size: int, digest: str, version: Version | None) -> Written:
        """Add a line to the list, unless it is there."""
        entry = Written(size, digest, version.time_ns if version else 0)
        with self._lock:
            entries = self._written.setdefault(name, [])
            if entries and entries[-1] == entry:
                return entry
            entries.append(entry)
        make_folder(self._listed.parent)
        with writing(self._listed, "the list of objects"):
            file = os.open(self._listed, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            try:
                os.write(file, ("\n" + json.dumps([name, *entry])).encode())  # after a torn line, too
            finally:
                os.close(file)
        return entry
