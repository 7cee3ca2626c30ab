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

# The same for what gives access: reset links, sessions of other systems, payment.
SECRET_NAME = re.compile(
    r"(^|_)(tokens?|secrets?|passwords?|passwd|api_?key|authorization|cookies?|iban|card_(number|no)|cvc)$",
    re.IGNORECASE,
)
_EMAIL = r"[A-Za-z0-9._%+-]+(?:@|%40)(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}"
_PHONE = r"(?:\+|\b0)[0-9][0-9 ()/.-]{6,}[0-9]"
_INTERNATIONAL = r"\+[0-9][0-9 ()/.-]{6,}[0-9]"
_JSON_WEB = r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*"
# Hexadecimal ones of 128 bits or more, too.
_TOKEN = _JSON_WEB + r"|[0-9A-Fa-f]{32,}"

_BLOCK = 64


def hashed_as_by_name(column: str) -> str | None:
    """``email`` or ``phone`` where a column beyond a contract is personal by its name, else None."""
    if not PII_NAME.search(column):
        return None
    return "email" if "mail" in column.lower() else "phone"


def is_secret_by_name(column: str) -> bool:
    """Whether a column beyond a contract gives access to something, by its name."""
    return bool(SECRET_NAME.search(column))


def scrubbed_sql(text: str, kind: str) -> str:
    """SQL for a text without what is personal or gives access; what is removed leaves a word in brackets.

    ``url``: without user, query and fragment, where reset links and sign-ins carry both; what is asked for there
    (search, campaign, product) has columns of its own. ``words``: what people typed. ``line``: a whole row that
    could not be split into fields.
    """
    is_suspect = f"regexp_matches({text}, '[?#@]|%40|[0-9A-Fa-f]{{32}}|eyJ|[+0][0-9][0-9 ()/.-]{{7}}')"
    scrubbed = text
    if kind == "url":
        scrubbed = f"regexp_extract({scrubbed}, '^[^?#]*')"
        scrubbed = f"regexp_replace({scrubbed}, '^([A-Za-z][A-Za-z0-9+.-]*:)?//[^/@]*@', '\\1//')"
    elif kind == "line":
        scrubbed = f"regexp_replace({scrubbed}, '//[^/\\s,;\"@]*@', '//', 'g')"
        scrubbed = f"regexp_replace({scrubbed}, '[?#][^\\s,;\"'']*', '', 'g')"
    patterns = {"e-mail": _EMAIL, "token": _TOKEN, "number": _PHONE}
    if kind == "line":
        # Its ids are wanted when it is mended, and they may look like the other numbers and tokens.
        patterns = {"e-mail": _EMAIL, "token": _JSON_WEB, "number": _INTERNATIONAL}
        named = '("[A-Za-z_]*(?:token|secret|passw|api_?key|cookie|iban)[A-Za-z_]*" *: *")[^"]*'
        scrubbed = f"regexp_replace({scrubbed}, '{named}', '\\1[token]', 'gi')"
    for word, pattern in patterns.items():
        scrubbed = f"regexp_replace({scrubbed}, '{pattern}', '[{word}]', 'g')"
    return f"case when {is_suspect} then {scrubbed} else {text} end"


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
