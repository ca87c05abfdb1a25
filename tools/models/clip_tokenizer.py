"""CLIP's tokens: byte-pair encoding of lower-case text, token for token that of openai/CLIP.

Radford et al. 2021, section 2.4; Sennrich et al. 2016 for the encoding; the 256 printable letters for bytes
are those of GPT-2 (Radford et al. 2019).
"""

from __future__ import annotations

import gzip
import html
import json
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.base.packages import require_package
from tools.errors import UserError
from tools.models.clip_checkpoint import CLIPCheckpoint, find_clip
from tools.models.digests import combined_sha256, file_sha256
from tools.models.other_files import refuse_other_file
from tools.models.weights import find_weights

if TYPE_CHECKING:
    from tools.models.clip import CLIPEncoder

START, END = "<|startoftext|>", "<|endoftext|>"
"""The tokens around a text."""

_PATTERN = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_PUBLISHED_MERGES = 48894  # the published file has more lines; CLIP was trained with these
_WORD_END = "</w>"
_PLAIN = frozenset(map(chr, range(32, 127))) - {"&"} | {"\t", "\n", "\r"}
_SENTENCE_END, _WIDE_SENTENCE_END = (".", "!", "?", "…"), ("。", "！", "？", "．")
_CACHED_WORDS = 100_000


class CLIPTokenizer:
    """Turns texts into token ids.

    Args:
        ids: Token to id; `START` and `END` are among the tokens, and so are all bytes.
        merges: Pairs of tokens that become one, the most frequent first.

    Attributes:
        start: Id of the token before a text.
        end: Id of the token after it.
        size: One more than the highest id.
    """

    def __init__(self, ids: dict[str, int], merges: Sequence[tuple[str, str]]) -> None:
        import regex

        self._ids = ids
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self._bytes = _byte_letters()
        self._pattern = regex.compile(_PATTERN, regex.IGNORECASE)
        self._word = lru_cache(_CACHED_WORDS)(self._encode_word)
        self.start, self.end = ids[START], ids[END]
        self.size = max(ids.values()) + 1

    def encode(self, text: str) -> list[int]:
        """Ids of a text of any length, without `START` and `END`; empty for a text of white space."""
        return [number for word in self._pattern.findall(clean_text(text)) for number in self._word(word)]

    def encode_chunks(self, text: str, longest: int) -> list[list[int]]:
        """Ids of a text in chunks of as many whole sentences as fit.

        A sentence that is longer than a chunk is split between words, a longer word within.

        Args:
            text: Any text.
            longest: Most ids of a chunk.

        Returns:
            Ids of the chunks in order; together they are those of `encode`.
        """
        chunks: list[list[int]] = []
        for sentence in self._sentences(text):
            whole = [number for word in sentence for number in word]
            if chunks and len(chunks[-1]) + len(whole) <= longest:
                chunks[-1] += whole
                continue
            pieces = [whole] if len(whole) <= longest else _pack(sentence, longest)
            chunks += pieces
        return chunks

    def words(self, ids: Sequence[int]) -> list[tuple[str, int]]:
        """The words that ids encode, and the number of ids of each; the last word may be cut.

        Args:
            ids: As `encode` returns them, or a part.
        """
        found, letters, count = [], "", 0
        for position, number in enumerate(ids, 1):
            token = self._tokens[number]
            letters, count = letters + token.removesuffix(_WORD_END), count + 1
            if token.endswith(_WORD_END) or position == len(ids):
                found.append((self._spelled(letters), count))
                letters, count = "", 0
        return found

    def pad(self, texts: Sequence[Sequence[int]], length: int) -> np.ndarray:
        """Put `START` and `END` around ids and fill up with 0; texts that are too long are cut before `END`.

        Args:
            texts: As `encode` or `encode_chunks` return them.
            length: CLIP's context length.

        Returns:
            int64, shape (texts, length).
        """
        rows = np.zeros((len(texts), length), dtype=np.int64)
        for row, ids in zip(rows, texts, strict=True):
            kept = [self.start, *ids[: length - 2], self.end]
            row[: len(kept)] = kept
        return rows

    def _sentences(self, text: str) -> list[list[tuple[int, ...]]]:
        """Sentences as lists of words: one ends at a full stop that is followed by white space or the end."""
        text = clean_text(text)
        sentences: list[list[tuple[int, ...]]] = [[]]
        for match in self._pattern.finditer(text):
            word, after = match.group(), text[match.end() : match.end() + 1]
            sentences[-1].append(self._word(word))
            closed = word.rstrip("\"'”’)]»")
            if closed.endswith(_WIDE_SENTENCE_END) or (
                closed.endswith(_SENTENCE_END) and (not after or after.isspace())
            ):
                sentences.append([])
        return [sentence for sentence in sentences if sentence]

    @cached_property
    def _tokens(self) -> dict[int, str]:
        return {number: token for token, number in self._ids.items()}

    def _spelled(self, letters: str) -> str:
        values = {letter: byte for byte, letter in self._bytes.items()}
        return bytes(values[letter] for letter in letters).decode(errors="replace")

    def _encode_word(self, word: str) -> tuple[int, ...]:
        if word in (START, END):
            return (self._ids[word],)
        parts = [self._bytes[byte] for byte in word.encode()]
        parts[-1] += _WORD_END
        while len(parts) > 1:
            best = min(pairwise(parts), key=self._rank)
            if best not in self._ranks:
                break
            parts = _merge(parts, best)
        return tuple(self._ids[part] for part in parts)

    def _rank(self, pair: tuple[str, str]) -> float:
        return self._ranks.get(pair, float("inf"))


def clean_text(text: str) -> str:
    """What openai/CLIP does to a text first: fix mojibake, resolve HTML, single spaces, lower case.

    Raises:
        UserError: The text is more than plain ASCII, and the package ftfy is not installed.
    """
    if not _PLAIN.issuperset(text):  # plain text is what ftfy would leave as it is
        text = html.unescape(html.unescape(_fix_text(text)))
    return " ".join(text.split()).lower()


def require_ftfy() -> None:
    """Check that any text can be cleaned.

    Raises:
        UserError: The package ftfy is not installed.
    """
    require_package("ftfy", "CLIP's tokens")


def _fix_text(text: str) -> str:
    require_ftfy()
    import ftfy

    return ftfy.fix_text(text)


def find_vocabulary(clip: CLIPCheckpoint) -> Path:
    """Find the vocabulary of a CLIP.

    Args:
        clip: Which one.

    Returns:
        Its own folder if that has a tokenizer, else OpenAI's ``bpe_simple_vocab_16e6.txt.gz``.

    Raises:
        UserError: OpenAI's file is not found.
    """
    folder = clip.folder
    return folder if folder and _present(folder) else find_weights("clip-bpe").path


def vocabulary_digest(vocabulary: Path) -> str:
    """SHA-256 of the files that `find_vocabulary` found."""
    return combined_sha256(_present(vocabulary)) if vocabulary.is_dir() else file_sha256(vocabulary)


@lru_cache(4)
def load_tokenizer(vocabulary: Path) -> CLIPTokenizer:
    """Load a tokenizer; one that is loaded already is shared.

    Args:
        vocabulary: What `find_vocabulary` returns: a file in OpenAI's format, or a Hugging Face folder with
            ``vocab.json`` and ``merges.txt``, or with ``tokenizer.json``.

    Raises:
        UserError: It is none of these.
    """
    for file in _present(vocabulary) if vocabulary.is_dir() else (vocabulary,):
        refuse_other_file(file, "a vocabulary of CLIP", checkpoint=False)
    try:
        ids, merges = _read_folder(vocabulary) if vocabulary.is_dir() else _read_openai(vocabulary)
        return CLIPTokenizer(ids, merges)
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{vocabulary}: not a vocabulary of CLIP ({type(error).__name__}: {error})"
        ) from error


def check_vocabulary(clip: CLIPEncoder, tokenizer: CLIPTokenizer) -> None:
    """Check that a CLIP was trained with the vocabulary of a tokenizer.

    Raises:
        UserError: The number of tokens differs; text features would be meaningless.
    """
    if clip.vocabulary != tokenizer.size:
        raise UserError(
            f"this CLIP was trained with {clip.vocabulary} tokens, the vocabulary has {tokenizer.size}; set "
            "VIDSIEVE_CLIP_BPE to the right file, or use a Hugging Face folder with its tokenizer"
        )


def load_clip_and_tokenizer(
    clip: str | Path | CLIPCheckpoint | CLIPEncoder,
    vocabulary: str | Path | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
) -> tuple[CLIPEncoder, CLIPTokenizer]:
    """Load a CLIP and its tokenizer.

    Args:
        clip: Name, file or folder, see `find_clip`; or one that is loaded already,
            to which device and precision do not apply.
        vocabulary: See `load_tokenizer`; by default what `find_vocabulary` finds.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.

    Raises:
        UserError: A file is missing or wrong, or the two do not fit each other.
    """
    from tools.models.clip import CLIPEncoder, load_clip

    if isinstance(clip, CLIPEncoder):
        path = Path(vocabulary) if vocabulary else find_weights("clip-bpe").path
        encoder = clip
    else:
        source = clip if isinstance(clip, CLIPCheckpoint) else find_clip(clip)
        path = Path(vocabulary) if vocabulary else find_vocabulary(source)
        encoder = load_clip(source, device=device, precision=precision)
    tokenizer = load_tokenizer(path)
    check_vocabulary(encoder, tokenizer)
    return encoder, tokenizer


def _read_openai(path: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A line on its version, then a merge in each line.

    Ids are in the order: bytes, bytes that end a word, merges, `START`, `END`.
    """
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")[1:]
    merges = [_pair(line) for line in lines[:_PUBLISHED_MERGES] if line]
    letters = list(_byte_letters().values())
    tokens = [*letters, *(letter + _WORD_END for letter in letters), *map("".join, merges), START, END]
    return {token: number for number, token in enumerate(tokens)}, merges


def _read_folder(folder: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    first, *rest = (path.read_text(encoding="utf-8") for path in _present(folder))
    if rest:
        lines = rest[0].split("\n")
        return json.loads(first), [_pair(line) for line in lines if line and not line.startswith("#version")]
    model: dict[str, Any] = json.loads(first)["model"]
    if model.get("end_of_word_suffix") != _WORD_END:
        raise ValueError("its tokenizer.json is of another kind")
    return model["vocab"], [_pair(merge) for merge in model["merges"]]


def _present(folder: Path) -> list[Path]:
    """The files of a tokenizer in a Hugging Face folder: the two old ones or the new one, if any."""
    for names in (("vocab.json", "merges.txt"), ("tokenizer.json",)):
        files = [folder / name for name in names]
        if all(file.is_file() for file in files):
            return files
    return []


def _pair(merge: str | Sequence[str]) -> tuple[str, str]:
    first, second = merge.split() if isinstance(merge, str) else merge
    return first, second


def _byte_letters() -> dict[int, str]:
    """A printable letter for each byte: itself, or for those that are not printable one from 256 on.

    In the order of CLIP's ids: the printable ones first.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable}
    return letters | {byte: chr(256 + number) for number, byte in enumerate(others)}


def _merge(parts: list[str], pair: tuple[str, str]) -> list[str]:
    """Join every occurrence of a pair, from left to right."""
    merged: list[str] = []
    position = 0
    while position < len(parts):
        if tuple(parts[position : position + 2]) == pair:
            merged.append(pair[0] + pair[1])
            position += 2
        else:
            merged.append(parts[position])
            position += 1
    return merged


def _pack(words: Sequence[Sequence[int]], longest: int) -> list[list[int]]:
    """Chunks of whole words."""
    pieces = [word[at : at + longest] for word in words for at in range(0, len(word), longest)]
    chunks: list[list[int]] = [[]]
    for piece in pieces:
        if len(chunks[-1]) + len(piece) > longest:
            chunks.append([])
        chunks[-1] += piece
    return chunks
