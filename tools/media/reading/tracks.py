"""Choose the video track and the audio track of a file."""

from __future__ import annotations

import re
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition, Stream

from tools.errors import MediaError, UserError

_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails
# Audio for some listeners, or not part of the scene.
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


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split(":") for pair in text.split())


_TWO_TO_THREE = _pairs(
    "aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara as:asm av:ava ay:aym az:aze ba:bak be:bel "
    "bg:bul bh:bih bi:bis bm:bam bn:ben bo:bod br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre cs:ces "
    "cu:chu cv:chv cy:cym da:dan de:deu dv:div dz:dzo ee:ewe el:ell en:eng eo:epo es:spa et:est eu:eus "
    "fa:fas ff:ful fi:fin fj:fij fo:fao fr:fra fy:fry ga:gle gd:gla gl:glg gn:grn gu:guj gv:glv ha:hau "
    "he:heb hi:hin ho:hmo hr:hrv ht:hat hu:hun hy:hye hz:her ia:ina id:ind ie:ile ig:ibo ii:iii ik:ipk "
    "io:ido is:isl it:ita iu:iku ja:jpn jv:jav ka:kat kg:kon ki:kik kj:kua kk:kaz kl:kal km:khm kn:kan "
    "ko:kor kr:kau ks:kas ku:kur kv:kom kw:cor ky:kir la:lat lb:ltz lg:lug li:lim ln:lin lo:lao lt:lit "
    "lu:lub lv:lav mg:mlg mh:mah mi:mri mk:mkd ml:mal mn:mon mr:mar ms:msa mt:mlt my:mya na:nau nb:nob "
    "nd:nde ne:nep ng:ndo nl:nld nn:nno no:nor nr:nbl nv:nav ny:nya oc:oci oj:oji om:orm or:ori os:oss "
    "pa:pan pi:pli pl:pol ps:pus pt:por qu:que rm:roh rn:run ro:ron ru:rus rw:kin sa:san sc:srd sd:snd "
    "se:sme sg:sag si:sin sk:slk sl:slv sm:smo sn:sna so:som sq:sqi sr:srp ss:ssw st:sot su:sun sv:swe "
    "sw:swa ta:tam te:tel tg:tgk th:tha ti:tir tk:tuk tl:tgl tn:tsn to:ton tr:tur ts:tso tt:tat tw:twi "
    "ty:tah ug:uig uk:ukr ur:urd uz:uzb ve:ven vi:vie vo:vol wa:wln wo:wol xh:xho yi:yid yo:yor za:zha "
    "zh:zho zu:zul"
)
# Languages that have two codes in ISO 639-2: after the English name (what Matroska asks for), and their own.
_ENGLISH_TO_OWN = _pairs(
    "alb:sqi arm:hye baq:eus bur:mya chi:zho cze:ces dut:nld fre:fra geo:kat ger:deu gre:ell ice:isl "
    "mac:mkd mao:mri may:msa per:fas rum:ron slo:slk tib:bod wel:cym"
)
_CODE = re.compile(r"[a-z]{2,3}(?:[-_][a-z0-9]{2,8})*")


def check_audio_track(track: str | int | None) -> str | None:
    """Check the option ``audio_track``, and return it as the other functions expect it.

    Args:
        track: Number of an audio track, from 0, or a language code; None or an empty string for the default.

    Raises:
        UserError: It is neither a number nor a language code.
    """
    text = "" if track is None else str(track).strip()
    if not text:
        return None
    if (text.isascii() and text.isdecimal()) or language_code(text):
        return text
    raise UserError(
        f"Invalid audio_track ({track}). Supported values are the number of an audio track (0 is the first) "
        "and language codes (eng, en, deu)."
    )


def language_code(text: str | None) -> str | None:
    """The three letters of a language: ``eng`` for "en", "eng" and "en-US"; ``deu`` for "de", "ger", "deu".

    Returns:
        The code of ISO 639-2 (terminological), or the three letters as they are; None for what is no code.
    """
    match = _CODE.fullmatch((text or "").strip().lower())
    if not match:
        return None
    code = re.split("[-_]", match[0])[0]
    if len(code) == 2:
        return _TWO_TO_THREE.get(code)
    return _ENGLISH_TO_OWN.get(code, code)


def choose_video(container: InputContainer) -> av.VideoStream | None:
    """The video track of a file: the default one, else the first; never a cover picture.

    A track that cannot be decoded is returned only if there is no other.
    """
    streams = [s for s in container.streams.video if not s.disposition & _COVERS]
    streams.sort(key=lambda s: (not decodable(s), not s.disposition & Disposition.default))
    return next(iter(streams), None)


def choose_audio(
    container: InputContainer, path: str | Path, track: str | None = None
) -> av.AudioStream | None:
    """The audio track of a file: the default one, else the first that is not commentary, else the first.

    Tracks for the hard of hearing and audio descriptions count as commentary. If several are marked default,
    as in Matroska files that mark none, it is the first of them that is not commentary.

    Args:
        container: The file, open.
        path: Its name, for errors.
        track: Another track, as `check_audio_track` returns it. Among several tracks in one language, the
            rule above decides.

    Returns:
        A track that can be decoded; None if there is none.

    Raises:
        MediaError: no_audio: the file has audio tracks, but not the requested one.
    """
    streams = list(container.streams.audio)
    usable = [s for s in streams if decodable(s)]
    if track is None or not streams:
        return _first_choice(usable)
    if track.isdecimal():
        matching = [s for s in streams[int(track) : int(track) + 1] if decodable(s)]
    else:
        code = language_code(track)
        matching = [s for s in usable if language_code(s.metadata.get("language")) == code]
    if not matching:
        there = ", ".join(f"{number}: {describe(stream)}" for number, stream in enumerate(streams))
        raise MediaError("no_audio", path, f"has no audio track {track} that can be decoded; it has {there}")
    return _first_choice(matching)


def audio_codec(container: InputContainer, path: str | Path) -> str | None:
    """Codec of the audio track that is used; None if there is none that can be decoded."""
    stream = choose_audio(container, path)
    return stream.codec_context.codec.canonical_name if stream is not None else None


def describe(stream: Stream, *, kind: bool = False) -> str:
    """A track in a few words: codec and language, after its type on request."""
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
