"""The paper's models: modules with `forward(x)` and `loss(x, y)`, for arrays or Tensors alike."""

from models.cifarnet import CIFARNET
from models.classifiers import MLP, Classifier, LogisticRegression

__all__ = ["CIFARNET", "MLP", "Classifier", "LogisticRegression"]
