"""Captions as a stage: which frames are looked at, what is asked about them, and what comes out."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tools.caption.llava.checkpoint import find_checkpoint, no_such_model
from tools.caption.llava.model import ATTENTIONS, choose_precision
from tools.caption.llava.processor import Question
from tools.caption.prompts import Prompt
from tools.caption.thoughts import without_thoughts
from tools.errors import MediaError, UserError
from tools.media.reading.extensions import is_image
from tools.media.reading.requests import Frames
from tools.media.reading.sampling import Sampling
from tools.stage.stage import REMARKS, Row, Stage

if TYPE_CHECKING:
    from tools.caption.llava.parallel import Group
    from tools.models.required import RequiredWeights

MIDDLES = Sampling("uniform_mid", 1)
"""The frames that are looked at when nothing is said of them: the middle one."""

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


@dataclasses.dataclass(kw_only=True)
class LlavaStage(Stage):
    """Captions by a vision-language model: column ``path`` in, columns ``text`` and ``text_finish`` out.

    Making the stage finds the model and takes its digest; it is loaded by `setup`. A ``text`` that is there
    already is replaced, and goes into the question where the prompt says so.

    Attributes:
        prompt: What is asked.
        model_path: Folder of the model, or its id.
        sampling: Which frames of a video are looked at.
        resize: Shorter side in pixels to which larger frames are scaled down; 0 leaves them as they are.
        max_tokens: Longest caption, in tokens.
        chat_template: File with a Jinja template instead of the checkpoint's own.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto`` (GPU: that of the checkpoint; CPU: fp32), ``fp32``, ``bf16`` or ``fp16``.
        attention: One of `tools.caption.llava.model.ATTENTIONS`.
        tie_margin: See `tools.caption.llava.captioner.Captioner`.
        decoder: Decoder that reads the frames.
        group: The processes that the model is spread over; None for this one alone.

    Raises:
        UserError: The model is missing or incomplete, or a value is out of range.
    """

    name = "caption"
    suffix = "_caption"
    version = 3
    output_columns = {
        "text": pl.String,
        "text_finish": pl.String,
        REMARKS: pl.Object,
    }
    # The time of a batch hardly depends on its rows, but on its longest caption: small ones gain nothing.
    batch_seconds = 120.0

    prompt: Prompt
    model_path: str
    sampling: Sampling = MIDDLES
    resize: int = 336
    max_tokens: int = 300
    chat_template: str | None = None
    device: str = "auto"
    precision: str = "auto"
    attention: str = "sdpa"
    tie_margin: float | None = None
    decoder: str = "pyav"
    group: dataclasses.InitVar[Group | None] = None

    def __post_init__(self, group: Group | None) -> None:
        self._group = group
        super().__post_init__()

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        from tools.models.device import check_names

        check_names(self.device)
        if self.attention not in ATTENTIONS:
            raise UserError(f"Invalid attention ({self.attention}). Supported: {', '.join(ATTENTIONS)}.")
        if self.precision not in PRECISIONS:
            raise UserError(f"precision {self.precision}: must be one of {', '.join(PRECISIONS)}")
        if self.prompt.uses_text:
            self.required_columns = ("path", "text")

    def required_weights(self) -> list[RequiredWeights]:
        """The model, where it is a folder."""
        from tools.models.required import RequiredWeights

        problem = no_such_model(self.model_path)
        return [RequiredWeights(problem=problem)] if problem else []

    def find(self) -> None:
        """Find the model and the device."""
        from tools.models.device import resolve_device

        self.checkpoint = find_checkpoint(self.model_path, self.chat_template)
        self.device = resolve_device(self.device)
        self.precision = choose_precision(self.precision, self.device, self.checkpoint)
        if self.attention == "flash_attention_2" and (self.device == "cpu" or self.precision == "fp32"):
            raise UserError("--flash-attention: needs a GPU and --precision fp16 or bf16")

    def notes(self) -> list[str]:
        """A word on a chat template that was assumed."""
        if not self.checkpoint.template_is_assumed:
            return []
        return [
            f"note: {self.checkpoint.folder} has no chat template; it is asked as LLaVA 1.5 is "
            "(USER: <image> QUESTION ASSISTANT:); --chat-template FILE for another"
        ]

    def config(self) -> dict[str, Any]:
        """What changes the captions: model, question, frames, arithmetic; not where it runs."""
        return {
            "model": self.checkpoint.digest,
            "prompt": dataclasses.asdict(self.prompt),
            "sampling": self.sampling.asdict(),
            "resize": self.resize,
            "max_tokens": self.max_tokens,
            "precision": self.precision,
            "attention": self.attention,
            "tie_margin": self.tie_margin,
            "decoder": self.decoder,
        }

    def prepare(self, row: Row, frames: Frames) -> Question:
        """Scale the frames down, and fill the question."""
        text = self.prompt.fill(row.get("text"), image=is_image(row["path"]))
        return Question(tuple(scale_down(frame.image, self.resize) for frame in frames), text)

    def setup(self) -> None:
        """Load the model; all processes of a group do it together."""
        if self._group:
            self._group.load()
        self._captioner = self.load()

    def load(self) -> Any:
        """The `tools.caption.llava.captioner.Captioner` of this stage."""
        from tools.caption.llava.captioner import Captioner

        return Captioner(
            self.checkpoint,
            device=self.device,
            precision=self.precision,
            attention=self.attention,
            max_tokens=self.max_tokens,
            tie_margin=self.tie_margin,
            group=self._group,
        )

    def score(self, batch: list[Question]) -> list[dict[str, Any] | MediaError]:
        """Ask about all rows at once."""
        found = self._captioner.caption(batch)
        return [c if isinstance(c, MediaError) else self._cells(c) for c in found]

    def _cells(self, caption: Any) -> dict[str, Any] | MediaError:
        spoken = without_thoughts(caption.text, caption.finish)
        if spoken.unfinished or (spoken.thoughts and not spoken.text):
            tokens = f"after {caption.tokens} tokens, --max-tokens allows more"
            return MediaError("no_answer", "", f"the model thought, but gave no answer ({tokens})")
        text = " ".join(spoken.text.split())
        context, remarks = self._captioner.context, []
        if not text:
            remarks.append("the model wrote nothing")
        if caption.finish == "length":
            remarks.append(f"the caption was cut off at {self.max_tokens} tokens")
        if context is not None and caption.prompt_tokens + caption.tokens > context:
            remarks.append(f"question and caption have more than the {context} tokens the model was made for")
        return {"text": text, "text_finish": caption.finish, REMARKS: remarks}


def scale_down(image: np.ndarray, shorter: int) -> np.ndarray:
    """Scale a picture so that its shorter side has so many pixels (PIL, bicubic); smaller ones stay.

    Args:
        image: uint8, shape (H, W, 3).
        shorter: Pixels; 0 for no scaling.
    """
    from PIL import Image

    height, width = image.shape[:2]
    if not shorter or min(height, width) <= shorter:
        return image
    scale = shorter / min(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
