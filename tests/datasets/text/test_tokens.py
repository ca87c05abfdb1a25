"""Expected counts are those of the libraries that made the vocabularies: sentencepiece, tokenizers."""

import json
import logging
import os
import pickle
import subprocess
import sys

import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from tools.datasets.text.tokens import TokenCounter
from tools.errors import UserError

sentencepiece = pytest.importorskip("sentencepiece", reason="sentencepiece (extra: text) is not installed")

CORPUS = [
    "A woman in a red dress walks along the beach while the sun goes down.",
    "Two men in suits shake hands in front of a tall glass building.",
    "The camera pans left to reveal a mountain lake surrounded by pine trees.",
    "A dog runs through the park and catches a yellow ball in the air.",
    "Children play soccer on a wet field; their parents watch from under umbrellas.",
    "An aerial view of a harbour at night, with the lights of boats on the water.",
    "A chef cuts vegetables, heats a pan and stirs the soup slowly.",
    "Waves break on black rocks; the spray rises high above the cliff.",
] * 20
TEXTS = [
    "",
    "a",
    "A woman walks along the beach.",
    "a,b",
    'say "hi"',
    "two\nlines",
    "\U0001f600",
    "None",
    "007",
    "  blanks   here ",
    "Ünïcödé, 猫 and ﬁne",
    "a word that is not there: zygomorphic",
    "the dog " * 5000,
]


@pytest.fixture(scope="module")
def spiece(tmp_path_factory):
    """A Unigram vocabulary with T5's special tokens: <pad> 0, </s> 1, <unk> 2, no beginning token."""
    folder = tmp_path_factory.mktemp("spiece")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_prefix=str(folder / "spiece"),
        vocab_size=200,
        model_type="unigram",
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        pad_piece="<pad>",
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    return folder / "spiece.model"


@pytest.fixture(scope="module")
def t5_folder(spiece, tmp_path_factory):
    """The files that DeepFloyd/t5-v1_1-xxl has for its tokenizer, with a short length to overstep."""
    folder = tmp_path_factory.mktemp("t5")
    (folder / "spiece.model").write_bytes(spiece.read_bytes())
    config = {
        "tokenizer_class": "T5Tokenizer",
        "model_max_length": 16,
        "extra_ids": 0,
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "config.json").write_text(json.dumps({"model_type": "t5"}))
    return folder


def words_tokenizer():
    """Words of the corpus; a beginning and an end token round every text."""
    tokenizer = tokenizers.Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(CORPUS, trainers.WordLevelTrainer(special_tokens=["[UNK]", "[B]", "[E]"]))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[B] $A [E]", special_tokens=[("[B]", 1), ("[E]", 2)]
    )
    return tokenizer


def bytes_tokenizer():
    """Byte pairs as CLIP and GPT use them, no special tokens."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def test_t5_counts_are_those_of_sentencepiece_and_the_end_token(t5_folder, spiece):
    processor = sentencepiece.SentencePieceProcessor(model_file=str(spiece))
    expected = [len(processor.encode(text)) + 1 for text in TEXTS]
    assert expected[0] == 1
    assert max(expected) > 5000
    assert TokenCounter(t5_folder).count(TEXTS) == expected


def test_a_model_file_of_sentencepiece(spiece):
    processor = sentencepiece.SentencePieceProcessor(model_file=str(spiece))
    expected = [len(processor.encode(text, add_eos=True)) for text in TEXTS]
    assert TokenCounter(str(spiece)).count(TEXTS) == expected


@pytest.mark.parametrize(("make", "special"), [(words_tokenizer, 2), (bytes_tokenizer, 0)])
def test_a_tokenizer_json_alone_and_in_a_folder(make, special, tmp_path):
    tokenizer = make()
    expected = [len(tokenizer.encode(text).ids) for text in TEXTS]
    assert expected[0] == special
    tokenizer.enable_truncation(5)  # what a file says of lengths is for models, not for counts
    tokenizer.enable_padding(length=64)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert TokenCounter(tmp_path / "tokenizer.json").count(TEXTS) == expected
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"})
    )
    assert TokenCounter(str(tmp_path)).count(TEXTS) == expected


def test_words_are_counted_as_one_counts_them(tmp_path):
    words_tokenizer().save(str(tmp_path / "tokenizer.json"))
    counts = TokenCounter(tmp_path / "tokenizer.json").count(["A dog runs.", "soup", "qwertz asdf", ""])
    assert counts == [4 + 2, 1 + 2, 2 + 2, 2]


def test_a_real_tokenizer(data_dir):
    from transformers import AutoTokenizer

    folder = data_dir / "llava_tiny"
    reference = AutoTokenizer.from_pretrained(folder)
    counter = TokenCounter(folder)
    assert counter.count(TEXTS) == [len(reference(text)["input_ids"]) for text in TEXTS]
    assert counter.count(["a <image> b"]) == [len(reference("a <image> b")["input_ids"])]


def test_batches_keep_the_order(spiece):
    processor = sentencepiece.SentencePieceProcessor(model_file=str(spiece))
    texts = ["dog " * (i % 37) for i in range(2500)]
    assert TokenCounter(spiece).count(texts) == [len(processor.encode(text)) + 1 for text in texts]
    assert TokenCounter(spiece).count([]) == []


def test_long_texts_give_no_advice(t5_folder, caplog, capfd):
    with caplog.at_level(logging.WARNING):
        assert TokenCounter(t5_folder)(["the dog " * 1000])[0] > 16
    assert caplog.records == []
    out, err = capfd.readouterr()
    assert out + err == ""


def test_the_short_name_t5_and_ids_come_from_the_cache(t5_folder, tmp_path):
    """The cache as the Hugging Face library lays it out; no network is asked for what is in it."""
    for name in ("DeepFloyd/t5-v1_1-xxl", "openai/clip-vit-large-patch14"):
        repository = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        snapshot = repository / "snapshots" / ("0" * 40)
        snapshot.mkdir(parents=True)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("0" * 40)
        for file in t5_folder.iterdir():
            (snapshot / file.name).write_bytes(file.read_bytes())
    code = (
        "from tools.datasets.text.tokens import TokenCounter\n"
        "for name in ('t5', 'DeepFloyd/t5-v1_1-xxl', 'ViT-L/14'):\n"
        "    print(TokenCounter(name).count(['A dog runs.', '']))"
    )
    env = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    env.pop("HF_HUB_CACHE", None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    expected = TokenCounter(t5_folder).count(["A dog runs.", ""])
    assert done.stdout.splitlines() == [str(expected)] * 3, done.stderr


def test_code_that_comes_with_a_model_is_not_run(tmp_path):
    made = tmp_path / "made"
    (tmp_path / "own.py").write_text(f"open({str(made)!r}, 'w')\nclass Own: pass\n")
    config = {"auto_map": {"AutoTokenizer": ["own.Own", None]}, "tokenizer_class": "Own"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}})
    )
    assert "which is never run here" in refused(tmp_path)
    assert not made.exists()


def refused(model) -> str:
    with pytest.raises(UserError) as caught:
        TokenCounter(model)
    message = str(caught.value)
    assert message.startswith(f"--count-num-token {model}: ")
    assert "\n" not in message
    return message


def test_what_is_no_tokenizer_is_told_in_one_line(tmp_path):
    (tmp_path / "bad.json").write_text('{"a": 1}')
    (tmp_path / "bad.model").write_bytes(b"\x01\x02nonsense" * 9)
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    (tmp_path / "folder").mkdir()
    assert "not a tokenizer.json" in refused(tmp_path / "bad.json")
    assert "not a model of sentencepiece" in refused(tmp_path / "bad.model")
    assert "give the folder" in refused(tmp_path / "vocab.txt")
    assert "neither a tokenizer.json nor" in refused(tmp_path / "folder")
    assert "no such file or folder; the short names are t5, ViT-L/14" in refused(str(tmp_path / "gone"))
    assert "no such file" in refused("gone.model")
    assert "no such file" in refused("a/b/c")


def test_a_name_that_cannot_be_had_is_told_at_once(tmp_path):
    """Offline mode, so that the test asks no network; without it the message is the hub's answer."""
    code = (
        "from tools.datasets.text.tokens import TokenCounter\n"
        "from tools.errors import UserError\n"
        "for name in ('t5', 'nobody/nothing', 'bad name!'):\n"
        "    try: TokenCounter(name)\n"
        "    except UserError as error: print(error)"
    )
    env = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    env.pop("HF_HUB_CACHE", None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=600)
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        f"--count-num-token {name}" for name in ("t5", "nobody/nothing", "bad name!")
    ], done.stderr
    assert all("neither a file or folder here nor in the cache" in line for line in lines)
    assert done.stderr == ""


def test_a_missing_package_is_one_line(spiece):
    code = (
        "import sys; sys.modules['sentencepiece'] = None\n"
        "from tools.datasets.text.tokens import TokenCounter\n"
        "from tools.errors import UserError\n"
        f"try: TokenCounter({str(spiece)!r})\n"
        "except UserError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "package sentencepiece is not installed: pip install 'vidsieve[text]'" in done.stdout
    assert done.stdout.count("\n") == 1


def test_a_counter_can_be_pickled_by_its_name(spiece):
    counter = pickle.loads(pickle.dumps(TokenCounter(spiece)))
    assert counter.count(["a dog"]) == TokenCounter(spiece).count(["a dog"])
