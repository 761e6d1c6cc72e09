"""The shim for `pip install -e .`; everything it says stands in pyproject.toml."""

from setuptools import setup

setup()
