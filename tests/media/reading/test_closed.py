"""A media file opens no other file, no address and no program.

Each way in is tried with a file that would give something away: a neighbour whose pictures must not come out,
a server that records connections, a program that leaves a trace. Where the same file does open the neighbour
in an unguarded library, the test shows that first, so that it could fail.
"""

from __future__ import annotations

import ast
import contextlib
import os
import socket
import struct
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import tools
from tests.support import make_video, run_ffmpeg
from tools.datasets.integrity import check_file_integrity
from tools.errors import MediaError
from tools.media.reading.container import open_container
from tools.media.reading.formats import DEMUXERS, IMAGE_FORMATS
from tools.media.reading.frames import read_frames
from tools.media.reading.images import image_info, read_image
from tools.media.reading.probe import probe
from tools.media.reading.sound.audio import read_audio
from tools.table import read_table

SECRET = (64, 48)  # size of the picture that must not come out


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    """A folder with videos that other files would like to read."""
    folder = tmp_path_factory.mktemp("secret")
    make_video(folder / "secret.mp4", 5, size=SECRET)
    run_ffmpeg(["-i", str(folder / "secret.mp4"), "-c", "copy", str(folder / "secret.ts")])
    return folder


@pytest.fixture
def listener():
    """An address, and the connections that were made to it."""
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen():
            with contextlib.suppress(OSError):
                while True:
                    seen.append(server.accept())

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", seen
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for connection, _ in seen:
            connection.close()


def playlists(secret, address):
    """Files that name others: what they are called, and their text."""
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
    return {
        "local.m3u8": hls.format("secret.ts"),
        "absolute.mp4": hls.format(secret / "secret.ts"),
        "live.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://{address}/a.ts\n",
        "key.m3u8": f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="http://{address}/k"\n#EXTINF:1,\nsecret.ts\n',
        "nested.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlocal.m3u8\n",
        "crypto.m3u8": hls.format("crypto+file:secret.ts"),
        "list.mp4": "ffconcat version 1.0\nfile secret.mp4\n",
        "list.mkv": f"ffconcat version 1.0\nfile 'http://{address}/a.mp4'\n",
        "data.mp4": "ffconcat version 1.0\nfile 'subfile,,start,0,end,0,,:secret.mp4'\n",
        "manifest.mpd": f'<?xml version="1.0"?>\n<!-- x -->\n<MPD><BaseURL>http://{address}/</BaseURL></MPD>',
        "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
        "composition.mp4": '<?xml version="1.0"?>\n<CompositionPlaylist xmlns="x"/>',
        "show.asx": '<ASX version="3.0"><ENTRY><REF HREF="secret.mp4"/></ENTRY></ASX>',
        "radio.pls": f"[playlist]\nFile1=http://{address}/a.mp3\n",
        "windows.asf": "[Reference]\r\nRef1=secret.mp4\r\n",
        "addresses.mp4": f"http://{address}/a.mp4\n",
    }


def kind_of(action):
    with pytest.raises(MediaError) as caught:
        action()
    return caught.value.kind


def test_lists_of_other_files_are_refused_by_name(secret, listener):
    address, seen = listener
    texts = playlists(secret, address)
    for name, text in texts.items():
        (secret / name).write_text(text)
    # libav alone reads the neighbour.
    with av.open(f"file:{secret / 'list.mp4'}", options={"protocol_whitelist": "file"}) as open_door:
        assert (open_door.streams.video[0].width, open_door.streams.video[0].height) == SECRET
    assert {n: kind_of(lambda n=n: probe(secret / n)) for n in texts} == dict.fromkeys(texts, "playlist")
    assert {n: kind_of(lambda n=n: read_audio(secret / n)) for n in texts} == dict.fromkeys(texts, "playlist")
    assert not seen


def test_a_list_that_is_called_an_image_is_refused(secret):
    for name in ("list.jpg", "list.webp"):
        (secret / name).write_text("ffconcat version 1.0\nfile secret.mp4\n")
        assert kind_of(lambda name=name: probe(secret / name)) == "playlist"
        assert kind_of(lambda name=name: read_image(secret / name)) == "playlist"


def test_text_is_called_what_it_is(tmp_path):
    texts = {
        "<!DOCTYPE html>\n<html><body>404</body></html>": "a web page",
        "\ufeff<html>": "a web page",
        '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>': "XML",
        '{"error": "not found"}': "JSON",
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n": "a pointer of Git LFS",
        "%!PS-Adobe-3.0\n": "PostScript",
        '<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/hostname"/></svg>': "a drawing (SVG)",
        "1\n00:00:00,000 --> 00:00:01,000\nHello\n": "text",
        "é" * 5000: "text",
    }
    for text, name in texts.items():
        for path in (tmp_path / "a.mp4", tmp_path / "a.jpg"):
            path.write_text(text, encoding="utf-8")
            with pytest.raises(MediaError) as caught:
                probe(path)
            assert (caught.value.kind, caught.value.message.startswith(f"is {name}")) == ("unreadable", True)
    (tmp_path / "a.mp4").write_text("#EXTM3U\n", encoding="utf-16")
    assert kind_of(lambda: probe(tmp_path / "a.mp4")) == "playlist"
    (tmp_path / "a.mp4").write_bytes(b"some\0thing" * 100)
    with pytest.raises(MediaError) as caught:
        probe(tmp_path / "a.mp4")
    assert caught.value.message.startswith("Invalid data")


def moved_out(source, target, neighbour):
    """Copy a QuickTime file (QTFF, "Data Reference Atoms"), with its samples said to lie in a neighbour."""
    name = neighbour.encode()
    alias = bytes(10) + bytes(28) + bytes(12) + bytes(64) + bytes(16)  # names of volume and file are empty
    alias += struct.pack(">HH", 1, 1) + bytes(16)  # one level up, one level down: beside this file
    alias += struct.pack(">HH", 2, len(name) + len(name) % 2) + name + bytes(len(name) % 2)
    alias += struct.pack(">hH", -1, 0)
    entry = struct.pack(">I4sI", len(alias) + 12, b"alis", 0) + alias
    content = source.read_bytes()
    at = content.rindex(b"dref") - 4  # of the media; another stands in the index of the file's own
    (size,) = struct.unpack_from(">I", content, at)
    dref = struct.pack(">I4sII", len(entry) + 16, b"dref", 0, 1) + entry
    grown = bytearray(content[:at] + dref + content[at + size :])
    for atom in (b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        place = grown.rindex(atom, 0, at) - 4
        struct.pack_into(">I", grown, place, struct.unpack_from(">I", grown, place)[0] + len(dref) - size)
    target.write_bytes(grown)


def test_a_quicktime_file_reads_its_own_samples_only(tmp_path):
    size = f"{SECRET[0]}x{SECRET[1]}"
    black = ["-f", "lavfi", "-i", f"color=black:size={size}:duration=0.04", "-c:v", "rawvideo"]
    run_ffmpeg([*black, "-pix_fmt", "rgb24", "-an", "-fflags", "+bitexact", str(tmp_path / "own.mov")])
    (tmp_path / "neighbour.bin").write_bytes(b"\xc8" * 100_000)
    moved_out(tmp_path / "own.mov", tmp_path / "a.mov", "neighbour.bin")
    unguarded = {"protocol_whitelist": "file", "enable_drefs": "1"}
    with av.open(str(tmp_path / "a.mov"), options=unguarded) as open_door:
        assert bytes(next(open_door.demux(video=0)))[:3] == b"\xc8\xc8\xc8"
    with open_container(tmp_path / "a.mov") as closed:
        assert bytes(next(closed.demux(video=0)))[:3] != b"\xc8\xc8\xc8"


def test_names_are_no_patterns(tmp_path):
    for name in ("a001.jpg", "b1.jpg"):
        Image.new("RGB", SECRET).save(tmp_path / name)
    for name in ("a%03d.jpg", "b*.jpg"):
        Image.new("RGB", (40, 30)).save(tmp_path / name)
        info = probe(tmp_path / name)
        assert (info.num_frames, info.width, info.height) == (1, 40, 30)
    # libav takes this name for that of many files.
    os.link(tmp_path / "a%03d.jpg", tmp_path / "c%03d.jp2")
    os.link(tmp_path / "a001.jpg", tmp_path / "c001.jp2")
    with av.open(str(tmp_path / "c%03d.jp2")) as open_door:
        assert open_door.format.name == "image2"
    with pytest.raises(av.error.ArgumentError):
        open_container(tmp_path / "c%03d.jp2")
    reason = "unreadable: its format is not supported, or its header is damaged"
    assert check_file_integrity(tmp_path / "c%03d.jp2").reason == reason


@pytest.mark.parametrize("decoder", ["pyav", "decord"])
def test_names_are_no_addresses(tmp_path, monkeypatch, decoder):
    if decoder == "decord":
        pytest.importorskip("decord")
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "plain.mp4", 5)
    for name in ("http:x.mp4", "concat:a|b.mp4", "data:x.mp4", "-i.mp4", "%d.mp4"):
        os.link("plain.mp4", name)
        assert [f.index for f in read_frames(name, [4], decoder=decoder)] == [4]


@pytest.fixture
def ghostscript(tmp_path, monkeypatch):
    """A program called gs, first on PATH; the file that is there once it has run."""
    trace = tmp_path / "trace"
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "gs"
    program.write_text(f"#!/bin/sh\ntouch {trace}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # Pillow remembers what it found
    return trace


def test_postscript_that_is_called_an_image_starts_no_program(tmp_path, ghostscript):
    from tools.datasets.transforms.images import resized, transform_image

    text = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\n%%EndComments\nshowpage\n%%EOF\n"
    head = b"\xc5\xd0\xd3\xc6" + struct.pack("<IIIIII", 32, len(text), 0, 0, 0, 0) + bytes(4)
    (tmp_path / "a.jpg").write_bytes(text)
    (tmp_path / "b.png").write_bytes(head + text)
    with contextlib.suppress(Exception), Image.open(tmp_path / "a.jpg") as open_door:  # Pillow alone runs it
        open_door.load()
    assert ghostscript.exists()
    ghostscript.unlink()
    Image.init()  # EPS is known to Pillow from here on

    def shrink(path):
        transform_image(path, tmp_path / "out", resized(20, longer=False))

    for path in (tmp_path / "a.jpg", tmp_path / "b.png"):
        for action in (image_info, read_image, probe, shrink):
            assert kind_of(lambda action=action, path=path: action(path)) == "unreadable"
    assert not ghostscript.exists()
    assert "EPS" not in IMAGE_FORMATS


def test_images_of_all_kinds_open_whatever_their_name_says(tmp_path):
    from PIL import features

    forms = ["JPEG", "PNG", "PPM", "BMP", "GIF", "WEBP", "TIFF", "DIB", "TGA", "ICO", "PCX", "SGI", "DDS"]
    forms += [name for name, part in (("JPEG2000", "jpg_2000"), ("AVIF", "avif")) if features.check(part)]
    picture = Image.fromarray(np.full((32, 32, 3), 120, np.uint8))
    for form in forms:
        picture.save(tmp_path / "a.jpg", format=form)
        assert image_info(tmp_path / "a.jpg")[0] == (32, 32), form
        assert abs(int(read_image(tmp_path / "a.jpg").mean()) - 120) < 4, form


FORMATS = {
    "h264 aac": "mp4 mov mkv ts m2ts f4v m4v nut 3gp",
    "mpeg4 mp3": "avi",
    "wmv2 wmav2": "wmv asf",
    "flv1 mp3": "flv",
    "vp8 libvorbis": "webm",
    "libtheora libvorbis": "ogv",
    "mpeg2video mp2": "mpg vob wtv",
    "mpeg2video pcm_s16le": "mxf gxf",
    "mpeg1video": "m1v",
    "mjpeg": "mjpeg",
    "libx264": "h264",
    "libx265": "h265",
    "libvpx-vp9": "ivf",
    "libsvtav1": "obu avif",
    "gif": "gif",
    "apng": "apng",
    "wrapped_avframe": "y4m",
    "libwebp_anim": "webp",
}
SOUNDS = "wav w64 mp3 flac aac m4a ogg opus wma ac3 eac3 aiff au caf mka wv tta mp2 weba"


def test_the_formats_that_people_have_open(tmp_path):
    """Made by the ffmpeg program in one run; opened by the demuxer that libav takes without the list."""
    names = []
    command = ["-f", "lavfi", "-i", "testsrc=size=176x144:rate=25:duration=0.2,format=yuv420p"]
    command += ["-f", "lavfi", "-i", "sine=sample_rate=48000:duration=0.2"]
    for codecs, extensions in FORMATS.items():
        video, *sound = codecs.split()
        for extension in extensions.split():
            names.append(f"a.{extension}")
            command += ["-map", "0", "-c:v", video]
            command += ["-map", "1", "-c:a", sound[0]] if sound else ["-an"]
            if extension in ("mpg", "vob", "wtv", "gxf", "flv"):
                command += ["-ar", "44100" if extension == "flv" else "48000"]
            if extension == "gxf":
                command += ["-s", "720x576"]
            if video == "apng":
                command += ["-pix_fmt", "rgb24", "-f", "apng"]
            command += ["-strict", "-2", "-threads", "1", str(tmp_path / names[-1])]
    for extension in SOUNDS.split():
        names.append(f"sound.{extension}")
        form = ["-f", "webm"] if extension == "weba" else []
        command += ["-map", "1", *form, str(tmp_path / names[-1])]
    run_ffmpeg(command)
    for name in names:
        with av.open(str(tmp_path / name)) as libav, open_container(tmp_path / name) as ours:
            assert ours.format.name == libav.format.name, name
            assert len(ours.streams) == len(libav.streams) > 0, name


def test_no_demuxer_on_the_list_opens_without_a_file_or_reads_text():
    for name in set(DEMUXERS) & av.formats_available:
        assert not av.ContainerFormat(name, "r").no_file, name
    others = "hls dash concat sdp rtsp rtp image2 imf vobsub lavfi tty mlv webm_dash_manifest svg_pipe srt"
    assert not set(DEMUXERS) & {*others.split()}


def test_there_is_one_way_in():
    """Whoever opens media, or an address, goes through the function that guards it; writing has its own."""
    guarded = {
        "av.open": "media/reading/container.py",
        "Image.open": "media/reading/images.py",
        "urllib.request.urlopen": "integrations/dataflow/serving.py",  # a server on the loopback interface
        "cv2.VideoCapture": "",
        "cv2.imread": "",
        "decord.VideoReader": "media/reading/decoders/decord.py",  # of what container.py has opened before
    }
    root = Path(tools.__file__).parent
    found = set()
    for file in root.rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            writes = [a.value for a in call.args[1:2] if isinstance(a, ast.Constant)] == ["w"]
            if name in guarded and not writes:
                found.add((name, file.relative_to(root).as_posix()))
    own_bytes = {  # what the toolkit has written to memory itself
        ("av.open", "doctor/codecs.py"),
        ("Image.open", "caption/api/tokens.py"),
    }
    assert found == {(name, file) for name, file in guarded.items() if file} | own_bytes


def test_a_table_with_playlists_costs_their_rows_and_no_connection(secret, listener, tmp_path):
    from tools.datasets import datautil
    from tools.scene_cut import cut

    address, seen = listener
    (secret / "list.mp4").write_text("ffconcat version 1.0\nfile secret.mp4\n")
    (secret / "live.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://{address}/a.ts\n"
    )
    paths = [secret / name for name in ("secret.mp4", "list.mp4", "live.m3u8")]
    stamp = "\"[('00:00:00.000', '00:00:00.200')]\""
    rows = "".join(f"{path},{stamp}\n" for path in paths)
    (tmp_path / "meta.csv").write_text(f"path,timestamp\n{rows}")
    datautil.main([str(tmp_path / "meta.csv"), "--info", "--num-workers", "1"])
    assert read_table(tmp_path / "meta_info.csv")["width"].to_list() == [str(SECRET[0]), None, None]
    cut.main([str(tmp_path / "meta.csv"), "--save-dir", str(tmp_path / "clips"), "--num-workers", "1"])
    assert read_table(tmp_path / "meta_clips.csv").height == 1
    for name in ("meta_info", "meta_clips"):
        failures = read_table(tmp_path / f"{name}.failures.csv")
        assert failures["kind"].to_list() == ["playlist", "playlist"]
    assert not seen
