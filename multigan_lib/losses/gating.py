"""Losses of a gate that chooses one of several generators for each sample."""

from torch import Tensor

__all__ = ["load_balance"]


def load_balance(gate: Tensor) -> Tensor:
    """Σ_i (p_i - 1/n)², p_i the mean of column i: how unevenly a batch is shared out.

    Zero where every generator has the same share, 1 - 1/n where one has them all. It
    sees the batch's shares only, not which sample goes where. A perfectly uniform
    random gate has the expectation (1 - 1/n)/B, not 0.

    The paper counts with an indicator 1[g_i = 1], which has no gradient; for a one-hot
    gate the indicator equals g_i itself, so pass the straight-through one-hot: then the
    gradient is 2 (p_i - 1/n) / B in every row.

    Args:
        gate: (B, n), one row a sample: a one-hot, or weights that sum to 1.

    Returns:
        A scalar in [0, 1 - 1/n].

    Raises:
        ValueError: if the gate is not a matrix with at least one row and one column.
        TypeError: if it does not hold floating-point numbers.

    Source: Park et al., MEGAN (IJCAI 2018), eq. 9.
    """
    if gate.ndim != 2 or 0 in gate.shape:
        raise ValueError(
            "load_balance needs a gate of shape (batch, generators), "
            f"got {tuple(gate.shape)}"
        )
    if not gate.is_floating_point():
        raise TypeError(
            f"load_balance needs a gate of floating-point numbers, got {gate.dtype}: "
            "integers carry no gradient"
        )
    return (gate.mean(dim=0) - 1 / gate.shape[1]).square().sum()
