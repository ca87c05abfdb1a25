"""A small CLAP with random weights, saved by transformers as the published ones are, and what comes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, RobertaTokenizer

RATE = 16_000
SECONDS = 2
LONGEST = 62  # tokens of a text, those around it included

_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
_AUDIO = {
    "num_mel_bins": 16,
    "spec_size": 64,
    "window_size": 4,
    "depths": [2, 2],
    "num_attention_heads": [2, 4],
    "patch_embeds_hidden_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "projection_dim": 24,
}
_TEXT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": LONGEST + 2,
    "projection_dim": 24,
}


class SmallClap:
    """A folder in the Hugging Face format, and features by transformers' own forward pass.

    Args:
        folder: Where to save it.
        fusion: Make a model with feature fusion.
        seed: Another model for another number.
    """

    def __init__(self, folder: Path, *, fusion: bool = False, seed: int = 0) -> None:
        self.folder = folder
        tokenizer = _tokenizer()
        audio = {**_AUDIO, "enable_fusion": fusion, "fusion_type": "aff_2d" if fusion else None}
        text = {**_TEXT, "vocab_size": len(tokenizer)}
        config = ClapConfig(text_config=text, audio_config=audio, projection_dim=24)
        torch.manual_seed(seed)
        self.model = _randomize(ClapModel(config), seed).eval()
        self.extractor = ClapFeatureExtractor(
            feature_size=16,
            sampling_rate=RATE,
            hop_length=160,
            max_length_s=SECONDS,
            fft_window_size=512,
            frequency_min=50,
            frequency_max=7000,
            truncation="fusion" if fusion else "rand_trunc",
        )
        self.tokenizer = tokenizer
        for part in (self.model, self.extractor, tokenizer):
            part.save_pretrained(folder)

    def audio(self, sounds: list[np.ndarray]) -> np.ndarray:
        """Features of windows of at most `SECONDS`, each by itself, float32, of length 1."""
        found = []
        for sound in sounds:
            inputs = self.extractor(sound, sampling_rate=RATE, return_tensors="pt")
            # for a sound alone the extractor says "longer" by chance, although it is not
            inputs["is_longer"] = torch.zeros(1, 1, dtype=torch.bool)
            found.append(self._forward(**inputs, input_ids=torch.tensor([[0, 2]])).audio_embeds[0].numpy())
        return np.stack(found)

    def texts(self, texts: list[str]) -> np.ndarray:
        """Features of texts, each by itself and without padding, float32, of length 1."""
        mel = torch.zeros(1, 4 if self.extractor.truncation == "fusion" else 1, 201, 16)
        longer = torch.zeros(1, 1, dtype=torch.bool)
        found = []
        for text in texts:
            ids = self.tokenizer(text, truncation=True, max_length=LONGEST, return_tensors="pt")
            found.append(
                self._forward(input_ids=ids["input_ids"], input_features=mel, is_longer=longer).text_embeds[0]
            )
        return torch.stack(found).numpy()

    def _forward(self, **inputs: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return self.model(**inputs)


def _tokenizer() -> RobertaTokenizer:
    letters = _byte_letters()
    tokens = [*_SPECIAL[:3], _SPECIAL[3], *letters, "th", "Ġth", _SPECIAL[4]]
    merges = [("t", "h"), ("Ġ", "th")]
    made = RobertaTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges)
    made.model_max_length = 512
    return made


def _byte_letters() -> list[str]:
    """GPT-2's printable stand-ins for the bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (byte for byte in range(256) if byte not in printable)
    return [*map(chr, printable), *(chr(256 + i) for i, _ in enumerate(others))]


def _randomize(model: ClapModel, seed: int) -> ClapModel:
    """Weights with which different sounds and texts have different features."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point() or "logit_scale" in name:
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        if name.endswith("audio_encoder.batch_norm.running_mean"):
            tensor.copy_(-30 + 5 * noise)
        elif name.endswith("audio_encoder.batch_norm.running_var"):
            tensor.copy_(200 + 20 * noise)
        elif name.endswith(("running_var", "norm.weight", "LayerNorm.weight")):
            tensor.copy_(1 + 0.1 * noise.abs())
        else:
            fan = tensor[0].numel() if tensor.ndim > 1 else 16
            tensor.copy_(noise * fan**-0.5)
    return model
