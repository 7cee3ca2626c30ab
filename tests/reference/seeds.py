"""The rule tables that analysts edit."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PATHS = (
    "home>detail",
    "home>list>detail",
    "home>search>list>detail",
    "home>search>detail",
    "home>activity>detail",
    "detail",
    "list>detail",
    "search>detail",
    "search>list>detail",
    "activity>detail",
)


@dataclass(frozen=True)
class ChannelRule:
    """One line of ``channel_rules.csv``: patterns match whole values, case ignored; empty is any."""

    utm_source: str
    utm_medium: str
    referrer_host: str
    channel: str

    def matches(self, utm_source: str, utm_medium: str, referrer_host: str) -> bool:
        """Whether the three values (empty = none) all match."""
        pairs = (
            (self.utm_source, utm_source),
            (self.utm_medium, utm_medium),
            (self.referrer_host, referrer_host),
        )
        return all(not pattern or re.fullmatch(pattern, value, re.IGNORECASE) for pattern, value in pairs)


@dataclass(frozen=True)
class Seeds:
    """All rules with the defaults of METRICS.md; channel rules and bots have no default there."""

    channel_rules: tuple[ChannelRule, ...]
    bot_agents: tuple[str, ...]
    own_hosts: frozenset[str] = frozenset()
    campaigns: Mapping[str, str] = field(default_factory=dict)
    bot_events_per_day: int = 500
    tracked_sales_channels: frozenset[str] = frozenset({"web", "app", "mini_program"})
    named_paths: frozenset[str] = frozenset(PATHS)
    selection_margin_rate: float = 0.30
    selection_return_rate: float = 0.05
    #: experiment_id -> variant -> share of the users expected; equal shares where it is missing.
    expected_split: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    healthy_deviation: float = -0.10
    watch_deviation: float = -0.20

    @classmethod
    def read(cls, folder: Path) -> Seeds:
        """Read ``channel_rules.csv`` and ``bot_agents.csv`` of a folder; the rest keeps its defaults."""
        with (folder / "channel_rules.csv").open(newline="") as file:
            lines = sorted(csv.DictReader(file), key=lambda line: int(line["rule_order"]))
        rules = tuple(
            ChannelRule(
                line["utm_source_pattern"] or "",
                line["utm_medium_pattern"] or "",
                line["referrer_host_pattern"] or "",
                line["channel"],
            )
            for line in lines
        )
        with (folder / "bot_agents.csv").open(newline="") as file:
            bots = tuple(line["user_agent_pattern"] for line in csv.DictReader(file))
        return cls(channel_rules=rules, bot_agents=bots)
