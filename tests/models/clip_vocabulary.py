"""A small vocabulary in the formats of CLIP's, and the tokens that transformers makes with it."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path

from transformers import CLIPTokenizer

WORDS = (
    "the photo photograph good bad sharp blurry bright dark of cat cats dog harbour fishermen slowly quality "
    "'s 're ... !! ö café"
)


def merges() -> list[tuple[str, str]]:
    """Each word is put together from left to right; the last merge makes it a whole word."""
    letters = _byte_letters()
    found: dict[tuple[str, str], None] = {}
    for word in WORDS.split():
        parts = [letters[byte] for byte in word.encode()]
        parts[-1] += "</w>"
        whole = parts[0]
        for part in parts[1:]:
            found[whole, part] = None
            whole += part
    return list(found)


def ids() -> dict[str, int]:
    """As openai/CLIP numbers them: bytes, bytes that end a word, merges, the two special tokens."""
    letters = list(_byte_letters().values())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges())]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(tokens)}


@cache
def reference() -> CLIPTokenizer:
    """The tokenizer of transformers."""
    return CLIPTokenizer(vocab=ids(), merges=merges())


def save_openai(path: Path) -> Path:
    """Save in the format of ``bpe_simple_vocab_16e6.txt.gz``."""
    lines = ["a line on the version", *(" ".join(pair) for pair in merges())]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def save_folder(folder: Path) -> Path:
    """Save as vocab.json and merges.txt."""
    folder.mkdir(exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(ids()), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges())]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def _byte_letters() -> dict[int, str]:
    """The table of GPT-2 as transformers has it, in CLIP's order: printable bytes first."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    return bytes_to_unicode()
