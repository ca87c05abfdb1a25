"""Which track of a file is read: the pictures, and the sound."""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition, Stream

from tools.errors import MediaError, UserError
from tools.media.reading.languages import language_code

_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails
# Sound for some of the listeners, or beside what is heard in the scene.
_COMMENTARY = (
    Disposition.comment
    | Disposition.hearing_impaired
    | Disposition.visual_impaired
    | Disposition.karaoke
    | Disposition.clean_effects
    | Disposition.descriptions
    | Disposition.non_diegetic
    | Disposition.dependent
)
_COMMENTARY_TITLES = ("commentary", "audio description", "descriptive")


def check_audio_track(track: str | int | None) -> str | None:
    """The option ``audio_track`` as the other functions take it.

    Args:
        track: Number among the file's sound tracks, from 0 on, or the code of a language; None or an empty
            text for none asked for.

    Raises:
        UserError: It is neither.
    """
    text = "" if track is None else str(track).strip()
    if not text:
        return None
    if (text.isascii() and text.isdecimal()) or language_code(text):
        return text
    raise UserError(
        f"Invalid audio_track ({track}). Supported values are the number of a sound track (0 is the first) "
        "and codes of languages (eng, en, deu)."
    )


def choose_video(container: InputContainer) -> av.VideoStream | None:
    """The pictures of a file: the track marked default, else the first; never a cover picture.

    Only where none that can be decoded is left it is one that cannot.
    """
    streams = [s for s in container.streams.video if not s.disposition & _COVERS]
    streams.sort(key=lambda s: (not decodable(s), not s.disposition & Disposition.default))
    return next(iter(streams), None)


def choose_audio(
    container: InputContainer, path: str | Path, track: str | None = None
) -> av.AudioStream | None:
    """The sound of a file: the track marked default, else the first that is no commentary, else the first.

    Tracks for the hard of hearing and audio descriptions count as commentary. Where several are marked
    default, as in Matroska files that mark none, the first of them that is no commentary.

    Args:
        container: The file, open.
        path: Its name, for errors.
        track: What is wanted instead, as `check_audio_track` gives it. Of several tracks in one language,
            the choice is as without.

    Returns:
        A track that can be decoded; None when there is none.

    Raises:
        MediaError: no_audio: the file has sound, but not the track that is wanted.
    """
    streams = list(container.streams.audio)
    usable = [s for s in streams if decodable(s)]
    if track is None or not streams:
        return _first_choice(usable)
    if track.isdecimal():
        wanted = [s for s in streams[int(track) : int(track) + 1] if decodable(s)]
    else:
        code = language_code(track)
        wanted = [s for s in usable if language_code(s.metadata.get("language")) == code]
    if not wanted:
        there = ", ".join(f"{number}: {describe(stream)}" for number, stream in enumerate(streams))
        raise MediaError("no_audio", path, f"has no sound track {track} that can be decoded; it has {there}")
    return _first_choice(wanted)


def describe(stream: Stream, *, kind: bool = False) -> str:
    """A track in a few words: codec and language, behind its kind where that is not known."""
    context = stream.codec_context
    words = [str(stream.type)] if kind else []
    if context is not None and context.codec is not None:
        words.append(context.codec.canonical_name)
    language = stream.metadata.get("language")
    if language and language != "und":
        words.append(f"({language})")
    return " ".join(words) or "unknown"


def decodable(stream: Stream) -> bool:
    """Whether there is a decoder for a track."""
    return stream.codec_context is not None and stream.codec_context.codec is not None


def _first_choice(streams: list[av.AudioStream]) -> av.AudioStream | None:
    def rank(stream: av.AudioStream) -> tuple[bool, bool]:
        return not stream.disposition & Disposition.default, _is_commentary(stream)

    return min(streams, key=rank, default=None)  # of equals, min gives the first


def _is_commentary(stream: av.AudioStream) -> bool:
    title = (stream.metadata.get("title") or stream.metadata.get("handler_name") or "").lower()
    return bool(stream.disposition & _COMMENTARY) or any(name in title for name in _COMMENTARY_TITLES)
