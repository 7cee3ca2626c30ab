"""The rule tables that analysts edit."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
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
class SuspiciousRule:
    """One line of ``suspicious_rules.csv``."""

    is_enabled: bool
    at_least: int
    within_minutes: int


@dataclass(frozen=True)
class Seeds:
    """All rules with the defaults as shipped; channel rules and bots have no default there."""

    channel_rules: tuple[ChannelRule, ...]
    bot_agents: tuple[str, ...]
    own_hosts: frozenset[str] = frozenset()
    campaigns: Mapping[str, str] = field(default_factory=dict)
    bot_events_per_day: int = 500
    tracked_sales_channels: frozenset[str] = frozenset({"web", "app", "mini_program"})
    suspicious: Mapping[str, SuspiciousRule] = field(
        default_factory=lambda: {
            "untracked": SuspiciousRule(is_enabled=True, at_least=3, within_minutes=0),
            "burst": SuspiciousRule(is_enabled=True, at_least=6, within_minutes=60),
            "own_shop": SuspiciousRule(is_enabled=True, at_least=1, within_minutes=0),
        }
    )
    named_paths: frozenset[str] = frozenset(PATHS)
    selection_margin_rate: float = 0.30
    selection_return_rate: float = 0.05
    #: experiment_id -> variant -> share of the users expected; equal shares where it is missing.
    expected_split: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    #: metric -> the deviations from which on it is healthy, and to be watched.
    health: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Seeds:
        """Read the rule tables of a folder; those that are not there keep their defaults.

        Raises:
            FileNotFoundError: ``channel_rules.csv`` or ``bot_agents.csv`` is missing.
        """
        rules = tuple(
            ChannelRule(
                line["utm_source_pattern"],
                line["utm_medium_pattern"],
                line["referrer_host_pattern"],
                line["channel"],
            )
            for line in sorted(
                lines_of(folder / "channel_rules.csv"), key=lambda line: int(line["rule_order"])
            )
        )
        seeds = cls(rules, tuple(line["user_agent_pattern"] for line in lines_of(folder / "bot_agents.csv")))
        if (folder / "own_hosts.csv").exists():
            hosts = frozenset(line["host"].lower() for line in lines_of(folder / "own_hosts.csv"))
            seeds = replace(seeds, own_hosts=hosts)
        if (folder / "campaign_map.csv").exists():
            lines = lines_of(folder / "campaign_map.csv")
            seeds = replace(seeds, campaigns={line["utm_campaign"]: line["campaign_id"] for line in lines})
        if (folder / "tracked_sales_channels.csv").exists():
            lines = lines_of(folder / "tracked_sales_channels.csv")
            tracked = frozenset(line["sales_channel"] for line in lines)
            seeds = replace(seeds, tracked_sales_channels=tracked)
        if (folder / "conversion_path_names.csv").exists():
            lines = lines_of(folder / "conversion_path_names.csv")
            seeds = replace(seeds, named_paths=frozenset(line["path"] for line in lines))
        if (folder / "health_thresholds.csv").exists():
            lines = lines_of(folder / "health_thresholds.csv")
            limits = {
                line["metric"]: (float(line["healthy_from"]), float(line["watch_from"])) for line in lines
            }
            seeds = replace(seeds, health=limits)
        if (folder / "experiment_splits.csv").exists():
            splits: dict[str, dict[str, float]] = {}
            for line in lines_of(folder / "experiment_splits.csv"):
                splits.setdefault(line["experiment_id"], {})[line["variant"]] = float(line["weight"])
            seeds = replace(seeds, expected_split=splits)
        if (folder / "suspicious_rules.csv").exists():
            suspicious = {
                line["rule_id"]: SuspiciousRule(
                    line["is_enabled"].lower() == "true",
                    int(line["at_least"] or 0),
                    int(line["within_minutes"] or 0),
                )
                for line in lines_of(folder / "suspicious_rules.csv")
            }
            seeds = replace(seeds, suspicious=suspicious)
        return seeds


def lines_of(path: Path) -> list[dict[str, str]]:
    """The lines of a seed, by column; an empty field is an empty text."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
