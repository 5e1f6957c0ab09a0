"""Writing: one token after the other equals reading the whole prefix again, at the cost of one step."""

import itertools

import pytest
import torch
from small import make_model

from elman.cells import CELLS
from elman.data.tokenizer import START_ID, UNKNOWN_ID
from elman.errors import DataError, OptionError
from elman.models.language import LanguageModel
from elman.models.sampling import Sampling, draw, generate_tokens


def from_the_beginning(model: LanguageModel, prompt: list[int], length: int, sampling: Sampling) -> list[int]:
    """What `generate_tokens` must give: before each token the whole prefix is read again."""
    generator = torch.Generator().manual_seed(sampling.seed or 0)
    numbers = [START_ID, *prompt]
    with torch.no_grad():
        for _ in range(length):
            logits = model(torch.tensor(numbers).unsqueeze(1))[0][-1, 0]
            numbers.append(draw(logits.float(), sampling, generator))
    return numbers[1 + len(prompt) :]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("prompt", [[], [3, 4, 5], [2, UNKNOWN_ID, 4]], ids=["no_prompt", "prompt", "unknown"])
@pytest.mark.parametrize(
    "sampling", [Sampling(temperature=0, seed=1), Sampling(seed=1), Sampling(0.7, 5, 0.9, seed=2)], ids=str
)
def test_step_by_step_equals_reading_the_whole_prefix_again(cell: str, prompt: list[int], sampling: Sampling) -> None:
    model = make_model(cell=cell, layers=2)
    wanted = from_the_beginning(model, prompt, 40, sampling)
    assert list(generate_tokens(model, prompt, 40, sampling)) == wanted
    assert len(set(wanted)) > 1 or sampling.temperature == 0


# What changes the sizes of states, the numbers of a step, or what evaluation does in place of drawing masks.
_OPTIONS = [
    ("lstm", {"projection_size": 3, "peepholes": True, "zoneout": (0.1, 0.3), "recurrent_dropout": 0.5}),
    ("lstm", {"coupled": True, "layer_norm": True, "clip_state": 0.5}),
    ("gru", {"reset_after": False, "variational_dropout": 0.5, "bias": False}),
    ("elman", {"nonlinearity": "silu", "zoneout": 0.5}),
]


@pytest.mark.parametrize(("cell", "options"), _OPTIONS, ids=str)
@pytest.mark.parametrize("tie", [False, True], ids=["untied", "tied"])
def test_step_by_step_gives_the_logits_of_the_whole_sequence(cell: str, options: dict, tie: bool) -> None:
    model = make_model(cell=cell, cell_options=options, layers=2, tie=tie)
    tokens_TB = torch.tensor([[START_ID, START_ID], [3, 4], [5, 2], [START_ID, 7], [6, 3], [2, 2]])
    whole_TBV, last = model(tokens_TB)
    state, steps = None, []
    for tokens_B in tokens_TB:
        logits_TBV, state = model(tokens_B.unsqueeze(0), state)
        steps.append(logits_TBV)
    torch.testing.assert_close(torch.cat(steps), whole_TBV, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state, last, rtol=1e-12, atol=1e-12)


def test_after_the_prompt_each_token_costs_one_step() -> None:
    model, shapes = make_model(), []
    model.register_forward_pre_hook(lambda _, arguments: shapes.append(tuple(arguments[0].shape)))
    list(generate_tokens(model, [2, 3, 4], 30, Sampling(seed=0)))
    assert shapes == [(4, 1)] + [(1, 1)] * 29


def test_the_state_that_is_carried_does_not_grow() -> None:
    model, sizes = make_model(), set()
    model.register_forward_pre_hook(
        lambda _, arguments: sizes.add(arguments[1] and tuple(tuple(part.shape) for part in arguments[1]))
    )
    list(generate_tokens(model, [], 30, Sampling(seed=0)))
    assert sizes == {None, ((1, 1, 7), (1, 1, 7))}


def test_the_same_seed_writes_the_same_text_and_another_another() -> None:
    model = make_model()
    texts = ["".join(model.generate("ab", 60, seed=seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_without_a_seed_each_text_is_another() -> None:
    model = make_model()
    assert "".join(model.generate("", 60)) != "".join(model.generate("", 60))


def test_writing_does_not_touch_the_global_generator() -> None:
    before = torch.get_rng_state()
    list(make_model_after_seed().generate("a", 5, seed=4))
    assert torch.equal(torch.get_rng_state(), before)


def make_model_after_seed() -> LanguageModel:
    with torch.random.fork_rng():
        return make_model()


def test_the_unknown_token_is_never_written() -> None:
    model = make_model()
    with torch.no_grad():
        model.output.bias[UNKNOWN_ID] = 100
    numbers = list(generate_tokens(model, [2], 200, Sampling(seed=0)))
    assert UNKNOWN_ID not in numbers
    assert "<unk>" not in "".join(model.generate("a", 200, seed=0))


def test_characters_that_are_not_known_are_read_as_unknown() -> None:
    model = make_model()
    a, b = model.tokenizer.encode("ab").tolist()
    wanted = list(generate_tokens(model, [a, UNKNOWN_ID, b], 30, Sampling(seed=1)))
    for prompt in ("aZb", "a中b"):
        assert "".join(model.generate(prompt, 30, seed=1)) == "".join(model.tokenizer.decode_stream(wanted))


def test_a_prompt_is_not_repeated_and_length_counts_tokens() -> None:
    pieces = list(make_model().generate("abc", 25, temperature=0))
    assert len(pieces) == 25
    assert len("".join(pieces)) == 25


def test_no_length_writes_nothing() -> None:
    assert list(make_model().generate("abc", 0)) == []


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_as_it_was_after_all_and_after_a_text_that_is_left_off(training: bool) -> None:
    model = make_model(dropout=0.5)
    wanted = "".join(model.generate("ab", 20, seed=1))
    model.train(training)
    assert "".join(model.generate("ab", 20, seed=1)) == wanted
    assert model.training is training
    text = model.generate("ab", 1000, seed=1)
    assert "".join(itertools.islice(text, 5)) == wanted[:5]
    del text
    assert model.training is training


def test_the_caller_may_train_between_two_tokens() -> None:
    model = make_model()
    text = model.generate("ab", 3, seed=1)
    next(text)
    model(torch.tensor([[2], [3]]))[0].sum().backward()
    assert model.embedding.weight.grad is not None
    assert len(list(text)) == 2


@pytest.mark.parametrize(
    "wrong", [{"length": -1}, {"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}, {"seed": 2**64}], ids=str
)
def test_what_makes_no_sense_is_refused_at_once(wrong: dict) -> None:
    with pytest.raises(OptionError, match=f"{next(iter(wrong))}="):
        list(make_model().generate("ab", **{"length": 1, **wrong}))


def test_a_prompt_that_is_no_text_is_refused() -> None:
    """A shell hands over bytes that aren't UTF-8 as lone surrogates."""
    with pytest.raises(DataError, match="prompt"):
        list(make_model().generate("a\udcff", 5))
