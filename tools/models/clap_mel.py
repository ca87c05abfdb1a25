"""CLAP's input: the log-mel spectrogram of a window of sound, number for number as transformers makes it.

Wu et al., "Large-scale contrastive language-audio pretraining with feature fusion and keyword-to-caption
augmentation", ICASSP 2023; parameters are those of the model's own feature extractor. What the published
extractor decides by chance (which part of a longer sound is taken) does not arise: a window is never longer
than the model takes.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tools.errors import UserError
from tools.models.hub import read_json

_FLOOR = 1e-10  # power, -100 dB: the extractor's own
_PADDINGS = ("repeatpad", "repeat", "pad")
_NAMES = {  # ours, and the extractor's with the defaults that the format has
    "rate": ("sampling_rate", 48_000),
    "seconds": ("max_length_s", 10),
    "bins": ("feature_size", 64),
    "fft": ("fft_window_size", 1024),
    "hop": ("hop_length", 480),
    "lowest": ("frequency_min", 0),
    "highest": ("frequency_max", 14_000),
    "padding": ("padding", "repeatpad"),
    "truncation": ("truncation", "fusion"),
}


@dataclasses.dataclass(frozen=True)
class MelOptions:
    """How sound becomes CLAP's input.

    Attributes:
        rate: Samples per second.
        seconds: Length of the input; shorter sound is padded.
        bins: Mel bands.
        fft: Samples of a Fourier transform.
        hop: Samples from one to the next.
        lowest: Hz.
        highest: Hz.
        padding: ``repeatpad`` (whole repeats, then silence), ``repeat`` (repeats, cut), ``pad`` (silence).
        truncation: ``fusion`` models have bands of the HTK scale, ``rand_trunc`` models Slaney's.
    """

    rate: int = 48_000
    seconds: float = 10
    bins: int = 64
    fft: int = 1024
    hop: int = 480
    lowest: float = 0
    highest: float = 14_000
    padding: str = "repeatpad"
    truncation: str = "fusion"

    @property
    def samples(self) -> int:
        """Samples of the input, padding included."""
        return int(self.seconds * self.rate)

    @property
    def frames(self) -> int:
        """Columns of the spectrogram."""
        return self.samples // self.hop + 1

    def asdict(self) -> dict[str, Any]:
        """All of it as JSON."""
        return dataclasses.asdict(self)


def read_mel_options(folder: Path) -> MelOptions:
    """Read the parameters of a model's feature extractor.

    Args:
        folder: Hugging Face folder with ``preprocessor_config.json``, or with ``processor_config.json``.

    Raises:
        UserError: There are none, or they are not those of CLAP.
    """
    for name in extractor_files(folder):
        config = read_json(folder / name)
        config = config.get("feature_extractor", config)
        kind = config.get("feature_extractor_type")
        if kind != "ClapFeatureExtractor":
            raise UserError(f"{folder / name}: parameters of a {kind}, not of a ClapFeatureExtractor")
        found = {ours: config.get(theirs, default) for ours, (theirs, default) in _NAMES.items()}
        if found["padding"] not in _PADDINGS:
            raise UserError(f"{folder / name}: padding {found['padding']}; known are {', '.join(_PADDINGS)}")
        return MelOptions(**found)
    raise UserError(f"{folder}: no preprocessor_config.json: the folder is not a complete CLAP")


def extractor_files(folder: Path) -> list[str]:
    """The files that may hold the parameters, those that are there; the first one counts."""
    return [n for n in ("preprocessor_config.json", "processor_config.json") if (folder / n).is_file()]


def log_mel(samples: np.ndarray, options: MelOptions) -> np.ndarray:
    """The log-mel spectrogram of a window of sound.

    Args:
        samples: Float, shape (n,) with 0 < n <= options.samples: mono, full scale 1.0.
        options: Parameters of the model.

    Returns:
        float32, shape (options.frames, options.bins), dB.
    """
    if samples.ndim != 1 or not 0 < len(samples) <= options.samples:
        raise ValueError(f"Invalid samples {samples.shape}. Supported are 1 to {options.samples}.")
    padded = np.pad(_padded(samples.astype(np.float64), options), options.fft // 2, mode="reflect")
    columns = np.lib.stride_tricks.sliding_window_view(padded, options.fft)[:: options.hop]
    spectrum = np.fft.rfft(columns * _hann(options.fft), axis=1)
    power = np.abs(spectrum.astype(np.complex64)).astype(np.float64) ** 2
    mel = np.empty((len(power), options.bins))
    # Band by band: each has few frequencies, and sums do not depend on threads as a matrix product's do.
    for band, (first, weights) in enumerate(_bands(options)):
        mel[:, band] = (power[:, first : first + len(weights)] * weights).sum(axis=1)
    return (10.0 * np.log10(np.maximum(mel, _FLOOR))).astype(np.float32)


def _padded(samples: np.ndarray, options: MelOptions) -> np.ndarray:
    times = options.samples // len(samples)
    if options.padding == "repeat":
        return np.tile(samples, times + 1)[: options.samples]
    if options.padding == "repeatpad":
        samples = np.tile(samples, times)
    return np.pad(samples, (0, options.samples - len(samples)))


@lru_cache(2)
def _hann(length: int) -> np.ndarray:
    """Hann window, periodic."""
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)


@lru_cache(2)
def _bands(options: MelOptions) -> list[tuple[int, np.ndarray]]:
    """Triangular filters: for each band its first frequency that counts, and the weights from there on."""
    slaney = options.truncation != "fusion"
    to_mel, to_hertz = (_slaney_mel, _slaney_hertz) if slaney else (_htk_mel, _htk_hertz)
    edges = to_hertz(
        np.linspace(to_mel(np.float64(options.lowest)), to_mel(np.float64(options.highest)), options.bins + 2)
    )
    frequencies = np.linspace(0, options.rate // 2, options.fft // 2 + 1)
    bands = []
    for low, centre, high in zip(edges, edges[1:], edges[2:], strict=False):
        rising, falling = (frequencies - low) / (centre - low), (high - frequencies) / (high - centre)
        weights = np.maximum(0.0, np.minimum(rising, falling))
        if slaney:  # each band has the same area
            weights = weights * 2.0 / (high - low)
        counts = np.flatnonzero(weights)
        first, stop = (counts[0], counts[-1] + 1) if len(counts) else (0, 0)
        bands.append((int(first), weights[first:stop]))
    return bands


def _htk_mel(hertz: np.float64) -> np.ndarray:
    return 2595.0 * np.log10(1.0 + hertz / 700.0)


def _htk_hertz(mel: np.ndarray) -> np.ndarray:
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def _slaney_mel(hertz: np.float64) -> np.ndarray:
    """Linear below 1000 Hz, where 15 mel are reached; 27 mel for each factor of 6.4 above (Slaney 1998)."""
    return np.where(
        hertz < 1000.0,
        hertz * 3.0 / 200.0,
        15.0 + 27.0 * np.log(np.maximum(hertz, 1e-9) / 1000.0) / np.log(6.4),
    )


def _slaney_hertz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * 6.4 ** ((mel - 15.0) / 27.0))
