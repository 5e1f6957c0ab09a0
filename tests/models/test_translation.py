"""The translator: training in one go and writing step by step are one network, for every cell; padding doesn't show."""

from typing import Any

import pytest
import torch

from elman.cells import CELLS
from elman.data.tokenizer import START_ID
from elman.errors import OptionError
from elman.models.beam import Beam
from elman.models.sentences import fit_sentences, read_sentences, side_by_side, with_boundaries, write_sentence
from elman.models.translation import TranslationConfig, TranslationModel

SOURCES = ["a dog runs", "two", "", "a man and a dog"]
TARGETS = ["ein Hund läuft.", "zwei", "nichts 🙂", ""]
TOKENIZER = fit_sentences("byte", [])
every_cell = pytest.mark.parametrize("cell", [name for name in CELLS if name != "conv_lstm"])


def make_model(larger: float = 2.0, **sizes: Any) -> TranslationModel:
    """Random weights, float64, in evaluation mode."""
    config = TranslationConfig(vocabulary=len(TOKENIZER), **{"hidden": 6, "layers": 2, "embedding": 5, **sizes})
    model = TranslationModel(config, TOKENIZER).double().eval()
    # Larger than at first: what a model says must depend on what it read.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(larger)
    return model


def batch(sources: list[str] = SOURCES, targets: list[str] = TARGETS) -> tuple:
    return (
        *side_by_side(read_sentences(TOKENIZER, sources)),
        *side_by_side(read_sentences(TOKENIZER, targets)),
    )


@every_cell
def test_any_cell_learns_from_sentences_of_mixed_lengths(cell: str) -> None:
    model = make_model(1.0, cell=cell, hidden=8, embedding=8).train()
    model.loss(*batch()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert any(weight.grad.abs().max() > 0 for weight in model.bridge.parameters())


@every_cell
def test_writing_step_by_step_says_what_training_computes_at_once(cell: str) -> None:
    model = make_model(cell=cell, hidden=8, embedding=8)
    sources, source_lengths, targets, target_lengths = batch()
    begin, _ = with_boundaries(targets, target_lengths)
    with torch.no_grad():
        logits, weights = model(sources, source_lengths, begin, target_lengths + 1)
        state = model.encode(sources, source_lengths)
        for t in range(len(begin)):
            combined, looked, state = model.decode(begin[t : t + 1], state)
            going = t < target_lengths + 1
            torch.testing.assert_close(model.output(combined)[0, going], logits[t, going], rtol=0, atol=1e-10)
            torch.testing.assert_close(looked[0, going], weights[t, going], rtol=0, atol=1e-10)


@pytest.mark.parametrize("attention", ["general", "additive"])
@pytest.mark.parametrize("layers", [1, 3])
def test_the_loss_is_the_mean_over_each_pair_by_itself(attention: str, layers: int) -> None:
    model = make_model(attention=attention, layers=layers)
    total = count = 0.0
    for source, target in zip(SOURCES, TARGETS, strict=True):
        alone = batch([source], [target])
        tokens = int(alone[3]) + 1
        total, count = total + tokens * model.loss(*alone).item(), count + tokens
    assert model.loss(*batch()).item() == pytest.approx(total / count, rel=1e-10)


def test_the_loss_counts_every_token_and_the_end_and_smoothing_is_as_torch_has_it() -> None:
    model = make_model()
    sources, source_lengths, targets, target_lengths = batch(SOURCES[:1], TARGETS[:1])
    begin, wanted = with_boundaries(targets, target_lengths)
    assert begin[0, 0] == wanted[-1, 0] == START_ID
    logits, _ = model(sources, source_lengths, begin, target_lengths + 1)
    expected = [torch.nn.functional.cross_entropy(logits[:, 0], wanted[:, 0], label_smoothing=s) for s in (0.0, 0.1)]
    torch.testing.assert_close(model.loss(*batch(SOURCES[:1], TARGETS[:1])), expected[0])
    torch.testing.assert_close(model.loss(*batch(SOURCES[:1], TARGETS[:1]), label_smoothing=0.1), expected[1])
    assert expected[0] != expected[1]


def test_what_is_said_depends_on_the_source_and_on_what_was_said_before() -> None:
    model = make_model()
    dog, cat = (model.loss(*batch([source], ["ein Hund"])) for source in ("a dog", "a cat"))
    assert (dog - cat).abs() > 1e-6
    sources, source_lengths, targets, target_lengths = batch(["a dog"], ["ein Hund"])
    other = targets.clone()
    other[3] = 9
    given, changed = (model(sources, source_lengths, t, target_lengths)[0] for t in (targets, other))
    torch.testing.assert_close(given[:3], changed[:3], rtol=0, atol=0)
    assert (given[3:] - changed[3:]).abs().amax(dim=(1, 2)).min() > 1e-8


def test_a_sentence_is_translated_as_if_it_were_alone() -> None:
    model = make_model()
    beam = Beam(3, 0.8)
    together = model.translate(SOURCES * 17, beam)
    for source, found in zip(SOURCES, together[64:], strict=True):
        (alone,) = model.translate([source], beam)
        assert found[:3] == alone[:3]
        assert found.log_probability == pytest.approx(alone.log_probability, abs=1e-9)
        torch.testing.assert_close(found.weights, alone.weights, rtol=0, atol=1e-10)
        assert found.weights.shape == (len(found.target), len(found.source))
        torch.testing.assert_close(found.weights.sum(-1), torch.ones(len(found.target), dtype=torch.float64))
        assert len(found.target) <= 2 * len(found.source) + 11
    assert model.translate([]) == []


def test_the_log_probability_is_that_which_the_loss_has() -> None:
    model = make_model()
    (found,) = model.translate(["a dog"], Beam(2))
    numbers = [TOKENIZER.encode(" a dog"), torch.tensor([0]).numpy()]
    assert len(found.source) == len(numbers[0])
    # The tokens that were said, not the text: random ones are no whole characters.
    with torch.no_grad():
        sources, lengths = side_by_side(numbers[:1])
        encoded = model.encode(sources, lengths)
        said = _numbers_of(model)
        begin, wanted = with_boundaries(torch.tensor(said).unsqueeze(1), torch.tensor([len(said)]))
        combined, _, _ = model.decode(begin, encoded)
        log_probs = model.output(combined)
        log_probs[..., 1] = -torch.inf
        total = log_probs.log_softmax(-1)[:, 0].gather(1, wanted).sum()
    assert found.log_probability == pytest.approx(float(total), abs=1e-9)


def _numbers_of(model: TranslationModel) -> list[int]:
    """The tokens that the model says of "a dog", taken from the search."""
    from elman.models import translation

    found = []
    search = translation.beam_search
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(translation, "beam_search", lambda *a, **k: found.extend(search(*a, **k)) or found)
        model.translate(["a dog"], Beam(2))
    return found[0].tokens


def test_it_learns_to_translate_by_heart_and_writes_text_as_people_do() -> None:
    torch.manual_seed(1)
    sources, targets = ["a dog", "two dogs run", "no"], ["Ein Hund.", "Zwei Hunde, „schnell“.", "Nein"]
    tokenizer = fit_sentences("bpe", sources + targets, vocabulary=300)
    config = TranslationConfig(vocabulary=len(tokenizer), hidden=24, embedding=24, layers=2, dropout=0.0)
    model = TranslationModel(config, tokenizer)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.02)
    tokens = (*side_by_side(read_sentences(tokenizer, sources)), *side_by_side(read_sentences(tokenizer, targets)))
    for _ in range(40):
        loss = model.loss(*tokens)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert [found.text for found in model.translate(sources)] == targets
    assert model.training


def test_the_text_of_tokens_is_the_text() -> None:
    texts = ["Zwei Männer, „schnell“ – 3,5 m!", " space ", "", "漢字かな", "🙂", "two  spaces"]
    for kind in ("bpe", "byte"):
        tokenizer = fit_sentences(kind, texts, vocabulary=400)
        for text, numbers in zip(texts, read_sentences(tokenizer, texts), strict=True):
            assert write_sentence(tokenizer, numbers.tolist()) == text
    with pytest.raises(OptionError, match="choose from bpe, byte"):
        fit_sentences("word", texts)


def test_parameters_are_shared_as_told() -> None:
    both, tied, neither = (make_model(tie=t, share=s) for t, s in ((True, True), (True, False), (False, False)))
    assert both.output.weight is both.target_embedding.weight is both.source_embedding.weight
    assert tied.parameter_count - both.parameter_count == len(TOKENIZER) * 5
    assert neither.parameter_count - tied.parameter_count == len(TOKENIZER) * 5


def test_no_target_has_any_token_and_no_sentence_any_word() -> None:
    model = make_model()
    sources, lengths, empty, none = batch(SOURCES, [""] * 4)
    begin, wanted = with_boundaries(empty[:0], none * 0)
    assert begin.tolist() == wanted.tolist() == [[START_ID] * 4]
    assert model.loss(sources, lengths, empty[:0], none * 0).isfinite()
    assert model.loss(sources[:0], lengths * 0, empty[:0], none * 0).isfinite()


def test_dropout_acts_in_training_only() -> None:
    model = make_model(dropout=0.5)
    assert model.loss(*batch()).item() == model.loss(*batch()).item()
    model.train()
    assert model.loss(*batch()).item() != model.loss(*batch()).item()


def test_an_attention_that_is_not_known_is_an_error() -> None:
    with pytest.raises(OptionError, match="attention='generl' is not known"):
        make_model(attention="generl")
