"""Versions and specs, as every client generation reads them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semantic_version import SimpleSpec, Version

from knossosd.repo.versions import complete_version, write_spec
from tests.repo.builders import a_mod, a_package, one_mod, problems, warnings


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("1", "1.0.0"),
        ("1.2", "1.2.0"),
        ("1.2.3", "1.2.3"),
        ("1.2.3-rc1", "1.2.3-rc1"),
        ("1.2-rc.1", "1.2.0-rc.1"),
        ("3.6.10-20130201", "3.6.10-20130201"),
        ("1.2.3+b.1", "1.2.3+b.1"),
    ],
)
def test_versions_are_completed(given: str, written: str) -> None:
    assert complete_version(given) == written


@pytest.mark.parametrize("wrong", ["", "01.2.3", "1.2.3.4", "v1.2.3", "latest", "1.2.x", " 1", "1.", "-1", "1.2.3-"])
def test_what_is_no_version_is_told(wrong: str) -> None:
    with pytest.raises(ValueError, match="must be a version"):
        complete_version(wrong)
    assert set(problems(a_mod(version=wrong))) == {"version"}


def test_a_version_that_is_rewritten_is_a_warning() -> None:
    assert warnings(a_mod(version="1.2")) == ["version_rewritten"]
    assert one_mod(a_mod(version="1.2")).version == "1.2.0"
    assert warnings(a_mod(version="1.2.3")) == []
    assert warnings(a_mod(version="1.2.3+b")) == ["version_rewritten"]


@pytest.mark.parametrize(
    ("given", "written", "widened"),
    [
        (None, None, False),
        ("*", None, False),
        ("1.2.3", "1.2.3", False),
        ("==1.2.3", "1.2.3", False),
        ("1.2", "~1.2.0", False),
        ("==1.2", "~1.2.0", False),
        ("1.2.*", "~1.2.0", False),
        (">=1.2", ">=1.2.0", False),
        (">=25.1.0-20260317", ">=25.1.0-20260317", False),
        ("~1.2.3", "~1.2.3", False),
        ("~=1.2.3", "~1.2.3", False),
        (">=1.2.3,<1.3.0", "~1.2.3", False),
        ("<1.2", "<1.2.0", False),
        ("<=1.2.3", "<=1.2.3", False),
        (">1.2.3", ">1.2.3", False),
        ("1", ">=1.0.0", True),
        ("1.*", ">=1.0.0", True),
        ("~1", ">=1.0.0", True),
        ("^1.2.3", ">=1.2.3", True),
        (">=1.0,<2.0", ">=1.0.0", True),
        ("!=1.2.3", None, True),
    ],
)
def test_specs_are_written_for_every_client(given: str | None, written: str | None, widened: bool) -> None:
    assert write_spec(given) == (written, widened)
    document = a_mod(a_package(dependencies=[{"id": "other", "version": given}]))
    assert one_mod(document).packages[0].dependencies[0].version == written
    assert warnings(document) == ["dependency_widened"] * widened


@pytest.mark.parametrize("wrong", ["", "latest", "1.2.3.4", ">=", "=>1.0", "1.0 2.0"])
def test_what_is_no_spec_is_told(wrong: str) -> None:
    document = a_mod(a_package(dependencies=[{"id": "other", "version": wrong}]))
    assert set(problems(document)) == {"packages[0].dependencies[0].version"}


numbers = st.integers(0, 30)
versions = st.builds("{}.{}.{}".format, numbers, numbers, numbers)
operators = st.sampled_from(["", "==", ">=", "<=", ">", "<", "~", "^", "~=", "!="])
specs = st.lists(st.builds(str.__add__, operators, versions), min_size=1, max_size=3).map(",".join)


@given(specs, versions)
def test_what_was_allowed_stays_allowed(spec: str, version: str) -> None:
    written = write_spec(spec).text
    assert written is None or re.fullmatch(r"(>=|<=|>|<|~)?\d+\.\d+\.\d+", written)
    if SimpleSpec(spec).match(Version(version)) and written is not None:
        assert SimpleSpec(written).match(Version(version))


@given(specs, versions)
def test_what_was_not_widened_means_the_same(spec: str, version: str) -> None:
    written, widened = write_spec(spec)
    if not widened and written is not None:
        assert SimpleSpec(spec).match(Version(version)) == SimpleSpec(written).match(Version(version))
