# SPDX-License-Identifier: BSD-3-Clause
"""Causal effects of neurons: compared with manually computed losses, and on planted neurons."""

import inspect
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from transformers import AutoTokenizer

from sklearn_neurox.ablation import ablate_model, causal_effect
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.ranking import ProbelessRanker
from sklearn_neurox.words import words_frame
from tests.ablation._causal.by_hand import SENTENCES

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

HEADS = {
    "bert": "AutoModelForMaskedLM",
    "roberta": "AutoModelForMaskedLM",
    "modernbert": "AutoModelForMaskedLM",
    "distilbert": "AutoModelForMaskedLM",
    "gpt2": "AutoModelForCausalLM",
    "llama": "AutoModelForCausalLM",
    "marian": "AutoModelForSeq2SeqLM",
    "byt5": "AutoModelForSeq2SeqLM",
}
MASKED = [name for name, head in HEADS.items() if "Masked" in head]


@pytest.fixture
def words():
    frame = words_frame(SENTENCES)
    frame["is_short"] = frame["word"].str.len() < 4
    return frame


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    """Build language models whose weights are all random, once each."""
    made = {}

    def make(family):
        if family not in made:
            path = make_tiny_model(
                family, path=tmp_path_factory.mktemp(family), hidden_size=16, n_heads=2
            )
            with torch.random.fork_rng():
                torch.manual_seed(0)
                config = transformers.AutoConfig.from_pretrained(path)
                model = getattr(transformers, HEADS[family]).from_config(config).eval()
                for parameter in model.parameters():
                    if parameter.requires_grad and parameter.ndim > 1:
                        torch.nn.init.normal_(parameter, std=0.4)
            made[family] = model, AutoTokenizer.from_pretrained(path)
        return made[family]

    return make


def neurons_of(family, unit_count=16):
    prefix = "decoder." if family in ("marian", "byt5") else ""
    return [f"{prefix}hidden.1.{unit}" for unit in range(unit_count)]


def measure(language_model, family, words, **options):
    model, tokenizer = language_model(family)
    options = {"steps": [3], "n_draws": 2, "random_state": 0, **options}
    neurons = options.pop("neurons", neurons_of(family))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="causal_effect cannot score")
        return causal_effect(
            model, words, words["is_short"], neurons, tokenizer=tokenizer, **options
        )


# Comparison with transformers alone


def subwords_of(tokenizer, word):
    """Return the tokens of a word's text, and which of them belong to the word."""
    encoded = tokenizer(word["text"], return_offsets_mapping=True)
    offsets = encoded["offset_mapping"]
    own = [i for i, (s, e) in enumerate(offsets) if s < word["end"] and e > word["start"]]
    return torch.tensor([encoded["input_ids"]]), own


def by_hand(model, tokenizer, word, is_masked):
    """Score a single word: its loss, and whether and what the model predicts."""
    ids, own = subwords_of(tokenizer, word)
    inputs = ids.clone()
    if is_masked:
        inputs[0, own] = tokenizer.mask_token_id
    elif own[0] == 0:
        return np.nan, None
    with torch.no_grad():
        logits = model(input_ids=inputs).logits[0]
    places = own if is_masked else [i - 1 for i in own]
    loss = torch.nn.functional.cross_entropy(logits[places], ids[0, own], reduction="sum")
    return loss.item(), logits[places].argmax(-1).tolist()


def expected_rows(model, tokenizer, words, is_masked, names):
    """Compute the expected rows, one word at a time."""
    before = [by_hand(model, tokenizer, word, is_masked) for _, word in words.iterrows()]
    with ablate_model(model, names):
        after = [by_hand(model, tokenizer, word, is_masked) for _, word in words.iterrows()]
    frame = pd.DataFrame({"before": [b for b, _ in before], "after": [a for a, _ in after]})
    frame["changed"] = [a[1] != b[1] for a, b in zip(after, before, strict=True)]
    frame["right"] = [
        a[1] == subwords_of(tokenizer, word)[0][0, subwords_of(tokenizer, word)[1]].tolist()
        for a, (_, word) in zip(after, words.iterrows(), strict=True)
    ]
    return frame


@pytest.mark.slow
@pytest.mark.parametrize("family", [*MASKED, "gpt2", "llama"])
def test_losses_are_those_of_each_word_by_hand(language_model, words, family):
    model, tokenizer = language_model(family)
    effect = measure(language_model, family, words, which="top", steps=[3])
    byhand = expected_rows(model, tokenizer, words, family in MASKED, neurons_of(family)[:3])
    scored = byhand["before"].notna().to_numpy()
    for carries in (True, False):
        own = scored & (words["is_short"] == carries).to_numpy()
        plain, ablated = effect[effect["carries"] == carries].itertuples(index=False)
        assert plain.n_words == ablated.n_words == own.sum()
        assert plain.loss == pytest.approx(byhand["before"][own].mean(), rel=1e-4)
        assert ablated.loss == pytest.approx(byhand["after"][own].mean(), rel=1e-4)
        assert ablated.loss_change == pytest.approx(ablated.loss - plain.loss, abs=1e-4)
        assert ablated.top1_changed == pytest.approx(byhand["changed"][own].mean())
        assert ablated.top1_accuracy == pytest.approx(byhand["right"][own].mean())
        assert (plain.loss_change, plain.top1_changed) == (0, 0)
    assert effect["loss_change"].abs().max() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("family", ["marian", "byt5"])
def test_an_encoder_decoder_says_its_text(language_model, words, family):
    model, tokenizer = language_model(family)
    start = model.config.decoder_start_token_id
    names = [*neurons_of(family)[:2], "encoder.hidden.2.1"]
    effect = measure(language_model, family, words, which="top", neurons=names, steps=[3])
    # The words of a text add up to its loss, except for the end token and lone spaces.
    space = tokenizer.convert_tokens_to_ids("▁") if family == "marian" else 3 + ord(" ")
    texts = words["text"].astype(str).unique()

    def whole():
        total = 0.0
        for text in texts:
            ids = torch.tensor([tokenizer(text)["input_ids"]])
            decoder = torch.cat([torch.tensor([[start]]), ids[:, :-1]], dim=1)
            with torch.no_grad():
                logits = model(input_ids=ids, decoder_input_ids=decoder).logits[0]
            loss = torch.nn.functional.cross_entropy(logits, ids[0], reduction="none")
            total += loss[:-1][ids[0, :-1] != space].sum().item()
        return total

    for k, (_, rows) in enumerate(effect.groupby("n_neurons")):
        summed = (rows["loss"] * rows["n_words"]).sum()
        with ablate_model(model, names if k else []):
            assert summed == pytest.approx(whole(), rel=1e-4)
    assert effect["n_unscored"].eq(0).all()


@pytest.mark.slow
def test_a_target_is_what_the_decoder_says(language_model):
    model, tokenizer = language_model("marian")
    target = words_frame([["the", "dog"], ["she", "saw"]])
    frame = pd.DataFrame({"text": ["Dogs bark", "Dogs bark", "The cat", "The cat"]}).assign(
        target=target["text"].astype(str),
        target_start=target["start"],
        target_end=target["end"],
        is_short=[True, False, True, False],
    )
    effect = measure(language_model, "marian", frame, which="top")
    ids = torch.tensor([tokenizer("the dog")["input_ids"]])
    start = torch.tensor([[model.config.decoder_start_token_id]])
    with torch.no_grad():
        logits = model(
            input_ids=torch.tensor([tokenizer("Dogs bark")["input_ids"]]),
            decoder_input_ids=torch.cat([start, ids[:, :-1]], dim=1),
        ).logits[0]
    one = causal_effect(
        model,
        frame[:2],
        frame["is_short"][:2],
        neurons_of("marian"),
        steps=[3],
        which="top",
        tokenizer=tokenizer,
    )
    expected = torch.nn.functional.cross_entropy(logits, ids[0], reduction="none")[:-1].sum()
    assert one["loss"][:2].sum() == pytest.approx(expected.item(), rel=1e-4)
    assert effect["n_words"].eq(2).all()


# A model whose neurons are known


def planted():
    """Build a model that uses one neuron for the word after "a", and another after "b"."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocab = {word: i for i, word in enumerate("[PAD] [UNK] [MASK] a b x y z".split())}
    backend = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="[UNK]", pad_token="[PAD]", mask_token="[MASK]"
    )
    config = transformers.GPT2Config(
        vocab_size=8, n_embd=16, n_layer=2, n_head=2, n_positions=16, tie_word_embeddings=False
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.GPT2LMHeadModel(config).eval()
    base, small = model.transformer, torch.Generator().manual_seed(0)
    with torch.no_grad():
        for block in base.h:  # the block passes on its input
            for part in (block.attn.c_proj, block.mlp.c_proj):
                part.weight.zero_()
                part.bias.zero_()
        base.wpe.weight.zero_()
        base.wte.weight.copy_(0.05 * torch.randn(8, 16, generator=small))
        model.lm_head.weight.copy_(0.05 * torch.randn(8, 16, generator=small))
        for word, unit, said in (("a", 3, "x"), ("b", 7, "y")):
            base.wte.weight[vocab[word], unit] = 4.0
            model.lm_head.weight[vocab[said], unit] = 3.0
    texts = [["a", "x"], ["b", "y"], ["a", "x", "b", "y"], ["b", "y", "a", "x"]]
    words = words_frame(texts)
    return model, tokenizer, words[words["word"].isin(["x", "y"])]


@pytest.mark.slow
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_planted_neuron_is_found_and_hurts_its_own_words_only(layer):
    model, tokenizer, words = planted()
    own = f"hidden.{layer}.3"
    order = [own, *(f"hidden.{layer}.{unit}" for unit in range(16) if unit not in (3, 7))]
    effect = (
        causal_effect(
            model,
            words,
            words["word"],
            order,
            positive="x",
            steps=[1, 4],
            n_draws=8,
            tokenizer=tokenizer,
            random_state=0,
        )
        .set_index(["which", "n_neurons", "carries"])
        .sort_index()
    )
    plain = effect.loc["none", 0]
    assert plain["top1_accuracy"].eq(1).all()
    change = effect["loss_change"].groupby(level=[0, 1, 2]).mean()
    for n in (1, 4):
        assert change["top", n, True] > 1.9  # eight equally likely words give log 8
        assert abs(change["top", n, False]) < 0.3
        assert abs(change["bottom", n, True]) < 0.3
        assert change["top", n, True] > change["random", n, True] + 1
        assert change["random", n, True] >= change["bottom", n, True] - 0.05
        assert effect.loc["top", n, True]["top1_changed"].item() == 1
        assert effect.loc["top", n, True]["top1_accuracy"].item() == 0
        assert effect.loc["top", n, False]["top1_changed"].item() == 0


@pytest.mark.slow
def test_translation_makes_one_class_of_the_other():
    model, tokenizer, words = planted()
    names = [f"hidden.1.{unit}" for unit in range(16)]
    wte = model.transformer.wte.weight.detach().numpy()
    way = wte[4] - wte[3]  # from "a" to "b"
    effect = causal_effect(
        model,
        words,
        words["word"] == "x",
        names,
        which="top",
        steps=[16],
        fill="translate",
        values=way,
        tokenizer=tokenizer,
    ).set_index(["which", "carries"])
    assert effect.loc[("top", True), "top1_accuracy"] == 0
    assert effect.loc[("top", True), "top1_changed"] == 1
    halfway = causal_effect(
        model,
        words,
        words["word"] == "x",
        names,
        which="top",
        steps=[16],
        fill="translate",
        values=pd.Series(way, index=names),
        step=1e-3,
        tokenizer=tokenizer,
    ).set_index(["which", "carries"])
    assert halfway.loc[("top", True), "top1_changed"] == 0


@pytest.mark.slow
def test_steps_of_a_translation_go_with_the_order_not_with_the_neuron():
    model, tokenizer, words = planted()
    names = ["hidden.1.3", "hidden.1.7", "hidden.1.5"]
    options = {"values": [-4.0, -4.0, 0.0], "fill": "translate", "tokenizer": tokenizer}
    both = [
        causal_effect(
            model, words, words["word"] == "x", names, steps=[n], which=which, step=step, **options
        )
        for n, which, step in (
            (1, "top", [1.0, 0.0, 0.0]),
            (3, "bottom", [0.0, 0.0, 1.0]),
        )
    ]
    np.testing.assert_allclose(both[0]["loss"], both[1]["loss"], rtol=1e-6)
    assert both[0]["loss_change"][2] > 2


# Rows


@pytest.mark.slow
def test_the_order_and_number_of_rows_change_nothing(language_model, words):
    once = measure(language_model, "bert", words)
    order = np.random.RandomState(0).permutation(len(words))
    pd.testing.assert_frame_equal(measure(language_model, "bert", words.iloc[order]), once)
    twice = measure(language_model, "bert", pd.concat([words, words]))
    pd.testing.assert_frame_equal(twice.assign(n_words=once["n_words"]), once)
    assert (twice["n_words"] == 2 * once["n_words"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "byt5"])
def test_batches_change_nothing(language_model, words, family):
    large = measure(language_model, family, words)
    small = measure(language_model, family, words, max_batch_tokens=1)
    pd.testing.assert_frame_equal(small, large, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
@pytest.mark.parametrize(("family", "n"), [("bert", 3), ("gpt2", 1), ("marian", 1)])
def test_a_batch_too_large_for_the_memory_is_halved(
    language_model, words, family, n, error, monkeypatch
):
    plain = measure(language_model, family, words)
    model, _ = language_model(family)
    forward, sizes = type(model).forward, []

    def run(self, input_ids=None, **inputs):
        sizes.append(len(input_ids))
        if len(input_ids) > n:
            raise error("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(self, input_ids=input_ids, **inputs)

    run.__signature__ = inspect.signature(forward)
    monkeypatch.setattr(type(model), "forward", run)
    pd.testing.assert_frame_equal(measure(language_model, family, words), plain, rtol=1e-4)
    assert max(sizes) > n and 1 <= min(sizes) <= n


def test_a_word_too_large_for_the_memory_is_an_error(language_model, words, monkeypatch):
    model, _ = language_model("bert")

    def fail(self, input_ids=None, **inputs):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(type(model), "forward", fail)
    with pytest.raises(torch.OutOfMemoryError):
        measure(language_model, "bert", words)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_long_texts_are_read_in_windows(language_model, words, family):
    effect = measure(language_model, family, words, max_length=8)
    assert (effect["n_words"] + effect["n_unscored"]).groupby(effect.index // 2).sum().eq(24).all()
    assert effect["loss"].notna().all()


def test_what_cannot_be_scored_is_counted_and_named(language_model, words):
    model, tokenizer = language_model("gpt2")
    with pytest.warns(UserWarning, match="cannot score 4 of 24 words, because nothing .* is row 0"):
        effect = causal_effect(
            model,
            words,
            words["is_short"],
            neurons_of("gpt2"),
            steps=[2],
            which="bottom",
            tokenizer=tokenizer,
        )
    first = words["position"] == 0
    for carries, rows in effect.groupby("carries"):
        own = words["is_short"] == carries
        assert rows["n_unscored"].eq((own & first).sum()).all()
        assert rows["n_words"].eq((own & ~first).sum()).all()


def test_words_the_tokenizer_drops_are_counted(language_model):
    words = words_frame([["Dogs", "\u200d", "bark"], ["A", "light", "rain"]])
    model, tokenizer = language_model("bert")
    with pytest.warns(UserWarning, match="score 1 of 6 words, because the tokenizer drops"):
        effect = causal_effect(
            model, words, np.arange(6) < 3, neurons_of("bert"), steps=[2], tokenizer=tokenizer
        )
    assert effect[effect["carries"]]["n_unscored"].eq(1).all()
    assert effect["n_words"].tolist() == [2, 3] * (len(effect) // 2)


@pytest.mark.slow
def test_a_group_without_words_has_no_means(language_model, words):
    words["is_short"] = True
    effect = measure(language_model, "bert", words)
    others = effect[~effect["carries"]]
    assert others["n_words"].eq(0).all() and others["loss"].isna().all()


@pytest.mark.slow
def test_rows_are_what_was_asked_for(language_model, words):
    effect = measure(language_model, "bert", words, steps=[8, 0.25], n_draws=3)
    keys = effect[effect["carries"]][["which", "n_neurons", "draw"]].to_numpy().tolist()
    assert keys == [
        ["none", 0, 0],
        ["top", 4, 0],
        ["top", 8, 0],
        *(["random", n, draw] for draw in range(3) for n in (4, 8)),
        ["bottom", 4, 0],
        ["bottom", 8, 0],
    ]
    again = measure(language_model, "bert", words, steps=[8, 0.25], n_draws=3)
    pd.testing.assert_frame_equal(effect, again)


def test_the_progress_bar_ends_at_its_total(language_model, words, capsys):
    measure(language_model, "bert", words[:3], steps=[8], n_draws=2, verbose=True)
    done, total = re.findall(r"([\d.]+k?)/([\d.]+k?) \[", capsys.readouterr().err)[-1]
    assert done == total and float(done.rstrip("k")) > 0


@pytest.mark.slow
def test_all_neurons_are_all_whichever_way(language_model, words):
    effect = measure(language_model, "bert", words, steps=[16], n_draws=1)
    wide = effect.pivot(index="which", columns="carries", values="loss").drop("none")
    np.testing.assert_allclose(wide, wide.iloc[[0, 0, 0]], rtol=1e-6)


@pytest.mark.slow
def test_it_takes_what_a_ranker_returns(language_model, words):
    model, tokenizer = language_model("bert")
    extractor = ActivationExtractor(
        model, tokenizer=tokenizer, component=["hidden", "mlp", "attention"]
    )
    H = SubwordAggregator("mean").fit_transform(extractor.transform(words))
    H = pd.DataFrame(H, columns=extractor.get_feature_names_out())
    ranking = ProbelessRanker().fit(H, words["is_short"]).to_frame()
    effect = causal_effect(
        model,
        words,
        words["is_short"],
        ranking["neuron"],
        steps=[0.1],
        fill="mean",
        values=H.mean(),
        tokenizer=tokenizer,
        n_draws=1,
    )
    assert effect["n_neurons"].max() == round(0.1 * len(ranking))
    with pytest.raises(ValueError, match="'x0'.*Generated"):
        bare = ProbelessRanker().fit(H.to_numpy(), words["is_short"]).to_frame()
        neurons = bare.sort_index()["neuron"]
        causal_effect(model, words, words["is_short"], neurons, tokenizer=tokenizer)


@pytest.mark.slow
def test_the_model_is_left_as_it_was(language_model, words):
    model, tokenizer = language_model("bert")
    ids = torch.tensor([tokenizer("The dog")["input_ids"]])
    model.train()
    before = model.state_dict()["bert.embeddings.word_embeddings.weight"].clone()
    measure(language_model, "bert", words)
    assert model.training
    model.eval()
    hooks = [h for m in model.modules() for h in (*m._forward_hooks.values(),)]
    assert not [h for h in hooks if h.__module__.startswith("sklearn_neurox")]
    assert torch.equal(before, model.state_dict()["bert.embeddings.word_embeddings.weight"])
    with torch.no_grad():
        assert model(input_ids=ids).logits.shape == (1, ids.shape[1], model.config.vocab_size)


@pytest.mark.slow
def test_a_path_is_loaded_with_its_head(language_model, words, tmp_path):
    model, tokenizer = language_model("bert")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    options = {"steps": [3], "which": "top"}
    of_path = causal_effect(tmp_path, words, words["is_short"], neurons_of("bert"), **options)
    pd.testing.assert_frame_equal(of_path, measure(language_model, "bert", words, **options))


@pytest.mark.slow
def test_an_extractor_stands_for_the_model_it_reads(language_model, words, tmp_path):
    model, tokenizer = language_model("bert")
    model.save_pretrained(tmp_path)
    options = {"steps": [3], "which": "top"}
    expected = measure(language_model, "bert", words, **options, max_length=8)
    for own in (tmp_path, model):
        # Predictions depend on how texts are read, not on what is extracted.
        extractor = ActivationExtractor(
            own,
            tokenizer=tokenizer,
            layers=[2],
            component="mlp",
            max_length=8,
            cache=tmp_path / "cache",
        )
        before = extractor.get_params()
        effect = causal_effect(extractor, words, words["is_short"], neurons_of("bert"), **options)
        pd.testing.assert_frame_equal(effect, expected)
        assert extractor.get_params() == before
    assert not (tmp_path / "cache").exists()


def test_an_extractor_says_whether_special_tokens_are_split(language_model):
    model, tokenizer = language_model("bert")
    words = words_frame([["The", "[MASK]", "barked"]]).assign(is_short=[True, False, False])
    given = words, words["is_short"], neurons_of("bert")
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    with pytest.warns(UserWarning, match="spells a special token"):
        special = causal_effect(extractor, *given, steps=[3], which="top")
    extractor.set_params(split_special_tokens=True)
    split = causal_effect(extractor, *given, steps=[3], which="top")
    assert (special["loss"] != split["loss"]).all()


@pytest.mark.parametrize(
    ("parameters", "options", "message"),
    [
        ({}, {"max_batch_tokens": 7}, "'max_batch_tokens' .* ActivationExtractor.*with set_params"),
        ({}, {"tokenizer": "other"}, "'tokenizer' parameter of causal_effect"),
        ({"weights": "random"}, {}, "weights='random'.*has learned nothing"),
        ({"max_length": 0}, {}, "The 'max_length' parameter .* Got 0"),
    ],
)
def test_what_an_extractor_says_already(language_model, words, parameters, options, message):
    extractor = ActivationExtractor("nowhere", **parameters)
    with pytest.raises(ValueError, match=message):
        causal_effect(extractor, words, words["is_short"], neurons_of("bert"), **options)


@pytest.mark.slow
def test_half_precision(language_model, words, tmp_path):
    model, tokenizer = language_model("gpt2")
    model.save_pretrained(tmp_path)
    half = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16)
    words = words[words["position"] > 0]
    options = {"steps": [3], "which": "top", "tokenizer": tokenizer}
    effect = causal_effect(half, words, words["is_short"], neurons_of("gpt2"), **options)
    full = causal_effect(model, words, words["is_short"], neurons_of("gpt2"), **options)
    np.testing.assert_allclose(effect["loss"], full["loss"], rtol=0.02)


# Bad input


def test_a_model_without_a_head(words, tmp_path):
    path = make_tiny_model("bert", path=tmp_path, hidden_size=16)
    with pytest.raises(ValueError, match=r"no weights for 'cls.*saved without"):
        causal_effect(path, words, words["is_short"], neurons_of("bert"))
    bare = transformers.AutoModel.from_pretrained(path)
    with pytest.raises(ValueError, match="no language-model head.*AutoModelForMaskedLM"):
        causal_effect(bare, words, words["is_short"], neurons_of("bert"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positive": "NOUN"}, r"'positive' .* 'NOUN', but no word .* \[True, False\]"),
        ({"steps": [0]}, "'steps'.*Got 0"),
        ({"steps": [1.5]}, "'steps'.*Got 1.5"),
        ({"steps": [True]}, "'steps'.*Got True"),
        ({"steps": []}, "'steps'.*at least one number"),
        ({"steps": [17]}, "contains 17, but 'neurons' lists only 16"),
        ({"which": "middle"}, "'which'"),
        ({"which": ["top", "top"]}, "'which'.*each at most once"),
        ({"fill": "mean"}, "needs the mean"),
        ({"neurons": ["hidden.9.1"]}, "hidden.9.1"),
        ({"neurons": ["hidden.1.1", "hidden.1.1"]}, "more than once"),
    ],
)
def test_wrong_parameters(language_model, words, options, message):
    with pytest.raises(ValueError, match=message):
        measure(language_model, "bert", words, **options)


def test_wrong_rows(language_model, words):
    model, tokenizer = language_model("bert")
    ask = [neurons_of("bert")]
    with pytest.raises(ValueError, match="'positive' .* is True, but no word .*'The'"):
        causal_effect(model, words, words["word"], *ask, tokenizer=tokenizer)
    with pytest.raises(ValueError, match="one label per word"):
        causal_effect(model, words, words[["word", "text"]], *ask, tokenizer=tokenizer)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        causal_effect(model, words, words["is_short"][:-1], *ask, tokenizer=tokenizer)
    with pytest.raises(ValueError, match="labels are missing"):
        y = words["is_short"].astype("boolean").mask(words.index == 3)
        causal_effect(model, words, y, *ask, tokenizer=tokenizer)
    with pytest.raises(ValueError, match="got whole texts"):
        causal_effect(model, words[["text"]], words["is_short"], *ask, tokenizer=tokenizer)
    tokenizer = AutoTokenizer.from_pretrained(language_model("bert")[1].name_or_path)
    tokenizer.mask_token = None
    with pytest.raises(ValueError, match="no mask token"):
        causal_effect(model, words, words["is_short"], *ask, tokenizer=tokenizer)


def test_a_model_that_sees_what_it_is_to_predict(words):
    tokenizer = AutoTokenizer.from_pretrained(make_tiny_model("llama", hidden_size=16))
    config = transformers.XLNetConfig(
        vocab_size=len(tokenizer), d_model=16, n_layer=2, n_head=2, d_inner=32
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.XLNetLMHeadModel(config).eval()
    with pytest.raises(ValueError, match="depend on the tokens that follow"):
        causal_effect(model, words, words["is_short"], neurons_of("llama"), tokenizer=tokenizer)


def test_another_threads_call_is_not_narrowed(language_model):
    from threading import Thread

    from sklearn_neurox.extraction._model._hooks import at_places

    model, tokenizer = language_model("gpt2")
    ids, shapes = torch.tensor([tokenizer("The old dog")["input_ids"]]), []

    def read():
        with torch.no_grad():
            shapes.append(model(input_ids=ids).logits.shape[:2])

    with at_places(model.lm_head, torch.tensor([1])) as head:
        thread = Thread(target=read)
        thread.start()
        thread.join()
        assert not head.ran
        read()
    read()
    assert head.ran
    assert shapes == [ids.shape, (1, 1), ids.shape]


@pytest.mark.slow
def test_a_config_that_asks_for_tuples(language_model, words, monkeypatch):
    """Most models with heads do not run at all with this config, but BERT's does."""
    expected = measure(language_model, "bert", words)
    model, _ = language_model("bert")
    monkeypatch.setattr(model.config, "return_dict", False)
    pd.testing.assert_frame_equal(measure(language_model, "bert", words), expected)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_compiled_model_is_measured_like_any_other(family, language_model, words):
    expected = measure(language_model, family, words)
    model, tokenizer = language_model(family)
    torch.compiler.reset()
    compiled = torch.compile(model, backend="eager")
    with torch.no_grad():
        compiled(**tokenizer("A dog", return_tensors="pt"))
    found = measure(lambda _: (compiled, tokenizer), family, words)
    pd.testing.assert_frame_equal(found, expected)
    torch.compiler.reset()
