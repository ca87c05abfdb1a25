"""CLIP image and text features: weights loaded strictly, and run reproducibly.

A feature depends on its own image (or text) and on nothing else: not on what else is in the batch, nor on the
number of CPU threads. Matrix products of another shape, or split over another number of threads, differ in
their last bits, so every forward pass has the same shape and, on a CPU, one thread; several run at a time. A
pass has a few rows where that is faster and a row's place among them makes no difference. Pictures are
computed by PyTorch, or on a CPU by OpenVINO, whose features differ in their last bits.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tools.models.clip_checkpoint import CLIPCheckpoint, find_clip
from tools.models.clip_openai import openai_config, read_openai_checkpoint, to_transformers
from tools.models.clip_openvino import OpenVinoImages, choose_clip_backend
from tools.models.clip_preprocess import OPENAI_PICTURES, Pictures, normalize_crops
from tools.models.compiled import CompiledForward
from tools.models.device import cpu_has_matrix_units, resolve_device, resolve_precision
from tools.models.forward import ForwardPasses
from tools.models.quick_gelu import use_fused_quick_gelu
from tools.models.strict import for_inference, load_strictly

if TYPE_CHECKING:
    import torch
    from transformers import CLIPModel

_GPU_BATCH = 64  # images in one forward pass on a GPU; a shorter last batch is filled up
_AMX_BATCH = 4  # the same in bf16 on a CPU with AMX: 30 % faster than one, and as fast as 8
_OPENVINO_BATCH = 8  # the same for pictures in OpenVINO, there faster than 4


def load_clip(
    name_or_path: str | Path | CLIPCheckpoint = "ViT-L/14",
    *,
    device: str = "auto",
    precision: str = "auto",
    compile: bool = False,
    threads: int | None = None,
    backend: str = "auto",
) -> CLIPEncoder:
    """Load a CLIP.

    Args:
        name_or_path: See `tools.models.clip_checkpoint.find_clip`, or its result.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``, see `tools.models.device.resolve_device`.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``, see `tools.models.device.resolve_precision`.
        compile: Run images through ``torch.compile`` (needs a C++ compiler; pays off in long runs).
        threads: Images computed at a time on a CPU; by default PyTorch's number of threads.
        backend: ``auto``, ``openvino`` or ``pytorch``, see `tools.models.clip_openvino.choose_clip_backend`.

    Raises:
        UserError: The weights cannot be found, or do not fit a CLIP exactly; or the backend cannot be used.
    """
    import torch

    source = name_or_path if isinstance(name_or_path, CLIPCheckpoint) else find_clip(name_or_path)
    device = resolve_device(device)
    precision = resolve_precision(precision, device)
    backend = choose_clip_backend(backend, device, precision, compile=compile)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    load = _load_folder if source.path.is_dir() else _load_file
    model: Any = for_inference(load(source, dtype), device)
    encoder = CLIPEncoder(
        model,
        digest=source.digest,
        device=device,
        precision=precision,
        compile=compile,
        threads=threads,
        pictures=source.pictures,
        backend=backend,
    )
    if backend == "openvino":
        model.vision_model = None  # OpenVINO has it
    return encoder


class CLIPEncoder:
    """A loaded CLIP, see `load_clip`.

    Args:
        model: The model, on its device and in its precision.
        digest: SHA-256 of its weights.
        device: ``cpu`` or ``cuda:N``.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        compile: Run images through ``torch.compile``.
        threads: Images computed at a time on a CPU.
        pictures: How pictures are prepared for it.
        backend: What computes the features of pictures: ``openvino`` or ``pytorch``.

    Attributes:
        pictures: See above.
        image_size: Side of the square images, in pixels.
        embed_dim: Length of a feature.
        context_length: Tokens of a text, padding included.
        vocabulary: Number of token ids.
        logit_scale: Factor of the cosine in CLIP's logits (about 100 when trained).
        digest: See above.
        device: See above.
        precision: See above.
        backend: See above.
    """

    def __init__(
        self,
        model: CLIPModel,
        *,
        digest: str,
        device: str,
        precision: str,
        compile: bool = False,
        threads: int | None = None,
        pictures: Pictures = OPENAI_PICTURES,
        backend: str = "pytorch",
    ) -> None:
        import torch

        self._model: Any = model  # transformers leaves open what its functions return, and its config's parts
        threads = threads or torch.get_num_threads()
        matrix_units = precision == "bf16" and cpu_has_matrix_units()

        def passes(amx_batch: int) -> ForwardPasses:
            size = amx_batch if matrix_units else 1
            return ForwardPasses(device, batch_size=_GPU_BATCH, threads=threads, cpu_batch_size=size)

        self._passes = self._image_passes = passes(_AMX_BATCH)
        self._image_forward: Callable[[torch.Tensor], torch.Tensor] = self._images
        if backend == "openvino":
            batch = _OPENVINO_BATCH if matrix_units else 1
            self._image_passes = passes(batch)
            self._image_forward = OpenVinoImages(model, precision=precision, batch=batch, at_a_time=threads)
        elif compile:
            self._image_forward = CompiledForward(self._images)
        if not compile:
            use_fused_quick_gelu(model, device)
        self.digest, self.device, self.precision, self.backend = digest, device, precision, backend
        self.pictures = pictures
        config = cast(Any, model.config)
        self.image_size: int = config.vision_config.image_size
        self.embed_dim: int = config.projection_dim
        self.context_length: int = config.text_config.max_position_embeddings
        self.vocabulary: int = config.text_config.vocab_size
        self.logit_scale: float = model.logit_scale.detach().float().exp().item()

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Image features, not normalised, as openai/CLIP's ``encode_image``.

        Args:
            pixels: float32, shape (N, 3, S, S), preprocessed (`tools.models.clip_preprocess`).

        Returns:
            float32, shape (N, D), on the CPU.
        """
        side = self.image_size
        if pixels.ndim != 4 or tuple(pixels.shape[1:]) != (3, side, side):
            raise ValueError(f"Invalid pixels {tuple(pixels.shape)}. Supported are (N, 3, {side}, {side}).")
        return self._run(self._image_forward, pixels, self._image_passes)

    def encode_crops(self, crops: np.ndarray) -> torch.Tensor:
        """Image features of crops that `clip_crop` made; they are normalised on the device.

        Args:
            crops: uint8, shape (N, S, S, 3), RGB.

        Returns:
            float32, shape (N, D), on the CPU.
        """
        import torch

        side = self.image_size
        if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1:] != (side, side, 3):
            raise ValueError(
                f"Invalid crops ({crops.dtype} {crops.shape}). Supported: uint8 N x {side} x {side} x 3."
            )
        rows = torch.from_numpy(np.ascontiguousarray(crops))
        return self._run(
            self._image_forward, rows, self._image_passes, lambda part: normalize_crops(part, self.pictures)
        )

    def encode_text(self, token_ids: torch.Tensor) -> torch.Tensor:
        """Text features, not normalised, as openai/CLIP's ``encode_text``.

        Args:
            token_ids: Integers, shape (N, context length), padded with 0; the end token is the highest id.

        Returns:
            float32, shape (N, D), on the CPU.
        """
        return self._run(self._texts, self._checked(token_ids), self._passes)

    def encode_tokens(self, token_ids: torch.Tensor) -> torch.Tensor:
        """Features of every token, not normalised: the last norm at each position, projected.

        At the end token it is the feature of the text. Each position depends on those before it alone, so
        what stands after the end token says nothing.

        Args:
            token_ids: As for `encode_text`.

        Returns:
            float32, shape (N, context length, D), on the CPU.
        """
        if len(token_ids) == 0:
            return self._checked(token_ids).new_empty(0, self.context_length, self.embed_dim).float()
        return self._run(self._tokens, self._checked(token_ids), self._passes)

    def _checked(self, token_ids: torch.Tensor) -> torch.Tensor:
        if token_ids.ndim != 2 or token_ids.shape[1] != self.context_length:
            raise ValueError(
                f"Invalid token_ids {tuple(token_ids.shape)}. Supported are (N, {self.context_length})."
            )
        return token_ids.long()

    def _images(self, pixels: torch.Tensor) -> torch.Tensor:
        return self._model.get_image_features(pixel_values=pixels.to(self._model.dtype)).pooler_output

    def _texts(self, token_ids: torch.Tensor) -> torch.Tensor:
        return self._model.get_text_features(input_ids=token_ids).pooler_output

    def _tokens(self, token_ids: torch.Tensor) -> torch.Tensor:
        states = self._model.text_model(input_ids=token_ids).last_hidden_state
        return self._model.text_projection(states)

    def _run(
        self,
        forward: Callable[[torch.Tensor], torch.Tensor],
        rows: torch.Tensor,
        passes: ForwardPasses,
        prepare: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        import torch

        if len(rows) == 0:
            return torch.empty(0, self.embed_dim)

        def step(part: torch.Tensor) -> torch.Tensor:
            part = part.to(self.device)
            return forward(prepare(part) if prepare else part).float()

        if isinstance(forward, CompiledForward):
            forward.prepare(lambda: passes(step, rows[:1]))
        return passes(step, rows)


def _load_file(source: CLIPCheckpoint, dtype: torch.dtype) -> CLIPModel:
    from transformers import CLIPConfig, CLIPModel

    state = read_openai_checkpoint(source.path)
    config = CLIPConfig(**openai_config(state, source.path, source.architecture))
    arguments = {"config": config, "state_dict": to_transformers(state)}
    return load_strictly(CLIPModel, "CLIP", source.path, None, dtype, **arguments)


def _load_folder(source: CLIPCheckpoint, dtype: torch.dtype) -> CLIPModel:
    from transformers import CLIPModel

    folder = source.path
    return load_strictly(CLIPModel, "CLIP", folder, str(folder), dtype, local_files_only=True)
