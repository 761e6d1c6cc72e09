"""What a reviewer asks of a rule, on one page: `python -m experiments report mine.py:Mine`.

The trace, what optim.check finds, and the experiments that compare rules, at settings that take a
minute, beside Adam, AMSGrad and SGD.
"""
