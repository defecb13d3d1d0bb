"""How often a view may be called: Flask-Limiter with token buckets, and its refusals and headers in the contract's form."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import ParamSpec, Self, TypeVar, cast

import redis
from flask import Flask, Response, after_this_request, g, request
from flask_limiter import Limiter, RateLimitExceeded, RequestLimit
from limits import RateLimitItem
from limits.strategies import STRATEGIES, RateLimiter
from limits.util import WindowStats

from app.adapters import token_bucket
from app.config import Settings
from app.domain.access import Caller
from app.domain.errors import RateLimited
from app.domain.networks import network
from app.limits import Limits
from app.services.ports import Metrics
from app.web import errors

LIMIT, REMAINING, RESET = HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
EVERYBODY = "everybody"
STRATEGY = "token-bucket"
REQUESTS = "requests"

P = ParamSpec("P")
R = TypeVar("R")


class RequestTokenBucket(token_bucket.TokenBucketRateLimiter):
    """Keeps what a hit found until the request ends, so that its headers need no more round trips."""

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Take `cost` tokens. False if there are fewer; then none is taken."""
        allowed, stats = self.take(item, *identifiers, cost=cost)
        g.setdefault("window_stats", {})[item.key_for(*identifiers)] = stats
        return allowed

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """What this request's hit found."""
        stats: WindowStats = g.window_stats[item.key_for(*identifiers)]
        return stats


# `limits` documents no way to register a strategy; Flask-Limiter looks up in this table the name that it is given.
cast(dict[str, type[RateLimiter]], STRATEGIES)[STRATEGY] = RequestTokenBucket


def install(app: Flask, settings: Settings, metrics: Metrics) -> Limiter:
    """Set up Flask-Limiter for `app`. While Redis is away it counts in this process and retries Redis after 1, 2, 4 … 32 s.

    Its own headers are off: they send Retry-After with every answer, not only with refusals.
    """
    limiter = Limiter(
        lambda: EVERYBODY,
        app=app,
        strategy=STRATEGY,
        storage_uri="redis://",
        storage_options=cast(dict[str, str | int], token_bucket.shared_storage_options(settings.redis_url)),
        in_memory_fallback_enabled=True,
        swallow_errors=True,  # of several requests that notice at the same time that Redis is away, one switches to the fallback
        headers_enabled=False,
    )
    # Only submissions are limited: this spares all other requests the work.
    limiter.request_filter(lambda: request.method != "POST")
    app.register_error_handler(RateLimitExceeded, lambda exceeded: _refusal(limiter, metrics, exceeded))
    return limiter


def submitted_for(submitter: Callable[P, str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Set `g.user_id`, the user that the limits of a submission count for, before they do.

    `submitter` is called with the view's arguments and returns the user.
    """

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            g.user_id = submitter(*args, **kwargs)
            return view(*args, **kwargs)

        return call

    return decorate


def per_submission(limiter: Limiter, limits: Limits, shared: str = "") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The limits of a view that accepts a submission: for `g.user_id`, the address and everybody together.

    Each view has its own, except those that name the same `shared` ones.

    They are tried in this order up to the first that refuses, so one user's refused requests use up nothing of others'.
    The address counts where callers do not prove who they are, since there they can invent user ids.
    """
    window_ms, burst = limits.rate_window_ms, limits.rate_burst

    def scope(endpoint: str) -> str:
        return shared or endpoint

    buckets, address_burst = _Buckets.of(limits), _address_burst(limits)
    user = limiter.shared_limit(
        _notation(buckets.user),
        scope,
        key_func=lambda: g.caller.limit_key(g.user_id),
        error_message=f"You may submit {_rate(limits.rate_requests, window_ms)}, and {burst} at once",
    )
    address = limiter.shared_limit(
        _notation(buckets.address),
        scope,
        key_func=lambda: _address_key(g.caller),
        exempt_when=lambda: g.caller.authenticated,
        error_message=f"Your address may submit {_rate(limits.rate_per_address, window_ms)}, and {address_burst} at once",
    )
    everybody = limiter.shared_limit(
        _notation(buckets.everybody),
        scope,
        error_message=f"The service takes {_rate(limits.rate_global, window_ms)} from everybody together",
    )

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        limited = everybody(address(user(view)))

        @wraps(view)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            after_this_request(partial(_with_headers, limiter))
            return limited(*args, **kwargs)

        return call

    return decorate


def left(limiter: Limiter, limits: Limits, caller: Caller, user_id: str) -> tuple[int, WindowStats] | None:
    """What is left of the limit of requests that leaves least to this caller: its burst, and its state; no token is taken.

    None if nothing limits them, or if it cannot be found out at the moment.
    """
    buckets = _Buckets.of(limits)
    counted = [(buckets.user, caller.limit_key(user_id)), (buckets.everybody, EVERYBODY)]
    if not caller.authenticated:
        counted.append((buckets.address, _address_key(caller)))
    strategy = cast(RequestTokenBucket, limiter.limiter)
    try:
        found = [(each.amount, strategy.take(each, key, REQUESTS, cost=0)[1]) for each, key in counted if each]
    except redis.RedisError:
        return None
    return min(found, key=lambda each: each[1].remaining, default=None)


@dataclass(frozen=True, slots=True)
class _Buckets:
    """The limits of a user, of an address and of everybody together; None where there is none."""

    user: RateLimitItem | None
    address: RateLimitItem | None
    everybody: RateLimitItem | None

    @classmethod
    def of(cls, limits: Limits) -> Self:
        def bucket(requests: int, burst: int) -> RateLimitItem | None:
            return token_bucket.bucket(requests, limits.rate_window_ms, burst) if requests else None

        return cls(
            bucket(limits.rate_requests, limits.rate_burst),
            bucket(limits.rate_per_address, _address_burst(limits)),
            bucket(limits.rate_global, limits.rate_global),
        )


def _address_burst(limits: Limits) -> int:
    return math.ceil(limits.rate_per_address * limits.rate_burst / (limits.rate_requests or limits.rate_burst))


def _address_key(caller: Caller) -> str:
    return f"address:{network(caller.address)}"


def _notation(bucket: RateLimitItem | None) -> str:
    """The limit in the notation of `limits`; "" is none."""
    return str(bucket) if bucket is not None else ""


def _rate(requests: int, window_ms: int) -> str:
    return f"{requests} requests in {window_ms / 1000:g} s"


def _refusal(limiter: Limiter, metrics: Metrics, exceeded: RateLimitExceeded) -> Response:
    metrics.rate_limited(request.url_rule.rule if request.url_rule else "")
    limit = limiter.current_limit
    wait_s = token_bucket.wait_s(limit.limit, limit.window) if limit else 1
    return errors.refusal(RateLimited(f"{exceeded.description}. Try again in {wait_s} s.", retry_after_s=wait_s))


def _with_headers(limiter: Limiter, response: Response) -> Response:
    """Say how much is left of the limit that refused, or else of the one that leaves least."""
    limit = _narrowest(limiter)
    if limit is not None:
        response.headers[LIMIT] = str(limit.limit.amount)
        response.headers[REMAINING] = str(limit.remaining)
        response.headers[RESET] = str(math.ceil(limit.window.reset_time))
    return response


def _narrowest(limiter: Limiter) -> RequestLimit | None:
    refused = [limit for limit in limiter.current_limits if limit.breached]
    return min(refused or limiter.current_limits, key=lambda limit: limit.remaining, default=None)
