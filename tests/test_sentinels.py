"""REDIS_URL with sentinels."""

from __future__ import annotations

import pytest

from app.adapters.celery_app import broker_url, make_celery
from app.config import BadSetting, Settings
from app.sentinels import Sentinels

URL = "redis+sentinel://app:pa55-word@one:26379,[::1]:26380/pictures"


def test_the_url_gives_the_sentinels_and_the_master() -> None:
    sentinels = Sentinels.parse(URL)
    assert sentinels is not None
    assert sentinels.addresses == [("one", 26379), ("::1", 26380)]
    assert sentinels.master == "pictures"
    assert sentinels.credentials == {"username": "app", "password": "pa55-word"}


def test_without_a_password_none_is_sent() -> None:
    sentinels = Sentinels.parse("redis+sentinel://one:26379/pictures")
    assert sentinels is not None
    assert sentinels.credentials == {}
    assert sentinels.broker_url == "sentinel://one:26379/0"


@pytest.mark.parametrize("url", ["redis://one:6379/0", "rediss://one/0", "unix:///run/redis.sock"])
def test_other_urls_have_no_sentinels(url: str) -> None:
    assert Sentinels.parse(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://one:26379",
        "redis+sentinel://one/pictures",
        "redis+sentinel://one:26379/pictures/0",
        "redis+sentinel://:p%40ss@one:26379/pictures",
        "redis+sentinel://one:26379;two:26379/pictures",
        "redis+sentinel:///pictures",
        "rediss+sentinel://one:26379/pictures",
    ],
)
def test_options_that_not_every_client_supports_are_refused(url: str) -> None:
    with pytest.raises(BadSetting, match=r"^REDIS_URL"):
        Settings.from_env({"REDIS_URL": url})


def test_celery_gets_the_same_settings() -> None:
    settings = Settings.from_env({"REDIS_URL": URL})
    assert broker_url(settings.redis_url) == (
        "sentinel://app:pa55-word@one:26379/0;sentinel://app:pa55-word@[::1]:26380/0"
    )
    options = make_celery(settings).conf.broker_transport_options
    assert options["master_name"] == "pictures"
    assert options["sentinel_kwargs"] == {
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "username": "app",
        "password": "pa55-word",
    }
