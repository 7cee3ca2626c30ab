"""What the demo ends with: the best of the published marts on one or two screens."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mallard.errors import NothingToDoError
from mallard.settings import CHECKOUT

if TYPE_CHECKING:
    import duckdb
    from rich.console import Console
    from rich.table import Table

    from mallard.settings import Settings

# Wide enough for two tables beside each other where nobody looks (a pipe, a log).
WIDTH_OF_A_LOG = 100

_LAST_DAY = """
    select today.dt, before.dt,
        unnest(['GMV', 'paid orders', 'UV', 'conversion rate', 'spend per buyer', 'net revenue', 'gross margin']),
        unnest([today.gmv, today.orders, today.uv, today.conversion_rate, today.spend_per_buyer,
            today.net_revenue, today.gross_margin]::double[]),
        unnest([before.gmv, before.orders, before.uv, before.conversion_rate, before.spend_per_buyer,
            before.net_revenue, before.gross_margin]::double[])
    from marts.gmv_daily as today
    left join marts.gmv_daily as before on before.dt = today.dt - 7
    where today.dt = (select max(dt) from marts.gmv_daily)
"""
_COMING_BACK = """
    select 'a user, ' || day_n || if(day_n = 1, ' day', ' days') || ' later', sum(retained) / sum(cohort_size),
        sum(cohort_size)::bigint
    from marts.retention
    where is_mature and channel = 'all' and day_n <= 30
    group by day_n
    having sum(cohort_size) > 0
    order by day_n
"""
_BUYING_AGAIN = """
    select 'a buyer, within ' || window_days || ' days', repurchase_rate, buyers
    from marts.repurchase
    where dt = (select max(dt) from marts.repurchase) and repurchase_rate is not null
    order by is_full_window desc, window_days desc
    limit 1
"""
_SEGMENTS = """
    select replace(segment, '_', ' '), customers, gmv_share, moved_in - moved_out
    from marts.rfm_segments
    order by gmv desc
"""
_CHANNELS = """
    select channel, sum(spend) filter (where model = 'last_touch')::double as spent,
        sum(gmv) filter (where model = 'last_touch')::double,
        sum(margin - spend) filter (where model = 'last_touch') / spent,
        sum(gmv) filter (where model = 'markov')::double,
        sum(margin - spend) filter (where model = 'markov') / spent
    from marts.channel_roi
    group by channel
    having spent > 0
    order by spent desc
    limit 6
"""
_ALERTS = """
    select alerts.dt, alerts.rule_id, alerts.metric, alerts.severity, alerts.value, alerts.benchmark, alerts.worst_channel,
        products.product_name
    from marts.alerts as alerts
    left join core.dim_product as products on alerts.worst_product = products.product_id and products.is_current
    where alerts.scope = 'all'
    order by alerts.dt desc, alerts.rule_id
    limit 4
"""
_IDLE_CHANNELS = """
    select string_agg(scope, ', ' order by scope), min(value)::double
    from marts.alerts
    where rule_id = 'spend_without_orders' and dt = (select max(dt) from marts.gmv_daily)
"""
_AUDIT = """
    select count(distinct delivery), sum(rows_landed)::bigint, sum(rows_quarantined)::bigint,
        sum(rows_duplicate)::bigint
    from ops.load_audit
"""


def show_closing(settings: Settings, seconds: float, console: Console | None = None) -> None:
    """Show the best of what was published, and where to go next.

    Args:
        seconds: what it took to get here.
        console: where to show it; none: the terminal.

    Raises:
        NothingToDoError: nothing is published.
    """
    import duckdb
    from rich.columns import Columns
    from rich.console import Console
    from rich.markup import escape

    from publishing.versions import list_publishes

    publish = next((line for line in list_publishes(settings) if line.is_live), None)
    if publish is None:
        raise NothingToDoError("Nothing was published.", where=str(settings.published))
    if console is None:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = WIDTH_OF_A_LOG
    path = settings.published / "current.duckdb"
    with duckdb.connect(str(path), read_only=True) as connection:
        sections = [
            [_last_day(connection, settings.currency), _loyalty(connection)],
            [_segments(connection), _channels(connection)],
            [_alerts(connection)],
        ]
        days, landed, quarantined, duplicates = connection.execute(_AUDIT).fetchone() or (0, 0, 0, 0)
        idle = connection.execute(_IDLE_CHANNELS).fetchone() or (None, None)
    console.print()
    console.print(
        f"[bold green]✓[/] Published version [bold]{publish.version}[/] up to [bold]{publish.as_of}[/] "
        f"in {seconds:.0f} s\n"
        f"  {days} days: {landed:,} rows landed, {quarantined:,} quarantined, {duplicates:,} duplicates dropped\n"
        f"  {publish.checks} checks: {publish.warnings} warned, none that blocks failed"
    )
    for tables in sections:
        there = [table for table in tables if table.row_count]
        if there:
            console.print()
            console.print(Columns(there, padding=(1, 4)))
    if idle[0]:
        console.print(f"[dim]Money without an order for three days: {escape(idle[0])}[/]")
    console.print()
    _show_next(console, settings, path)


def _last_day(connection: duckdb.DuckDBPyConnection, currency: str) -> Table:
    rows = connection.execute(_LAST_DAY).fetchall()
    table = _table(
        f"The last day, money in {currency}",
        "",
        f"{rows[0][0]:%a %d %b}" if rows else "",
        "week before",
        "change",
    )
    for _, _, figure, value, before in rows:
        change = None if not before or value is None else value / before - 1
        table.add_row(figure, _figure(figure, value), _figure(figure, before), _change(change))
    return table


def _loyalty(connection: duckdb.DuckDBPyConnection) -> Table:
    table = _table("Who comes back?", "", "share", "out of")
    for query in (_COMING_BACK, _BUYING_AGAIN):
        for who, share, base in connection.execute(query).fetchall():
            table.add_row(who, _percent(share), f"{base:,}")
    return table


def _segments(connection: duckdb.DuckDBPyConnection) -> Table:
    table = _table("Customers, ± against 30 days ago", "RFM segment", "customers", "of GMV", "±")
    for segment, customers, share, moved in connection.execute(_SEGMENTS).fetchall():
        table.add_row(segment, f"{customers:,}", _percent(share), f"{moved:+d}")
    return table


def _channels(connection: duckdb.DuckDBPyConnection) -> Table:
    table = _table("Channels by two models: GMV, ROI", "", "spend", "last touch", "ROI", "Markov", "ROI")
    for channel, spend, last_gmv, last_roi, markov_gmv, markov_roi in connection.execute(
        _CHANNELS
    ).fetchall():
        table.add_row(
            channel,
            f"{spend:,.0f}",
            f"{last_gmv:,.0f}",
            _change(last_roi),
            f"{markov_gmv:,.0f}",
            _change(markov_roi),
        )
    return table


def _alerts(connection: duckdb.DuckDBPyConnection) -> Table:
    from rich.markup import escape

    table = _table(
        "Alerts, and what made most of them", "day", "rule", "", "value", "usual", "channel", "product"
    )
    for column in (1, 2, 5, 6):
        table.columns[column].justify = "left"
    for dt, rule, metric, severity, value, benchmark, *names in connection.execute(_ALERTS).fetchall():
        style = "red" if severity == "alarm" else "yellow"
        numbers = [
            _percent(number) if metric.endswith("_rate") else _money(number) for number in (value, benchmark)
        ]
        table.add_row(
            f"{dt:%d %b}", rule, f"[{style}]{severity}[/]", *numbers, *[escape(name or "") for name in names]
        )
    return table


def _table(title: str, first: str, *others: str) -> Table:
    from rich.table import Table

    table = Table(
        title=title, title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False
    )
    table.add_column(first, no_wrap=True)
    for other in others:
        table.add_column(other, justify="right", no_wrap=True)
    return table


def _show_next(console: Console, settings: Settings, path: Path) -> None:
    home = "" if settings.home == CHECKOUT / "var" else f"MALLARD_HOME={relative(settings.home)} "
    sql = "select dt, gmv, uv, conversion_rate from marts.gmv_daily order by dt desc limit 7"
    lines = [
        ("Every question, its query and its answer", "docs/bi.md"),
        ("Ask one", f'{home}.venv/bin/mallard query "{sql}"'),
        ("Change a metric, try it in seconds", "docs/analysts.md"),
        ("The runs in Airflow", f"{home}make up"),
        ("The file, for any tool that reads DuckDB", relative(path)),
    ]
    console.print("[bold]Next[/]")
    for what, how in lines:
        # A command is copied as a whole: no line breaks of ours.
        console.print(f"  {what}: [cyan]{how}[/]", soft_wrap=True)


def relative(path: Path) -> str:
    """The path as a person in the checkout would type it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _figure(name: str, value: float | None) -> str:
    if name == "conversion rate":
        return _percent(value)
    if name in ("paid orders", "UV"):
        return "" if value is None else f"{value:,.0f}"
    return _money(value)


def _money(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _change(share: float | None) -> str:
    if share is None:
        return ""
    return f"[{'green' if share >= 0 else 'red'}]{share:+.0%}[/]"
