"""The ways by which people come: what their first page view carries, and the channel that this means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

OWN_HOST = "shop.example"
DIRECT = 0


@dataclass(frozen=True)
class Touch:
    """A link to the shop. ``first`` and ``later`` weigh it for a person's first visit and the next ones."""

    channel: str
    first: float
    later: float
    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    referrer: str | None = None
    is_deep: bool = False
    """Whether it leads to a product or an activity rather than to the home page."""
    click_cost: int = 0
    """Ten-thousandths of the reporting currency per click; 0 where nothing is paid."""


# The first has neither utm nor referrer: DIRECT points at it.
TOUCHES = (
    Touch("direct", 14, 34),
    Touch("paid_search", 9, 5, "google", "cpc", "ps-brand", "https://www.google.com/", False, 4_200),
    Touch("paid_search", 9, 3, "google", "cpc", "ps-generic", "https://www.google.com/", True, 8_900),
    Touch("paid_search", 4, 1, "bing", "ppc", "ps-generic", "https://www.bing.com/", True, 6_100),
    Touch("paid_social", 7, 2, "facebook", "cpc", "so-prospecting", "https://www.facebook.com/", True, 7_300),
    Touch("paid_social", 4, 3, "instagram", "paid_social", "so-retargeting", None, True, 9_800),
    Touch("display", 5, 2, "criteo", "display", "di-retargeting", "https://news.example.net/", True, 3_100),
    Touch("display", 2, 1, "adnetwork", "banner", "di-awareness", None, False, 1_700),
    Touch(
        "affiliate",
        4,
        2,
        "couponsite",
        "affiliate",
        "af-coupons",
        "https://coupons.example.org/",
        True,
        5_500,
    ),
    Touch("live_stream", 4, 3, "tiktok", "live_stream", "ls-evening", None, True, 6_400),
    Touch("short_video", 5, 2, "tiktok", "short-video", "sv-creators", None, True, 5_200),
    Touch("email", 1, 9, "newsletter", "email", "em-weekly", None, True),
    Touch("email", 0.5, 3, "crm", "newsletter", "em-winback", None, True),
    Touch("private_domain", 1, 4, "wecom", "private_domain", "pd-group", None, True),
    Touch("private_domain", 0.5, 2, "crm", "sms", "pd-sms", None, True),
    Touch("organic_search", 13, 8, None, None, None, "https://www.google.com/"),
    Touch("organic_search", 4, 2, None, None, None, "https://www.baidu.com/s"),
    Touch("organic_search", 2, 1, "duckduckgo", "organic", None, "https://duckduckgo.com/"),
    Touch("organic_social", 5, 4, None, None, None, "https://www.instagram.com/"),
    Touch("organic_social", 2, 2, "weibo", "social", None, None),
    Touch("referral", 4, 2, None, None, None, "https://blog.example.org/best-mugs?page=2"),
    Touch("referral", 1, 1, "partner", "referral", None, "https://partner.example.org/"),
    Touch("other", 1, 1, "qr_code", None, None, None, True),
)

CHANNELS = tuple(sorted({touch.channel for touch in TOUCHES}))
CHANNEL_OF = np.array([CHANNELS.index(touch.channel) for touch in TOUCHES], dtype=np.int64)
HAS_UTM = np.array([bool(touch.source or touch.medium or touch.campaign) for touch in TOUCHES])
HAS_REFERRER = np.array([touch.referrer is not None for touch in TOUCHES])
IS_DEEP = np.array([touch.is_deep for touch in TOUCHES])
FIRST_WEIGHTS = np.array([touch.first for touch in TOUCHES], dtype=np.float64)
LATER_WEIGHTS = np.array([touch.later for touch in TOUCHES], dtype=np.float64)
