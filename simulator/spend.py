"""What the ad platforms report: spend per day, channel and campaign, and their second thoughts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulator.arrays import NONE, Ints, Rows, converted, joined, pick, stream, take
from simulator.touches import CHANNEL_OF, TOUCHES

if TYPE_CHECKING:
    from simulator.calendar import Calendar
    from simulator.outbox import Outbox
    from simulator.rates import Rates
    from simulator.truth import Truth

_PAID = np.flatnonzero([touch.click_cost > 0 for touch in TOUCHES])
# Campaigns run over several links: one row per channel and campaign.
CAMPAIGNS = tuple(dict.fromkeys((TOUCHES[at].channel, str(TOUCHES[at].campaign)) for at in _PAID))
_CAMPAIGN_OF = np.array([CAMPAIGNS.index((TOUCHES[at].channel, str(TOUCHES[at].campaign))) for at in _PAID])
# The first link of each campaign, for what is the same for all of them.
_FIRST_LINK = _PAID[np.unique(_CAMPAIGN_OF, return_index=True)[1]]
CHANNEL_OF_CAMPAIGN = CHANNEL_OF[_FIRST_LINK]
_CLICK_COST = np.array([TOUCHES[at].click_cost for at in _FIRST_LINK])
_VANISHING = CAMPAIGNS.index(("display", "di-awareness"))
_RESTATED_AFTER = (1, 2, 7, 20)


class Spend:
    """One row per day and campaign. In the second currency, if the shop has one, for every fourth campaign."""

    def __init__(
        self, calendar: Calendar, rates: Rates, outbox: Outbox, truth: Truth,
        *, seed: int, currencies: int, faults: frozenset[str],
    ) -> None:  # fmt: skip
        self.calendar = calendar
        self.rates = rates
        self.outbox = outbox
        self.truth = truth
        self.seed = seed
        self.currency = np.where((np.arange(len(CAMPAIGNS)) % 4 == 2) & (currencies > 1), 1, 0)
        self.restates = "restated_spend" in faults

    def report(self, day: int, sessions_by_touch: Ints) -> None:
        """The day's figures, from the sessions that came by each link, with what comes of them later."""
        rng = stream(self.seed, 7, day)
        visits = np.zeros(len(CAMPAIGNS), dtype=np.int64)
        np.add.at(visits, _CAMPAIGN_OF, sessions_by_touch[_PAID])
        first = self._figures(rng, day, visits)
        versions = [(day, first)]
        if self.restates:
            for after in _RESTATED_AFTER:
                # Some channels think again: all of their campaigns of the day come again, or all but one.
                channels = np.unique(CHANNEL_OF_CAMPAIGN)
                again = channels[rng.random(len(channels)) < 0.3]
                figures = take(self._figures(rng, day, visits), np.isin(CHANNEL_OF_CAMPAIGN, again))
                # One campaign vanishes where its channel thinks again: the channel's rows are replaced as a whole.
                figures = take(figures, figures["campaign"] != _VANISHING)
                if day + after < self.calendar.days and len(figures["campaign"]):
                    versions.append((day + after, figures))
                    self.truth.summary["restated_spend"] += len(figures["campaign"])
        for delivery, figures in versions:
            self.outbox.put("channel_spend", np.full(len(figures["campaign"]), delivery), figures)
        final: Rows = versions[0][1]
        for _, figures in versions[1:]:
            replaced = np.isin(
                CHANNEL_OF_CAMPAIGN[final["campaign"]], CHANNEL_OF_CAMPAIGN[figures["campaign"]]
            )
            final = joined([take(final, ~replaced), figures])
        rate = self.rates.of(final["currency"], np.full(len(final["campaign"]), day))
        self.truth.count_spend(final, converted(final["spend"], rate))

    def _figures(self, rng: np.random.Generator, day: int, visits: Ints) -> Rows:
        size = len(CAMPAIGNS)
        clicks = (visits * 115 + rng.integers(50, 400, size)) // 100
        cost = _CLICK_COST * rng.integers(80, 125, size) // 100
        rate = self.rates.of(self.currency, np.full(size, day))
        shown = clicks * rng.integers(18, 140, size)
        installs = np.where(pick(rng, [1, 2], size) == 0, clicks // 20, NONE)
        return {
            "spend_date": np.full(size, self.calendar.first_ordinal + day),
            "campaign": np.arange(size),
            "impressions": shown,
            "clicks": clicks,
            "spend": clicks * cost * 1_000_000 // rate,
            "currency": self.currency,
            "installs": installs,
        }
