"""Settings: where things lie, the business time zone, the reporting currency, the key of the PII hashes.

All of them come from the environment (see ``.env.example``); nothing else in the project reads it.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import zoneinfo
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mallard.errors import SettingsError

CHECKOUT = Path(__file__).resolve().parent.parent
REGISTRY = CHECKOUT / "ingestion" / "sources.yml"


@dataclass(frozen=True)
class Settings:
    """One shop's warehouse.

    ``time_zone`` is an IANA name, ``currency`` an ISO 4217 code: business days and money are in these.
    """

    home: Path
    time_zone: str = "UTC"
    currency: str = "USD"
    sources_file: Path = REGISTRY

    def __post_init__(self) -> None:
        try:
            zoneinfo.ZoneInfo(self.time_zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise SettingsError(
                f"The business time zone {self.time_zone!r} is not known.",
                expected="an IANA name such as UTC, Europe/London or America/New_York",
                found=self.time_zone,
                where="MALLARD_TIME_ZONE",
                mend="export MALLARD_TIME_ZONE=Europe/London",
            ) from error
        if not re.fullmatch(r"[A-Z]{3}", self.currency):
            raise SettingsError(
                f"The reporting currency {self.currency!r} is not a currency code.",
                expected="an ISO 4217 code of three capital letters such as USD, EUR or GBP",
                found=self.currency,
                where="MALLARD_CURRENCY",
                mend="export MALLARD_CURRENCY=EUR",
            )

    @property
    def inbox(self) -> Path:
        return self.home / "inbox"

    @property
    def landing(self) -> Path:
        return self.home / "landing"

    @property
    def quarantine(self) -> Path:
        return self.home / "quarantine"

    @property
    def published(self) -> Path:
        return self.home / "published"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @property
    def work(self) -> Path:
        """The candidate and dbt's scratch files: worthless after a run."""
        return self.home / "work"

    @property
    def locks(self) -> Path:
        return self.home / "locks"

    @cached_property
    def hash_key(self) -> bytes:
        """The key of the PII hashes, made on first use and kept out of git, logs and the warehouse.

        Losing it means that new hashes no longer match the old ones: back it up like a password.
        """
        given = os.environ.get("MALLARD_HASH_KEY", "")
        if given:
            return given.encode()
        path = self.home / "hash_key"
        self.home.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # Linked into place whole: two processes that start together must end with one key.
            draft = path.with_name(f"hash_key.{os.getpid()}")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
            draft.unlink()
        return path.read_bytes().strip()

    def with_shop(self, *, time_zone: str | None, currency: str | None) -> Settings:
        """The same warehouse with a shop's own zone and currency where the environment names none."""
        return replace(
            self,
            time_zone=os.environ.get("MALLARD_TIME_ZONE") or time_zone or self.time_zone,
            currency=os.environ.get("MALLARD_CURRENCY") or currency or self.currency,
        )


def from_environment() -> Settings:
    """Read the settings of this process.

    Raises:
        SettingsError: a variable is set to what cannot be used.
    """
    home = Path(os.environ.get("MALLARD_HOME") or CHECKOUT / "var").expanduser().resolve()
    if home.exists() and not home.is_dir():
        raise SettingsError(
            "MALLARD_HOME is no folder.",
            expected="the folder of a warehouse, or a place where one may be made",
            found=f"a file: {home}",
            where="MALLARD_HOME",
            mend="export MALLARD_HOME=/srv/mallard",
        )
    sources_file = os.environ.get("MALLARD_SOURCES")
    return Settings(
        home=home,
        time_zone=os.environ.get("MALLARD_TIME_ZONE") or "UTC",
        currency=os.environ.get("MALLARD_CURRENCY") or "USD",
        sources_file=Path(sources_file).resolve() if sources_file else REGISTRY,
    )
