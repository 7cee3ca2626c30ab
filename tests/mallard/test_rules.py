"""A wrong seed or variable is refused with its line before anything is built; the shipped ones pass."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mallard.dbt_run import DBT_PROJECT
from mallard.errors import SettingsError
from mallard.rules import TOLD_AT_MOST, check_rules

SEEDS = sorted(file.stem for file in (DBT_PROJECT / "seeds").glob("*.csv"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the rules that a test may spoil."""
    copy = tmp_path / "dbt_project"
    shutil.copytree(DBT_PROJECT / "seeds", copy / "seeds")
    for name in ("dbt_project.yml", "variables.yml"):
        shutil.copy(DBT_PROJECT / name, copy / name)
    return copy


def lines_of(project: Path, seed: str) -> list[str]:
    return (project / "seeds" / f"{seed}.csv").read_text().splitlines()


def write(project: Path, seed: str, lines: list[str]) -> None:
    (project / "seeds" / f"{seed}.csv").write_text("\n".join(lines) + "\n")


def refusal(project: Path) -> str:
    with pytest.raises(SettingsError) as refused:
        check_rules(project)
    assert refused.value.exit_code == 2
    return str(refused.value)


def replace_once(file: Path, old: str, new: str) -> int:
    """Replace a text that is there once; the number of its line."""
    text = file.read_text()
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    file.write_text(text.replace(old, new))
    return text[: text.index(old)].count("\n") + 1


def test_the_shipped_rules_pass() -> None:
    check_rules()


# A line that is put at the end of a seed, and what the refusal says of it.
ADDED = [
    # each column on its own: missing, of another type, outside its limits or values, twice
    ("alert_rules", ",true,falling,gmv,3,,", ["rule_id", "an empty field"]),
    ("alert_rules", "gmv_unusual,true,falling,gmv,3,,", ["rule_id", "gmv_unusual, as in line 5"]),
    ("alert_rules", "x,perhaps,falling,gmv,3,,", ["is_enabled", "true or false", "perhaps"]),
    ("alert_rules", "x,true,sinking,gmv,3,,", ["kind", "below_median", "sinking"]),
    ("alert_rules", "x,true,falling,gvm,3,,", ["metric", "conversion_rate", "gvm", "write gmv"]),
    ("alert_rules", "x,true,falling,gmv,0,,", ["look_back", "from 1 to 3650", "found: 0"]),
    ("alert_rules", "x,true,falling,gmv,2.5,,", ["look_back", "whole number", "2.5"]),
    ("alert_rules", "x,true,above_level,gmv,3,-1,", ["warn_at", "at least 0", "-1"]),
    ("alert_rules", "x,true,above_level,gmv,3,1,many", ["alarm_at", "a number", "many"]),
    ("alert_rules", "x,true,above_level,gmv,3,nan,", ["warn_at", "a number", "nan"]),
    ("bot_agents", "bot", ["user_agent_pattern", "as in line 2"]),
    ("bot_agents", ".*crawler.*", ["plain text", ".*crawler.*"]),
    ("campaign_map", "spring,", ["campaign_id", "an empty field"]),
    ("category_role_rules", "5,star,,,", ["role", "rising_star", "star"]),
    ("channel_rules", "18,(google,,,search", ["utm_source_pattern", "regular expression", "missing )"]),
    ("channel_rules", "17,,podcast,,podcast", ["rule_order", "as in line 18"]),
    ("channel_rules", "18,,podcast,, podcast", ["channel", "' podcast'", "blanks"]),
    ("conversion_path_names", "home>serach>detail", ["path", "search", "home>serach>detail"]),
    ("experiment_splits", "e,a,0", ["weight", "at least"]),
    ("health_thresholds", "gmv,-0.1,-0.2", ["metric", "one of uv", "gmv"]),
    ("own_hosts", "https://www.example.com/", ["host", "without scheme"]),
    ("product_role_rules", "4,image,2,,,", ["list_price_at_least_quantile", "from 0 to 1"]),
    ("product_selection_thresholds", "margin,value,0.3", ["criterion", "write margin_rate"]),
    ("shopping_events", "mid_autumn,13,1,,,", ["month", "from 1 to 12", "13"]),
    ("suspicious_rules", "bursts,true,6,60", ["rule_id", "write burst"]),
    ("tracked_sales_channels", "web", ["sales_channel", "as in line 2"]),
    # columns against each other
    ("alert_rules", "x,true,falling,gmv,3,0.1,", ["except for the kinds falling"]),
    ("alert_rules", "x,true,above_level,gmv,3,,", ["a warn_at"]),
    ("alert_rules", "x,true,above_median,gmv,3,0.4,0.2", ["further off"]),
    ("alert_rules", "x,true,below_level,gmv,3,0.2,0.4", ["under warn_at"]),
    ("alert_rules", "x,true,falling,spend,3,,", ["metric spend"]),
    ("alert_rules", "x,true,below_median,gmv,28,20,40", ["shares of the median"]),
    ("alert_rules", "x,true,above_level,return_rate,28,15,", ["a level under 1"]),
    ("conversion_path_names", "home>home>detail", ["once in a row"]),
    ("shopping_events", "both,11,11,1,4,0", ["either a day"]),
    ("shopping_events", "half,11,,1,,0", ["all three"]),
    ("shopping_events", "never,2,30,,,", ["a day that the month has"]),
    # lines against each other
    (
        "channel_rules",
        "18,,SMS|private[_-]?domain,,x\n19,,sms|private[_-]?domain,,y",
        ["no earlier rule has"],
    ),
    ("channel_rules", "18,,,,rest\n19,,podcast,,podcast", ["only at the end"]),
    ("channel_rules", "18,,podcast,,all", ["another name"]),
    ("category_role_rules", "5,rising_star,0.5,,", ["as in line 2"]),
    ("experiment_splits", "e,a,1", ["two variants or more"]),
    ("experiment_splits", "e,a,1\ne,b,1\ne,b,2", ["in one line"]),
    # the file
    ("campaign_map", "spring", ["2 fields", "1: spring"]),
    ("campaign_map", "spring,one,two", ["2 fields", "3: spring,one,two"]),
    ("campaign_map", '"spring,one', ["quotes"]),
    ("tracked_sales_channels", "\nkiosk", ["an empty line"]),
]


@pytest.mark.parametrize(("seed", "added", "words"), ADDED)
def test_a_wrong_line_is_refused_with_its_number(
    project: Path, seed: str, added: str, words: list[str]
) -> None:
    lines = [*lines_of(project, seed), *added.split("\n")]
    write(project, seed, lines)
    told = refusal(project)
    wrong = len(lines) - 1 if added.startswith("\n") else len(lines)
    assert f"dbt_project/seeds/{seed}.csv, line {wrong}" in told
    for word in words:
        assert word in told


# A text of a shipped seed, what it is replaced by, and what the refusal says.
REPLACED = [
    ("category_role_rules", "4,traffic,,,", "4,traffic,0.5,,", ["none in the last"]),
    (
        "category_role_rules",
        "2,high_profit,,,0.75",
        "2,high_profit,,,",
        ["a limit in every rule but the last"],
    ),
    ("product_role_rules", "1,image,0.75,0.5,,", "1,image,0.75,0.5,0.2,", ["under margin_below_quantile"]),
    ("product_role_rules", "2,traffic,,,0.5,0.5", "2,traffic,,,,", ["only at the end"]),
    ("product_selection_thresholds", "demand,quantile,0.75", "demand,quantile,75", ["from 0 to 1"]),
    ("product_selection_thresholds", "margin_rate,value,0.30", "margin_rate,value,30", ["for a rate"]),
    ("health_thresholds", "uv,-0.10,-0.20", "uv,-0.20,-0.10", ["watch_from at or under"]),
    ("suspicious_rules", "burst,true,6,60", "burst,true,6,", ["within_minutes for the rule burst"]),
    ("suspicious_rules", "own_shop,true,1,", "own_shop,true,2,", ["for own_shop it is 1"]),
]


@pytest.mark.parametrize(("seed", "old", "new", "words"), REPLACED)
def test_a_wrong_edit_is_refused_with_its_line(
    project: Path, seed: str, old: str, new: str, words: list[str]
) -> None:
    line = replace_once(project / "seeds" / f"{seed}.csv", old, new)
    told = refusal(project)
    # A rule that is never tried is told at its own line, after the one that takes everything.
    assert f"dbt_project/seeds/{seed}.csv, line {line}" in told or f", line {line + 1}" in told
    for word in words:
        assert word in told


@pytest.mark.parametrize("seeds", [SEEDS[:7], SEEDS[7:]])
def test_a_wrong_header_is_refused(project: Path, seeds: list[str]) -> None:
    for seed in seeds:
        header, *lines = lines_of(project, seed)
        write(project, seed, [header.replace(header.split(",")[0], "colour", 1), *lines])
    told = refusal(project)
    for seed in seeds:
        assert f"dbt_project/seeds/{seed}.csv, line 1" in told
    assert told.count("the unknown column 'colour'") == len(seeds)
    assert told.count("found: no column") == len(seeds)


def test_an_empty_file_is_refused(project: Path) -> None:
    for seed in SEEDS:
        (project / "seeds" / f"{seed}.csv").write_text("")
    told = refusal(project)
    for seed in SEEDS:
        assert f"dbt_project/seeds/{seed}.csv, line 1" in told


def test_a_misspelt_column_is_told_with_the_one_that_was_meant(project: Path) -> None:
    replace_once(project / "seeds" / "alert_rules.csv", "look_back", "lookback")
    assert "write look_back" in refusal(project)


@pytest.mark.parametrize("seed", ["health_thresholds", "product_selection_thresholds"])
def test_a_line_that_is_needed_is_missed(project: Path, seed: str) -> None:
    *lines, last = lines_of(project, seed)
    write(project, seed, lines)
    assert f"none for {last.split(',')[0]}" in refusal(project)


def test_lines_are_counted_as_an_editor_counts_them(project: Path) -> None:
    write(project, "campaign_map", ["utm_campaign,campaign_id", '"two\nlines",a', "spring,"])
    assert "campaign_map.csv, line 4, campaign_id" in refusal(project)


def test_a_spreadsheets_mark_is_no_part_of_the_header(project: Path) -> None:
    file = project / "seeds" / "own_hosts.csv"
    file.write_bytes(b"\xef\xbb\xbfhost\r\nwww.example.com\r\n")
    check_rules(project)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"utm_campaign;campaign_id\nspring;one\n", ["line 1", "commas"]),
        (b"utm_campaign,campaign_id\nspring,one\nfr\xfchling,two\n", ["line 3", "UTF-8", "0xFC"]),
    ],
)
def test_a_spreadsheets_own_ways_are_told(project: Path, content: bytes, words: list[str]) -> None:
    (project / "seeds" / "campaign_map.csv").write_bytes(content)
    told = refusal(project)
    for word in words:
        assert word in told


def test_a_seed_that_nobody_describes_is_refused(project: Path) -> None:
    (project / "seeds" / "own_host.csv").write_text("host\nwww.example.com\n")
    told = refusal(project)
    assert "own_host.csv" in told
    assert "write own_hosts" in told


def test_a_seed_that_is_gone_is_missed(project: Path) -> None:
    (project / "seeds" / "own_hosts.csv").unlink()
    assert "the file own_hosts.csv" in refusal(project)


def test_all_wrong_lines_are_told_at_once(project: Path) -> None:
    write(project, "own_hosts", ["host", "http://a", "b", "http://c"])
    replace_once(project / "seeds" / "suspicious_rules.csv", "burst,true", "burst,maybe")
    replace_once(project / "dbt_project.yml", "session_gap_minutes: 30", "session_gap_minutes: -30")
    told = refusal(project)
    assert told.startswith("4 rules are wrong")
    for place in ("own_hosts.csv, line 2", "own_hosts.csv, line 4", "suspicious_rules.csv, line 3"):
        assert place in told
    assert "session_gap_minutes" in told


def test_what_is_told_is_bounded(project: Path) -> None:
    write(project, "own_hosts", ["host", *(f"http://{n}" for n in range(500))])
    told = refusal(project)
    assert told.count("expected:") == TOLD_AT_MOST
    assert f"{500 - TOLD_AT_MOST} more" in told


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "bot_events_per_day: 500",
            "bot_events_per_day: many",
            ["bot_events_per_day", "whole number", "'many'"],
        ),
        ("bot_events_per_day: 500", 'bot_events_per_day: "500"', ["whole number", "'500'"]),
        ("bot_events_per_day: 500", "bot_events_per_day: true", ["whole number", "True"]),
        ("bot_events_per_day: 500", "bot_events_per_day:", ["an empty field"]),
        (
            "bot_events_per_day: 500",
            "bot_events_per_dya: 500",
            ["unknown variable", "write bot_events_per_day"],
        ),
        ("bot_events_per_day: 500", "bot_events_per_day: [500]", ["one value", "a list"]),
        ("rfm_window_days: 365", "rfm_window_days: -365", ["from 1 to 3650", "-365"]),
        ("rfm_window_days: 365", "rfm_window_days: 36.5", ["whole number", "36.5"]),
        ("[1, 3, 7, 14, 30, 60, 90]", "7", ["a list such as", "found: 7"]),
        ("[1, 3, 7, 14, 30, 60, 90]", "[1, 3, 3]", ["each value once", "3, as in"]),
        ("[1, 3, 7, 14, 30, 60, 90]", "[1, 0]", ["from 1", "found: 0"]),
        ("[1, 3, 7, 14, 30, 60, 90]", "[]", ["an empty list"]),
        ("significant_p: 0.05", "significant_p: 5", ["from 0 to 1", "found: 5"]),
        ("last_percent: 40", "last_percent: 61", ["together with attribution_first_percent", "61"]),
        ("health_repurchase_window_days: 90", "health_repurchase_window_days: 91", ["one of the windows"]),
    ],
)
def test_a_wrong_variable_is_refused_with_its_line(
    project: Path, old: str, new: str, words: list[str]
) -> None:
    line = replace_once(project / "dbt_project.yml", old, new)
    told = refusal(project)
    assert f"dbt_project/dbt_project.yml, line {line}" in told
    for word in words:
        assert word in told


def test_yaml_that_is_none_is_refused_with_its_line(project: Path) -> None:
    line = replace_once(project / "dbt_project.yml", "bot_events_per_day: 500", "bot_events_per_day: [500")
    told = refusal(project)
    assert "dbt_project/dbt_project.yml, line" in told
    assert line > 1


def test_a_check_with_an_unknown_word_is_refused(project: Path) -> None:
    replace_once(project / "seeds" / "health_thresholds.yml", "complete: true", "complet: true")
    assert "complet" in refusal(project)


def test_every_column_of_every_seed_is_explained() -> None:
    described = {}
    for file in (DBT_PROJECT / "seeds").glob("*.yml"):
        for seed in yaml.safe_load(file.read_text())["seeds"]:
            described[seed["name"]] = seed
    assert sorted(described) == SEEDS
    for seed in described.values():
        assert seed["description"].strip()
        explained = {column["name"] for column in seed["columns"] if column.get("description", "").strip()}
        assert explained == set(seed["config"]["column_types"])


def test_alert_rules_may_watch_what_there_is() -> None:
    """The metrics that the seed allows are those that int_metric_days holds, and spend."""
    model = (DBT_PROJECT / "models" / "intermediate" / "health" / "int_metric_days.sql").read_text()
    there = {part.split("'")[1] for part in model.split("metric := ")[1:]}
    [seed] = yaml.safe_load((DBT_PROJECT / "seeds" / "alert_rules.yml").read_text())["seeds"]
    [metric] = [column for column in seed["columns"] if column["name"] == "metric"]
    assert set(metric["config"]["meta"]["check"]["values"]) == there | {"spend"}


def test_a_load_tells_a_wrong_line_and_publishes_nothing(project: Path, tmp_path: Path) -> None:
    replace_once(
        project / "seeds" / "alert_rules.csv",
        "gmv_unusual,true,outside_band,gmv",
        "gmv_unusual,true,outside_band,gvm",
    )
    inbox = tmp_path / "inbox" / "orders" / "orders"
    inbox.mkdir(parents=True)
    (inbox / "2025-11-01.csv").write_text(
        "order_id,ordered_at,status,currency\n1,2025-11-01T10:00:00Z,placed,USD\n"
    )
    home = tmp_path / "home"
    code = (
        "import os, sys, pathlib, mallard.dbt_run\n"
        "mallard.dbt_run.DBT_PROJECT = pathlib.Path(sys.argv[1])\n"
        "os.environ['MALLARD_HOME'] = sys.argv[2]\n"
        "sys.argv = ['mallard', 'load', '--inbox', sys.argv[3]]\n"
        "from mallard.cli import main\n"
        "main()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(project), str(home), str(tmp_path / "inbox")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    told = " ".join(ran.stderr.split())
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert "dbt_project/seeds/alert_rules.csv, line 5, metric" in told
    assert "found: gvm" in told
    assert "write gmv" in told
    assert not (home / "work" / "candidate.duckdb").exists()
    assert not (home / "published" / "current.duckdb").exists()
