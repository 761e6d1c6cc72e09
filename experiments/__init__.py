"""Experiments that run, record, and plot what has been said about Adam and its answers.

    python -m experiments list
    python -m experiments run synthetic-online

Each experiment is a declaration in a file of its own: settings, runs, a figure, findings.
"""
