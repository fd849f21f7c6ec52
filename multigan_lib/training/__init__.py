"""The one training loop, which knows no method."""

from .history import History, NonFiniteLossError
from .loop import train

__all__ = ["History", "NonFiniteLossError", "train"]
