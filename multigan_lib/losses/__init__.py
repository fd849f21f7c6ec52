"""Losses as pure functions of logits."""

from multigan_lib.losses import adversarial, gating

__all__ = ["adversarial", "gating"]
