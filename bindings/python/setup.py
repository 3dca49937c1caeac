# SPDX-License-Identifier: MIT
"""All but this is in pyproject.toml: with the libraries in it, the wheel is for one kind of
machine, and for any Python 3."""

from pathlib import Path

from setuptools import Distribution, setup
from wheel.bdist_wheel import bdist_wheel

has_libraries = bool(list((Path(__file__).parent / "sluice").glob("*.so.*")))


class Wheel(bdist_wheel):
    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


class Built(Distribution):
    def has_ext_modules(self):
        return has_libraries


setup(cmdclass={"bdist_wheel": Wheel}, distclass=Built)
