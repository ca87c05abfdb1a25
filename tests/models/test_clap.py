"""CLAP against transformers' own feature extractor and forward pass, on random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from transformers import ClapFeatureExtractor

from tests.media.sounds import noise, sine
from tests.models.clap_files import LONGEST, RATE, SECONDS, SmallClap
from tools.errors import UserError
from tools.models.clap import find_clap, load_clap
from tools.models.clap_mel import MelOptions, log_mel, read_mel_options

TEXTS = ["the sound of a dog", "a bell", "", "the longest text in the world " * 5, "café – 音"]


@pytest.fixture(scope="module", params=[False, True], ids=["unfused", "fused"])
def small(request, tmp_path_factory) -> SmallClap:
    return SmallClap(tmp_path_factory.mktemp("clap"), fusion=request.param)


def sounds() -> list[np.ndarray]:
    """A whole window, two that are repeated to fill it, and one that is hardly there."""
    return [
        noise(SECONDS, rate=RATE)[0],
        sine(0.7, 440, rate=RATE)[0],
        noise(1.3, rate=RATE, seed=3)[0],
        0.01 * sine(0.05, 2000, rate=RATE)[0],
    ]


@pytest.mark.parametrize("truncation", ["fusion", "rand_trunc"])
@pytest.mark.parametrize("padding", ["repeatpad", "repeat", "pad"])
def test_the_spectrogram_is_that_of_transformers(truncation, padding):
    published = ClapFeatureExtractor(truncation=truncation, padding=padding)  # 48 kHz, 10 s, 64 bands
    options = MelOptions(truncation=truncation, padding=padding)
    for seconds in (10, 3.3, 0.02):
        sound = noise(seconds)[0]
        expected = published(sound, sampling_rate=48_000, return_tensors="np")["input_features"][0]
        found = log_mel(sound, options)
        assert found.dtype == np.float32 and found.shape == (1001, 64)
        assert all(np.abs(found - copy).max() < 1e-4 for copy in expected)  # dB


def test_a_spectrogram_of_silence_or_of_too_much():
    assert (log_mel(np.zeros(100, np.float32), MelOptions()) == -100).all()
    for samples in (np.zeros(480_001), np.zeros(0), np.zeros((1, 10))):
        with pytest.raises(ValueError, match="1 to 480000"):
            log_mel(samples, MelOptions())


def test_parameters_come_from_the_folder(small, tmp_path):
    own = {"bins": 16, "fft": 512, "hop": 160, "lowest": 50, "highest": 7000}
    options = read_mel_options(small.folder)
    assert options == MelOptions(
        rate=RATE, seconds=SECONDS, truncation=small.extractor.truncation, padding="repeatpad", **own
    )
    # as a processor saves them
    config = json.loads((small.folder / "preprocessor_config.json").read_text())
    (tmp_path / "processor_config.json").write_text(json.dumps({"feature_extractor": config}))
    assert read_mel_options(tmp_path) == options


def test_features_are_those_of_transformers(small):
    clap = load_clap(small.folder, device="cpu")
    assert clap.embed_dim == 24 and clap.logit_scale == pytest.approx(1 / 0.07)
    mels = np.stack([log_mel(sound, clap.source.mel) for sound in sounds()])
    expected = small.audio(sounds())
    assert np.ptp(expected, axis=0).max() > 0.1
    assert np.abs(clap.encode_audio(mels) - expected).max() < 1e-5
    features, cut = clap.encode_texts(TEXTS)
    expected = small.texts(TEXTS)
    assert np.ptp(expected, axis=0).max() > 0.05
    assert np.abs(features - expected).max() < 1e-5
    tokens = [len(small.tokenizer(text)["input_ids"]) for text in TEXTS]
    assert cut == [count > LONGEST for count in tokens] and sum(cut) == 1


@pytest.mark.parametrize("threads", [1, 3])
def test_a_feature_depends_on_nothing_else(small, threads):
    clap = load_clap(small.folder, device="cpu", threads=threads)
    mels = np.stack([log_mel(sound, clap.source.mel) for sound in sounds()])
    together = clap.encode_audio(mels)
    assert all((clap.encode_audio(mels[i : i + 1])[0] == together[i]).all() for i in range(len(mels)))
    assert (clap.encode_audio(mels[::-1])[::-1] == together).all()
    texts, _ = clap.encode_texts(TEXTS)
    assert all((clap.encode_texts([text])[0][0] == texts[i]).all() for i, text in enumerate(TEXTS))
    assert (load_clap(small.folder, device="cpu").encode_audio(mels) == together).all()
    assert clap.encode_audio(mels[:0]).shape == clap.encode_texts([])[0].shape == (0, 24)


@pytest.mark.gpu
def test_features_on_a_gpu(small):
    clap = load_clap(small.folder, device="cuda")
    mels = np.stack([log_mel(sound, clap.source.mel) for sound in sounds()])
    together = clap.encode_audio(mels)
    assert np.abs(together - small.audio(sounds())).max() < 1e-4
    assert np.abs(clap.encode_texts(TEXTS)[0] - small.texts(TEXTS)).max() < 1e-4
    assert all((clap.encode_audio(mels[i : i + 1])[0] == together[i]).all() for i in range(len(mels)))


def test_input_of_another_shape_is_refused(small):
    clap = load_clap(small.folder, device="cpu")
    with pytest.raises(ValueError, match=r"\(N, 201, 16\)"):
        clap.encode_audio(np.zeros((1, 1001, 64), np.float32))


def copied(small: SmallClap, folder: Path) -> Path:
    return shutil.copytree(small.folder, folder)


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_clap(folder, device="cpu")
    assert str(folder) in str(caught.value)
    return str(caught.value)


def test_weights_that_do_not_fit_are_refused(small, tmp_path):
    folder = copied(small, tmp_path / "c")
    weights = load_file(folder / "model.safetensors")
    name = "audio_projection.linear1.weight"

    def with_weights(changed: dict[str, np.ndarray]) -> str:
        save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
        return refused(folder)

    assert "1 tensors missing" in with_weights({k: v for k, v in weights.items() if k != name})
    assert "1 tensors unexpected" in with_weights(weights | {"more.weight": weights[name]})
    assert "1 tensors of another shape" in with_weights(weights | {name: weights[name][:3]})
    (folder / "model.safetensors").write_bytes(b"no weights")
    assert "model.safetensors: not weights: it is a text: no weights" in refused(folder)
    (folder / "model.safetensors").unlink()
    assert "no weights" in refused(folder)


def test_folders_that_are_no_clap_are_refused(small, tmp_path):
    folder = copied(small, tmp_path / "c")
    extractor = folder / "preprocessor_config.json"
    parameters = json.loads(extractor.read_text())
    for key, value, message in (
        ("feature_extractor_type", "ClapAudio", "not of a ClapFeatureExtractor"),
        ("feature_size", 64, "takes up to 256 x 16"),
        ("max_length_s", 10, "1001 x 16"),
        ("padding", "mirror", "repeatpad, repeat, pad"),
        ("truncation", "rand_trunc" if small.extractor.truncation == "fusion" else "fusion", "fusion"),
    ):
        extractor.write_text(json.dumps(parameters | {key: value}))
        assert message in refused(folder)
    extractor.unlink()
    assert "preprocessor_config.json" in refused(folder)
    (folder / "tokenizer.json").unlink()
    assert "no tokenizer" in refused(folder)
    (folder / "config.json").write_text('{"model_type": "clip"}')
    assert "type clip, not clap" in refused(folder)
    with pytest.raises(UserError, match="no such folder"):
        find_clap(tmp_path / "elsewhere")


def test_a_name_that_cannot_be_had(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"laion/no-such-clap: .*Hugging Face could not give it"):
        find_clap("laion/no-such-clap")


def test_a_folder_may_stand_for_the_published_model(small, monkeypatch):
    monkeypatch.setenv("VIDSIEVE_CLAP", str(small.folder))
    assert find_clap() == find_clap(small.folder)
    assert load_clap(device="cpu").embed_dim == 24


def test_the_digest_stands_for_all_that_counts(small, tmp_path):
    digest = find_clap(small.folder).digest
    assert find_clap(copied(small, tmp_path / "same")).digest == digest
    for name in ("config.json", "preprocessor_config.json", "tokenizer.json"):
        folder = copied(small, tmp_path / name)
        (folder / name).write_text((folder / name).read_text() + "\n")
        assert find_clap(folder).digest != digest
