"""What is marked as secret is nowhere in what is left of the spec, and comes back whole."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from jobkeep.protocol.jobs import JobSpec, ShownSpec
from jobkeepd.core.secrets import Kept, decoded, encoded, parted

NAMES = st.sampled_from(["TOKEN", "password", "A", "path", "ü"])
MARK = "s3cr3t"
VALUES = st.text(st.characters(exclude_characters="3", exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(st.none() | st.booleans() | st.integers() | VALUES, lambda inner: st.lists(inner, max_size=2))


@st.composite
def specs(draw: st.DrawFn) -> JobSpec:
    """A spec in which each value that is said to be secret has MARK in it, and nothing else has."""
    env, arguments = draw(st.dictionaries(NAMES, VALUES)), draw(st.dictionaries(NAMES, JSON))
    secrets = [name for name in draw(st.lists(NAMES, unique=True)) if name in env or name in arguments]
    hidden: dict[str, str] = {name: MARK + value if name in secrets else value for name, value in env.items()}
    deep: dict[str, Any] = {
        name: [value, {"a": MARK}] if name in secrets else value for name, value in arguments.items()
    }
    environment = draw(st.none() | st.dictionaries(NAMES, VALUES.map(MARK.__add__)))
    return JobSpec(function="m:f", env=hidden, arguments=deep, secrets=secrets, environment=environment)


@settings(max_examples=30, deadline=None)
@given(specs())
def test_no_secret_is_left_in_a_spec(asked: JobSpec) -> None:
    """Encoded, as a view, or printed: it holds no value that is secret, and all that is not, in its order."""
    spec, kept = parted(asked)
    for shown in (json.encode(spec).decode(), repr(spec), str(json.decode(json.encode(spec), type=ShownSpec))):
        assert MARK not in shown
    kept = kept or Kept()
    assert {**spec.env, **kept.variables} == asked.env
    assert {**spec.arguments, **kept.arguments} == asked.arguments
    assert kept.variables.keys() | kept.arguments.keys() == set(asked.secrets)
    assert kept.environment == (asked.environment or {})


@settings(max_examples=30, deadline=None)
@given(specs())
def test_what_is_kept_comes_back_as_it_was(asked: JobSpec) -> None:
    """Types of arguments and their order included; an environment alone is stored as it always was."""
    kept = parted(asked)[1] or Kept()
    assert repr(decoded(encoded(kept))) == repr(kept) or not kept.has_secrets
    assert decoded(encoded(kept)) == kept
    assert kept.has_secrets or json.decode(encoded(kept), type=dict[str, str]) == kept.environment


def test_an_inherited_environment_is_for_specs_without_one() -> None:
    """And a spec with nothing to hide is the same object."""
    plain, own = JobSpec(command=["true"]), JobSpec(command=["true"], environment={"A": "2"})
    assert parted(plain) == (plain, None)
    assert parted(plain, {"A": "1"}) == (plain, Kept({"A": "1"}))
    assert parted(own, {"A": "1"})[1] == Kept({"A": "2"})
