"""Inputs of the model: prompts and pictures as tokens and pixels, padded on the left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from tools.caption.llava.checkpoint import Checkpoint
from tools.errors import UserError


@dataclass(frozen=True)
class Question:
    """One row for the model.

    Attributes:
        frames: Pictures in the order in which they are shown; uint8, each (H, W, 3), RGB.
        text: The prompt.
    """

    frames: tuple[np.ndarray, ...]
    text: str


class Encoder:
    """Turns questions into inputs of a model, by the checkpoint's own processor and chat template.

    A question is one message: all frames as pictures, in order, then the text. The pictures are scaled by
    PIL, so that they come out the same with and without torchvision.

    Args:
        checkpoint: Which model.

    Raises:
        UserError: transformers cannot create the processor.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.processor = _load_processor(checkpoint)
        self.tokenizer = self.processor.tokenizer
        self._template = checkpoint.chat_template
        # Generation goes on at the right end of every row, so what is missing must be on the left.
        self.tokenizer.padding_side = "left"
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token

    def placeholders(self) -> list[str]:
        """Placeholders of pictures, videos and sounds, which no prompt may contain."""
        names = ("image_token", "video_token", "audio_token", "boi_token")
        found = (getattr(self.processor, name, None) for name in names)
        return [token for token in found if isinstance(token, str) and token]

    def encode(self, questions: Sequence[Question]) -> dict[str, Any]:
        """The tensors of one batch.

        Args:
            questions: The rows; they may have different numbers of frames.

        Returns:
            Arguments of the model's ``generate``: input_ids and attention_mask of shape (rows, longest),
            zeros of the mask on the left, and the pixels as the architecture requires.
        """
        from PIL import Image

        texts = self.processor.apply_chat_template(
            [_conversation(question) for question in questions],
            chat_template=self._template,
            add_generation_prompt=True,
            tokenize=False,
        )
        begins = self.tokenizer.bos_token is not None and texts[0].startswith(self.tokenizer.bos_token)
        inputs = self.processor(
            text=texts,
            images=[[Image.fromarray(frame) for frame in question.frames] for question in questions],
            padding=True,
            add_special_tokens=not begins,  # else the first token is there twice
            return_tensors="pt",
        )
        return dict(inputs)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of generated tokens, on one line."""
        text = self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ").strip()


def _conversation(question: Question) -> list[dict[str, Any]]:
    pictures = [{"type": "image"} for _ in question.frames]
    return [{"role": "user", "content": [*pictures, {"type": "text", "text": question.text}]}]


def _load_processor(checkpoint: Checkpoint) -> Any:
    from transformers import AutoConfig, AutoProcessor
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

    folder = str(checkpoint.folder)
    options = {"backend": "pil", "local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        kind = cast(Any, PROCESSOR_MAPPING).get(type(config), None)  # a class, which its annotation is not
        if kind is not None and "video_processor" in kind.get_attributes():
            processor = _without_video(kind, folder, options)
        else:
            processor = AutoProcessor.from_pretrained(folder, **options)
    except (OSError, ValueError, KeyError, TypeError, ImportError, AttributeError) as error:
        raise UserError(f"{folder}: transformers cannot create its processor: {_one_line(error)}") from None
    if getattr(processor, "tokenizer", None) is None or getattr(processor, "image_processor", None) is None:
        raise UserError(f"{folder}: a {checkpoint.model_type} model takes no pictures with a text")
    _count_as_the_model(processor, config, folder)
    return processor


_LLAVAS = ("llava", "llava_next", "llava_next_video", "llava_onevision", "video_llava", "vipllava")
_TOWERS = {"clip_vision_model": 1, "siglip_vision_model": 0}
"""Vision towers of LLaVA, and their number of tokens besides those of the patches."""


def _count_as_the_model(processor: Any, config: Any, folder: str) -> None:
    """Let a processor of LLaVA count the tokens of a picture as the model does.

    Folders that were written before 2025 do not say how: the model itself counted then
    (huggingface/transformers#30962). What it needs follows from the model's config.

    Raises:
        UserError: The tokenizer has no token for a picture, or another one than the model.
    """
    vision = getattr(config, "vision_config", None)
    beside = _TOWERS.get(getattr(vision, "model_type", ""))
    if vision is None or config.model_type not in _LLAVAS or beside is None:
        return
    counted = {
        "patch_size": vision.patch_size,
        "num_additional_image_tokens": beside,
        "num_image_tokens": (vision.image_size // vision.patch_size) ** 2,
        "vision_feature_select_strategy": getattr(config, "vision_feature_select_strategy", "default"),
    }
    for name, value in counted.items():
        if hasattr(processor, name):
            setattr(processor, name, value)
    known = getattr(config, "image_token_index", None) or getattr(config, "image_token_id", None)
    token = processor.tokenizer.convert_tokens_to_ids(processor.image_token)
    if known is not None and token != known:
        raise UserError(
            f"{folder}: the model's token for a picture is {known}, that of its tokenizer is {token} for "
            f"{processor.image_token}: the two do not belong together"
        )


def _without_video(kind: Any, folder: str, options: dict[str, Any]) -> Any:
    """A processor of a class that has a part for videos, without that part, which needs torchvision."""
    from transformers import AutoImageProcessor, AutoTokenizer

    class PicturesOnly(kind):
        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            if argument is None:
                return None
            return super().check_argument_for_proper_class(argument_name, argument)

    PicturesOnly.__name__ = kind.__name__
    settings, _ = kind.get_processor_dict(folder, local_files_only=True)
    parts = {
        "image_processor": lambda: AutoImageProcessor.from_pretrained(folder, **options),
        "tokenizer": lambda: AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        ),
        "video_processor": lambda: None,
    }
    names = kind.get_attributes()
    if unknown := set(names) - set(parts):
        raise ValueError(f"{kind.__name__} needs {', '.join(sorted(unknown))}")
    return PicturesOnly.from_args_and_dict([parts[name]() for name in names], settings)


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]
