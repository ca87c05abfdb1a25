"""Vision-language checkpoints of random weights, a few hundred kilobytes each, in the layout of the hub.

The weights are large, so that what is written depends on the picture; and a quarter of all bytes ends a text,
so that captions end at different lengths.
"""

import json

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}"
    "{% if c.type == 'image' %}PICTURE{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<pad>", "</s>", "<|im_start|>", "<|im_end|>", "<image>"]
QWEN = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}
CLIP = {
    "model_type": "clip_vision_model",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
    "projection_dim": 16,
}


def tokenizer(extra=()):
    """One token for each byte, and the special ones before them."""
    special = [*SPECIAL, *extra]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*special, *alphabet])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(special)
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="</s>")


def save(folder, model, tokens, image_processor, processor_class, picture, **settings):
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.dim() > 1:
                weights.normal_(std=0.35)
            elif "norm" not in name:
                weights.normal_(std=0.1)
    model.generation_config.eos_token_id = [1, *range(5, len(tokens), 4)]
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(CHATML.replace("PICTURE", picture))
    image_processor.save_pretrained(folder)
    written = json.loads((folder / "preprocessor_config.json").read_text())
    written["image_processor_type"] = written["image_processor_type"].removesuffix("Pil")
    (folder / "preprocessor_config.json").write_text(
        json.dumps({**written, "processor_class": processor_class})
    )
    (folder / "processor_config.json").write_text(
        json.dumps({"processor_class": processor_class, **settings})
    )
    return folder


def llava_next(folder):
    tokens = tokenizer()
    pinpoints = [[28, 56], [56, 28], [56, 56]]
    config = transformers.LlavaNextConfig(
        text_config={**TEXT, "model_type": "llama", "vocab_size": len(tokens), "pad_token_id": 0},
        vision_config=CLIP,
        image_grid_pinpoints=pinpoints,
        image_token_index=SPECIAL.index("<image>"),
        tie_word_embeddings=False,
    )
    images = transformers.LlavaNextImageProcessorPil(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=pinpoints
    )
    return save(
        folder,
        transformers.LlavaNextForConditionalGeneration(config),
        tokens,
        images,
        "LlavaNextProcessor",
        "<image>\n",
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )


def qwen2_vl(folder):
    tokens = tokenizer(QWEN)
    ids = dict(zip(QWEN, tokens.convert_tokens_to_ids(QWEN), strict=True))
    config = transformers.Qwen2VLConfig(
        text_config={
            **TEXT,
            "vocab_size": len(tokens),
            "pad_token_id": 0,
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4},
        },
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "patch_size": 14},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    images = transformers.Qwen2VLImageProcessorPil(
        size={"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 16}
    )
    return save(
        folder,
        transformers.Qwen2VLForConditionalGeneration(config),
        tokens,
        images,
        "Qwen2VLProcessor",
        "<|vision_start|><|image_pad|><|vision_end|>",
    )
