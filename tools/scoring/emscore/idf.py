"""How rare tokens are in a corpus of captions: the weights of EMScore. Also the command that counts them."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tools import cli
from tools.base.disk import system_message
from tools.base.temporary_files import write_whole
from tools.errors import UserError
from tools.options import add_options, option, read_options
from tools.options.values import Text
from tools.scoring.clip_options import clip_config_option

if TYPE_CHECKING:
    import numpy as np

    from tools.models.clip_tokenizer import CLIPTokenizer

_KIND = "emscore-idf"
_PADDING = 0


@dataclass(frozen=True)
class Idf:
    """Inverse document frequencies of tokens, as the code of EMScore counts them.

    A document is a caption, with its start token, its end token and, when it is shorter than what CLIP reads,
    the padding. ``idf(t) = ln((N + 1) / (df(t) + 1))``, so ``ln(N + 1)`` for a token that is in none. The end
    token has the mean over all tokens of the corpus instead.

    Attributes:
        documents: N, number of captions.
        frequencies: Token id to df, the number of captions that it is in.
        end: Id of the end token.
        vocabulary: Number of token ids.
    """

    documents: int
    frequencies: dict[int, int]
    end: int
    vocabulary: int

    @classmethod
    def fit(cls, texts: Iterable[str], tokenizer: CLIPTokenizer, context_length: int = 77) -> Idf:
        """Count a corpus.

        Args:
            texts: Captions; one without words is left out, one that is too long for CLIP counts as a whole.
            tokenizer: That of the CLIP.
            context_length: Tokens that the CLIP takes.

        Raises:
            UserError: No caption has a word.
        """
        found: Counter[int] = Counter()
        documents = 0
        for text in texts:
            ids = tokenizer.encode(text)
            if not ids:
                continue
            documents += 1
            padding = [_PADDING] if len(ids) + 2 < context_length else []
            found.update({tokenizer.start, tokenizer.end, *ids, *padding})
        if not documents:
            raise UserError("IDF: the corpus has no captions")
        return cls(documents, dict(sorted(found.items())), tokenizer.end, tokenizer.size)

    def weights(self, ids: Sequence[int]) -> np.ndarray:
        """Weights of tokens: float64, shape (tokens,), none of them negative."""
        import numpy as np

        return np.array([self._mean if i == self.end else self._of(self.frequencies.get(i, 0)) for i in ids])

    def check(self, tokenizer: CLIPTokenizer) -> None:
        """Check that it was counted with this vocabulary.

        Raises:
            UserError: It was not.
        """
        if (self.vocabulary, self.end) != (tokenizer.size, tokenizer.end):
            raise UserError(
                f"the IDF was counted with a vocabulary of {self.vocabulary} tokens, this CLIP has "
                f"{tokenizer.size}; count it again with --clip-model"
            )

    @property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        return hashlib.sha256(self._json().encode()).hexdigest()

    def save(self, path: str | Path) -> Path:
        """Write a JSON file.

        Raises:
            UserError: It cannot be written.
        """
        path = Path(path)
        write_whole(path, f"{self._json()}\n".encode(), "the IDF")
        return path

    @classmethod
    def load(cls, path: str | Path) -> Idf:
        """Read what `save` wrote.

        Raises:
            UserError: There is no such file, or it is another one.
        """
        try:
            data = json.loads(Path(path).read_text())
            if data.pop("kind") != _KIND:
                raise ValueError("of another kind")
            counts = {int(token): int(count) for token, count in data.pop("frequencies").items()}
            idf = cls(frequencies=counts, **{name: int(value) for name, value in data.items()})
        except OSError as error:
            raise UserError(f"{path}: cannot read the IDF: {system_message(error)}") from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{path}: no IDF that `python -m {_MODULE}` wrote ({error})") from None
        if not counts or not all(0 < count <= idf.documents for count in counts.values()):
            raise UserError(f"{path}: counts of tokens and the number of captions contradict each other")
        return idf

    @cached_property
    def _mean(self) -> float:
        """Over the tokens of the corpus, the end token among them with its own 0."""
        return math.fsum(map(self._of, self.frequencies.values())) / len(self.frequencies)

    def _of(self, frequency: int) -> float:
        return math.log((self.documents + 1) / (frequency + 1))

    def _json(self) -> str:
        names = ("documents", "end", "vocabulary", "frequencies")
        return json.dumps({"kind": _KIND, **{name: getattr(self, name) for name in names}})


_MODULE = "tools.scoring.emscore.idf"


def fit_table(
    table: str | Path, column: str, clip_model: str | None = None, clip_config: str | None = None
) -> Idf:
    """Count the captions of a table.

    Args:
        table: CSV, Parquet or JSON Lines.
        column: Its captions; a cell may have several, as `tools.scoring.emscore.cells.cell_texts` reads it.
        clip_model: CLIP whose vocabulary it is for; None for OpenAI's.
        clip_config: See `tools.models.clip_checkpoint.find_clip`.

    Raises:
        UserError: The table, the column or the vocabulary is missing, or there are no captions.
    """
    from tools.models.clip_checkpoint import find_clip
    from tools.models.clip_tokenizer import find_vocabulary, load_tokenizer, require_ftfy
    from tools.models.weights import find_weights
    from tools.scoring.emscore.cells import cell_texts
    from tools.table import require_columns, scan_table
    from tools.table.files import collected

    require_ftfy()
    source = find_clip(clip_model, clip_config) if clip_model else None
    tokenizer = load_tokenizer(find_vocabulary(source) if source else find_weights("clip-bpe").path)
    frame = scan_table(table)
    require_columns(frame, [column], table)
    cells = collected(frame.select(column), table)[column].to_list()
    try:
        texts = [text for cell in cells for text in cell_texts(cell)]
        return Idf.fit(texts, tokenizer, source.context_length if source else 77)
    except (ValueError, UserError) as error:
        raise UserError(f"{table}: column {column}: {error}") from None


@dataclass(frozen=True)
class _Options:
    """The options of the command."""

    column: str = option("text", "its captions; a cell may be a JSON list", Text("NAME"))
    clip_model: str | None = option(
        None,
        "a CLIP with another vocabulary: a Hugging Face folder or id",
        Text("NAME|PATH"),
        shown="OpenAI's vocabulary",
    )
    clip_config: str | None = clip_config_option()


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, count, and write."""
    parser = cli.ArgumentParser(
        _MODULE,
        "Count in how many captions of a table each token is, for the weights of EMScore.\n"
        "Reads one column, writes a JSON file for python -m tools.scoring.emscore.inference META --idf FILE.",
        """
        python -m tools.scoring.emscore.idf captions.csv --output idf.json
        python -m tools.scoring.emscore.idf train.parquet --column references --output idf.json
        """,
    )
    parser.add_argument("table", help="captions: .csv, .parquet or .jsonl")
    parser.add_argument("--output", required=True, metavar="FILE", help="JSON file to write")
    add_options(parser, _Options)
    args = parser.parse_args(argv)
    idf = fit_table(args.table, **read_options(args, _Options))
    path = idf.save(args.output)
    print(f"{idf.documents} captions, {len(idf.frequencies)} tokens", file=sys.stderr)
    print(path)
    return 0


if __name__ == "__main__":
    cli.run(main)
