"""Pictures of clips on disk: whose folder is whose, and which pictures in it are of this clip as it is now.

``<root>/<video stem>/<clip id>/img/frame_NNNNNN.jpg``; NNNNNN counts from the first frame of the clip. Beside
the pictures stand two notes. ``<root>/<video stem>/video.json`` names the video to which the folder belongs;
another video of the same name gets ``<video stem>-<8 digits>``. ``<clip id>/frames.json`` is written after
the last picture and says how they were made, so that pictures of another run are not taken for these.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.base.disk import disk_error, system_message
from tools.errors import MediaError
from tools.integrations.dataflow.clips import ClipSpan
from tools.media.reading.extensions import is_image
from tools.media.writing.output_files import move_finished, safe_join, unfinished_file
from tools.table import name_bytes, shorten

_OWNER = "video.json"
_MANIFEST = "frames.json"
_NUMBER = re.compile(r"(\d+)$")


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture of a clip on disk.

    Attributes:
        path: The file.
        number: Which frame of the clip it is, as its name says.
    """

    path: str
    number: int


def claim_folder(root: str, video: str) -> str:
    """The folder for the pictures of a video, made and marked as this video's.

    Args:
        root: Folder of all videos.
        video: Path of the video.

    Returns:
        ``<root>/<stem>``, or ``<root>/<stem>-<8 digits>`` where that belongs to another video or was made by
        other software.

    Raises:
        MediaError: bad_value: the video's name cannot be that of a folder in `root`; encode: both names
            belong to others, or the folder cannot be made.
    """
    for folder in _candidates(root, video):
        path = safe_join(root, f"{Path(folder).name}/{_OWNER}", video, create=True)
        if _is_taken(folder, video):
            continue
        try:
            if _claims(path, video):
                return folder
        except OSError as error:
            raise disk_error(folder, error) or MediaError(
                "encode", video, f"{folder}: {system_message(error)}"
            ) from None
    raise MediaError("encode", video, f"{folder} belongs to another video, or to somebody else; move it away")


def _claims(path: Path, video: str) -> bool:
    """Note in a folder whose it is, unless another run has just done so; whether it is this video's."""
    with unfinished_file(path) as note:
        note.write_text(json.dumps({"video": _absolute(video)}), encoding="utf-8")
        with contextlib.suppress(FileExistsError):
            move_finished(note, path, replace=False)
    return _owner(str(path.parent)) == _absolute(video)


def find_folder(root: str, video: str, *, shared: bool) -> str | None:
    """The folder with the pictures of a video, as `claim_folder` decided.

    Args:
        root: Folder of all videos.
        video: Path of the video.
        shared: Whether other videos of the table have the same name; a folder that does not say whose it is
            (made by other software) then belongs to no video.

    Returns:
        The folder, or None.
    """
    try:
        folder, reserve = _candidates(root, video)
    except MediaError:
        return None
    for candidate in (reserve, folder):
        if _owner(candidate) == _absolute(video):
            return candidate
    return folder if not shared and _owner(folder) is None and Path(folder).is_dir() else None


def shared_names(videos: Iterable[str | None]) -> set[str]:
    """File names, without suffix, that several of these videos have."""
    paths: dict[str, set[str]] = {}
    for video in videos:
        if video is not None:
            paths.setdefault(Path(video).stem, set()).add(_absolute(video))
    return {name for name, found in paths.items() if len(found) > 1}


def picture_folder(folder: str, clip_id: str) -> str:
    """Where the pictures of a clip are.

    Raises:
        MediaError: bad_value: the id cannot be the name of a folder.
    """
    if clip_id in ("", _OWNER) or "/" in clip_id:
        raise MediaError(
            "bad_value", "", f"the id of the clip cannot be the name of a folder: {clip_id!r:.60}"
        )
    safe_join(folder, f"{clip_id}/img/{file_name(0)}", "")
    return os.path.join(folder, clip_id, "img")  # noqa: PTH118  a Path would lose the leading ./


def file_name(number: int) -> str:
    """Name of the picture of a clip's frame."""
    return f"frame_{number:06d}.jpg"


def manifest_of(video: str, span: ClipSpan, how: dict[str, Any]) -> dict[str, Any]:
    """What pictures of a clip depend on: the bytes of the video (their size and age), the span, the options.

    Raises:
        MediaError: missing, unreadable: there is no such video.
    """
    try:
        state = Path(video).stat()
    except FileNotFoundError:
        raise MediaError("missing", video, "no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise MediaError("unreadable", video, system_message(error)) from None
    source = {"size": state.st_size, "mtime_ns": state.st_mtime_ns}
    return {"source": source, "span": dataclasses.asdict(span), "how": how}


def read_manifest(pictures: str) -> dict[str, Any] | None:
    """The note beside a clip's pictures; None when there is none, or they are not whole."""
    note = _read(Path(pictures).parent / _MANIFEST)
    return note if note and "frames" in note else None


def write_manifest(pictures: str, manifest: dict[str, Any]) -> None:
    """Write the note beside a clip's pictures, once they are all there."""
    _write(Path(pictures).parent / _MANIFEST, manifest)


def make_room(pictures: str, video: str, numbers: Iterable[int]) -> None:
    """Remove the pictures that an earlier export has written, and note those that are going to be.

    Until `write_manifest` they do not count, and what a killed export leaves is known for what it is.

    Args:
        pictures: The folder; it exists.
        video: The video, for the error.
        numbers: Frames whose pictures are going to be written.

    Raises:
        MediaError: encode: a file that no export has written has the name of one.
        OSError: The disk refuses.
    """
    note = _read(Path(pictures).parent / _MANIFEST) or {}
    old = {n for n in [*note.get("frames", []), *note.get("writing", [])] if isinstance(n, int)}
    numbers = list(numbers)
    for number in numbers:
        path = Path(pictures, file_name(number))
        if number not in old and os.path.lexists(path):
            raise MediaError("encode", video, f"{path}: a file is there that was not made here; move it away")
    _write(Path(pictures).parent / _MANIFEST, {"writing": sorted(old.union(numbers))})
    for number in old:
        Path(pictures, file_name(number)).unlink(missing_ok=True)


def find_pictures(
    root: str, video: str, clip_id: str, span: ClipSpan | None, *, shared: bool
) -> list[Picture]:
    """The pictures of a clip that are on disk.

    Args:
        root: Folder of all videos.
        video: Path of the video.
        clip_id: Id of the clip.
        span: Where the clip lies; None when its dict does not say.
        shared: See `find_folder`.

    Returns:
        Pictures in the order of their numbers. Empty when those there are of other frames, of a file
        that has changed since, or from an export that was cut off.
    """
    folder = find_folder(root, video, shared=shared)
    if folder is None:
        return []
    try:
        pictures = picture_folder(folder, clip_id)
    except MediaError:
        return []
    if _owner(folder) is None:
        return _all_pictures(pictures)
    manifest = read_manifest(pictures)
    if manifest is None or not _is_of(manifest, video, span):
        return []
    found = [Picture(os.path.join(pictures, file_name(n)), n) for n in manifest["frames"]]  # noqa: PTH118
    return [picture for picture in found if Path(picture.path).is_file()]


def _is_of(manifest: dict[str, Any], video: str, span: ClipSpan | None) -> bool:
    if span is not None and manifest.get("span") != dataclasses.asdict(span):
        return False
    with contextlib.suppress(MediaError):  # a video that is gone cannot have changed
        return manifest.get("source") == manifest_of(video, ClipSpan(), {})["source"]
    return True


def _all_pictures(folder: str) -> list[Picture]:
    """Pictures that other software wrote, by the number that ends their names."""
    paths = sorted(path for path in Path(folder).glob("*") if is_image(path)) if Path(folder).is_dir() else []
    numbers = [int(match[1]) for path in paths if (match := _NUMBER.search(path.stem))]
    if len(numbers) < len(paths):  # not all names end in a number
        numbers = list(range(len(paths)))
    found = (Picture(str(path), number) for path, number in zip(paths, numbers, strict=True))
    return sorted(found, key=lambda picture: picture.number)


def _candidates(root: str, video: str) -> tuple[str, str]:
    digest = hashlib.sha256(name_bytes(_absolute(video))).hexdigest()[:8]
    stem = shorten(Path(video).stem)
    safe_join(root, f"{stem}/{_OWNER}", video)
    folder = os.path.join(root, stem)  # noqa: PTH118
    return folder, f"{folder}-{digest}"


def _is_taken(folder: str, video: str) -> bool:
    owner = _owner(folder)
    if owner is not None:
        return owner != _absolute(video)
    return Path(folder).is_dir() and any(Path(folder).iterdir())


def _absolute(video: str) -> str:
    return os.path.abspath(video)  # noqa: PTH100  links are not followed: the name of the file counts


def _owner(folder: str) -> str | None:
    """The absolute path of the video that a folder belongs to, as a file in it says."""
    return (_read(Path(folder, _OWNER)) or {}).get("video")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _write(path: Path, content: dict[str, Any]) -> None:
    with unfinished_file(path) as new:
        new.write_text(json.dumps(content), encoding="utf-8")
        move_finished(new, path, replace=True)
