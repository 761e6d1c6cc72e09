"""The quick form of every experiment gives the same numbers on the stand-in for CuPy."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.registry import EXPERIMENTS
from minigrad import backend
from tests.device import strict
from tests.trials import finished

SMALLER = {"steps": 404, "epochs": 2, "rates": 3, "tuning_seeds": 1, "seeds": 2, "data": "digits"}
SMALLER |= {"train_images": 200, "read": 300}


def numbers(name, here):
    """The traces of every trial of the experiment, made smaller still."""
    with backend.temporarily(here):
        experiment = EXPERIMENTS[name]
        quick = replace(experiment.settings, **experiment.quick)
        less = {key: value for key, value in SMALLER.items() if hasattr(quick, key)}
        settings = experiment.prepare(replace(quick, **less))
        found = {}
        for label, make in experiment.trials(settings).items():
            run = make()
            found |= {f"{label}: {key}": value for key, value in finished(run).items()}
        return found


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_numbers_are_those_of_numpy(name):
    there = numbers(name, strict.make())
    expected = numbers(name, backend.Backend(block_bytes=None))  # sums in one piece, as there
    assert there.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_array_equal(there[key], values, err_msg=key)


def test_an_epoch_moves_the_order_of_the_images_and_waits_for_nothing():
    with backend.temporarily(strict.make()):
        experiment = EXPERIMENTS["mlp"]
        settings = experiment.prepare(replace(experiment.settings, data="digits", epochs=1))
        sweep = experiment.trials(settings)["AMSGrad beta2=0.99"]()
        sweep._begin()
        with strict.counting() as counted:
            sweep._train()
    assert counted.pop("launches") and dict(counted) == {"to_device": 1, "compiled": 1}


def test_a_stretch_of_steps_moves_the_slopes_and_brings_back_what_was_recorded():
    with backend.temporarily(strict.make()):
        experiment = EXPERIMENTS["synthetic-online"]
        run = experiment.trials(experiment.configured({"steps": 4000}))["SGD"]()
        run.advance()
        with strict.counting() as counted:
            run.advance()
    del counted["launches"]
    # and the rates of its steps
    assert counted == {"to_device": 2, "to_host": 2, "synchronizations": 2}
