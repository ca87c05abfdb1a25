"""CLAP audio and text features: weights loaded strictly, and run reproducibly.

Wu et al., "Large-scale contrastive language-audio pretraining with feature fusion and keyword-to-caption
augmentation", ICASSP 2023. A feature depends on its own sound (or text) and on nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tools.errors import UserError, first_line
from tools.models.clap_mel import MelOptions, extractor_files, read_mel_options
from tools.models.device import resolve_device
from tools.models.digests import combined_sha256
from tools.models.forward import ForwardPasses
from tools.models.hub import HUB_MODELS, hub_folder, is_hub_id, read_json, weight_files

if TYPE_CHECKING:
    import torch
    from transformers import ClapModel, PreTrainedTokenizerBase

    from tools.models.required import RequiredWeights

CLAP_MODEL = HUB_MODELS["clap"].name
"""The model that is used when none is named; Apache-2.0, 614 MB."""

_TOKENIZER = ("tokenizer.json", "vocab.json", "merges.txt")
_TOKENIZER_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_GPU_BATCH = 32  # windows or texts in one forward pass on a GPU; a shorter last batch is padded
_TEXT_LENGTHS = (16, 32, 64, 128, 256, 512)  # a text is padded to the next of these


@dataclass(frozen=True)
class ClapSource:
    """Where the weights of a CLAP are, and what is known before they are loaded.

    Attributes:
        path: A folder in the Hugging Face format.
        digest: SHA-256 of weights, tokenizer and feature extractor.
        mel: How sound becomes its input.
        fusion: Whether the model takes four spectrograms of a sound.
    """

    path: Path
    digest: str
    mel: MelOptions
    fusion: bool


def find_clap(name_or_path: str | Path = CLAP_MODEL) -> ClapSource:
    """Find a CLAP without loading the model.

    Args:
        name_or_path: A folder with a Hugging Face CLAP, or an id such as ``laion/clap-htsat-unfused`` (taken
            from the local cache when it is there). For `CLAP_MODEL` the folder in $VIDSIEVE_CLAP, if any.

    Raises:
        UserError: There is none, or it is not complete.
    """
    name = str(name_or_path)
    if name == CLAP_MODEL:
        name = os.environ.get(HUB_MODELS["clap"].env) or name
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _folder_source(folder)
    if not is_hub_id(name):
        raise UserError(_no_such(name))
    return _folder_source(hub_folder(name, HUB_MODELS["clap"].others))


def required_clap(name_or_path: str | Path = CLAP_MODEL) -> list[RequiredWeights]:
    """The weights that `find_clap` needs; no file is read."""
    from tools.models.required import RequiredWeights

    name = str(name_or_path)
    if name == CLAP_MODEL:
        return [RequiredWeights("clap")]
    if Path(name).expanduser().is_dir() or is_hub_id(name):
        return []
    return [RequiredWeights(problem=_no_such(name))]


def load_clap(
    name_or_path: str | Path | ClapSource = CLAP_MODEL, *, device: str = "auto", threads: int | None = None
) -> ClapEncoder:
    """Load a CLAP, in fp32.

    Args:
        name_or_path: See `find_clap`, or its result.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``, see `tools.models.device.resolve_device`.
        threads: Windows computed at a time on a CPU; by default PyTorch's number of threads.

    Raises:
        UserError: It cannot be found, or its weights do not fit exactly.
    """
    import torch
    from transformers import AutoTokenizer, ClapModel

    from tools.models.strict import for_inference, load_strictly

    source = name_or_path if isinstance(name_or_path, ClapSource) else find_clap(name_or_path)
    device = resolve_device(device)
    folder = str(source.path)
    model = load_strictly(ClapModel, "CLAP", source.path, folder, torch.float32, local_files_only=True)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UserError(f"{folder}: its tokenizer cannot be loaded ({first_line(error)})") from None
    return ClapEncoder(
        for_inference(model, device),
        tokenizer,
        source,
        device=device,
        threads=threads,
    )


class ClapEncoder:
    """A loaded CLAP, see `load_clap`.

    Args:
        model: The model, on its device.
        tokenizer: Its tokenizer.
        source: Where it comes from.
        device: ``cpu`` or ``cuda:N``.
        threads: Windows computed at a time on a CPU.

    Attributes:
        source: See above.
        device: See above.
        embed_dim: Length of a feature.
        logit_scale: Factor of the cosine in the model's logits for sounds.
        longest_text: Tokens of a text, those around it included; longer ones are cut.

    Raises:
        UserError: The tokenizer does not fit the model.
    """

    def __init__(
        self,
        model: ClapModel,
        tokenizer: PreTrainedTokenizerBase,
        source: ClapSource,
        *,
        device: str,
        threads: int | None = None,
    ) -> None:
        import torch

        config = cast(Any, model.config)
        text = config.text_config
        if len(tokenizer) > text.vocab_size or tokenizer.pad_token_id != text.pad_token_id:
            raise UserError(
                f"{source.path}: the tokenizer has {len(tokenizer)} tokens and pads with "
                f"{tokenizer.pad_token_id}, the model has {text.vocab_size} and {text.pad_token_id}"
            )
        self._model: Any = model  # transformers leaves open what its functions return
        self._tokenizer, self._padding = tokenizer, text.pad_token_id
        self._passes = ForwardPasses(
            device, batch_size=_GPU_BATCH, threads=threads or torch.get_num_threads()
        )
        self.source, self.device = source, device
        self.embed_dim: int = config.projection_dim
        self.logit_scale: float = model.logit_scale_a.detach().float().exp().item()
        # positions are counted from the padding's id on
        positions = text.max_position_embeddings - text.pad_token_id - 1
        self.longest_text = min(tokenizer.model_max_length, positions, _TEXT_LENGTHS[-1])

    def encode_audio(self, mels: np.ndarray) -> np.ndarray:
        """Features of windows of sound.

        Args:
            mels: float32, shape (N, frames, bins), as `tools.models.clap_mel.log_mel` returns them.

        Returns:
            float32, shape (N, D), of length 1 up to rounding.
        """
        import torch

        mel = self.source.mel
        if mels.ndim != 3 or mels.shape[1:] != (mel.frames, mel.bins):
            raise ValueError(f"Invalid mels {mels.shape}. Supported are (N, {mel.frames}, {mel.bins}).")

        def step(rows: torch.Tensor) -> torch.Tensor:
            features = rows.to(self.device)[:, None]
            longer = torch.zeros(len(rows), 1, dtype=torch.bool, device=self.device)
            if self.source.fusion:  # for sound that is not longer than the input: four times the same
                features = features.expand(-1, 4, -1, -1)
            return self._model.get_audio_features(
                input_features=features.contiguous(), is_longer=longer
            ).pooler_output.float()

        return self._run(step, torch.from_numpy(np.ascontiguousarray(mels)))

    def encode_texts(self, texts: Sequence[str]) -> tuple[np.ndarray, list[bool]]:
        """Features of texts.

        Args:
            texts: The texts.

        Returns:
            float32, shape (N, D), of length 1 up to rounding; and of which texts the end was cut off.
        """
        import torch

        tokens = [self._tokenizer(text, verbose=False)["input_ids"] for text in texts]
        cut = [len(ids) > self.longest_text for ids in tokens]
        for number, text in enumerate(texts):
            if cut[number]:
                kept = self._tokenizer(text, truncation=True, max_length=self.longest_text)
                tokens[number] = kept["input_ids"]

        def step(rows: torch.Tensor) -> torch.Tensor:
            ids, mask = rows.to(self.device).unbind(dim=1)
            return self._model.get_text_features(input_ids=ids, attention_mask=mask).pooler_output.float()

        features = np.empty((len(texts), self.embed_dim), np.float32)
        # The padded length follows from the text alone, so it does not depend on other texts in the batch.
        lengths = np.array([min(size for size in _TEXT_LENGTHS if size >= len(ids)) for ids in tokens])
        for length in np.unique(lengths):
            numbers = np.flatnonzero(lengths == length)
            rows = np.zeros((len(numbers), 2, length), np.int64)
            rows[:, 0] = self._padding
            for row, number in zip(rows, numbers, strict=True):
                row[0, : len(tokens[number])] = tokens[number]
                row[1, : len(tokens[number])] = 1
            features[numbers] = self._run(step, torch.from_numpy(rows))
        return features, cut

    def _run(self, step: Any, rows: torch.Tensor) -> np.ndarray:
        if not len(rows):
            return np.empty((0, self.embed_dim), np.float32)
        return self._passes(step, rows).numpy()


def _no_such(name: str) -> str:
    return f"{name}: no such folder; a CLAP is a folder in the Hugging Face format, or an id there"


def _folder_source(folder: Path) -> ClapSource:
    config = read_json(folder / "config.json")
    if config.get("model_type") != "clap":
        raise UserError(f"{folder}: a model of type {config.get('model_type')}, not clap")
    weights = weight_files(folder)
    if not weights:
        raise UserError(f"{folder}: no weights (model.safetensors or pytorch_model.bin) beside config.json")
    if not any((folder / name).is_file() for name in _TOKENIZER[:2]):
        raise UserError(f"{folder}: no tokenizer ({' or '.join(_TOKENIZER[:2])}): the CLAP is not complete")
    mel = read_mel_options(folder)
    fusion = _check_shape(folder, mel, config.get("audio_config") or {})
    others = [folder / name for name in (*_TOKENIZER, *_TOKENIZER_SETTINGS) if (folder / name).is_file()]
    extractor = folder / extractor_files(folder)[0]
    digest = combined_sha256([folder / "config.json", extractor, *others, *weights])
    return ClapSource(folder, digest, mel, fusion)


def _check_shape(folder: Path, mel: MelOptions, audio: dict[str, Any]) -> bool:
    """Check that the model takes what the feature extractor gives, and return whether it has fusion."""
    bins, side = audio.get("num_mel_bins", 64), audio.get("spec_size", 256)  # the format's own defaults
    widest = side * (side // bins)
    if mel.bins != bins or mel.frames > widest:
        raise UserError(
            f"{folder}: the feature extractor gives {mel.frames} x {mel.bins} numbers, the model takes up to "
            f"{widest} x {bins}"
        )
    fusion = bool(audio.get("enable_fusion", False))
    if fusion != (mel.truncation == "fusion"):
        state = "with" if fusion else "without"
        raise UserError(f"{folder}: a model {state} fusion, and a feature extractor for {mel.truncation}")
    return fusion
