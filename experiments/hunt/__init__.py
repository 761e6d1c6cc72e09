"""The hunter: looks for a problem on which the average regret of a rule does not vanish.

`python -m experiments hunt RULE` plays the rule on linear problems on [-1, 1], some of which have
a large slope that is rare, and on small finite sums without projection. A module knows those
before it in this list: problems; hunted; drift, runs; exactly, lasting; verdicts; screening,
regrets, sums; search; report, claimed; written, figure; table; command.
"""
