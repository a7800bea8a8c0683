"""Looks for what breaks a property with Atheris, which is led by the lines that an input reaches.

`python -m tests.fuzz tests.conversion.test_listing test_no_output_breaks_the_parser` runs until something breaks, or as
long as the options of libFuzzer behind that say, such as `-max_total_time=600`. Atheris is not among the requirements,
for it has no wheels for every system: `pip install atheris==3.0.0`.
"""

import importlib
import sys

import atheris

import tests.conftest  # noqa: F401  # the profile of Hypothesis


def main(module: str, name: str, *options: str) -> None:
    """Fuzz the property `name` of the test module `module`."""
    with atheris.instrument_imports(include=["knossosd"]):
        property_of = getattr(importlib.import_module(module), name)
    atheris.Setup([sys.argv[0], *options], property_of.hypothesis.fuzz_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
