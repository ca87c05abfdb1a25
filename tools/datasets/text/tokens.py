"""How many tokens a tokenizer makes of a text, with the special ones that it adds (the end token of T5)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tools.base.packages import is_installed, not_installed, require_package
from tools.errors import UserError
from tools.models.clip_checkpoint import CLIP_MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenizers import Tokenizer

ALIASES: dict[str, str] = {
    "t5": "DeepFloyd/t5-v1_1-xxl",
    **dict.fromkeys(CLIP_MODELS, "openai/clip-vit-large-patch14"),  # OpenAI's models share one vocabulary
}
"""Short names, of models of the Hugging Face Hub."""

_BATCH = 1000
_HUB_SECONDS = 10.0


class TokenCounter:
    """Counts tokens as one model does. The tokenizer is loaded when the counter is made, or unpickled.

    Args:
        model: A name of `ALIASES`, an id of the Hugging Face hub (from the local cache when it is there), a
            folder with a tokenizer, a ``tokenizer.json``, or a ``.model`` file of sentencepiece. The last
            says nothing of special tokens: the end token is counted if the model has one, as T5 does.

    Raises:
        UserError: There is no such tokenizer, it cannot be had now, or it needs code of its own or a package
            that is not installed.
    """

    def __init__(self, model: str | Path) -> None:
        self.model = str(model)
        self._count = _load(self.model)

    def __reduce__(self) -> tuple[type[TokenCounter], tuple[str]]:
        return TokenCounter, (self.model,)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Numbers of tokens, special tokens included, nothing cut off however long a text is.

        Args:
            texts: Any number of texts; an empty one has the special tokens only.

        Returns:
            As many numbers.
        """
        counts: list[int] = []
        for first in range(0, len(texts), _BATCH):
            counts.extend(self._count(texts[first : first + _BATCH]))
        return counts

    __call__ = count


_Counting = Callable[[Sequence[str]], list[int]]


def _load(model: str) -> _Counting:
    path = Path(model).expanduser()
    if path.is_file():
        return _file_counter(path)
    if path.is_dir():
        return _pretrained_counter(str(path), model, local=True)
    name = ALIASES.get(model, model)
    if path.suffix in (".json", ".model") or name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise _no_tokenizer(model, f"no such file or folder; the short names are {', '.join(ALIASES)}")
    try:
        return _pretrained_counter(name, model, local=True)
    except UserError:
        _ask_hub(name, model)
        return _pretrained_counter(name, model, local=False)


def _file_counter(path: Path) -> _Counting:
    if path.suffix == ".json":
        from tokenizers import Tokenizer

        try:
            return _backend_counter(Tokenizer.from_file(str(path)))
        except Exception as error:  # the library raises bare Exception
            raise _no_tokenizer(path, f"not a tokenizer.json: {_first_line(error)}") from None
    if path.suffix == ".model":
        return _sentencepiece_counter(path)
    raise _no_tokenizer(path, "give the folder it is in, a tokenizer.json, or a .model of sentencepiece")


def _sentencepiece_counter(path: Path) -> _Counting:
    require_package("sentencepiece", f"--count-num-token {path}")
    from sentencepiece import SentencePieceProcessor

    try:
        processor = SentencePieceProcessor(model_file=str(path))
    except Exception as error:  # RuntimeError or OSError, by what is wrong with the file
        raise _no_tokenizer(path, f"not a model of sentencepiece: {_first_line(error)}") from None
    added = int(processor.eos_id() >= 0)
    return lambda texts: [len(ids) + added for ids in processor.encode(list(texts))]


def _pretrained_counter(name: str, model: str, *, local: bool) -> _Counting:
    """A tokenizer in the format of transformers; never runs code that comes with a model."""
    try:
        with _quiet():
            from transformers import AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False, local_files_only=local)
    except Exception as error:  # transformers and the hub raise many kinds
        raise _no_tokenizer(model, _reason(error)) from None
    if getattr(tokenizer, "backend_tokenizer", None) is not None:
        return _backend_counter(tokenizer.backend_tokenizer)

    def count(texts: Sequence[str]) -> list[int]:
        with _quiet():
            return [len(ids) for ids in tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]]

    return count


def _backend_counter(tokenizer: Tokenizer) -> _Counting:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda texts: [len(encoded) for encoded in tokenizer.encode_batch_fast(list(texts))]


def _ask_hub(name: str, model: str) -> None:
    """Whether the hub has a model; checked first, as a failing download retries for most of a minute."""
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(name, timeout=_HUB_SECONDS)
    except Exception as error:  # no network, no such model, no access, offline mode
        raise _no_tokenizer(
            model,
            f"neither a file or folder here nor in the cache, and the Hugging Face hub could not give it "
            f"({_first_line(error)}); give the folder of a downloaded tokenizer",
        ) from None


def _reason(error: Exception) -> str:
    text = str(error)
    if "trust_remote_code" in text:
        return "it needs code that comes with the model, which is never run here"
    if "backend tokenizer" in text or isinstance(error, ImportError):
        for package in ("sentencepiece", "google.protobuf"):
            if not is_installed(package):
                return f"no tokenizer.json in it, and for other vocabularies {not_installed(package)}"
        return "no tokenizer in it: neither a tokenizer.json nor another vocabulary that transformers reads"
    return f"no tokenizer that can be read: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _no_tokenizer(model: str | Path, reason: str) -> UserError:
    return UserError(f"--count-num-token {model}: {reason}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice that transformers logs: on long texts, on missing weights."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
