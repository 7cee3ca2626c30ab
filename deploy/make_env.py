"""Writes ``.env`` for docker compose: ``.env.example`` with every empty secret filled in (``make env``).

Run again, it keeps every value that is there and adds what is missing, so that an upgrade that needs a new secret
is the same command. The file is readable by its owner alone and is not in git.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent


def fernet_key() -> str:
    """32 random bytes in URL-safe base64 with its padding, as Fernet wants them."""
    return secrets.token_urlsafe(32) + "="


# Secrets that stand in a URL or a file of `name=value` lines: letters and digits only, or URL-safe base64.
GENERATED: dict[str, Callable[[], str]] = {
    "MALLARD_HASH_KEY": lambda: secrets.token_hex(32),
    "AIRFLOW_ADMIN_PASSWORD": lambda: secrets.token_urlsafe(18),
    "AIRFLOW_FERNET_KEY": fernet_key,
    "AIRFLOW_API_SECRET": lambda: secrets.token_hex(32),
    "AIRFLOW_JWT_SECRET": lambda: secrets.token_hex(64),
    "POSTGRES_PASSWORD": lambda: secrets.token_hex(24),
    # Never root: where root runs this, the containers run as the image's own user.
    "MALLARD_UID": lambda: str(os.getuid() or 1000),
    "MALLARD_GID": lambda: str(os.getgid() or 1000),
}


def values(lines: list[str]) -> dict[str, str]:
    """The ``name=value`` lines, comments left out."""
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}


def fill(example: str, existing: str, known: dict[str, str]) -> tuple[str, list[str]]:
    """The new text of ``.env``, and the names that were filled in.

    ``existing`` wins over everything, then ``known``; what is still empty and can be generated is.
    """
    kept = values(existing.splitlines())
    filled: list[str] = []

    def value_of(name: str, default: str) -> str:
        if kept.get(name):
            return kept[name]
        if not default and name in GENERATED:
            filled.append(name)
            return known.get(name) or GENERATED[name]()
        return default

    lines: list[str] = []
    named = set()
    for line in example.splitlines():
        name, equals, default = line.partition("=")
        commented = name.startswith("#") and " " not in name
        bare = name.removeprefix("#") if commented else name
        if not equals or (name.startswith("#") and not commented) or (commented and bare not in kept):
            lines.append(line)
        else:
            named.add(bare)
            lines.append(f"{bare}={kept[bare] if commented else value_of(bare, default)}")
    own = [f"{name}={value}" for name, value in kept.items() if name not in named]
    if own:
        lines += ["", "# ---- your own ----", *own]
    return "\n".join(lines) + "\n", filled


def main(root: Path = ROOT) -> None:
    path = root / ".env"
    existing = path.read_text() if path.exists() else ""
    home = Path(
        os.environ.get("MALLARD_HOME") or values(existing.splitlines()).get("MALLARD_HOME") or "./var"
    )
    home = home if home.is_absolute() else root / home
    known = {}
    if (home / "hash_key").is_file():
        # This warehouse has hashes already: another key would make strangers of its customers.
        known["MALLARD_HASH_KEY"] = (home / "hash_key").read_text().strip()
    text, filled = fill((root / ".env.example").read_text(), existing, known)
    draft = path.with_name(".env.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
    if not home.exists():
        home.mkdir(parents=True)
        if os.getuid() == 0:
            owner = values(text.splitlines())
            os.chown(home, int(owner["MALLARD_UID"]), int(owner["MALLARD_GID"]))
    sys.stdout.write(
        f"{path}: {'filled in ' + ', '.join(filled) if filled else 'complete already, nothing changed'}\n"
        "Next: docker compose up -d --build; the user is admin, the password AIRFLOW_ADMIN_PASSWORD.\n"
    )


if __name__ == "__main__":
    main()
