"""Weights of tokens against the values of the original code, and against counting by the definition."""

from __future__ import annotations

import json
import sys

import numpy as np
import polars as pl
import pytest

from tests.models.clip_vocabulary import ids, reference
from tests.scoring.emscore.definition import idf_weights
from tools.errors import UserError
from tools.models.clip_tokenizer import CLIPTokenizer, load_tokenizer
from tools.models.weights import find_weights
from tools.scoring.emscore.idf import Idf, fit_table, main
from tools.table import write_table

CORPUS = ["a good photo", "The cat... in the harbour", "good cats", "the photo of the dog!!", "a cat"]


@pytest.fixture
def tokenizer(small_clip) -> CLIPTokenizer:
    return load_tokenizer(small_clip.vocabulary)


@pytest.fixture(scope="module")
def published() -> CLIPTokenizer:
    try:
        return load_tokenizer(find_weights("clip-bpe").path)
    except UserError:
        pytest.skip("CLIP's vocabulary is not here: python -m tools.models.weights download clip-bpe")


def test_the_weights_that_the_original_counts(published):
    """What the functions of the EMScore repository (20bce0a) give for these three captions."""
    idf = Idf.fit(["a cat sits", "a dog runs", "a cat runs!"], published)
    expected = {
        "a": 0.0,
        "cat": 0.287682,
        "runs": 0.287682,
        "sits": 0.693147,
        "dog": 0.693147,
        "!": 0.693147,
        "whale": 1.386294,
    }
    tokens = [published.encode(word)[0] for word in expected]
    assert idf.weights(tokens) == pytest.approx(list(expected.values()), abs=1e-6)
    assert idf.weights([published.start, published.end]) == pytest.approx([0, 0.294978], abs=1e-6)
    assert len(idf.frequencies) == 9


def test_the_tokens_of_the_original_example(published):
    """Two captions of its demo.py, and the tokens that openai/CLIP makes of them."""
    caption = "A person is frying a pan of eggs that are colored pink and green."
    ends = [published.start], [published.end]
    middle = [320, 2533, 533, 38516, 320, 7437, 539, 7099, 682, 631, 11775, 3360, 537, 1901, 269]
    assert ends[0] + published.encode(caption) + ends[1] == [49406, *middle, 49407]
    other = "Two egg yolks are placed in food flavored white yolk on a pan until they are cooked."
    middle = [1237, 5911, 19387, 662, 631, 9729, 530, 1559, 29350, 1579, 19387, 330, 525, 320, 7437]
    assert published.encode(other) == [*middle, 1942, 889, 631, 11452, 269]


@pytest.mark.parametrize("context", [8, 77])
def test_counting_is_that_of_the_definition(tokenizer, context):
    """With room for 8 tokens the longest captions have no padding, and count as a whole."""
    idf = Idf.fit([*CORPUS, "", " \n"], tokenizer, context)
    documents = [reference()(text)["input_ids"] for text in CORPUS]
    assert min(map(len, documents)) < 8 <= max(map(len, documents))
    expected = idf_weights(documents, context)
    assert idf.documents == len(CORPUS) and set(idf.frequencies) == set(expected)
    assert idf.weights(list(expected)) == pytest.approx(list(expected.values()), abs=1e-12)
    unseen = tokenizer.encode("bright")
    assert unseen[0] not in expected
    assert idf.weights(unseen) == pytest.approx([np.log(len(CORPUS) + 1)])


def test_a_corpus_of_one_caption_weighs_its_tokens_nothing(tokenizer):
    idf = Idf.fit(["the cat"], tokenizer)
    assert not idf.weights([tokenizer.start, *tokenizer.encode("the cat"), tokenizer.end]).any()
    with pytest.raises(UserError, match="no captions"):
        Idf.fit(["", "  "], tokenizer)


def test_a_file_gives_back_the_same_weights(tokenizer, tmp_path):
    idf = Idf.fit(CORPUS, tokenizer)
    path = idf.save(tmp_path / "idf.json")
    again = Idf.load(path)
    assert again == idf and again.digest == idf.digest
    assert Idf.fit(CORPUS[::-1], tokenizer).digest == idf.digest
    assert Idf.fit(CORPUS[1:], tokenizer).digest != idf.digest


def test_other_files_are_refused(tokenizer, tmp_path):
    idf = Idf.fit(CORPUS, tokenizer)
    data = json.loads(idf.save(tmp_path / "idf.json").read_text())
    path = tmp_path / "other.json"
    for content in ("", "[]", "{}", json.dumps(data | {"kind": "x"}), json.dumps(data | {"more": 1})):
        path.write_text(content)
        with pytest.raises(UserError, match="no IDF"):
            Idf.load(path)
    for wrong in ({"documents": 1}, {"frequencies": {}}):
        path.write_text(json.dumps(data | wrong))
        with pytest.raises(UserError, match="contradict"):
            Idf.load(path)
    with pytest.raises(UserError, match="cannot read"):
        Idf.load(tmp_path / "missing.json")
    with pytest.raises(UserError, match="cannot write"):
        idf.save(tmp_path / "missing" / "idf.json")


def test_a_vocabulary_of_another_size_is_refused(tokenizer):
    idf = Idf.fit(CORPUS, tokenizer)
    idf.check(tokenizer)
    with pytest.raises(UserError, match=f"{len(ids()) + 1} tokens"):
        Idf(idf.documents, idf.frequencies, idf.end, idf.vocabulary + 1).check(tokenizer)


def test_captions_of_a_table(clip_environment, tokenizer, tmp_path, capsys):
    lists = [CORPUS[:2], [CORPUS[2], None], [], CORPUS[3:]]
    typed = write_table(pl.DataFrame({"captions": lists}), tmp_path / "typed.parquet")
    written = pl.DataFrame({"captions": [json.dumps(own) for own in lists]})
    expected = Idf.fit(CORPUS, tokenizer)
    assert fit_table(typed, "captions") == expected
    assert fit_table(write_table(written, tmp_path / "text.csv"), "captions") == expected
    with pytest.raises(UserError, match="no column 'text'"):
        fit_table(typed, "text")
    output = tmp_path / "idf.json"
    assert main([str(typed), "--column", "captions", "--output", str(output)]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [str(output)] and "5 captions" in shown.err
    assert Idf.load(output) == expected
    numbers = write_table(pl.DataFrame({"captions": [[1, 2]]}), tmp_path / "numbers.parquet")
    with pytest.raises(UserError, match="1 is no text"):
        fit_table(numbers, "captions")


def test_captions_need_ftfy(clip_environment, tmp_path, monkeypatch):
    table = write_table(pl.DataFrame({"text": CORPUS}), tmp_path / "meta.csv")
    monkeypatch.setitem(sys.modules, "ftfy", None)
    with pytest.raises(UserError, match="package ftfy is not installed: pip install ftfy"):
        fit_table(table, "text")
