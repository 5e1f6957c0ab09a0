"""The language model: a document starts with a fresh state, weights may be shared, dropout acts in training only."""

import pytest
import torch
from small import LETTERS, make_model
from torch import Tensor

from elman.data.tokenizer import START_ID
from elman.models.language import LanguageConfig

every_cell = pytest.mark.parametrize("cell", ["elman", "lstm", "gru"])


def tokens(*numbers: int) -> Tensor:
    return torch.tensor(numbers).unsqueeze(1)


def as_tuple(state: object) -> tuple[Tensor, ...]:
    return (state,) if isinstance(state, Tensor) else tuple(state)  # type: ignore[arg-type]


@every_cell
@pytest.mark.parametrize("layers", [1, 2])
def test_what_follows_a_start_does_not_depend_on_what_came_before(cell: str, layers: int) -> None:
    model = make_model(cell=cell, layers=layers)
    tail = [START_ID, 4, 5, 6]
    fresh, _ = model(tokens(*tail))
    for before in ([2, 3], [7, 8, 9, 2], [START_ID, 5]):
        logits, _ = model(tokens(*before, *tail))
        torch.testing.assert_close(logits[len(before) :], fresh, rtol=0, atol=1e-12)
    _, state = model(tokens(2, 3, 4))
    carried, _ = model(tokens(*tail), state)
    torch.testing.assert_close(carried, fresh, rtol=0, atol=1e-12)


@every_cell
def test_without_a_start_what_came_before_does_matter(cell: str) -> None:
    model = make_model(cell=cell)
    _, state = model(tokens(2, 3, 4))
    assert (model(tokens(5, 6), state)[0] - model(tokens(5, 6))[0]).abs().max() > 1e-3


def test_each_stream_starts_its_documents_by_itself() -> None:
    model = make_model()
    numbers_TB = torch.tensor([[START_ID, START_ID], [2, 3], [START_ID, 4], [5, 5]])
    logits, _ = model(numbers_TB)
    for b in range(2):
        torch.testing.assert_close(logits[:, b : b + 1], model(numbers_TB[:, b : b + 1])[0], rtol=0, atol=1e-12)


@every_cell
def test_no_gradient_goes_back_over_a_start(cell: str) -> None:
    model = make_model(cell=cell)
    _, state = model(tokens(2, 3))
    state = tuple(part.detach().requires_grad_() for part in as_tuple(state))
    logits, _ = model(tokens(4, 5, START_ID, 6, 7), state if cell == "lstm" else state[0])
    logits[2:].square().sum().backward()
    gradient = model.embedding.weight.grad
    assert gradient is not None
    assert (gradient[[4, 5]] == 0).all()
    assert (gradient[[START_ID, 6, 7]].abs().amax(1) > 0).all()
    for part in state:
        assert part.grad is None or (part.grad == 0).all()


@every_cell
def test_a_text_cut_anywhere_goes_on_from_the_carried_state(cell: str) -> None:
    model = make_model(cell=cell, layers=2)
    numbers = tokens(START_ID, 2, 3, 4, START_ID, 5, 6)
    whole, _ = model(numbers)
    for cut in range(1, 7):
        first, state = model(numbers[:cut])
        second, _ = model(numbers[cut:], state)
        torch.testing.assert_close(torch.cat([first, second]), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("hidden", "embedding"), [(6, 6), (7, 5)])
def test_tied_layers_are_one_parameter(hidden: int, embedding: int) -> None:
    model = make_model(tie=True, hidden=hidden, embedding=embedding)
    assert model.output.weight is model.embedding.weight
    assert [name for name, _ in model.named_parameters()].count("output.weight") == 0
    logits, state = model(tokens(START_ID, 2, 3))
    h, _ = model.recurrent(model.embedding(tokens(START_ID, 2, 3)), reset=tokens(START_ID, 2, 3) == START_ID)
    if hidden != embedding:
        h = h @ model.bottleneck.weight.T
    torch.testing.assert_close(logits, h @ model.embedding.weight.T + model.output.bias)
    assert as_tuple(state)[0].shape == (1, 1, hidden)


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        # V is 12: 10 letters, START and UNKNOWN. Embedding, recurrent layer, output layer.
        ({"cell": "elman"}, 12 * 5 + (7 * 5 + 7 * 7 + 2 * 7) + (12 * 7 + 12)),
        ({"cell": "lstm"}, 12 * 5 + 4 * (7 * 5 + 7 * 7 + 2 * 7) + (12 * 7 + 12)),
        ({"cell": "gru", "layers": 2}, 12 * 5 + 3 * (7 * 5 + 7 * 7 + 2 * 7) + 3 * (2 * 7 * 7 + 2 * 7) + (12 * 7 + 12)),
        ({"cell": "elman", "tie": True, "embedding": 7}, 12 * 7 + (2 * 7 * 7 + 2 * 7) + 12),
        ({"cell": "elman", "tie": True}, 12 * 5 + (7 * 5 + 7 * 7 + 2 * 7) + 5 * 7 + 12),
    ],
    ids=str,
)
def test_shared_parameters_count_once(sizes: dict, wanted: int) -> None:
    assert make_model(LETTERS, **sizes).parameter_count == wanted


def test_dropout_acts_in_training_only() -> None:
    model = make_model(dropout=0.5, layers=2)
    numbers = tokens(START_ID, 2, 3, 4)
    assert torch.equal(model(numbers)[0], model(numbers)[0])
    model.train()
    assert not torch.equal(model(numbers)[0], model(numbers)[0])


def test_one_layer_with_dropout_gives_no_warning() -> None:
    make_model(dropout=0.5, layers=1)


def test_a_configuration_is_a_value() -> None:
    assert LanguageConfig(12, hidden=7) == LanguageConfig(12, hidden=7)
    with pytest.raises(AttributeError):
        LanguageConfig(12).hidden = 8  # type: ignore[misc]
