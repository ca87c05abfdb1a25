"""Every decoder of `DECODERS` reads the requested frames; the default one is PyAV."""

import importlib
import inspect

import numpy as np
import pytest

from tests.support import make_video, read_barcode
from tools.errors import UserError
from tools.media.reading.decoders import DECODERS, FrameDecoder
from tools.media.reading.frames import read_frames
from tools.media.reading.requests import FrameRequest, read_requests
from tools.media.reading.sampling import Sampling


@pytest.fixture(params=DECODERS)
def decoder(request, tmp_path):
    try:
        read_frames(make_video(tmp_path / "short.mp4", 2), [0], decoder=request.param)
    except UserError as error:
        pytest.skip(str(error))
    return request.param


def test_each_decoder_reads_the_requested_frames(decoder, tmp_path):
    """The number of a frame is in its picture; pixels are near those of PyAV."""
    for name, options in {"a.mp4": {}, "r.mp4": {"rotation": 90}}.items():
        path = make_video(tmp_path / name, 30, **options)
        frames = read_frames(path, [29, 0, 13], decoder=decoder)
        assert [read_barcode(frame.image) for frame in frames] == [29, 0, 13]
        for ours, pyav in zip(frames, read_frames(path, [29, 0, 13]), strict=True):
            assert (ours.index, ours.pts, ours.time) == (pyav.index, pyav.pts, pyav.time)
            assert ours.image.shape == pyav.image.shape
            assert np.abs(ours.image.astype(int) - pyav.image).mean() < 4
        assert read_frames(path, [4], decoder=decoder, size=(64, 48))[0].image.shape == (48, 64, 3)


def test_each_decoder_reads_full_frames_beside_thumbnails(decoder, tmp_path):
    """Thumbnails are PyAV's in any case; full frames are those of the decoder."""
    path = make_video(tmp_path / "a.mp4", 30)
    (frames,) = read_requests(path, [FrameRequest(Sampling("middle"), (24, 16))], decoder=decoder)
    assert frames.thumbnails.shape == (30, 16, 24)
    assert (frames[0].image == read_frames(path, [15], decoder=decoder)[0].image).all()


@pytest.mark.parametrize("name", DECODERS)
def test_each_decoder_has_the_methods_of_the_protocol(name):
    """Only PyAV may take full frames from the pass that decodes thumbnails, which is PyAV's."""
    found = importlib.import_module(DECODERS[name]).DECODER
    parameters = inspect.signature(FrameDecoder.read_images).parameters
    assert list(inspect.signature(found.read_images).parameters) == [n for n in parameters if n != "self"]
    assert found.single_pass == (name == "pyav")


def test_an_unknown_decoder_is_refused_with_the_names_of_all(tmp_path):
    path = make_video(tmp_path / "a.mp4", 2)
    with pytest.raises(UserError, match=rf"Invalid decoder \(opencv\)\. .* {', '.join(DECODERS)}\."):
        read_frames(path, [0], decoder="opencv")


def test_a_decoder_that_is_not_installed_is_named(tmp_path):
    try:
        import decord  # noqa: F401
    except ImportError:
        path = make_video(tmp_path / "a.mp4", 2)
        with pytest.raises(UserError, match=r"pip install 'vidsieve\[decord\]'"):
            read_frames(path, [0], decoder="decord")
