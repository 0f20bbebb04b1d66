"""A Llama 4 of 2 million random parameters: the real architecture, kind of tokeniser and chat template, and no sense.

    python tests/real/vllm/tiny.py FOLDER
    python tests/real/vllm/tiny.py FOLDER scout-fp8     as large as Scout, without weights: for `--load-format dummy`

Runs in vLLM's environment (transformers, tokenizers, torch). What it writes serves to test how we talk to a server and
how long a model of that size takes, and says nothing about translation.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Llama4ForCausalLM, Llama4TextConfig, PreTrainedTokenizerFast

VOCABULARY = 4096  # at most
SPECIAL = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|header_start|>",
    "<|header_end|>",
    "<|eot|>",
    "<|finetune_right_pad|>",
)

# As Llama 4's: a header with the role, the trimmed content, <|eot|>.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "<|header_start|>{{ message['role'] }}<|header_end|>\n\n{{ message['content'] | trim }}<|eot|>"
    "{% endfor %}{% if add_generation_prompt %}<|header_start|>assistant<|header_end|>\n\n{% endif %}"
)

# Many scripts, so that the byte-level tokeniser splits words and characters as Llama's does.
CORPUS = (
    "The train leaves at half past nine from platform four, and the doctor asked whether the patient had eaten.",
    "O comboio parte às nove e meia da plataforma quatro, e a médica perguntou se o doente tinha comido.",
    "電車は九時半に四番線から出発し、医者は患者が食事をしたかどうかを尋ねました。",
    "火车九点半从四号站台出发，医生问病人是否吃过饭。",
    "รถไฟออกเวลาเก้าโมงครึ่งจากชานชาลาที่สี่ และแพทย์ถามว่าผู้ป่วยรับประทานอาหารแล้วหรือยัง",
    "يغادر القطار في التاسعة والنصف من الرصيف الرابع، وسأل الطبيب إن كان المريض قد أكل.",
    "ट्रेन साढ़े नौ बजे प्लेटफ़ॉर्म चार से निकलती है और डॉक्टर ने पूछा कि क्या रोगी ने खाना खाया।",
    "Write in the target language what they say, and nothing else: no introduction, no notes, no quotation marks.",
)


def tokenizer(size: int = 0) -> PreTrainedTokenizerFast:
    """With at least `size` tokens, so that whatever number a random model writes is one."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    trained.train_from_iterator(CORPUS, trainer)
    trained.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=_padded(trained, size),
        bos_token="<|begin_of_text|>",
        eos_token="<|eot|>",
        pad_token="<|finetune_right_pad|>",
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
    )


def _padded(trained: Tokenizer, size: int) -> Tokenizer:
    """No text is split into the tokens that are added: no merge leads to them."""
    written = json.loads(trained.to_str())
    vocabulary = written["model"]["vocab"]
    for number in range(trained.get_vocab_size(), size):
        vocabulary[f"x{number}"] = number
    return Tokenizer.from_str(json.dumps(written))


def settings(words: PreTrainedTokenizerFast) -> dict[str, object]:
    return {
        "num_experts_per_tok": 1,
        "interleave_moe_layer_step": 1,
        "bos_token_id": words.convert_tokens_to_ids("<|begin_of_text|>"),
        "eos_token_id": words.convert_tokens_to_ids("<|eot|>"),
        "pad_token_id": words.convert_tokens_to_ids("<|finetune_right_pad|>"),
        "tie_word_embeddings": False,
        "architectures": ["Llama4ForCausalLM"],
    }


def build(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    words = tokenizer()
    words.save_pretrained(folder)
    config = Llama4TextConfig(
        vocab_size=-(-len(words) // 64) * 64,
        hidden_size=128,
        intermediate_size=256,
        intermediate_size_mlp=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,  # the CPU attention takes 32, 64, 80, 96, 112, 128, …
        max_position_embeddings=2048,
        num_local_experts=4,
        no_rope_layers=[1, 1, 1, 0],
        attention_chunk_size=1024,
        attn_temperature_tuning=False,
        **settings(words),
    )
    torch.manual_seed(4)
    Llama4ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)


# Weights of 8 bits a channel, inputs of 8 bits a token; what routes and what reads and writes tokens stays at 16.
FP8 = {
    "quant_method": "compressed-tensors",
    "format": "float-quantized",
    "quantization_status": "compressed",
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 8, "type": "float", "strategy": "channel", "symmetric": True, "dynamic": False},
            "input_activations": {
                "num_bits": 8,
                "type": "float",
                "strategy": "token",
                "symmetric": True,
                "dynamic": True,
            },
        }
    },
    "ignore": ["lm_head", "re:.*router", "re:.*self_attn.*"],
}


def describe_scout(folder: Path) -> None:
    """Configuration and tokeniser of Scout's size, in FP8; the tokeniser is ours, so prompts have more tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    words = tokenizer(202_048)
    words.save_pretrained(folder)
    config = Llama4TextConfig(
        vocab_size=202_048,
        hidden_size=5120,
        intermediate_size=8192,
        intermediate_size_mlp=16_384,
        num_hidden_layers=48,
        num_attention_heads=40,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=262_144,
        num_local_experts=16,
        attention_chunk_size=8192,
        dtype="bfloat16",
        quantization_config=FP8,
        **settings(words),
    )
    config.save_pretrained(folder)


if __name__ == "__main__":
    (describe_scout if sys.argv[2:] == ["scout-fp8"] else build)(Path(sys.argv[1]))
