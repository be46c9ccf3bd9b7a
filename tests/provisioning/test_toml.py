"""What we write as TOML is read back the same by the reader of the standard library."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from provisioning import toml

KEYS = st.text(min_size=1, max_size=8)
SIMPLE = st.one_of(
    st.text(max_size=20),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.dates(),
    st.lists(st.text(max_size=8), max_size=3),
)
TABLES = st.recursive(
    st.dictionaries(KEYS, SIMPLE, max_size=3),
    lambda inner: st.dictionaries(KEYS, st.one_of(SIMPLE, inner), max_size=3),
    max_leaves=8,
)


@given(TABLES)
def test_every_table_survives_the_way_out_and_back(table: dict[str, toml.Value]) -> None:
    assert tomllib.loads(toml.text(table)) == table
