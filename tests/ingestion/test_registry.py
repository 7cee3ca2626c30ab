"""The source registry: what an entry may say, and where it went wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ingestion.registry import choose_sources, read_registry
from mallard.errors import SettingsError
from mallard.settings import Settings

GOOD = """\
sources:
  inbox:
    enabled: true
    reader: inbox
    feeds: [orders]
  shop:
    reader: files
    inputs: {lines: lines.csv}
    delivery_day: select max(at) from lines
    time_zone: Europe/London
    shop: {time_zone: Europe/London, currency: GBP}
    feeds: [orders]
    tables:
      orders/orders:
        paid_statuses: [completed]
        sql: select * from lines
"""


def registry(tmp_path: Path, settings: Settings, text: str) -> Settings:
    path = tmp_path / "sources.yml"
    path.write_text(text)
    return replace(settings, sources_file=path)


def test_the_registry_that_is_shipped_has_its_sources(settings: Settings) -> None:
    sources = read_registry(settings)
    assert list(sources) == [
        "inbox", "online_retail", "complete_journey", "fuzzy_factory", "attribution_playbook",
    ]  # fmt: skip
    assert [source.name for source in choose_sources(settings)] == ["inbox"]
    assert sources["online_retail"].shop.currency == "GBP"
    assert sources["complete_journey"].shop.time_zone == "America/New_York"
    assert sources["complete_journey"].time_zone == "UTC"


@pytest.mark.parametrize(
    ("old", "new", "says", "line"),
    [
        ("time_zone: Europe/London\n", "time_zone: Europe/Londn\n", "time zone that is not known", 10),
        ("currency: GBP", "currency: Pounds", "a currency that is no code", 11),
        ("time_zone: Europe/London, c", "time_zone: Mars, c", "time zone that is not known", 11),
        ("orders/orders:", "orders/order:", "a table that there is not", 14),
        ("feeds: [orders]\n    tables", "feeds: [ordrs]\n    tables", "feeds that there are not", 12),
        ("reader: files", "reader: fils", "no reader that there is", 7),
        ("delivery_day:", "delivery_days:", "nothing that an entry can say", 9),
        ("[completed]", "[done]", "statuses that an order cannot have", 15),
        ("  shop:\n", "  My Shop:\n", "no name for a source", 6),
        ("    inputs: {lines: lines.csv}\n", "", "needs `inputs`", 6),
        (
            "    feeds: [orders]\n    tables",
            "    allowed_bad_share: 5\n    feeds: [orders]\n    tables",
            "not a share",
            12,
        ),
        ("    delivery_day:", "    null_padding: often\n    delivery_day:", "neither on nor off", 9),
    ],
)
def test_a_wrong_entry_is_refused_with_its_line(
    tmp_path: Path, settings: Settings, old: str, new: str, says: str, line: int
) -> None:
    read_registry(registry(tmp_path, settings, GOOD))
    assert GOOD.count(old) == 1
    with pytest.raises(SettingsError, match=says) as caught:
        read_registry(registry(tmp_path, settings, GOOD.replace(old, new)))
    assert caught.value.where.endswith(f"sources.yml:{line}")


def test_what_is_no_registry_is_refused(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(SettingsError, match="not YAML") as caught:
        read_registry(registry(tmp_path, settings, "sources:\n  inbox: [\n"))
    assert "sources.yml:" in caught.value.where
    with pytest.raises(SettingsError, match="has no sources"):
        read_registry(registry(tmp_path, settings, "source: 1\n"))
    with pytest.raises(SettingsError, match="cannot be read"):
        read_registry(replace(settings, sources_file=tmp_path / "none.yml"))


def test_an_unknown_source_is_refused_with_the_known_ones(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="no source 'shpo'") as caught:
        choose_sources(settings, "shpo")
    assert "online_retail" in caught.value.expected


def test_without_an_enabled_source_one_must_be_named(tmp_path: Path, settings: Settings) -> None:
    changed = registry(tmp_path, settings, GOOD.replace("    enabled: true\n", ""))
    with pytest.raises(SettingsError, match="No source of the registry is enabled"):
        choose_sources(changed)
