"""What an exported folder holds: one item for each clip that was written."""

from __future__ import annotations

from dataclasses import dataclass

from tools.export.trainers.judgement import Clip


@dataclass(frozen=True)
class Item:
    """One clip that is in the exported folder.

    Attributes:
        key: Stable, unique, without dots or slashes; names the files of the clip.
        file: Its media file, relative to the folder, with ``/``, as `Layout.media` gives it.
        width: Pixels of the media file.
        height: Pixels, likewise.
        num_frames: Frames of the media file.
        fps: Frames per second of the media file.
        has_audio: Whether the media file has sound.
        caption: One line; never empty unless asked for.
        source_row: Row of the table that it was made of, from 0.
        source_path: Column ``path`` of that row.
        split: ``train``, ``val`` …; empty where there are no splits.
    """

    key: str
    file: str
    width: int
    height: int
    num_frames: int
    fps: float
    has_audio: bool
    caption: str
    source_row: int
    source_path: str
    split: str = ""


def as_clip(item: Item, name: str | None = None) -> Clip:
    """An item as its trainer sees it.

    Args:
        item: The item.
        name: Its path from where the trainer looks; that in the folder by default.
    """
    file = item.file if name is None else name
    return Clip(file, item.width, item.height, item.num_frames, item.fps, item.caption, item.has_audio)
