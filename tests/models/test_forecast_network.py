"""The network of forecasts: shapes, scales of windows, what it may see, every head, cells of all kinds."""

from typing import Any

import pytest
import torch

from elman.errors import OptionError
from elman.models.forecast_network import SCALINGS, Batch, ForecastConfig, ForecastNetwork, window_scale
from elman.models.forecast_outputs import LOSSES

SIZES: dict[str, Any] = {
    "cell": "gru", "hidden": 7, "embedding": 6, "look_back": 10, "horizon": 5, "segment": 4, "columns": 1, "channels": 3,
    "past": 1, "known": 2, "quantiles": [0.1, 0.5, 0.9],
}  # fmt: skip


def make(**sizes: Any) -> ForecastNetwork:
    torch.manual_seed(0)
    return ForecastNetwork(ForecastConfig(**{**SIZES, **sizes})).double().eval()


def windows(network: ForecastNetwork, batch: int = 6, steps: int | None = None, seed: int = 0) -> Batch:
    config = network.config
    look_back = config.look_back if steps is None else steps
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return Batch(
        draw(look_back + config.horizon, batch, config.columns).abs().round(),
        draw(look_back, batch, config.past),
        draw(look_back + config.horizon, batch, config.known),
        torch.arange(batch) % max(config.channels, 1),
    )


@pytest.mark.parametrize("head", ["direct", "autoregressive"])
@pytest.mark.parametrize("loss", LOSSES)
def test_each_value_of_the_horizon_has_its_parameters(head: str, loss: str) -> None:
    scaling = {"poisson": "mean", "bernoulli": "none"}.get(loss, "last")
    network = make(head=head, loss=loss, scaling=scaling, columns=3, channels=0, linear=head == "direct")
    found = network.forecast(windows(network))
    assert found.shape == (5, 6, 3, network.output.size)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("head", ["direct", "autoregressive"])
@pytest.mark.parametrize("cell", ["elman", "lstm", "mlstm", "mingru"])
def test_every_kind_of_cell_learns(head: str, cell: str) -> None:
    network = make(head=head, cell=cell, hidden=8, layers=2, linear=head == "direct").train()
    batch = windows(network)
    network.output.loss(network.forecast(batch), batch.z_FBD[10:]).mean().backward()
    # A gate's bias may have no say; of each matrix something must be learnt.
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert network.positions.grad.abs().sum() > 0 if head == "direct" else True


@pytest.mark.parametrize("head", ["direct", "autoregressive"])
def test_a_forecast_sees_no_value_of_its_horizon_but_what_is_known_ahead(head: str) -> None:
    network = make(head=head)
    batch = windows(network)
    found = network.forecast(batch)
    z_FBD = batch.z_FBD.clone()
    z_FBD[10:] = torch.nan
    assert torch.equal(network.forecast(batch._replace(z_FBD=z_FBD)), found)
    known_FBK = batch.known_FBK.clone()
    known_FBK[11:] += 1
    assert not torch.allclose(network.forecast(batch._replace(known_FBK=known_FBK)), found)


@pytest.mark.parametrize("head", ["direct", "autoregressive"])
def test_a_row_does_not_depend_on_another(head: str) -> None:
    network = make(head=head)
    batch = windows(network)
    one = Batch(*(part[..., 2:3] if part.dim() == 1 else part[:, 2:3] for part in batch))
    torch.testing.assert_close(network.forecast(one), network.forecast(batch)[:, 2:3])


@pytest.mark.parametrize("scaling", ["last", "standard"])
def test_a_window_moved_up_is_forecast_as_much_higher(scaling: str) -> None:
    network = make(scaling=scaling)
    batch = windows(network)
    higher = batch._replace(z_FBD=batch.z_FBD + 100)
    torch.testing.assert_close(network.forecast(higher), network.forecast(batch) + 100)


@pytest.mark.parametrize("scaling", ["mean", "standard"])
def test_a_window_twice_as_large_is_forecast_twice_as_large(scaling: str) -> None:
    network = make(scaling=scaling)
    batch = windows(network)
    torch.testing.assert_close(
        network.forecast(batch._replace(z_FBD=batch.z_FBD * 2)), network.forecast(batch) * 2, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_constant_window_is_not_divided_by_zero(scaling: str) -> None:
    for value in (0.0, 3.0):
        shift, width = window_scale(torch.full((5, 2, 1), value), scaling)
        assert torch.isfinite(shift).all()
        assert (width > 0).all()


def test_a_channel_that_is_new_is_the_mean_of_the_others() -> None:
    network = make()
    batch = windows(network, batch=1)._replace(channels_B=torch.tensor([-1]))
    found = network.forecast(batch)
    with torch.no_grad():
        network.channels.copy_(network.channels.mean(0).expand_as(network.channels))
    torch.testing.assert_close(found, network.forecast(batch._replace(channels_B=torch.tensor([1]))))


def test_whole_series_are_followed_step_by_step_and_padding_changes_nothing() -> None:
    network = make(look_back=0, horizon=1, segment=1, columns=2, channels=0, loss="bernoulli", scaling="none")
    batch = windows(network, batch=3, steps=9)
    batch = batch._replace(z_FBD=batch.z_FBD.clamp(max=1))
    lengths = torch.tensor([9, 4, 6])
    found = network.follow(batch, lengths)
    assert found.shape == (9, 3, 2, 1)
    for row, length in enumerate(lengths.tolist()):
        alone = Batch(
            batch.z_FBD[: length + 1, row : row + 1],
            batch.past_TBP[:length, row : row + 1],
            batch.known_FBK[: length + 1, row : row + 1],
            batch.channels_B[row : row + 1],
        )
        torch.testing.assert_close(network.follow(alone, torch.tensor([length])), found[:length, row : row + 1])
    # A step sees itself and what came before, nothing after it.
    later = batch.z_FBD.clone()
    later[5:] = 1 - later[5:]
    changed = network.follow(batch._replace(z_FBD=later), lengths)
    assert torch.equal(changed[:5], found[:5])
    assert not torch.equal(changed[5:, 0], found[5:, 0])


def test_sizes_that_make_no_sense_are_refused() -> None:
    with pytest.raises(OptionError, match="must be even"):
        make(embedding=5)


@pytest.mark.parametrize("loss", ["absolute", "quantile", "student"])
def test_the_linear_path_adds_what_a_linear_model_makes_of_the_window(loss: str) -> None:
    plain, network = make(loss=loss, columns=2, channels=0), make(loss=loss, columns=2, channels=0, linear=True)
    batch = windows(network)
    # It is nothing at first.
    assert torch.equal(network.forecast(batch), plain.forecast(batch))
    weights_NT = torch.randn(5, 10, dtype=torch.float64)
    with torch.no_grad():
        network.linear.copy_(weights_NT)
    added_NBD = torch.einsum("nt,tbd->nbd", weights_NT, batch.z_FBD[:10] - batch.z_FBD[9])
    at = 1 if loss == "quantile" else 0
    torch.testing.assert_close(network.forecast(batch)[..., at], plain.forecast(batch)[..., at] + added_NBD)
    # A window of four steps is one whose beginning is as its end.
    short = windows(network, steps=4)
    added_NBD = torch.einsum("nt,tbd->nbd", weights_NT[:, 6:], short.z_FBD[:4] - short.z_FBD[3])
    torch.testing.assert_close(network.forecast(short)[..., at], plain.forecast(short)[..., at] + added_NBD)


def test_training_makes_windows_larger_and_smaller_and_forecasts_with_them() -> None:
    network = make(linear=True, past=0, known=0)
    with torch.no_grad():
        network.linear.fill_(0.1)
        network.values.weight.zero_()
        network.values.bias.zero_()
    batch = windows(network)
    # What is linear in the window has the same forecast, however large the window is made.
    expected = network.forecast(batch)
    network.dropout.probability = 0.0
    torch.testing.assert_close(network.train().forecast(batch, 0.5), expected)
    with torch.no_grad():
        network.values.bias.fill_(1.0)
    # Of a constant that is added there is more or less, row by row.
    factors = network.forecast(batch, 0.5) - expected
    assert (factors > 0).all()
    assert len(factors[0].unique()) == 6
    torch.testing.assert_close(factors, factors[:1].expand_as(factors))
    # Only in training, and only where windows are scaled.
    torch.testing.assert_close(network.eval().forecast(batch, 0.5), expected + 1)
    unscaled = make(scaling="none").train()
    unscaled.dropout.probability = 0.0
    assert torch.equal(unscaled.forecast(windows(unscaled), 0.5), unscaled.eval().forecast(windows(unscaled)))
