"""What advances a trial: steps on the online problems, their replay, training of classifiers."""
