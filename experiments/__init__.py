"""Experiments that run, record, and plot what has been said about Adam and its answers.

    python -m experiments list
    python -m experiments run synthetic-online

Each experiment is a declaration in a file of its own: settings, trials, a figure, findings. A run
of it is a directory; a trial is a part of a run that advances by itself, such as one rule.

A module knows those below it, and none above: problems, record; data, loops; experiment; paper;
registry; runner; cli.
"""
