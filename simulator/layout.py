"""The feeds' tables as they are delivered: from columns of whole numbers to the columns of the contracts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator import bots
from simulator.catalogue import BRANDS, CATEGORIES, NAME_FORMS, PROMOTION_KINDS, SEARCHES, TIERS
from simulator.life import REASONS, REFUND_KINDS, STATUSES
from simulator.pages import EVENTS, PAGES
from simulator.people import DEVICES, MEMBER_TIERS, REGIONS
from simulator.sales import SALES_CHANNELS
from simulator.spend import CAMPAIGNS
from simulator.touches import OWN_HOST, TOUCHES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INT, TIME, DATE, MONEY, RATE = "int", "time", "date", "money", "rate"


@dataclass(frozen=True)
class Words:
    """A text column whose words the numbers of a column in memory point at."""

    column: str
    words: Sequence[str | None]


@dataclass(frozen=True)
class Defect:
    """One way to spoil a row: the quarantine's reason, the column, and what stands there instead (None: nothing)."""

    reason: str
    column: str
    value: str | int | None
    is_for_text: bool = False
    """Whether only a text file can hold it: a column of instants holds no other words."""


@dataclass(frozen=True)
class Table:
    """``kinds`` says what the columns in memory are, ``columns`` is SQL per delivered column, the key first.

    ``mixed`` is the ending of the files in an inbox of mixed formats.
    """

    feed: str
    name: str
    kinds: Mapping[str, str | Words]
    columns: Mapping[str, str]
    mixed: str
    defects: tuple[Defect, ...]
    is_optional: bool = False


_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1",
    *(None,) * (bots.FIRST_AGENT - 3),
    *bots.AGENTS,
)
_PATHS = ("/", "/all", "/search", "/sale", "/p/", "/cart", "/checkout", "/thanks", "/magazine")


def _id(prefix: str, column: str, width: int) -> str:
    """SQL of an id: with leading zeros, which a careless reader loses."""
    return f"'{prefix}' || lpad({column}::varchar, {width}, '0')"


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_ORDER, _CUSTOMER, _PRODUCT = _id("", '"order"', 9), _id("", "customer", 8), _id("", "product", 5)
_VISITOR, _MERCHANT, _PROMOTION = (
    _id("v", "visitor", 9),
    _id("m", "merchant", 4),
    _id("promo-", "promotion", 3),
)
_PAID_TOUCHES = {
    "utm_source": Words("touch", [touch.source for touch in TOUCHES]),
    "utm_medium": Words("touch", [touch.medium for touch in TOUCHES]),
    "utm_campaign": Words("touch", [touch.campaign for touch in TOUCHES]),
    "touch_referrer": Words("touch", [touch.referrer for touch in TOUCHES]),
}


def tables(
    *, promotion_names: Sequence[str], currencies: Sequence[str], session_ids_per_visitor: bool
) -> dict[str, Table]:
    """All tables of the three feeds, by name."""
    session = _id("s", "session", 10)
    if session_ids_per_visitor:
        session = "case when session is not null then 'd' || session_day || '-' || nth end"
    currency = Words("currency", currencies)
    found = (
        _events(session),
        _orders(session, currency),
        _order_items(),
        _refunds(),
        _customers(),
        _products(),
        _promotions(promotion_names),
        _merchants(),
        _reviews(),
        _inventory(),
        _fx_rates(currency),
        _channel_spend(currency),
    )
    return {table.name: table for table in found}


def _events(session: str) -> Table:
    return Table(
        feed="clickstream",
        name="events",
        kinds={
            "event": INT, "happened": TIME, "visitor": INT, "customer": INT, "session": INT, "session_day": INT,
            "nth": INT, "event_type": Words("kind", EVENTS), "page_type": Words("page", PAGES),
            "path": Words("page", [f"https://{OWN_HOST}{path}" for path in _PATHS]), "product": INT, "slot": INT,
            "search_query": Words("query", SEARCHES), "promotion": INT, "order": INT, "touch": INT,
            **_PAID_TOUCHES, "device": Words("device", DEVICES), "user_agent": Words("agent", _AGENTS),
            "variant": Words("variant", ("control", "treatment")),
        },
        columns={
            "event_id": _id("e", "event", 12),
            "event_at": "happened",
            "visitor_id": _VISITOR,
            "customer_id": _CUSTOMER,
            "session_id": session,
            "event_type": "event_type",
            "page_type": "page_type",
            "page_url": f"case when page_type = 'detail' then path || {_PRODUCT} else path end",
            "product_id": _PRODUCT,
            "slot_id": "page_type || '-' || slot",
            "search_query": "search_query",
            "promotion_id": _PROMOTION,
            "order_id": _ORDER,
            # Within the shop a page view names the shop itself as where it came from.
            "referrer": f"case when touch is null and event_type = 'page_view' then 'https://{OWN_HOST}/'"
            " else touch_referrer end",
            **_same("utm_source", "utm_medium", "utm_campaign", "device", "user_agent"),
            "experiment_id": "case when variant is not null then 'product-page' end",
            "variant": "variant",
        },
        mixed="jsonl.gz",
        defects=(
            Defect("event_at_not_an_instant", "event_at", "yesterday, around noon", is_for_text=True),
            Defect("event_type_not_allowed", "event_type", "page_veiw"),
            Defect("visitor_id_missing", "visitor_id", None),
        ),
    )  # fmt: skip


def _orders(session: str, currency: Words) -> Table:
    instants = ("ordered_at", "paid_at", "shipped_at", "promised_at", "delivered_at", "cancelled_at")
    return Table(
        feed="orders",
        name="orders",
        kinds={
            "order": INT, "customer": INT, **dict.fromkeys(instants, TIME), "status": Words("status", STATUSES),
            "currency": currency, "session": INT, "session_day": INT, "nth": INT, "visitor": INT,
            "sales_channel": Words("sales_channel", SALES_CHANNELS), "device": Words("device", DEVICES),
            "promotion": INT, "discount": MONEY, "shipping_fee": MONEY,
            "ship_region": Words("ship_region", REGIONS), "updated_at": TIME,
        },
        columns={
            "order_id": _ORDER,
            "customer_id": _CUSTOMER,
            **_same("ordered_at", "status", *instants[1:], "currency"),
            "session_id": session,
            "visitor_id": _VISITOR,
            **_same("sales_channel", "device"),
            "promotion_id": _PROMOTION,
            "discount_amount": "discount",
            **_same("shipping_fee", "ship_region", "updated_at"),
        },
        mixed="csv",
        defects=(
            Defect("ordered_at_not_an_instant", "ordered_at", "2025-13-45T99:00:00Z", is_for_text=True),
            Defect("status_not_allowed", "status", "lost"),
            Defect("currency_missing", "currency", None),
        ),
    )  # fmt: skip


def _order_items() -> Table:
    return Table(
        feed="orders",
        name="order_items",
        kinds={
            **dict.fromkeys(("order", "line", "product", "quantity"), INT),
            **dict.fromkeys(("unit_price", "unit_cost", "discount"), MONEY),
        },
        columns={
            "order_id": _ORDER,
            "line_number": "line",
            "product_id": _PRODUCT,
            **_same("quantity", "unit_price", "unit_cost"),
            "discount_amount": "discount",
        },
        mixed="csv",
        defects=(
            Defect("unit_price_not_a_number", "unit_price", "twelve", is_for_text=True),
            Defect("quantity_out_of_range", "quantity", 0),
            Defect("product_id_missing", "product_id", None),
        ),
    )


def _refunds() -> Table:
    return Table(
        feed="orders",
        name="refunds",
        kinds={
            **dict.fromkeys(("refund", "order", "line", "quantity"), INT), "refunded_at": TIME, "amount": MONEY,
            "kind": Words("kind", REFUND_KINDS), "reason": Words("reason", REASONS),
        },
        columns={
            "refund_id": _id("r", "refund", 8),
            "order_id": _ORDER,
            "line_number": "line",
            **_same("refunded_at", "amount", "quantity", "kind", "reason"),
        },
        mixed="csv",
        defects=(
            Defect("refunded_at_not_an_instant", "refunded_at", "soon", is_for_text=True),
            Defect("amount_out_of_range", "amount", 0),
        ),
    )  # fmt: skip


def _customers() -> Table:
    return Table(
        feed="orders",
        name="customers",
        kinds={
            "customer": INT, "registered_at": TIME, "region": Words("region", REGIONS),
            "member_tier": Words("tier", MEMBER_TIERS), "referrer": INT, "updated_at": TIME,
        },
        columns={
            "customer_id": _CUSTOMER,
            **_same("registered_at", "region", "member_tier"),
            "referrer_customer_id": _id("", "referrer", 8),
            # Domains and numbers that are reserved for examples.
            "email": "case when customer % 29 <> 3 then 'buyer.' || customer || '@mail.example' end",
            "phone": "case when customer % 3 = 0 then '+1 555 01' || lpad((customer % 100)::varchar, 2, '0') end",
            "updated_at": "updated_at",
        },
        mixed="csv.gz",
        defects=(
            Defect("registered_at_not_an_instant", "registered_at", "1 January", is_for_text=True),
            Defect("customer_id_missing", "customer_id", None),
        ),
    )  # fmt: skip


def _products() -> Table:
    levels = {
        f"category_l{level + 1}": Words("category", [category[level] for category in CATEGORIES])
        for level in range(3)
    }
    return Table(
        feed="orders",
        name="products",
        kinds={
            "product": INT, "form": Words("name_form", NAME_FORMS), **levels, "brand": Words("brand", BRANDS),
            "merchant": INT, "price": MONEY, "cost": MONEY, "listed_at": TIME, "delisted_at": TIME,
            "updated_at": TIME,
        },
        columns={
            "product_id": _PRODUCT,
            "product_name": f"replace(replace(form, '{{0}}', category_l3), '{{1}}', {_PRODUCT})",
            **_same(*levels, "brand"),
            "merchant_id": _MERCHANT,
            "list_price": "price",
            "unit_cost": "cost",
            **_same("listed_at", "delisted_at", "updated_at"),
        },
        mixed="parquet",
        defects=(
            Defect("list_price_not_a_number", "list_price", "9,99", is_for_text=True),
            Defect("product_name_missing", "product_name", None),
        ),
    )  # fmt: skip


def _promotions(names: Sequence[str]) -> Table:
    return Table(
        feed="orders",
        name="promotions",
        kinds={
            "promotion": INT, "name": Words("promotion", names), "kind": Words("kind", PROMOTION_KINDS),
            "warmup_at": TIME, "starts_at": TIME, "ends_at": TIME, "budget": MONEY,
        },
        columns={
            "promotion_id": _PROMOTION,
            "promotion_name": "name",
            **_same("kind", "warmup_at", "starts_at", "ends_at", "budget"),
        },
        mixed="jsonl",
        defects=(),
        is_optional=True,
    )  # fmt: skip


def _merchants() -> Table:
    return Table(
        feed="orders",
        name="merchants",
        kinds={
            "merchant": INT,
            "joined_at": TIME,
            "left_at": TIME,
            "tier": Words("tier", TIERS),
            "owner": INT,
        },
        columns={
            "merchant_id": _MERCHANT,
            "merchant_name": "'Merchant ' || merchant",
            **_same("joined_at", "left_at", "tier"),
            "owner_customer_id": _id("", "owner", 8),
        },
        mixed="csv",
        defects=(),
        is_optional=True,
    )


def _reviews() -> Table:
    return Table(
        feed="orders",
        name="reviews",
        kinds={
            **dict.fromkeys(("review", "order", "product", "customer", "rating"), INT),
            "reviewed_at": TIME,
        },
        columns={
            "review_id": _id("w", "review", 8),
            "order_id": _ORDER,
            "product_id": _PRODUCT,
            "customer_id": _CUSTOMER,
            **_same("rating", "reviewed_at"),
        },
        mixed="jsonl",
        defects=(Defect("rating_out_of_range", "rating", 6),),
        is_optional=True,
    )


def _inventory() -> Table:
    return Table(
        feed="orders",
        name="inventory",
        kinds={"product": INT, "snapshot_date": DATE, "on_hand": INT},
        columns={"product_id": _PRODUCT, **_same("snapshot_date", "on_hand")},
        mixed="parquet",
        # Another day's row, so that the bad row's key is its own.
        defects=(Defect("on_hand_out_of_range", "on_hand", -3),),
        is_optional=True,
    )


def _fx_rates(currency: Words) -> Table:
    return Table(
        feed="orders",
        name="fx_rates",
        kinds={"rate_date": DATE, "currency": currency, "rate": RATE},
        columns={**_same("rate_date", "currency"), "rate_to_reporting": "rate"},
        mixed="csv",
        defects=(),
        is_optional=True,
    )


def _channel_spend(currency: Words) -> Table:
    return Table(
        feed="channel_spend",
        name="channel_spend",
        kinds={
            "spend_date": DATE, "channel": Words("campaign", [channel for channel, _ in CAMPAIGNS]),
            "campaign_id": Words("campaign", [campaign for _, campaign in CAMPAIGNS]),
            **dict.fromkeys(("impressions", "clicks", "installs"), INT), "spend": MONEY, "currency": currency,
        },
        columns={
            **_same("spend_date", "channel", "campaign_id"),
            "campaign_name": "upper(replace(campaign_id, '-', ' '))",
            **_same("impressions", "clicks", "spend", "currency", "installs"),
        },
        mixed="csv",
        defects=(),
    )  # fmt: skip
