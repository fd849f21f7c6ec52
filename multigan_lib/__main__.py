"""``python -m multigan_lib``."""

from .cli import main

if __name__ == "__main__":
    main()
