"""The web application: HTTP views and the socket endpoint, connected to the services."""

from flask import Flask

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
    batch_additions,
    batch_control,
    batch_results,
    batches,
    cors,
    diagnostics,
    errors,
    extension,
    files,
    fleet,
    hosts,
    idempotency,
    images,
    inputs,
    limits,
    me,
    metrics,
    pages,
    previews,
    queue,
    request_context,
    status,
    styles,
    variations,
    webhooks,
)
from app.web.api import Api
from app.web.openai import errors as openai_errors
from app.web.openai import images as openai_images
from app.web.openai import models as openai_models
from app.web.proxies import TrustedProxies


def create_app(settings: Settings | None = None, services: Services | None = None) -> Flask:
    """The application. Its hub is `app.extensions["hub"]`: the server that runs the application starts and closes it."""
    settings = settings or (services.settings if services else Settings.from_env())
    services = services or build(real_ports(settings))
    logs.configure(settings.log_level, settings.log_format)
    throttle = AuthThrottle(services.access, _failure_limit(settings))
    app = Flask("app", static_folder="web/static", template_folder="web/templates")
    app.wsgi_app = TrustedProxies(app.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]
    app.config.update(MAX_CONTENT_LENGTH=settings.max_body_bytes, PUBLIC_URL=settings.public_url)
    app.extensions["services"] = services
    app.extensions["hub"] = hub = Hub(services, throttle)
    # Hooks run in this order before a view, and in reverse after it.
    request_context.install(app, services.ports.metrics)
    errors.install(app)
    openai_errors.install(app)
    idempotency.install(app)
    hosts.install(app, settings)
    cors.install(app, settings.allowed_origins)
    api = Api()
    access.install(app, api, services, throttle)
    limiter = limits.install(app, settings, services.ports.metrics)
    routes.install(app, hub, settings)
    for limited in (images, inputs, variations, batches, batch_additions, styles, webhooks, me):
        limited.operations(api, services, limiter)
    for module in (previews, batch_control, batch_results, fleet, queue, accounts, status, diagnostics, metrics):
        module.operations(api, services)
    files.operations(api, services, throttle)
    openai_images.operations(api, services, limiter)
    openai_models.operations(api, services)
    api.install(app)
    pages.install(app, api, settings)
    extension.install(app, settings)
    return app


def _failure_limit(settings: Settings) -> RateLimit | None:
    failures = settings.limits.auth_failures
    return RateLimit(bucket(failures, auth_throttle.WINDOW_MS, failures), settings.redis_url) if failures else None
