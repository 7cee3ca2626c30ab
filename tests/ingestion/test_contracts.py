"""The contracts are valid, say what the feeds were agreed to hold, and are the one place that rules follow from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml
from open_data_contract_standard.model import OpenDataContractStandard

from ingestion.contract import CONTRACTS, read_contract, read_contracts
from mallard.errors import SettingsError

# Table: required columns, optional columns, key, partition column, whether rows are expected.
FEEDS = {
    "orders/orders": (
        "order_id ordered_at status currency",
        ("customer_id paid_at shipped_at promised_at delivered_at cancelled_at session_id visitor_id sales_channel "
        "device promotion_id discount_amount shipping_fee ship_region updated_at"),
        "order_id", "ordered_at", True,
    ),
    "orders/order_items": (
        "order_id line_number product_id quantity unit_price", "unit_cost discount_amount",
        "order_id line_number", None, True,
    ),
    "orders/refunds": (
        "refund_id order_id refunded_at amount", "line_number quantity kind reason", "refund_id", "refunded_at", False,
    ),
    "orders/customers": (
        "customer_id", "registered_at region member_tier referrer_customer_id email phone updated_at",
        "customer_id", None, True,
    ),
    "orders/products": (
        "product_id product_name category_l1",
        "category_l2 category_l3 brand merchant_id list_price unit_cost listed_at delisted_at updated_at",
        "product_id", None, True,
    ),
    "orders/promotions": (
        "promotion_id promotion_name kind starts_at ends_at", "warmup_at budget", "promotion_id", None, False,
    ),
    "orders/merchants": (
        "merchant_id merchant_name joined_at", "left_at tier owner_customer_id", "merchant_id", None, False,
    ),
    "orders/reviews": (
        "review_id product_id rating reviewed_at", "order_id customer_id", "review_id", "reviewed_at", False,
    ),
    "orders/inventory": (
        "product_id snapshot_date on_hand", "", "product_id snapshot_date", "snapshot_date", False,
    ),
    "orders/fx_rates": (
        "rate_date currency rate_to_reporting", "", "rate_date currency", "rate_date", False,
    ),
    "clickstream/events": (
        "event_id event_at visitor_id event_type",
        ("customer_id session_id page_type page_url product_id slot_id search_query promotion_id order_id referrer "
        "utm_source utm_medium utm_campaign device user_agent experiment_id variant"),
        "event_id", "event_at", True,
    ),
    "channel_spend/channel_spend": (
        "spend_date channel campaign_id impressions clicks spend currency", "campaign_name installs",
        "spend_date channel campaign_id", "spend_date", True,
    ),
}  # fmt: skip


def test_every_table_of_the_feeds_has_a_contract_and_no_other() -> None:
    assert {contract.name for contract in read_contracts().values()} == set(FEEDS)


@pytest.mark.parametrize("name", FEEDS)
def test_a_contract_says_what_the_feeds_say(name: str) -> None:
    required, optional, key, partition, expects_rows = FEEDS[name]
    feed, table = name.split("/")
    contract = read_contracts()[feed, table]
    assert set(contract.required) == set(required.split())
    assert {column.name for column in contract.columns} - set(contract.required) == set(optional.split())
    assert contract.key == tuple(key.split())
    assert contract.partition_column == partition
    assert contract.expects_rows is expects_rows
    assert contract.allowed_bad_share == 0.01
    assert all(column.description for column in contract.columns)


def test_money_is_decimal_and_ids_are_text() -> None:
    for contract in read_contracts().values():
        for column in contract.columns:
            assert column.sql_type not in {"DOUBLE", "FLOAT"}
            if column.name.endswith("_id"):
                assert column.sql_type == "VARCHAR"


@pytest.mark.parametrize("path", sorted(CONTRACTS.glob("*/*.yml")), ids=lambda path: path.stem)
def test_a_contract_is_valid_by_the_standard(path: Path) -> None:
    schema = json.loads(OpenDataContractStandard.json_schema())
    jsonschema.validate(yaml.safe_load(path.read_text()), schema, cls=jsonschema.Draft201909Validator)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("apiVersion: v3.2.0", "apiVersion: v2.2.0", "not an ODCS v3 contract"),
        ("physicalType: BIGINT", "physicalType: DOUBLE", "a type that landing does not write"),
        ("name: order_items", "name: items", "wrong place"),
        ("value: [order_id]", "value: [order_nr]", "by a column that it does not have"),
        ("schema:", "schemata:", "is not a data contract"),
    ],
)
def test_a_wrong_contract_is_refused_with_its_file(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "orders" / "order_items.yml"
    path.parent.mkdir()
    text = (CONTRACTS / "orders" / "order_items.yml").read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(SettingsError, match=says):
        read_contract(path)


def test_a_changed_rule_changes_the_version(tmp_path: Path) -> None:
    path = tmp_path / "orders" / "refunds.yml"
    path.parent.mkdir()
    shutil.copy(CONTRACTS / "orders" / "refunds.yml", path)
    before = read_contract(path).version
    path.write_text(path.read_text().replace("value: exchange", "value: swap"))
    assert read_contract(path).version != before
