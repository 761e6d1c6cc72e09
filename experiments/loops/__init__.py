"""What advances a trial: online problems step by step or replayed, and training of classifiers."""
