"""The share of active units, on networks whose answer is known."""

import pytest
import torch
from torch import nn

from multigan_lib.metrics.neurons import active_share


def shifted(biases, activation):
    """One hidden layer whose unit j is positive where x > -biases[j]."""
    net = nn.Sequential(nn.Linear(1, len(biases)), activation)
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.copy_(torch.tensor(biases))
    return net


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.LeakyReLU(0.2)])
def test_units_positive_for_a_tenth_of_the_inputs_are_active(activation):
    x = torch.arange(100.0).unsqueeze(1)  # unit with bias -b is positive 99 - b times
    net = shifted([-89.0, -90.0, 1.0, -1000.0], activation)
    assert active_share(net, x) == 2 / 4  # positive for 10, 9, 100 and 0 inputs
    assert active_share(net, x, at_least=0.09) == 3 / 4


def test_every_position_of_every_map_is_a_unit_and_layers_are_pooled():
    net = nn.Sequential(nn.ReLU(), nn.Flatten(), shifted([1.0] * 2, nn.ReLU()))
    net[2][0] = nn.Linear(12, 2)
    nn.init.zeros_(net[2][0].weight)
    nn.init.constant_(net[2][0].bias, -1.0)
    x = torch.ones(10, 3, 2, 2)
    x[:, 0] = -1
    assert active_share(net, x) == (3 * 4 - 4) / (3 * 4 + 2)


def test_hooks_are_removed_and_no_relu_is_an_error():
    net = shifted([1.0], nn.ReLU())
    active_share(net, torch.ones(4, 1))
    assert not net[1]._forward_hooks
    with pytest.raises(ValueError, match="no ReLU"):
        active_share(nn.Linear(1, 1), torch.ones(4, 1))
