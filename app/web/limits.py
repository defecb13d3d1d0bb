"""How often one may submit requests: token buckets for each user, each address and everybody, through Flask-Limiter."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

import redis
from flask import Flask, Response, current_app, g
from flask_limiter import Limiter
from limits import RateLimitItem, parse
from limits.storage import RedisStorage, Storage
from limits.strategies import STRATEGIES, RateLimiter
from limits.util import WindowStats
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.adapters.buckets import TIMEOUT_S, Buckets, Taken
from app.adapters.commands import Commands
from app.adapters.redis_clients import READ_BYTES
from app.config import Settings
from app.domain.access import Caller
from app.domain.buckets import SECOND_US, Bucket
from app.domain.errors import RateLimited
from app.domain.networks import network
from app.limits import Limits

STRATEGY = "token-bucket"
EXTENSION = "rate_limits"
EVERYBODY = "everybody"
LIMIT, REMAINING, RESET = HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")

_PATIENCE = {
    "socket_connect_timeout": TIMEOUT_S,
    "socket_timeout": TIMEOUT_S,
    "retry": Retry(NoBackoff(), 0),
    "max_connections": 200,
    "socket_read_size": READ_BYTES,
}
_WORDS = {
    "user": "You may submit {tokens} requests in {seconds} s, and {most} at once",
    "address": "Your address may submit {tokens} requests in {seconds} s, and {most} at once",
    EVERYBODY: "The service takes {tokens} requests in {seconds} s from everybody together",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the limits: of whom, how many requests in a window, how many at once."""

    whose: str
    tokens: int
    window_ms: int
    most: int
    bucket: Bucket  # the same in other words

    @classmethod
    def of(cls, whose: str, tokens: int, window_ms: int, most: int) -> Kind:
        """The limit of so many requests."""
        return cls(whose, tokens, window_ms, most, Bucket.of(tokens, window_ms, most))

    def refusal(self, wait_us: int) -> RateLimited:
        """What is said where it holds somebody up."""
        wait_s = max(1, math.ceil(wait_us / SECOND_US))
        said = _WORDS[self.whose].format(tokens=self.tokens, seconds=f"{self.window_ms / 1000:g}", most=self.most)
        return RateLimited(f"{said}. Come again in {wait_s} s.", retry_after_s=wait_s)


@dataclass(slots=True)
class Charge:
    """What one submission counts against, by name, and what came of it."""

    counted: Mapping[str, Kind]
    taken: Taken | None = None

    def narrowest(self) -> tuple[Kind, int]:
        """The limit that holds up longest, or else leaves least, and its debt in µs."""
        assert self.taken is not None, "nothing was taken yet"
        pairs = zip(self.counted.values(), self.taken.debts_us, strict=True)
        return max(pairs, key=lambda pair: (pair[0].bucket.wait_us(pair[1]), -pair[0].bucket.left(pair[1])))


_charged: ContextVar[Charge] = ContextVar("charged")  # what the strategy is asked about; it is told names alone


class TokenBucket(RateLimiter):
    """Flask-Limiter's strategy of that name. A hit takes from all buckets that the request counts against, or from none."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage)
        self._buckets = Buckets(Commands(cast(redis.Redis, cast(RedisStorage, storage).get_connection())))

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Take `cost` tokens of what is being charged."""
        charge = _charged.get()
        charge.taken = self._buckets.take({name: kind.bucket for name, kind in charge.counted.items()}, cost)
        return charge.taken.given

    def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """The base class wants it; nothing asks without taking. Raises TypeError."""
        raise TypeError("These buckets are asked by taking from them.")

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """When the narrowest bucket is full again (s since the epoch), and how many tokens it has."""
        kind, debt_us = _charged.get().narrowest()
        return WindowStats(time.time() + debt_us / SECOND_US, kind.bucket.left(debt_us))


class RateLimits:
    """Counts the submissions of one application."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._counted = Counted(settings.limits)
        cast(dict[str, type[RateLimiter]], STRATEGIES)[STRATEGY] = TokenBucket
        self._limiter = Limiter(
            lambda: EVERYBODY,
            strategy=STRATEGY,
            storage_uri=settings.redis_url.replace("unix://", "redis+unix://", 1),
            storage_options=cast(dict[str, str | int], _PATIENCE),
            headers_enabled=False,
        )
        # One that is there already gets no hooks around each request: nothing is counted by view, `charge` is called
        # where a submission is known to be one.
        app.extensions.setdefault("limiter", set()).add(self._limiter)
        self._limiter.init_app(app)
        self._item = parse(_as_text(settings.limits))

    def charge(self, caller: Caller, claimed_user: str) -> None:
        """Count the submission that is being answered. Raises RateLimited, with the time to come back."""
        charge = Charge(self._counted.by(caller, claimed_user))
        if not charge.counted:
            return
        g.charge = charge
        _charged.set(charge)
        # The strategy is asked itself: a view's decorator would work out anew which limits there are, at every request.
        if not self._limiter.limiter.hit(self._item):
            kind, debt_us = charge.narrowest()
            raise kind.refusal(kind.bucket.wait_us(debt_us))


def install(app: Flask, settings: Settings) -> RateLimits:
    """Count the submissions to `app`, and tell how many are left. Install it after what finds out who asks."""
    app.extensions[EXTENSION] = counts = RateLimits(app, settings)
    app.after_request(_tell)
    return counts


def of_this_application() -> RateLimits:
    """Those of the application that serves the request."""
    return cast(RateLimits, current_app.extensions[EXTENSION])


def _headers() -> list[tuple[str, str]]:
    """How many submissions the caller has left; empty if nothing was counted."""
    charge: Charge | None = g.get("charge")
    if charge is None or charge.taken is None:
        return []
    kind, debt_us = charge.narrowest()
    full_at = math.ceil(time.time() + debt_us / SECOND_US)
    return [(LIMIT, str(kind.most)), (REMAINING, str(kind.bucket.left(debt_us))), (RESET, str(full_at))]


class Counted:
    """Which limits a submission counts against. Each is worked out once; None where there is no such limit."""

    def __init__(self, limits: Limits) -> None:
        window_ms, burst = limits.rate_window_ms, limits.rate_burst
        most = math.ceil(limits.rate_per_address * burst / (limits.rate_requests or burst))
        self._user = _unless_none("user", limits.rate_requests, window_ms, burst)
        self._address = _unless_none("address", limits.rate_per_address, window_ms, most)
        self._everybody = _unless_none(EVERYBODY, limits.rate_global, window_ms, limits.rate_global)

    def by(self, caller: Caller, claimed_user: str) -> Mapping[str, Kind]:
        """The buckets that it is taken from, by name: the user's, everybody's; and the address's where nobody has to prove
        who they are, for there one may call oneself many names."""
        kinds: dict[str, Kind] = {}
        if self._user:
            kinds[caller.limit_key(claimed_user)] = self._user
        if self._address and not caller.known:
            kinds[f"address:{network(caller.address)}"] = self._address
        if self._everybody:
            kinds[EVERYBODY] = self._everybody
        return kinds


def _unless_none(whose: str, tokens: int, window_ms: int, most: int) -> Kind | None:
    return Kind.of(whose, tokens, window_ms, most) if tokens else None


def _tell(response: Response) -> Response:
    if response.status_code != HTTPStatus.INTERNAL_SERVER_ERROR:
        for name, value in _headers():
            response.headers[name] = value
    return response


def _as_text(limits: Limits) -> str:
    """For Flask-Limiter, which wants it in its own words and leaves the counting to the strategy."""
    most = max(1, limits.rate_requests or limits.rate_per_address or limits.rate_global)
    return f"{most} per {max(1, math.ceil(limits.rate_window_ms / 1000))} seconds"
