"""The words that the simulator's modules share: columns of whole numbers, and random streams.

Everything is an integer, so that files are exact and the same on every machine: instants are milliseconds
since 1970 in UTC, days are numbered from the first simulated one, money is ten-thousandths of a currency
unit, rates are millionths, texts are positions in a list. A negative number is a missing value.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = dict[str, Ints]

NONE = -1
SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def stream(seed: int, *path: int) -> np.random.Generator:
    """A random stream of its own for each purpose and day: one more draw in one changes no other."""
    return np.random.default_rng([seed, *path])


def pick(rng: np.random.Generator, weights: Floats | list[float], size: int) -> Ints:
    """Draw ``size`` positions of ``weights``, each as often as its weight says."""
    edges = np.cumsum(np.asarray(weights, dtype=np.float64))
    # Scaled to the last edge, which a draw below 1 never reaches: every position is within the list.
    drawn = np.searchsorted(edges, rng.random(size) * edges[-1], side="right")
    picked: Ints = np.minimum(drawn, len(edges) - 1).astype(np.int64)
    return picked


def starts_of(counts: Ints) -> Ints:
    """Where each group begins when groups of these sizes lie one after the other."""
    return np.cumsum(counts) - counts


def within_groups(counts: Ints) -> tuple[Ints, Ints]:
    """The group of each member, and its place in the group, for groups of these sizes."""
    group = np.repeat(np.arange(len(counts)), counts)
    return group, np.arange(len(group)) - starts_of(counts)[group]


def rank_in_groups(sorted_keys: Ints) -> Ints:
    """The place of each row among the rows of the same key; equal keys lie together."""
    if not len(sorted_keys):
        return np.zeros(0, dtype=np.int64)
    is_first = np.r_[True, sorted_keys[1:] != sorted_keys[:-1]]
    begins = np.flatnonzero(is_first)
    places: Ints = np.arange(len(sorted_keys)) - begins[np.cumsum(is_first) - 1]
    return places


def converted(amount: Ints, rate: Ints) -> Ints:
    """An amount in reporting currency, rounded half away from zero to ten-thousandths."""
    rounded: Ints = (amount * rate * 2 + 1_000_000) // 2_000_000
    return rounded


def take(rows: Rows, at: Ints | Flags) -> Rows:
    """The rows at these positions, or where the flag is set."""
    return {name: column[at] for name, column in rows.items()}


def joined(parts: list[Rows]) -> Rows:
    """Rows one after the other; all parts have the same columns."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
