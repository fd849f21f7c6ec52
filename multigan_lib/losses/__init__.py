"""Losses as pure functions of logits."""

from multigan_lib.losses import adversarial

__all__ = ["adversarial"]
