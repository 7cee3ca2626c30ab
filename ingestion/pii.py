"""Keyed hashes of personal data, made inside DuckDB before a row is kept anywhere.

HMAC-SHA-256 (RFC 2104) written out in SQL: ``sha256(opad || sha256(ipad || text))``, so that millions of
rows need no Python. The key's two pads are session variables, never part of a query's text: DuckDB quotes
queries in its error messages.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

# A column beyond the contract with such a name is hashed as well: nobody decided to land it in clear text.
PII_NAME = re.compile(
    r"(^|_)(e_?mails?|phones?|mobiles?|telephones?|tel)(_(address|number|no))?$", re.IGNORECASE
)

_BLOCK = 64


def hashed_as_by_name(column: str) -> str | None:
    """``email`` or ``phone`` where a column beyond a contract is personal by its name, else None."""
    if not PII_NAME.search(column):
        return None
    return "email" if "mail" in column.lower() else "phone"


def key_id(key: bytes) -> str:
    """A short name for a key that does not give it away: manifests keep it to notice a changed key."""
    return hashlib.sha256(b"mallard hash key id\x00" + key).hexdigest()[:12]


def set_key(connection: duckdb.DuckDBPyConnection, key: bytes) -> None:
    """Give the connection what ``hmac_sql`` needs."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\x00")
    inner, outer = (bytes(byte ^ pad for byte in block).hex() for pad in (0x36, 0x5C))
    connection.execute(f"set variable pii_inner = unhex('{inner}')")
    connection.execute(f"set variable pii_outer = unhex('{outer}')")


def normalised_sql(text: str, hashed_as: str) -> str:
    """SQL for the uniform writing of a value, NULL where nothing is left of it.

    ``email``: trimmed and in lower case. ``phone``: its digits, with a plus in front where it had one.
    """
    if hashed_as == "email":
        return f"nullif(lower(trim({text})), '')"
    digits = f"regexp_replace({text}, '[^0-9]', '', 'g')"
    plus = f"case when starts_with(trim({text}), '+') then '+' else '' end"
    return f"case when {digits} <> '' then {plus} || {digits} end"


def looks_personal_sql(text: str) -> str:
    """SQL that tells an e-mail address or a phone number where none belongs (a date is neither)."""
    return (
        f"(contains({text}, '@') or (regexp_full_match({text}, '[+]?[0-9][0-9 ()/.-]{{6,}}') "
        f"and not regexp_full_match({text}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')))"
    )


def hmac_sql(text: str) -> str:
    """SQL for the HMAC-SHA-256 of a text, 64 hexadecimal digits; NULL stays NULL."""
    inner = f"unhex(sha256(getvariable('pii_inner') || encode({text})))"
    return f"sha256(getvariable('pii_outer') || {inner})"


def is_hash_sql(text: str) -> str:
    """SQL that tells what ``hmac_sql`` has made."""
    return f"regexp_full_match({text}, '[0-9a-f]{{64}}')"


def fingerprint_sql(text: str, *, is_keyed: bool) -> str:
    """SQL for what a row is known by when it comes again; keyed where the row may be personal."""
    return f"left({hmac_sql(text) if is_keyed else f'sha256({text})'}, 32)"


def hashed_sql(text: str, hashed_as: str) -> str:
    """SQL for the keyed hash of a value's uniform writing."""
    return hmac_sql(normalised_sql(text, hashed_as))
