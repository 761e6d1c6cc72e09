"""One self-contained page of what has been run: claims, a lab, and the rules.

What it computes is JavaScript that is printed from traces: of rules, schedules, problems and
landscapes. `python -m experiments page` writes it.
"""
