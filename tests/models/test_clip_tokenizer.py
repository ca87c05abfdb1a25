"""CLIP's tokens against the tokenizer of transformers, and the cleaning of texts against its definition."""

from __future__ import annotations

import gzip
import html
import re

import ftfy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.clip_vocabulary import ids, merges, reference, save_folder, save_openai
from tests.models.openai_clip import Shape, random_state, save_state
from tools.errors import UserError
from tools.models.clip import load_clip
from tools.models.clip_checkpoint import find_clip
from tools.models.clip_tokenizer import (
    START,
    clean_text,
    find_vocabulary,
    load_clip_and_tokenizer,
    load_tokenizer,
    vocabulary_digest,
)
from tools.models.weights import find_weights

TEXTS = (
    "a photo of a cat",
    "The fishermen's harbour, slowly...  12 cats!!",
    "Good\tphoto.\nBAD photo",
    "l'été à la café: 漢字 😀",
    "they're the dog's",
    "<|startoftext|> in the middle",
    "x",
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return load_tokenizer(save_openai(tmp_path_factory.mktemp("bpe") / "bpe.txt.gz"))


def expected(text: str) -> list[int]:
    return reference()(text)["input_ids"][1:-1]


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_are_those_of_transformers(tokenizer, text):
    assert tokenizer.encode(text) == expected(text)


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from("thepocagdr fisqu'.!?1ö漢,-\n"), min_size=1, max_size=60))
def test_tokens_of_any_text_are_those_of_transformers(tokenizer, text):
    assert tokenizer.encode(text) == expected(text)


def test_a_folder_has_its_own_tokenizer(tokenizer, tmp_path):
    old = load_tokenizer(save_folder(tmp_path / "old"))
    reference().save_pretrained(tmp_path / "new")
    assert (tmp_path / "new" / "tokenizer.json").exists()
    new = load_tokenizer(tmp_path / "new")
    for text in TEXTS:
        assert old.encode(text) == new.encode(text) == tokenizer.encode(text)
    assert old.size == new.size == tokenizer.size == len(ids())
    assert old.end == new.end == tokenizer.end == len(ids()) - 1


def test_the_published_vocabulary_gives_the_published_tokens():
    """The numbers that openai/CLIP's own tokenizer gives (commit d05afc4)."""
    try:
        path = find_weights("clip-bpe").path
    except UserError:
        pytest.skip("CLIP's vocabulary is not here: python -m tools.models.weights download clip-bpe")
    tokenizer = load_tokenizer(path)
    assert (tokenizer.size, tokenizer.start, tokenizer.end) == (49408, 49406, 49407)
    assert tokenizer.encode("a diagram") == [320, 22697]
    assert tokenizer.encode("a photo of a cat") == [320, 1125, 539, 320, 2368]


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(max_codepoint=127) | st.sampled_from("“”é&;<"), max_size=40))
def test_cleaning_is_that_of_openai(text):
    cleaned = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    assert clean_text(text) == re.sub(r"\s+", " ", cleaned).strip().lower()


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("schÃ¶n, donâ€™t", "schön, don't"),
        ("&amp;lt;b&amp;gt; R&amp;D", "<b> r&d"),
        ("  Two\n lines\t", "two lines"),
    ],
)
def test_damaged_texts_are_mended(text, cleaned):
    assert clean_text(text) == cleaned


def test_padding_keeps_the_end_token(tokenizer):
    rows = tokenizer.pad([[5, 6], [], list(range(20))], 8)
    start, end = tokenizer.start, tokenizer.end
    assert rows.dtype == np.int64
    assert rows.tolist() == [
        [start, 5, 6, end, 0, 0, 0, 0],
        [start, end, 0, 0, 0, 0, 0, 0],
        [start, 0, 1, 2, 3, 4, 5, end],
    ]


def test_chunks_are_whole_sentences(tokenizer):
    sentences = ["the cat.", 'the "dog"!', "the good photo of 3.5 cats?", "the harbour"]
    lengths = [len(tokenizer.encode(sentence)) for sentence in sentences]
    assert tokenizer.encode_chunks(" ".join(sentences), sum(lengths)) == [
        tokenizer.encode(" ".join(sentences))
    ]
    longest = lengths[2]
    assert lengths[0] + lengths[1] <= longest < lengths[0] + lengths[1] + lengths[2]
    chunks = tokenizer.encode_chunks(" ".join(sentences), longest)
    assert chunks == [tokenizer.encode(" ".join(sentences[:2])), *map(tokenizer.encode, sentences[2:])]


def test_a_long_sentence_is_divided_between_words_and_a_long_word_within(tokenizer):
    chunks = tokenizer.encode_chunks("the cat " * 5, 3)
    assert [len(chunk) for chunk in chunks] == [3, 3, 3, 1]
    word = "zqzqzqz"
    whole = tokenizer.encode(word)
    assert len(whole) == 7
    assert tokenizer.encode_chunks(f"the {word}", 3) == [
        tokenizer.encode("the"),
        whole[:3],
        whole[3:6],
        whole[6:],
    ]
    assert tokenizer.encode_chunks("日本。日本。", 9) == [tokenizer.encode("日本。")] * 2


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("the cat.!? 漢。zq"), max_size=80), st.integers(1, 9))
def test_chunks_hold_all_tokens(tokenizer, text, longest):
    chunks = tokenizer.encode_chunks(text, longest)
    assert [number for chunk in chunks for number in chunk] == tokenizer.encode(text)
    assert all(0 < len(chunk) <= longest for chunk in chunks)


def test_the_vocabulary_is_the_models_own_or_openais(tmp_path, monkeypatch):
    weights = save_state(random_state(Shape(vocab=len(ids()))), tmp_path / "clip.pt")
    bpe = save_openai(tmp_path / "bpe.txt.gz")
    monkeypatch.setenv("VIDSIEVE_CLIP_BPE", str(bpe))
    assert find_vocabulary(find_clip(weights)) == bpe
    clip, tokenizer = load_clip_and_tokenizer(weights, device="cpu", precision="fp32")
    assert clip.vocabulary == tokenizer.size
    folder = save_folder(tmp_path / "hf")
    whole = load_clip(weights, device="cpu", precision="fp32", backend="pytorch")
    whole._model.save_pretrained(folder)
    assert find_vocabulary(find_clip(folder)) == folder
    assert find_clip(folder).context_length == find_clip(weights).context_length == 16
    before = vocabulary_digest(folder)
    with (folder / "merges.txt").open("a") as file:
        file.write("z q\n")
    assert vocabulary_digest(folder) != before
    assert vocabulary_digest(bpe) != before


def test_a_vocabulary_of_another_model_is_refused(tmp_path):
    weights = save_state(random_state(), tmp_path / "clip.pt")
    bpe = save_openai(tmp_path / "bpe.txt.gz")
    size = 512 + len(merges()) + 2
    with pytest.raises(UserError, match=f"trained with 300 tokens, the vocabulary has {size}"):
        load_clip_and_tokenizer(weights, bpe, device="cpu", precision="fp32")


def test_a_missing_vocabulary_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDSIEVE_CLIP_BPE", str(tmp_path / "gone.gz"))
    with pytest.raises(UserError, match=r"gone\.gz"):
        find_vocabulary(find_clip(save_state(random_state(), tmp_path / "clip.pt")))


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"version\nthree parts here\n", mtime=0)])
def test_other_files_are_no_vocabulary(tmp_path, content):
    path = tmp_path / "bpe.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a vocabulary of CLIP"):
        load_tokenizer(path)


@pytest.mark.parametrize("text", [text for text in TEXTS if START not in text])
def test_tokens_spell_the_words_that_they_came_from(tokenizer, text):
    """transformers' tokenizer puts the text of tokens together, with a space after each word."""
    tokens = tokenizer.encode(text)
    spelled = tokenizer.words(tokens)
    assert " ".join(word for word, _ in spelled) == " ".join(reference().decode(tokens).split())
    assert sum(count for _, count in spelled) == len(tokens)
    first, count = spelled[0]
    assert reference().decode(tokens[:count]).strip() == first
