"""Test data that is made of downloaded files, or of nothing: a function for each ``made`` in test_data.json.

Each takes the data folder and the file to write. What an encoder makes depends on its version, so those files
have no checksum; the tests ask of them what holds for any encoder (frames, times, cuts, turning).
"""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

_DAMAGE = (
    "CxspDPXFAiSVAahwBypZAyBCC0NNA1ApCe8lCe7UAu1fBRykAeQ7A6xgAPBMAYLvAkTXAXkSAj4JBMwmATdwA6/qAoJ6A0fvC52r"
    "C4dxAkLEAAuFAzs6AA/kA/4sARAUAAPwB3eFBAdxFU62D0IjAtrlBDYHDiZdAOAfCD1KAD1NAR6lBuHUANX6A/n7CGyxAdf1Ak+K"
    "ACmAA3pnCxevDKJzBf6DAuePDG3VD1v5BV5GBOWADaerB7+KA7cXAc5PGrCdAX/fD7zUAtleAjAyAT8gBzcLAMmxBkgrArHIDREU"
    "AxGDAUFbC6IBE5t6H8hxALBBCF1hAcuqItRwI9NPAzmaA81HEAdpAV17Bk1CC+uoAoEUAvsTARpdAHgkD1BLA+qmCG/VAAveAb3F"
    "BikpFZblA/pXAE+CAXuKBSMoBMovCE9SEFiaA/X2AzUzCa9iABOFBNGUAYHBCsKhAvEqA7QuAmzrAYNwAMzeDLLlC0rQBSvuAfhB"
    "AMOeAUi2BUI9BVIyCH7+Dkz4DLW0GF5vByr+CZlVF370A93IANeTAtFQBHeUBCKMBPOMBRphBRYGAO5lGZAzApGpA9D2BS2FACOb"
    "AwE6AmU/BEsSCecUAJI7EKsTCFP/CjgfAidvDX6ECsIrBRQ+AikNA4qNKwxnAuwLACwXBmQ/AiPKBbOaApNoC/KEBREyGrYRC+3W"
    "BqnCAOS3ACRMB4bABnW3DE8uBB8QCMeDB69gAj3GAec8A5seA2ISAEIAAdCmAyzvCEUwBJLZBcRuCKbLBMRDCk8/BuTPA6TqAbpT"
    "EEifAyasDVcKBq38CvviD/iTAEkpCi/NAB0uAYj9AA8fA/bxAo8/HxBWAdBiAYQzBH6EBFumA/+uAfuVB5DMBE/9Bq5DA34HAZ5e"
    "AAmWAMG8EbprBLSSAMgyA2UIBq6rDEYAClKWAmsnCzbnBuVHAam+Ar7FAe8HBrF6Cp1oCejWAJubFmbECfr6AJGXACsdAd62ACGs"
    "D/8VBBZoAn5SBTFIBgXACIpNCI+qAvbaBISiCXMBBLCGAWLVBNn8AbjUCXylBCbOALQzAysqANrIAPLwBSqsAwtPBZ+rALVRACT2"
    "AccVBmd4A8B3BV7zAtZKDF07DwZMBiHNBAdlAbNLBK9CAdDYDL0ADHf7CmZuBmspAV0lApTRAf6CAArDA+8OBazaBKH5A3+A"
)
"""Changed bytes of skv_bikes.mp4, base64: of each its distance from the last (16 bits), and the new value."""


def bikes_truncated(folder: Path, target: Path) -> None:
    """The first 200,000 bytes, so without the index, which stands at the end."""
    target.write_bytes(_bikes(folder).read_bytes()[:200_000])


def bikes_bitflip(folder: Path, target: Path) -> None:
    """299 bytes within the frames changed: of 250 frames decoders show 248, some of them patched up."""
    content = bytearray(_bikes(folder).read_bytes())
    damage, place = base64.b64decode("".join(_DAMAGE)), 0
    for i in range(0, len(damage), 3):
        place += int.from_bytes(damage[i : i + 2], "big")
        content[place] = damage[i + 2]
    target.write_bytes(content)


def bikes_rot90(folder: Path, target: Path) -> None:
    """The same packets, to be shown turned by 90 degrees."""
    _ffmpeg("-display_rotation", "90", "-i", _bikes(folder), "-c", "copy", target)


def bikes_portrait(folder: Path, target: Path) -> None:
    """The middle, upright."""
    _ffmpeg("-i", _bikes(folder), "-vf", "crop=152:272", "-c:v", "libx264", "-crf", "22", target)


def bikes_vfr(folder: Path, target: Path) -> None:
    """Two of each seven frames left out, the others at their times."""
    keep = "select='not(between(mod(n,7),2,3))'"
    _ffmpeg("-i", _bikes(folder), "-vf", keep, "-fps_mode", "vfr", "-c:v", "libx264", "-crf", "22", target)


def bikes_hevc10(folder: Path, target: Path) -> None:
    """HEVC with 10 bits."""
    codec = [
        "-c:v",
        "libx265",
        "-tag:v",
        "hvc1",
        "-pix_fmt",
        "yuv420p10le",
        "-x265-params",
        "log-level=error",
    ]
    _ffmpeg("-i", _bikes(folder), *codec, target)


def bikes_av1(folder: Path, target: Path) -> None:
    """AV1 in Matroska."""
    _ffmpeg("-i", _bikes(folder), "-c:v", "libaom-av1", "-cpu-used", "8", "-b:v", "180k", target)


def clip_goldens(folder: Path, target: Path) -> None:
    """Names, input tensors and ViT-B/32 embeddings of seven pictures, out of the tests of clip-retrieval.

    Its files are pickles; they were held to their checksums before.
    """
    import pickle

    import numpy as np

    def stored(kind: str) -> list[dict]:
        return [pickle.loads((folder / "sources" / f"clip_{kind}_{i}.pkl").read_bytes()) for i in range(4)]

    tensors, embeddings = stored("tensors"), stored("embeddings")
    np.savez_compressed(
        target,
        names=np.array([name for part in tensors for name in part["image_filename"]]),
        tensors=np.concatenate([part["image_tensor"].numpy() for part in tensors]),
        embs=np.concatenate([part["image_embs"] for part in embeddings]),
    )


def llava_tiny(folder: Path, target: Path) -> None:
    """A LLaVA checkpoint with random weights, in the layout of the hub; its texts mean nothing."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    special = ["<unk>", "<s>", "</s>", "<pad>", "<image>"]
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=341, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(
        ["USER: describe the video in detail. ASSISTANT: the camera pans left."], trainer
    )
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    tokens = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, extra_special_tokens=["<image>"], **names
    )
    text = {
        "model_type": "llama",
        "vocab_size": 341,
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
    }
    vision = {
        "model_type": "clip_vision_model",
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 56,
        "patch_size": 14,
        "projection_dim": 32,
    }
    torch.manual_seed(0)
    model = transformers.LlavaForConditionalGeneration(
        transformers.LlavaConfig(
            text_config=text, vision_config=vision, image_token_index=4, tie_word_embeddings=False
        )
    )
    processor = transformers.LlavaProcessor(
        transformers.CLIPImageProcessor(
            size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}, do_convert_rgb=True
        ),
        tokens,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    place = folder / "llava_tiny"
    model.save_pretrained(place)
    processor.save_pretrained(place)
    (place / "config.json").rename(target)  # last: its being there says that the folder is whole


def _bikes(folder: Path) -> Path:
    return folder / "videos" / "skv_bikes.mp4"


def _ffmpeg(*arguments: object) -> None:
    from imageio_ffmpeg import get_ffmpeg_exe

    command = [get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)
