"""Write the embedded digits from scikit-learn: uint8 images (1797, 8, 8) of 0..16, and labels.

Run as `python -m tests.record.digits`.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

digits = load_digits()
# Stored rather than drawn when loading: NumPy may change what a seed gives, the split must stay.
order = np.random.default_rng(0).permutation(len(digits.target))
np.savez_compressed(
    Path(__file__).parents[2] / "experiments" / "problems" / "digits.npz",
    images=digits.images[order].astype(np.uint8),
    labels=digits.target[order].astype(np.uint8),
)
