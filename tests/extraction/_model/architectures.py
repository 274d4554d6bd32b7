# SPDX-License-Identifier: BSD-3-Clause
"""A small random model of every architecture that transformers has for text, and its states."""

import contextlib
import dataclasses
import functools
import inspect
import re
from collections import Counter

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedConfig, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_MAPPING

SPECIAL, WORDS = 10, 80
# The sizes of a small config, by the names that configs have for them.
_NAMES = {
    32: "hidden_size d_model n_embd dim emb_dim embed_dim embedding_size word_embed_proj_dim "
    "lru_width attention_hidden_size projection_dim hidden_dim mm_hidden_size text_embed_dim "
    "out_hidden_size output_dim projection_size decoder_hidden_size encoder_hidden_size proj_dim "
    "dim_model "
    "cross_attention_hidden_size text_hidden_size emb_size d_embed output_hidden_size image_size",
    4: "num_hidden_layers n_layer n_layers num_layers encoder_layers num_encoder_layers depth "
    "num_attention_heads n_head n_heads num_heads encoder_attention_heads attention_heads "
    "decoder_attention_heads num_encoder_attention_heads num_decoder_attention_heads "
    "mamba_num_heads linear_num_value_heads linear_num_key_heads n_encoder_heads mamba_n_heads "
    "num_query_heads num_experts num_local_experts n_routed_experts moe_num_experts n_experts "
    "num_routed_experts zero_expert_num index_n_heads swa_num_attention_heads num_filters",
    2: "decoder_layers num_decoder_layers num_key_value_heads num_kv_heads n_kv_heads "
    "num_experts_per_tok moe_topk num_experts_per_token moe_k moe_top_k top_k_experts "
    "num_selected_experts num_shared_experts eos_token_id decoder_start_token_id "
    "num_global_key_value_heads swa_num_key_value_heads",
    40: "intermediate_size ffn_dim encoder_ffn_dim decoder_ffn_dim d_ff d_inner ffn_hidden_size "
    "n_inner feed_forward_size mlp_hidden_size dim_ff mlp_dim intermediate_size_mlp "
    "expert_ffn_hidden_size dense_intermediate_size encoder_intermediate_size",
    24: "moe_intermediate_size shared_expert_intermediate_size shared_intermediate_size "
    "moe_shared_expert_intermediate_size expert_dim",
    8: "head_dim d_head d_kv kv_channels attention_head_size qk_head_dim linear_key_head_dim "
    "linear_value_head_dim v_head_dim mamba_d_state state_size mamba_state_size ssm_state_size "
    "hidden_size_per_layer_input qk_nope_head_dim kv_lora_rank q_lora_rank qk_rope_head_dim "
    "index_head_dim o_lora_rank mamba_head_dim mamba_d_head global_head_dim swa_head_dim "
    "swa_v_head_dim",
    16: "patch_size attention_window local_attn_chunk_length lsh_attn_chunk_length time_step_rank "
    "mamba_dt_rank",
    100: "vocab_size src_vocab_size tgt_vocab_size vocab_size_per_layer_input text_vocab_size",
    64: "max_position_embeddings n_positions n_ctx context_length max_seq_len max_seq_length "
    "max_encoder_position_embeddings max_decoder_position_embeddings max_target_positions "
    "max_source_positions seq_length",
    1: "n_group topk_group first_k_dense_replace n_groups mamba_n_groups num_mtp_layers "
    "num_nextn_predict_layers n_shared_experts moe_num_shared_experts num_dense_layers "
    "moe_layer_start_index pad_token_id mask_token_id",
    0: "bos_token_id",
}
_SIZES = {name: size for size, names in _NAMES.items() for name in names.split()}
# These have a size even if the default config states none.
_ALWAYS = {"vocab_size", "moe_intermediate_size", "head_dim", "n_inner", "pad_token_id"}
_PLACEHOLDERS = "image_token_id video_token_id audio_token_id image_token_index video_token_index"
_PLACEHOLDERS += " audio_token_index vision_start_token_id vision_end_token_id"
_PLACEHOLDERS = {name: SPECIAL + WORDS + i for i, name in enumerate(_PLACEHOLDERS.split())}
_MROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
_LATENT = {"num_key_value_heads": 4}
# What a family needs beyond the common sizes.
_OWN = {
    "axk1 axk2 deepseek_v3 deepseek_v32 glm4_moe_lite glm_moe_dsa minicpm3 mistral4 youtu "
    "mistral_large4_text esmc": _LATENT,
    "kimi_k25 mistral_large4": {"text_config": _LATENT},
    "granitemoehybrid": {"mamba_n_heads": 8, "mamba_d_head": 8},
    "deepseek_v2": {**_LATENT, "num_experts_per_tok": 2},
    "dots1": {**_LATENT, "moe_intermediate_size": 24, "n_shared_experts": 1},
    "bamba": {"mamba_n_heads": 8, "mamba_d_head": 8, "attn_layer_indices": [1, 3]},
    "canine": {"num_hash_buckets": 64, "local_transformer_stride": 8},
    "esm": {"pad_token_id": 1, "mask_token_id": 4, "position_embedding_type": "absolute"},
    "funnel": {"block_sizes": [2, 2], "architectures": ["FunnelModel"]},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]], "window_size": 8},
    "gptj codegen": {"rotary_dim": 4},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "layoutlmv3": {"coordinate_size": 6, "shape_size": 4},
    "lilt": {"hidden_size": 48},
    "luke": {"entity_vocab_size": 20, "entity_emb_size": 8},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "nemotron": {"num_key_value_heads": 2},
    "falcon_h1": {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_ssm": 64},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    # Sparse from 29 tokens on.
    "big_bird bigbird_pegasus": {"block_size": 4, "num_random_blocks": 1},
    "longt5": {"local_radius": 4, "global_block_size": 4},
    "reformer": {
        "axial_pos_shape": [8, 8],
        "axial_pos_embds_dim": [16, 16],
        "attn_layers": ["local", "lsh", "local", "lsh"],
        "hash_seed": 0,
        "num_buckets": 4,
    },
    "roc_bert": {
        "pronunciation_vocab_size": 100,
        "pronunciation_embed_dim": 8,
        "shape_vocab_size": 100,
        "shape_embed_dim": 8,
    },
    "step3p7": {"text_config": {"sliding_window": 8}},
    "xmod": {"default_language": "en_XX", "languages": ["en_XX"]},
    "zaya": {"num_experts_per_tok": 1},
    "glm46v glm4v glm_image glm_ocr glmga paddleocr_vl qwen2_vl qwen2_5_vl qwen2_5_omni_thinker": {
        "text_config": {"rope_parameters": _MROPE}
    },
    "glm4v_text glm_image_text glm_ocr_text qwen2_5_vl_text qwen2_vl_text": {
        "rope_parameters": _MROPE
    },
}
OWN = {name: own for names, own in _OWN.items() for name in names.split()}


def architectures(part, n_parts):
    """List the model types that take token ids, in one part of all model types."""
    names = []
    for name in list(CONFIG_MAPPING)[part::n_parts]:
        with contextlib.suppress(ImportError, ValueError, KeyError):
            found = MODEL_MAPPING[CONFIG_MAPPING[name]]
            model = found[0] if isinstance(found, tuple) else found
            if "input_ids" in inspect.signature(model.forward).parameters:
                names.append(name)
    return names


def small_config(name, **params):
    """Make the small config of an architecture."""
    config_class = CONFIG_MAPPING[name]
    config = config_class(**_merge(_sizes(config_class), OWN.get(name, {}), params))
    if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = 2
    return config


def _sizes(config_class):
    default, sizes = config_class(), {}
    for field in dataclasses.fields(default):
        name = field.name
        try:
            value = getattr(default, name, None)
        except Exception:  # its value depends on the layer
            value = field.default
        if isinstance(value, PreTrainedConfig):
            sizes[name] = {**_sizes(type(value)), "model_type": value.model_type}
        elif isinstance(value, int) and name in _PLACEHOLDERS:
            sizes[name] = _PLACEHOLDERS[name]
        elif name in _SIZES and (
            type(value) in (int, float) or (value is None and name in _ALWAYS)
        ):
            sizes[name] = _SIZES[name]
        elif name.endswith("_token_id") and isinstance(value, int) and value >= 100:
            sizes[name] = 3
    return sizes


def _merge(*dicts):
    merged = {}
    for one in dicts:
        for name, value in one.items():
            is_nested = isinstance(value, dict) and isinstance(merged.get(name), dict)
            merged[name] = _merge(merged[name], value) if is_nested else value
    return merged


def build(name, **params):
    """Build the model of an architecture, with every parameter drawn at random."""
    from transformers import AutoModel

    torch.manual_seed(0)
    model = AutoModel.from_config(small_config(name, **params)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = torch.randn(parameter.shape, dtype=torch.float32).to(parameter.dtype)
            if parameter.ndim > 1:
                parameter.copy_(0.2 * drawn)
            elif parameter.is_floating_point():
                parameter.add_(0.1 * drawn)
    return model


@functools.cache
def word_tokenizer():
    """Make a tokenizer with one token for each word: "w10" is 10, and so on."""
    vocabulary = {f"{'w' if i >= SPECIAL else 's'}{i}": i for i in range(SPECIAL + WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="s3"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="s1", unk_token="s3")


def draw_ids(lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(SPECIAL, SPECIAL + WORDS, n).tolist() for n in lengths]


def run_alone(model, ids, target=None, **options):
    """Run a whole model on one text, as its documentation says; the decoder reads it too."""
    accepted = inspect.signature(model.forward).parameters
    inputs = {"input_ids": torch.tensor([ids])}
    if "attention_mask" in accepted:
        inputs["attention_mask"] = torch.ones(1, len(ids), dtype=torch.long)
    if "use_cache" in accepted:
        options["use_cache"] = False
    if "return_dict" in accepted:
        options["return_dict"] = True
    if model.config.is_encoder_decoder:
        start = model.config.decoder_start_token_id
        if model.config.model_type in ("mbart", "plbart"):  # they rotate the target
            start = ids[-1]
        inputs["decoder_input_ids"] = torch.tensor([[start, *(ids if target is None else target)]])
    try:
        with torch.no_grad():
            return model(**inputs, **options)
    finally:  # a short text switches BigBird's attention for good
        for part in (model, getattr(model, "encoder", None)):
            if getattr(model.config, "attention_type", None) == "block_sparse" and hasattr(
                part, "attention_type"
            ):
                part.set_attention_type("block_sparse")


def hidden_states(model, ids, stack):
    """Return the hidden states of one text, one array of (n_tokens, n_units) a layer."""
    return _states_of(model, run_alone(model, ids, output_hidden_states=True), ids, stack)


def _states_of(model, output, ids, stack):
    states = getattr(output, f"{stack}_hidden_states" if stack else "hidden_states")
    states = [state[0] if isinstance(state, tuple) else state for state in states]
    if model.config.model_type in ("mamba", "mamba2", "falcon_mamba", "rwkv"):
        # They leave out the output of the embedding, and return the last state twice.
        embedded = model.get_input_embeddings()(torch.tensor([ids])).detach()
        states = [embedded, *states[:-2], states[-1]]
    start = 1 if stack == "decoder" else 0
    return [state[0, start : start + len(ids)].float().numpy() for state in states]


def own_states(model, ids, part, blocks, stack):
    """Return the states of one text by block name: hidden states, and what modules see."""
    seen = {block.name: [] for block in blocks if block.component != "hidden"}
    calls = Counter(block.path for block in blocks)

    def before(_, args, kwargs, name):
        seen[name].append(args[0] if args else kwargs["hidden_states"])

    def after(_, args, output, name):
        seen[name].append((output[0] if isinstance(output, tuple) else output).clone())

    handles = []
    for block in blocks:
        if block.component == "hidden":
            continue
        module = part.get_submodule(block.path)
        if block.component == "embedding":
            hook = functools.partial(after, name=block.name)
            handles.append(module.register_forward_hook(hook))
        else:
            hook = functools.partial(before, name=block.name)
            handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))
    try:
        output = run_alone(model, ids, output_hidden_states=True)
        if not all(seen.values()):  # the model embeds the tokens before it calls this part
            before_part = {name: list(states) for name, states in seen.items()}
            part(torch.tensor([ids]))
            seen |= {name: states for name, states in before_part.items() if states}
    finally:
        for handle in handles:
            handle.remove()
    start = 1 if stack == "decoder" else 0
    found = {}
    if any(block.component == "hidden" for block in blocks):
        states = _states_of(model, output, ids, stack)
        prefix = f"{stack}." if stack else ""
        found = {f"{prefix}hidden.{layer}": state for layer, state in enumerate(states)}
    for block in blocks:
        if block.component == "hidden":
            continue
        if block.component != "embedding":
            assert len(seen[block.name]) == calls[block.path], f"{block.path} runs too often"
        # One text, so the other dimension is that of the tokens, whatever the order.
        state = seen[block.name][block.call]
        state = state.reshape(-1, state.shape[-1]).float().detach().numpy()
        found[block.name] = state[start : start + len(ids)]
    return found


def columns_by_block(names):
    """Return the columns of each block, such as ``"encoder.mlp.3"``."""
    columns = {}
    for column, name in enumerate(names):
        block = re.sub(r"(\.h\d+)?\.\d+$", "", str(name))
        columns.setdefault(block, []).append(column)
    return columns
