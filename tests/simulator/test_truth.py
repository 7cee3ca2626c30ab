"""The truth against the files themselves, read with plain SQL that knows only the definitions of the figures."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from simulator.touches import TOUCHES

from .reading import read

SEEDS = Path(__file__).resolve().parents[2] / "dbt_project" / "seeds"
BOTS = "(?i)bot|crawl|spider|slurp|headless|phantomjs|python-requests|curl|wget|scrapy|httpclient"

# Sessions with their user, by the ground terms: ids as they are, cuts after half an hour without one.
SESSIONS = f"""
    create temp table seen as
    with once as (from events qualify row_number() over (partition by event_id order by delivery desc, place desc) = 1),

    counted as (
        select *, count(*) over (partition by visitor_id, day) as busy,
        from (select *, day_of(event_at) as day from once)
    )

    select * exclude (busy) from counted where busy <= 500 and not regexp_matches(coalesce(user_agent, ''), '{BOTS}');

    create temp table named as
    select visitor_id, any_value(customer_id) as customer_id from seen
    group by visitor_id having count(distinct customer_id) = 1;

    create temp table cut as
    select
        *,
        coalesce(session_id, 'cut ' || count(*) filter (is_new) over (
            partition by visitor_id, session_id is null order by event_at, event_id)) as session,
    from (
        select *, event_at - lag(event_at) over (
            partition by visitor_id, session_id is null order by event_at, event_id) > interval 30 minutes as is_new,
        from seen
    );

    create temp table sessions as
    select
        visitor_id,
        session,
        arg_min(day, (event_at, event_id)) as dt,
        coalesce(
            'c:' || arg_max(cut.customer_id, (event_at, event_id)) filter (cut.customer_id is not null),
            'c:' || any_value(named.customer_id),
            'v:' || visitor_id
        ) as user_id,
    from cut left join named using (visitor_id) group by visitor_id, session;

    create temp table user_days as
    select distinct day, user_id from cut inner join sessions using (visitor_id, session);
"""
ORDERS = """
    create temp table order_now as
    from orders qualify row_number() over (partition by order_id order by updated_at desc, delivery desc, place desc) = 1;

    create temp table lines as
    from order_items
    qualify delivery = max(delivery) over (partition by order_id)
        and row_number() over (partition by order_id, line_number order by delivery desc, place desc) = 1;

    create temp table rates as
    select order_id, case when orders.currency = 'USD' then 1 else rate_to_reporting end as rate,
    from order_now as orders
    asof left join fx_rates
        on orders.currency = fx_rates.currency and day_of(orders.ordered_at) >= rate_date;

    create temp table bought as
    select
        order_id,
        day_of(any_value(ordered_at)) as placed_on,
        day_of(any_value(paid_at)) as paid_on,
        any_value(paid_at) as paid_at,
        coalesce(
            'c:' || any_value(orders.customer_id), 'c:' || any_value(named.customer_id),
            'v:' || any_value(orders.visitor_id), 'o:' || order_id
        ) as buyer,
        sum(round(quantity * unit_price * rate, 4)) as amount,
        sum(quantity) as units,
    from lines inner join order_now as orders using (order_id) inner join rates using (order_id)
    left join named on orders.visitor_id = named.visitor_id
    group by order_id;
"""


def prepared(report, zone: str = "UTC"):
    files = read(report.out)
    files.execute(
        f"create macro day_of(instant) as (instant at time zone '{zone}')::date; {SESSIONS} {ORDERS}"
    )
    return files


@pytest.fixture(
    scope="module",
    params=["plain", "ugly", "without ids", "New York"],
)
def shop_files(request, shop):
    if request.param == "New York":
        report = shop(days=16, users=300, time_zone="America/New_York", faults=("late", "lost_session_ids"))
        return prepared(report, "America/New_York")
    if request.param == "without ids":
        return prepared(shop(days=9, users=400, faults=("no_session_ids", "bots", "duplicates", "late")))
    return prepared(request.getfixturevalue(request.param))


def test_sales_are_those_of_the_files(shop_files):
    query = """
        with days as (select dt from truth_daily),

        sold as (
            select paid_on as dt, sum(amount) as gmv, count(*) as orders, sum(units) as units, count(distinct buyer) as buyers
            from bought group by all
        ),

        placed as (select placed_on as dt, sum(amount) as placed_gmv from bought group by all),
        newly as (select dt, count(*) as new_buyers from (select buyer, min(paid_on) as dt from bought group by all) group by dt),

        refunded as (
            select day_of(refunded_at) as dt, sum(round(refunds.amount * rate, 4)) as refund_amount
            from refunds inner join rates using (order_id) group by all
        )

        select
            dt, coalesce(gmv, 0)::decimal(18, 4), coalesce(placed_gmv, 0)::decimal(18, 4),
            coalesce(refund_amount, 0)::decimal(18, 4), coalesce(orders, 0)::int, coalesce(units, 0)::int,
            coalesce(buyers, 0)::int, coalesce(new_buyers, 0)::int,
        from days left join sold using (dt) left join placed using (dt) left join newly using (dt) left join refunded using (dt)
        order by dt
    """
    truth = "select dt, gmv, placed_gmv, refund_amount, orders, units, buyers, new_buyers from truth_daily order by dt"
    assert shop_files.execute(query).fetchall() == shop_files.execute(truth).fetchall()


def test_visits_are_those_of_the_files(shop_files):
    query = """
        select
            dt,
            (select count(*) from user_days where day = dt),
            (select count(*) from seen where day = dt and event_type = 'page_view'),
            (select count(*) from sessions where sessions.dt = truth_daily.dt),
            (select count(*) from (select user_id, min(day) as first from user_days group by all) where first = dt),
        from truth_daily order by dt
    """
    assert (
        shop_files.execute(query).fetchall()
        == shop_files.execute(
            "select dt, uv, pv, sessions, new_users from truth_daily order by dt"
        ).fetchall()
    )


def test_retention_is_that_of_the_files(shop_files):
    query = """
        with first as (select user_id, min(day) as cohort_dt from user_days group by all)

        select
            cohort_dt, day_n, (select count(*) from first where first.cohort_dt = truth.cohort_dt),
            case when is_mature then (
                select count(*) from user_days inner join first using (user_id)
                where first.cohort_dt = truth.cohort_dt and day = truth.cohort_dt + day_n::int
            ) end,
        from truth_retention as truth order by all
    """
    truth = "select cohort_dt, day_n, cohort_size, retained from truth_retention order by all"
    assert shop_files.execute(query).fetchall() == shop_files.execute(truth).fetchall()
    last = "select bool_and(is_mature = (cohort_dt + day_n::int <= (select max(dt) from truth_daily))) from truth_retention"
    assert shop_files.execute(last).fetchone() == (True,)


def test_repurchase_is_that_of_the_files(shop_files):
    query = """
        with inside as (
            select
                dt, buyer, amount,
                row_number() over (partition by dt, buyer order by paid_at, order_id) as nth,
                count(*) over (partition by dt, buyer) as orders,
            from truth_repurchase inner join bought on paid_on <= dt and paid_on > dt - 30
        )

        select
            dt, count(distinct buyer), count(distinct buyer) filter (orders > 1),
            coalesce(sum(amount) filter (nth > 1), 0)::decimal(18, 4),
        from inside group by dt order by dt
    """
    truth = """
        select dt, buyers, repurchase_users, repurchase_amount from truth_repurchase where buyers > 0 order by dt
    """
    assert shop_files.execute(query).fetchall() == shop_files.execute(truth).fetchall()


def test_the_funnel_is_that_of_the_files(shop_files):
    query = """
        with steps as (
            select
                visitor_id, session,
                min(event_at) filter (event_type = 'page_view' and page_type = 'detail') as viewed_at,
            from cut group by all
        ),

        carts as (
            select visitor_id, session, min(event_at) filter (event_type = 'add_to_cart' and event_at >= viewed_at) as carted_at
            from cut inner join steps using (visitor_id, session) group by all
        ),

        checkouts as (
            select
                visitor_id, session,
                bool_or(event_at >= carted_at and (event_type = 'checkout'
                    or event_type = 'page_view' and page_type = 'checkout')) as is_checked_out,
                bool_or(event_type = 'add_to_cart') as has_cart,
                bool_or(event_type = 'checkout' or event_type = 'page_view' and page_type = 'checkout') as has_checkout,
            from cut inner join carts using (visitor_id, session) group by all
        ),

        own as (
            select
                orders.visitor_id,
                coalesce(any_value(by_id.session), any_value(by_event.session)) as session,
            from order_now as orders
            left join sessions as by_id on orders.visitor_id = by_id.visitor_id and orders.session_id = by_id.session
            left join cut as by_event on orders.order_id = by_event.order_id and by_event.event_type = 'purchase'
            where paid_at is not null and orders.visitor_id is not null
            group by orders.order_id, orders.visitor_id
        )

        select
            dt, count(*), count(viewed_at), count(carted_at), count(*) filter (is_checked_out),
            count(*) filter (is_checked_out and (visitor_id, session) in (from own)),
            count(*) filter (has_cart), count(*) filter (has_checkout), count(*) filter ((visitor_id, session) in (from own)),
        from sessions inner join steps using (visitor_id, session) inner join carts using (visitor_id, session)
        inner join checkouts using (visitor_id, session)
        group by dt order by dt
    """
    truth = """
        select dt, visited, viewed, carted, checked_out, paid, any_carted, any_checked_out, any_paid
        from truth_funnel order by dt
    """
    assert shop_files.execute(query).fetchall() == shop_files.execute(truth).fetchall()


def test_channels_add_up_to_sessions(shop_files):
    query = "select dt, sum(sessions)::bigint from truth_session_channels group by dt order by dt"
    assert (
        shop_files.execute(query).fetchall()
        == shop_files.execute("select dt, sessions from truth_daily order by dt").fetchall()
    )


def test_each_link_means_the_channel_that_the_rules_give_it():
    with (SEEDS / "channel_rules.csv").open() as file:
        rules = list(csv.DictReader(file))

    def channel(source, medium, host):
        if not (source or medium or host):
            return "direct"
        values = {"utm_source_pattern": source, "utm_medium_pattern": medium, "referrer_host_pattern": host}
        for rule in rules:
            if all(
                not rule[name] or re.fullmatch(rule[name], value or "", re.IGNORECASE)
                for name, value in values.items()
            ):
                return rule["channel"]
        return "other"

    for touch in TOUCHES:
        host = re.sub(r"^https?://([^/]*)/?.*$", r"\1", touch.referrer) if touch.referrer else None
        assert channel(touch.source, touch.medium, host) == touch.channel, touch
