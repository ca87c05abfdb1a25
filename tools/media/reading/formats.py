"""Supported formats: those whose files contain their media. Lists of other files are not supported.

Playlists (HLS, DASH, ffconcat, SDP), sequences of numbered pictures and devices would open other files
or addresses chosen by whoever wrote the file; PostScript would run a program.
"""

from __future__ import annotations

import re
from pathlib import Path

from tools.errors import MediaError

_CONTAINERS = (
    "mov matroska webm avi asf flv live_flv kux mpeg mpegts mxf gxf lxf nut nuv nsv ogg rm ivr wtv swf dv "
    "dhav ty pva pmp vivo mtv mxg luodat hxvs ifv r3d cine flic smk bink roq xmv thp film_cpk"
)
_ONE_STREAM = (
    "h261 h263 h264 hevc vvc evc m4v mpegvideo vc1 vc1test av1 obu ivf dirac dnxhd apv avs2 avs3 "
    "cavsvideo ipu yuv4mpegpipe ingenient smjpeg mjpeg mjpeg_2000 mpjpeg gif apng jpegxl_anim filmstrip"
)
_STILLS = (  # whatever the file name
    "jpeg_pipe jpegls_pipe jpegxl_pipe jpegxs_pipe j2k_pipe png_pipe webp_pipe bmp_pipe gif_pipe "
    "tiff_pipe ppm_pipe pgm_pipe pbm_pipe pam_pipe pfm_pipe dpx_pipe exr_pipe hdr_pipe qoi_pipe pcx_pipe "
    "sgi_pipe psd_pipe dds_pipe ico"
)
_SOUND = (
    "wav w64 mp3 flac aac loas ac3 ac4 eac3 dts dtshd mlp truehd aiff caf au amr amrnb amrwb ape wv tta "
    "tak mpc mpc8 shn voc oma xwma aa aea iff dsf dss iamf spdif sox ircam nistsphere avr pvf qcp qoa osq "
    "gsm g722 codec2 lc3 sbc aptx aptx_hd vqf"
)

DEMUXERS: tuple[str, ...] = tuple(f"{_CONTAINERS} {_ONE_STREAM} {_STILLS} {_SOUND}".split())
"""Names of the demuxers of libav that read a single file; a build need not have all of them."""

LIBAV_OPTIONS: dict[str, str] = {
    "format_whitelist": ",".join(DEMUXERS),
    "protocol_whitelist": "file",
}
"""Options of libav, and of the ffmpeg program, for every file that is read."""

IMAGE_FORMATS: tuple[str, ...] = (
    *("JPEG", "PNG", "PPM", "BMP", "GIF", "WEBP", "TIFF", "MPO", "AVIF", "HEIF", "JPEG2000", "JXL", "DIB"),
    *("TGA", "ICO", "PCX", "SGI", "QOI", "DDS"),
)
"""Names of the formats that Pillow may open; not EPS, which would start Ghostscript."""

_HEAD = 4096  # bytes of a file that are examined for text
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_LISTS = (
    (r"#extm3u|#extinf|#ext-x-", "a playlist (HLS, M3U)"),
    (r"ffconcat version|file\s+['\"]", "a list of files for ffmpeg (ffconcat)"),
    (r"(<[?!][^>]*>\s*)*<([a-z]+:)?mpd\b", "a playlist (DASH manifest)"),
    (r"(<[?!][^>]*>\s*)*<([a-z]+:)?(compositionplaylist|assetmap|packinglist)\b", "a playlist (IMF)"),
    (r"(<[?!][^>]*>\s*)*<(smoothstreamingmedia|smil|asx|playlist)\b", "a playlist"),
    (r"\[playlist\]|\[reference\]|\[address\]|rtsptext", "a playlist"),
    (r"v=0\s+o=", "a session description (SDP)"),
    (r"[a-z][a-z0-9+.-]*://\S+\s*(\n|$)", "a list of addresses"),
)
_TEXTS = (
    (r"version https://git-lfs", "a pointer of Git LFS (`git lfs pull` fetches the file)"),
    (r"(<[?!][^>]*>\s*)*<(html|head|body|title|script|meta)\b|<!doctype html", "a web page"),
    (r"(<[?!][^>]*>\s*)*<svg\b", "a drawing (SVG)"),
    (r"%!", "PostScript"),
    (r"<\?xml|<[a-z]+:?[a-z]*[ >]", "XML"),
    (r"[{\[]", "JSON"),
)


def unsupported_file(path: str | Path, why: str) -> MediaError:
    """The failure of a file that no decoder opens; the message says what the file is, if recognised.

    Args:
        path: A regular file.
        why: The message of the library that failed to open it, for files that are not recognised.

    Returns:
        ``playlist`` for a list of other files, else ``unreadable``.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(_HEAD)
    except (OSError, ValueError):
        return MediaError("unreadable", path, why)
    if head.startswith((b"\xc5\xd0\xd3\xc6", b"%PDF")):
        return MediaError("unreadable", path, "is a document (EPS or PDF), not a video, image or audio file")
    text = _text(head)
    if text is None:
        return MediaError("unreadable", path, why)
    for pattern, name in _LISTS:
        if re.match(pattern, text):
            return MediaError("playlist", path, f"is {name}: it refers to other files, which are not opened")
    name = next((name for pattern, name in _TEXTS if re.match(pattern, text)), "text")
    return MediaError("unreadable", path, f"is {name}, not a video, image or audio file")


def _text(head: bytes) -> str | None:
    """The beginning of a text in lower case; None if the file is not text."""
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = head.decode(encoding)
    except UnicodeDecodeError as error:
        if len(head) < _HEAD or error.start < _HEAD - 4:  # but the last character may be cut
            return None
        text = head[: error.start].decode(encoding)
    return None if _CONTROL.search(text) else text.lstrip().lower()
