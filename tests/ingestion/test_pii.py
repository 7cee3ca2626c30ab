"""The keyed hashes that DuckDB makes are Python's HMAC-SHA-256."""

from __future__ import annotations

import hashlib
import hmac

import duckdb
import pytest

from ingestion.pii import hashed_as_by_name, hashed_sql, key_id, set_key
from tests.ingestion.conftest import Inbox, customer


@pytest.mark.parametrize("key", [b"k", b"0" * 64, b"long" * 40, bytes(range(256))])
@pytest.mark.parametrize(
    ("kind", "value", "uniform"),
    [
        ("email", " Ann@Example.COM ", "ann@example.com"),
        ("email", "ünï@x.de", "ünï@x.de"),
        ("email", "  ", None),
        ("email", None, None),
        ("phone", "+49 (170) 555-12 34", "+491705551234"),
        ("phone", " 0170/5551234", "01705551234"),
        ("phone", "n/a", None),
        ("phone", "", None),
    ],
)
def test_hashes_equal_those_of_python(key: bytes, kind: str, value: str | None, uniform: str | None) -> None:
    with duckdb.connect() as connection:
        set_key(connection, key)
        ((got,),) = connection.execute(
            f"select {hashed_sql('v', kind)} from (select ?::varchar as v)", [value]
        ).fetchall()
    expected = None if uniform is None else hmac.new(key, uniform.encode(), hashlib.sha256).hexdigest()
    assert got == expected


def test_customers_land_with_hashes_that_match_across_deliveries_and_writings(inbox: Inbox) -> None:
    inbox.rows("orders/customers", [customer(1)], day="2025-11-11")
    other = {"email": "canary.1@example.com", "phone": "+4917055512001"}
    inbox.rows("orders/customers", [customer(1, **other)], day="2025-11-12", ending="jsonl")
    inbox.land()
    first, second = inbox.landed("orders/customers", "email, phone")
    assert first == second
    key = inbox.settings.hash_key
    assert first[0] == hmac.new(key, b"canary.1@example.com", hashlib.sha256).hexdigest()
    assert first[1] == hmac.new(key, b"+4917055512001", hashlib.sha256).hexdigest()


def test_columns_that_are_personal_by_name_are_known() -> None:
    assert [hashed_as_by_name(name) for name in ("backup_email", "E_Mail", "phone_number", "mobile", "hotel", "gmail_id")] == [
        "email", "email", "phone", "phone", None, None,
    ]  # fmt: skip


def test_the_name_of_a_key_does_not_give_it_away() -> None:
    assert key_id(b"secret") != hashlib.sha256(b"secret").hexdigest()[:12]
    assert key_id(b"secret") == key_id(b"secret") != key_id(b"other")
