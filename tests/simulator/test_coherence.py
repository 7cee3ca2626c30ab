"""The files fit together: keys resolve, times are in order, money adds up. With faults and without."""

from __future__ import annotations

from itertools import pairwise

import pytest

REFERENCES = [
    ("order_items.order_id", "orders.order_id"),
    ("order_items.product_id", "products.product_id"),
    ("orders.customer_id", "customers.customer_id"),
    ("orders.visitor_id", "events.visitor_id"),
    ("orders.promotion_id", "promotions.promotion_id"),
    ("refunds.order_id", "orders.order_id"),
    ("reviews.order_id", "orders.order_id"),
    ("reviews.product_id", "products.product_id"),
    ("reviews.customer_id", "customers.customer_id"),
    ("products.merchant_id", "merchants.merchant_id"),
    ("merchants.owner_customer_id", "customers.customer_id"),
    ("customers.referrer_customer_id", "customers.customer_id"),
    ("inventory.product_id", "products.product_id"),
    ("events.customer_id", "customers.customer_id"),
    ("events.product_id", "products.product_id"),
    ("events.order_id", "orders.order_id"),
    ("events.promotion_id", "promotions.promotion_id"),
]
LATEST = "select * from orders qualify row_number() over (partition by order_id order by delivery desc, place desc) = 1"
LINES = """
    select *, from order_items
    qualify delivery = max(delivery) over (partition by order_id)
        and row_number() over (partition by order_id, line_number order by delivery desc, place desc) = 1
"""


def offenders(files, query: str) -> list[tuple]:
    return files.execute(f"{query} limit 5").fetchall()


@pytest.mark.parametrize(("child", "parent"), REFERENCES)
def test_keys_resolve(files, child, parent):
    (table, column), (other, key) = child.split("."), parent.split(".")
    known = f"select {column} from {table} where {column} is not null"
    assert files.execute(f"select count(*) > 0 from ({known})").fetchone() == (True,)
    assert not offenders(files, f"select * from ({known}) where {column} not in (select {key} from {other})")


def test_each_order_has_lines_and_each_line_is_there_once(files):
    assert not offenders(
        files, f"select order_id from ({LATEST}) where order_id not in (select order_id from order_items)"
    )
    assert not offenders(
        files, f"select order_id from ({LINES}) group by all having count(*) <> max(line_number)"
    )
    assert not offenders(
        files, f"select order_id from ({LINES}) group by all having count(distinct product_id) < count(*)"
    )


def test_an_orders_instants_are_in_order(files):
    steps = ("ordered_at", "paid_at", "shipped_at", "delivered_at", "updated_at")
    for earlier, later in pairwise(steps):
        assert not offenders(files, f"select * from orders where {earlier} > {later}"), (earlier, later)
    assert not offenders(files, "select * from orders where cancelled_at < greatest(ordered_at, paid_at)")
    assert not offenders(
        files, "select * from orders where shipped_at is not null and cancelled_at is not null"
    )


def test_a_status_says_what_the_instants_say(files):
    says = """
        case when cancelled_at is not null then 'cancelled' when delivered_at is not null then 'delivered'
            when shipped_at is not null then 'shipped' when paid_at is not null then 'paid' else 'placed' end
    """
    assert not offenders(
        files, f"select * from orders where replace(status, 'completed', 'delivered') <> {says}"
    )


def test_nothing_is_delivered_before_it_happened(files):
    instants = {
        "orders": "updated_at", "refunds": "refunded_at", "events": "event_at", "reviews": "reviewed_at",
        "customers": "coalesce(updated_at, registered_at)", "products": "greatest(updated_at, listed_at, delisted_at)",
        "merchants": "greatest(joined_at, left_at)",
    }  # fmt: skip
    for table, instant in instants.items():
        assert not offenders(files, f"select * from {table} where {instant}::date > delivery"), table
    for table, day in (
        ("channel_spend", "spend_date"),
        ("inventory", "snapshot_date"),
        ("fx_rates", "rate_date"),
    ):
        assert not offenders(files, f"select * from {table} where {day} > delivery"), table


def test_an_order_is_told_again_on_each_day_on_which_it_changes(plain_files):
    query = "select * from orders where updated_at::date <> delivery"
    assert not offenders(plain_files, query)
    changed = "select count(*) from (select order_id from orders group by all having count(*) > 2)"
    assert plain_files.execute(changed).fetchone()[0] > 20
    statuses = {row[0] for row in plain_files.execute("select distinct status from orders").fetchall()}
    assert statuses == {"placed", "paid", "shipped", "delivered", "completed", "cancelled"}


def test_refunds_never_exceed_what_the_order_cost(files):
    query = f"""
        with net as (
            select
                order_id,
                sum(quantity * unit_price - coalesce(lines.discount_amount, 0))
                    - coalesce(any_value(orders.discount_amount), 0) as net,
            from ({LINES}) as lines
            inner join ({LATEST}) as orders using (order_id)
            group by order_id
        ),

        refunded as (select order_id, sum(amount) as refunded from refunds group by order_id)

        select * from refunded inner join net using (order_id)
    """
    assert files.execute(f"select count(*) > 3 from ({query})").fetchone() == (True,)
    assert not offenders(files, f"select * from ({query}) where refunded > net or refunded <= 0")
    back = f"""
        select * from refunds inner join ({LINES}) as lines using (order_id, line_number)
        where refunds.quantity > lines.quantity or amount > lines.quantity * unit_price
    """
    assert not offenders(files, back)


def test_money_is_written_with_four_places(plain):
    for path in plain.out.glob("orders/order_items/*.csv"):
        for line in path.read_text().splitlines()[1:]:
            price = line.split(",")[4]
            assert len(price.partition(".")[2]) == 4, line


def test_ids_keep_their_leading_zeros(files):
    assert not offenders(files, "select * from customers where length(customer_id) <> 8")
    assert files.execute("select count(*) > 0 from products where product_id like '00%'").fetchone() == (
        True,
    )


def test_an_online_order_has_its_purchase_event_and_its_session(plain_files):
    query = f"""
        select orders.order_id from ({LATEST}) as orders
        left join events on events.order_id = orders.order_id and events.event_type = 'purchase'
        where sales_channel <> 'phone' and (
            events.visitor_id is distinct from orders.visitor_id
            or orders.session_id <> events.session_id
            or coalesce(orders.customer_id, '') <> coalesce(events.customer_id, '')
            or not event_at between ordered_at and ordered_at + interval 15 minutes
        )
    """
    assert not offenders(plain_files, query)


def test_people_behave_as_people_do(plain_files):
    """What the warehouse's rules are about occurs: each count is of something that a rule must handle."""
    occurring = {
        "guests": f"select * from ({LATEST}) where customer_id is null and visitor_id is not null",
        "calls of nobody known": f"select * from ({LATEST}) where customer_id is null and visitor_id is null",
        "sessions across midnight": """
            select session_id from events group by all having count(distinct event_at::date) > 1""",
        "visitors who become known": """
            select visitor_id from events group by all
            having min(event_at) filter (customer_id is null) < min(event_at) filter (customer_id is not null)""",
        "visitors with two customers": """
            select visitor_id from events group by all having count(distinct customer_id) > 1""",
        "customers on two devices": """
            select customer_id from events group by all having count(distinct visitor_id) > 1""",
        "pauses of more than half an hour": """
            select 1 from events qualify event_at - lag(event_at)
                over (partition by visitor_id, session_id order by event_at) > interval 30 minutes""",
        "sessions with a second campaign": """
            select session_id from events group by all having count(distinct utm_campaign) > 1""",
        "carts that are left": """
            select session_id from events group by all
            having count(*) filter (event_type = 'add_to_cart') > 0 and count(order_id) = 0""",
        "checkouts that only the page tells": """
            select session_id from events group by all
            having count(*) filter (page_type = 'checkout') > 0 and count(*) filter (event_type = 'checkout') = 0""",
        "orders paid days later": f"select * from ({LATEST}) where paid_at::date > ordered_at::date",
        "line refunds": "select * from refunds where line_number is not null",
        "customers who rise": """
            select customer_id from customers group by all having count(distinct member_tier) > 1""",
        "products with a new price": "select product_id from products group by all having count(distinct list_price) > 1",
        "products that vanish": "select product_id from products where delisted_at is not null",
        "products that come": """
            select product_id from products group by all
            having min(delivery) > (select min(delivery) from products)""",
        "merchants that leave": "select * from merchants where left_at is not null",
        "sold-out products": "select * from inventory where on_hand = 0",
        "anonymous reviews": "select * from reviews where customer_id is null",
        "both variants": "select variant from events where variant is not null group by all having count(*) > 20",
        "warm-ups": "select * from promotions where warmup_at < starts_at",
    }  # fmt: skip
    counts = {
        name: plain_files.execute(f"select count(*) from ({query})").fetchone()[0]
        for name, query in occurring.items()
    }
    assert not [name for name, count in counts.items() if not count], counts


def test_festivals_are_about_ten_times_as_busy(plain_files):
    daily = dict(plain_files.execute("select dt, sessions from truth_daily").fetchall())
    usual = sorted(daily.values())[len(daily) // 2]
    peaks = {str(day) for day, sessions in daily.items() if sessions > 4 * usual}
    assert peaks == {"2025-11-11", "2025-11-28"}


def test_a_second_currency_is_used_and_has_a_rate(ugly_files):
    used = "select distinct currency from orders union select distinct currency from channel_spend where currency is not null"
    assert {row[0] for row in ugly_files.execute(used).fetchall()} == {"USD", "EUR"}
    assert not offenders(ugly_files, "select * from fx_rates where currency = 'USD'")


def test_a_shop_looks_like_a_shop(shop):
    """Figures that a demo shows: not exact, but none that an operator would laugh at."""
    import duckdb

    report = shop(days=42, users=2000, seed=1)
    truth = report.out / "_truth"
    asked = duckdb.sql(f"""
        select
            (select sum(buyers) / sum(uv) from '{truth}/daily.parquet'),
            (select sum(retained) / sum(cohort_size) from '{truth}/retention.parquet' where day_n = 1 and is_mature),
            (select max_by(repurchase_users / buyers, dt) from '{truth}/repurchase.parquet'),
    """).fetchone()
    conversion, first_day, repurchase = asked
    assert 0.02 < conversion < 0.06
    assert 0.15 < first_day < 0.3
    assert 0.15 < repurchase < 0.35
    assert 50_000 < report.events < 150_000
