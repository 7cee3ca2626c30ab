"""Canaries in every place where a source may carry a person or a secret: nothing that is kept holds one."""

from __future__ import annotations

import json

import duckdb
import pytest

from ingestion.pii import scrubbed_sql
from tests.ingestion.conftest import Inbox, customer

# Each is found in whatever way it is written: as it stands, or with its @ as %40.
CANARIES = (
    "canary.mail",
    "55512345",
    "555 12 345",
    "canary-token",
    "0123456789abcdef0123456789abcdef",
    "eyJjYW5hcnki",
    "canary-password",
)
PERSON = {"email": "canary.mail@example.com", "phone": "+4917055512345"}
EVENT = {
    "page_url": "https://ann:canary-password@shop.example/reset/eyJjYW5hcnki.eyJzdWIi.x?token=canary-token#canary-token",
    "referrer": "https://mail.example/u/canary.mail%40example.com/?to=canary.mail@example.com",
    "search_query": "order of canary.mail@example.com, +49 170 555 12 345, 0123456789abcdef0123456789abcdef",
    "access_token": "canary-token",
    "contact_email": "canary.mail@example.com",
}
REFUND = {
    "refund_id": "r1",
    "order_id": "1",
    "refunded_at": "2025-11-11T10:00:00Z",
    "amount": "1",
    "kind": "return",
    "reason": "call canary.mail@example.com, 0170/55512345",
}


def event(number: int, **changes: str) -> dict[str, str]:
    """A sound row of clickstream/events."""
    return {
        "event_id": f"e{number}",
        "event_at": "2025-11-11T10:00:00Z",
        "visitor_id": "v1",
        "event_type": "page_view",
    } | changes


def kept(inbox: Inbox) -> str:
    """All that lies in the home, as text: columns of Parquet files as they are, other files byte by byte."""
    found = []
    for path in sorted(inbox.settings.home.rglob("*")):
        if path.suffix == ".parquet":
            found += [str(row) for row in duckdb.sql(f"select * from read_parquet('{path}')").fetchall()]
        elif path.is_file():
            found.append(path.read_bytes().decode("utf-8", "replace"))
    return "\n".join(found)


def leaks(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_no_person_and_no_secret_is_kept(inbox: Inbox, ending: str) -> None:
    sound = [event(number) for number in range(400)]
    inbox.rows(
        "clickstream/events",
        [*sound, event(900, **EVENT), event(901, event_type="?", **EVENT)],
        ending=ending,
    )
    people = [customer(number) for number in range(300)]
    slipped = {"customer_id": "c901", "registered_at": PERSON["email"], "region": PERSON["phone"], **PERSON}
    inbox.rows("orders/customers", [*people, customer(900, **PERSON), slipped], ending=ending)
    inbox.rows("orders/refunds", [REFUND, {**REFUND, "refund_id": "r2", "amount": "-1"}], ending=ending)
    report = inbox.land()
    assert sum(manifest.rows_quarantined for manifest in report.landed) == 2
    text = kept(inbox) + "\n".join([*inbox.said.texts, *map(str, report.refused)])
    assert "shop.example" in text
    assert leaks(text) == []


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_line_that_cannot_be_split_keeps_no_secret(inbox: Inbox, ending: str) -> None:
    path = inbox.rows("clickstream/events", [event(number) for number in range(400)], ending=ending)
    broken = f"{EVENT['page_url']},{EVENT['referrer']},x" + ",y" * 40
    if ending == "jsonl":
        broken = json.dumps(event(900, **EVENT))[:-1]
    path.write_text(path.read_text() + broken.replace("0123456789abcdef", "") + "\n")
    (manifest,) = inbox.land().landed
    assert manifest.rows_quarantined == 1
    assert leaks(kept(inbox)) == []


def test_refused_delivery_says_nothing_of_its_people(inbox: Inbox) -> None:
    inbox.rows("clickstream/events", [event(number, event_type="?", **EVENT) for number in range(9)])
    inbox.rows("orders/customers", [{"registered_at": PERSON["email"], **PERSON}])
    report = inbox.land()
    assert len(report.refused) == 2
    assert leaks(kept(inbox) + "\n".join(map(str, report.refused))) == []


@pytest.mark.parametrize(
    ("kind", "text", "kept_text"),
    [
        ("url", "https://shop.example/p/1?utm_source=x&token=y#z", "https://shop.example/p/1"),
        ("url", "//me@shop.example/a", "//shop.example/a"),
        ("url", "/u/ann@example.com/orders", "/u/[e-mail]/orders"),
        ("url", "android-app://com.example", "android-app://com.example"),
        ("url", "/@brand/shoes", "/@brand/shoes"),
        ("url", None, None),
        ("words", "running shoes 42", "running shoes 42"),
        ("words", "4006381333931", "4006381333931"),
        ("words", "2025-11-11", "2025-11-11"),
        ("words", "mail ann@example.com or +49 170 555 12 34", "mail [e-mail] or [number]"),
    ],
)
def test_only_what_is_personal_or_secret_is_taken_out(
    kind: str, text: str | None, kept_text: str | None
) -> None:
    rows = duckdb.execute(
        f"select {scrubbed_sql('t', kind)} from (select ?::varchar as t)", [text]
    ).fetchall()
    assert rows == [(kept_text,)]
