"""How a session goes: which pages, for how long, and what happens on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulator.arrays import HOUR, MINUTE, NONE, SECOND, Flags, Floats, Ints, pick, starts_of, within_groups

if TYPE_CHECKING:
    from simulator.catalogue import Catalogue

PAGES = ("home", "list", "search", "activity", "detail", "cart", "checkout", "confirmation", "content")
HOME, LIST, SEARCH, ACTIVITY, DETAIL, CART, CHECKOUT, CONFIRMATION, CONTENT = range(9)
EVENTS = ("page_view", "search", "impression", "click", "add_to_cart", "checkout", "purchase")
VIEW, SEARCHED, IMPRESSION, CLICK, CARTED, CHECKED_OUT, PURCHASED = range(7)

# How sessions begin, up to the first product page: the pages, and the weights after a link to the home
# page and after one that leads deep into the shop.
_WAYS: tuple[tuple[tuple[int, ...], float, float], ...] = (
    ((HOME, DETAIL), 9, 1),
    ((HOME, LIST, DETAIL), 18, 1),
    ((HOME, SEARCH, LIST, DETAIL), 9, 1),
    ((HOME, SEARCH, DETAIL), 11, 1),
    ((HOME, ACTIVITY, DETAIL), 7, 1),
    ((DETAIL,), 8, 38),
    ((LIST, DETAIL), 6, 13),
    ((SEARCH, DETAIL), 5, 4),
    ((SEARCH, LIST, DETAIL), 3, 2),
    ((ACTIVITY, DETAIL), 2, 16),
    ((HOME, CONTENT, HOME, LIST, DETAIL), 2, 1),
    ((HOME,), 11, 2),
    ((HOME, LIST), 4, 1),
    ((LIST,), 2, 7),
    ((CONTENT,), 2, 6),
    ((HOME, CART), 2, 1),
)
_LONGEST = max(len(way) for way, _, _ in _WAYS)
_WAY_PAGES = np.array([way + (NONE,) * (_LONGEST - len(way)) for way, _, _ in _WAYS], dtype=np.int64)
_WAY_LENGTH = np.array([len(way) for way, _, _ in _WAYS], dtype=np.int64)
_WAY_HAS_DETAIL = np.array([DETAIL in way for way, _, _ in _WAYS])
_WAY_IS_RETURN = np.array([CART in way for way, _, _ in _WAYS])
_HOME_WEIGHTS = [weight for _, weight, _ in _WAYS]
_DEEP_WEIGHTS = [weight for _, _, weight in _WAYS]
# How sessions end, by how far they go.
_TAILS = np.array(
    [
        (NONE, NONE, NONE),
        (CART, NONE, NONE),
        (CART, CHECKOUT, NONE),
        (CART, CHECKOUT, CONFIRMATION),
        (CHECKOUT, NONE, NONE),
        (CHECKOUT, CONFIRMATION, NONE),
    ],
    dtype=np.int64,
)
_TAIL_LENGTH = np.array([0, 1, 2, 3, 1, 2], dtype=np.int64)
_IMPRESSIONS = np.array([3, 4, 4, 3, 0, 0, 0, 0, 0], dtype=np.int64)
_IS_LISTING = np.array([True, True, True, True, False, False, False, False, False])
_MOST_EXTRA = 6


@dataclass
class Pages:
    """The pages of many sessions, one after the other; ``session`` is the place in ``begins``.

    ``began_at`` is in milliseconds after the session's first page. A session has at most 14 pages and 98
    events, so that only a bot has more than 500 in a day.
    """

    session: Ints
    place: Ints
    page: Ints
    product: Ints
    began_at: Ints
    dwell: Ints
    is_carting: Flags
    is_last: Flags
    begins: Ints
    counts: Ints
    is_buying: Flags
    is_returning_to_cart: Flags

    @property
    def durations(self) -> Ints:
        last = self.begins + self.counts - 1
        lasted: Ints = self.began_at[last] + self.dwell[last]
        return lasted

    def keep(self, sessions: Ints) -> Pages:
        """Only these sessions, in this order."""
        counts = self.counts[sessions]
        session, place = within_groups(counts)
        at = self.begins[sessions][session] + place
        return Pages(
            session, place, self.page[at], self.product[at], self.began_at[at], self.dwell[at], self.is_carting[at],
            self.is_last[at], starts_of(counts), counts, self.is_buying[sessions], self.is_returning_to_cart[sessions],
        )  # fmt: skip


def walk(rng: np.random.Generator, catalogue: Catalogue, *, is_deep: Flags, eagerness: Floats) -> Pages:
    """Let sessions walk through the shop.

    ``is_deep`` says which came by a link into the shop, ``eagerness`` is their inclination to buy (1 is usual).
    """
    size = len(is_deep)
    way = np.where(is_deep, pick(rng, _DEEP_WEIGHTS, size), pick(rng, _HOME_WEIGHTS, size))
    has_detail, is_return = _WAY_HAS_DETAIL[way], _WAY_IS_RETURN[way]
    extra = np.where(has_detail & (rng.random(size) < 0.62), rng.geometric(0.4, size), 0)
    extra = np.minimum(extra, _MOST_EXTRA)

    luck = rng.random(size)
    chance = np.minimum(0.034 * eagerness, 0.5)
    is_buying = (has_detail & (luck < chance)) | (is_return & (luck < np.minimum(0.25 * eagerness, 0.6)))
    is_checking_out = is_buying | (luck < chance * 1.7 + 0.004) & (has_detail | is_return)
    is_carting = has_detail & (is_checking_out | (luck < chance * 2.6 + 0.045))
    shows_cart = is_carting & (is_checking_out | (rng.random(size) < 0.6))
    tail = np.where(is_return, 3, 0) + np.where(shows_cart & ~is_return, 1, 0)
    tail = tail + np.where(is_checking_out, 1, 0) + np.where(is_buying, 1, 0)
    tail = np.where(is_return & ~is_checking_out, 0, tail)

    counts = _WAY_LENGTH[way] + extra + _TAIL_LENGTH[tail]
    session, place = within_groups(counts)
    begins = starts_of(counts)
    in_way = place < _WAY_LENGTH[way][session]
    from_tail = place - (_WAY_LENGTH[way] + extra)[session]
    browsing = np.where(rng.random(len(session)) < 0.66, DETAIL, LIST)
    page = np.where(
        in_way,
        _WAY_PAGES[way[session], np.minimum(place, _LONGEST - 1)],
        np.where(from_tail >= 0, _TAILS[tail[session], np.clip(from_tail, 0, 2)], browsing),
    )
    is_detail = page == DETAIL
    product = np.full(len(page), NONE)
    product[is_detail] = catalogue.draw(rng, int(is_detail.sum()))

    last_detail = np.maximum.reduceat(np.where(is_detail, place, NONE), begins)
    is_last = place == counts[session] - 1
    carts = (
        is_detail & is_carting[session] & ((place == last_detail[session]) | (rng.random(len(page)) < 0.22))
    )
    # Some put into the cart what a list shows, without ever looking at it.
    quick = is_last & (page == LIST) & ~has_detail[session] & (rng.random(len(page)) < 0.12)
    product[quick] = catalogue.draw(rng, int(quick.sum()))

    dwell = (
        (np.exp(rng.normal(3.15, 0.95, len(page))) * SECOND).astype(np.int64).clip(2 * SECOND, 14 * MINUTE)
    )
    # Some leave the page open for longer than the half hour after which sessions without an id are cut.
    naps = rng.random(len(page)) < 0.002
    dwell = dwell + naps * rng.integers(31 * MINUTE, 2 * HOUR, len(page))
    before = np.cumsum(dwell) - dwell
    return Pages(
        session, place, page, product, before - before[begins][session], dwell, carts | quick,
        is_last, begins, counts, is_buying, is_return,
    )  # fmt: skip


@dataclass
class Happenings:
    """The events on pages, in the order of the pages: ``row`` is the page's, ``after`` the time since its begin."""

    row: Ints
    kind: Ints
    after: Ints
    product: Ints
    slot: Ints


def happen(rng: np.random.Generator, catalogue: Catalogue, pages: Pages) -> Happenings:
    """What happens on each page: it is seen, shows products in slots, is clicked, fills a cart."""
    page, size = pages.page, len(pages.page)
    leads_on = np.r_[pages.session[1:] == pages.session[:-1], False] if size else np.zeros(0, dtype=np.bool_)
    next_product = np.r_[pages.product[1:], NONE]
    is_clicked = leads_on & _IS_LISTING[page] & np.r_[page[1:] == DETAIL, False]
    action = np.full(size, NONE)
    action[is_clicked] = CLICK
    action[pages.is_carting] = CARTED
    action[page == CHECKOUT] = CHECKED_OUT
    action[page == CONFIRMATION] = PURCHASED
    # A few pages forget to tell about the checkout: the page itself still says it.
    action[(page == CHECKOUT) & (rng.random(size) < 0.03)] = NONE

    searches = (page == SEARCH).astype(np.int64)
    shown = _IMPRESSIONS[page]
    counts = 1 + searches + shown + (action >= 0)
    row, place = within_groups(counts)
    nth_shown = place - searches[row]
    is_shown = (nth_shown >= 1) & (nth_shown <= shown[row])
    is_action = nth_shown > shown[row]
    kind = np.where(
        place == 0, VIEW, np.where(is_action, action[row], np.where(is_shown, IMPRESSION, SEARCHED))
    )

    clicked_slot = 1 + (rng.random(size) ** 1.6 * np.maximum(shown, 1)).astype(np.int64)
    slot = np.where(is_shown, nth_shown, NONE)
    slot = np.where(kind == CLICK, clicked_slot[row], slot)
    product = np.where((kind == VIEW) & (page == DETAIL)[row], pages.product[row], NONE)
    product = np.where(kind == CARTED, pages.product[row], product)
    product = np.where(kind == CLICK, next_product[row], product)
    product[is_shown] = catalogue.draw(rng, int(is_shown.sum()))
    is_the_clicked = is_shown & is_clicked[row] & (slot == clicked_slot[row])
    product = np.where(is_the_clicked, next_product[row], product)

    after = np.where(is_action, pages.dwell[row] * 7 // 10, place * 60)
    return Happenings(row, kind, after, product, slot)
