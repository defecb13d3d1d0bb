"""The web application: HTTP and the socket path, joined to the services."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from flask import Flask, Request
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter

from app import logs
from app.adapters.rate_limit import RateLimit
from app.adapters.token_bucket import bucket
from app.config import Settings
from app.container import Services, build, real_ports
from app.hub import routes
from app.hub.hub import Hub
from app.services import auth_throttle
from app.services.auth_throttle import AuthThrottle
from app.web import (
    access,
    accounts,
    cors,
    errors,
    extension,
    files,
    fleet,
    hosts,
    images,
    limits,
    pages,
    request_context,
    short,
    status,
)
from app.web.api import Api
from app.web.headers import telling_browsers
from app.web.hosts import Hosts
from app.web.polls import Polls
from app.web.proxies import TrustedProxies
from app.web.short import Way
from app.web.submissions import Submissions

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class NoSessions(SessionInterface):
    """There are none: no cookie is read, and none is set."""

    _NONE = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        """The same for every request; whoever writes to it is refused."""
        return self._NONE


class Application(Flask):
    """Flask, for views and hooks of which none is a coroutine; what proxies say and what browsers are told is seen to before
    it is asked, and short ways are taken."""

    session_interface = NoSessions()

    def __init__(self, proxies: TrustedProxies) -> None:
        super().__init__("app", static_folder="web/static", template_folder="web/templates")
        self._proxies = proxies
        self.short_ways: Sequence[Way[Any]] = ()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """In the place of Flask's own call, and of middlewares: each frame would lie in the memory of every open socket."""
        self._proxies.follow(environ)
        start = telling_browsers(environ, start_response)
        for way in self.short_ways:
            if (answer := short.taken(way, environ, start)) is not None:
                return answer
        return self.wsgi_app(environ, start)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """As Flask's, which reads and writes the host anew three times: addresses here go by their path alone."""
        if request is None:
            return None
        environ = request.environ
        scheme = "ws" if _asks_for_a_socket(environ) else "http"  # all that rules know of schemes
        where = (request.host, request.root_path, "", scheme, request.path, request.method)
        return MapAdapter(self.url_map, *where, environ["QUERY_STRING"])

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """As it is: Flask would look at a dozen of them, at each request."""
        return func


def _asks_for_a_socket(environ: WSGIEnvironment) -> bool:
    """RFC 6455, section 4.2.1."""
    if environ.get("HTTP_UPGRADE", "").lower() != "websocket":
        return False
    return "upgrade" in (word.strip(" \t") for word in environ.get("HTTP_CONNECTION", "").lower().split(","))


def create_app(settings: Settings | None = None, services: Services | None = None) -> Flask:
    """The application; its hub is `app.extensions["hub"]`, which whoever serves starts and closes."""
    settings = settings or (services.settings if services else Settings.from_env())
    services = services or build(real_ports(settings))
    logs.configure(settings.log_level)
    throttle = AuthThrottle(services.access, _failure_limit(settings))
    names = Hosts(settings)
    app = Application(TrustedProxies(settings.trusted_proxies))
    app.config.update(MAX_CONTENT_LENGTH=settings.max_body_bytes, PUBLIC_URL=settings.public_url)
    app.extensions["services"] = services
    app.extensions["hub"] = hub = Hub(services, throttle)
    request_context.install(app)
    errors.install(app)
    hosts.install(app, names)
    cors.install(app, settings.allowed_origins)
    api = Api()
    access.install(app, api, services, throttle)
    counts = limits.install(app, settings)
    routes.install(app, hub, settings)
    for room in (images, files, fleet, accounts, status):
        room.operations(api, services)
    api.install(app)
    pages.install(app, api, settings)
    extension.install(app, settings)
    app.short_ways = (
        Polls(services.lookup, throttle, names),
        Submissions(services.submission, counts, throttle, names, settings.max_body_bytes),
    )
    return app


def _failure_limit(settings: Settings) -> RateLimit | None:
    failures = settings.limits.auth_failures
    return RateLimit(bucket(failures, auth_throttle.WINDOW_MS, failures), settings.redis_url) if failures else None
