"""What generated images are worth to a classifier: extra images, mixed in, judged.

From a trained game to a score::

    counts = mg.augmentation.class_counts(real)
    extra = mg.augmentation.generative(game, counts).images
    images = mg.augmentation.replacement(real, extra, share=0.4)
    classifier = mg.augmentation.train_classifier(images, steps=400)
    mg.augmentation.macro_f1(classifier, held)
"""

from .classifying import macro_f1, train_classifier
from .comparison import PairedDifference, compare_with_baseline
from .drawing import Drawn, UnfilledError, generative
from .gridding import Source, grid
from .mixing import SHARES, class_counts, expansion, replacement, stratified
from .traditional import Traditional

__all__ = [
    "SHARES",
    "Drawn",
    "PairedDifference",
    "Source",
    "Traditional",
    "UnfilledError",
    "class_counts",
    "compare_with_baseline",
    "expansion",
    "generative",
    "grid",
    "macro_f1",
    "replacement",
    "stratified",
    "train_classifier",
]
