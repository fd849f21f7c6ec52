"""Losses as pure functions of logits, of a gate's choices, or of values."""

from multigan_lib.losses import adversarial, aggregate, boosting, diversity, gating

__all__ = ["adversarial", "aggregate", "boosting", "diversity", "gating"]
