"""What is printed once everything runs: where it is and what to try first. Each command works as it is printed."""

from app.config import Settings
from app.service_address import local_authority, scheme

DEFAULT_DATABASE = "sqlite:///data/imagefleet.db"

ADDRESSES = """\
Imagefleet is ready.

  HTTP      {http}
  sockets   {sockets}{path}
  pictures  {pictures}
  browsers  {http}/extension  (download the browser extension)"""

WITH_DEMO = "A reference extension is started too; it draws test pictures. DEMO=off leaves it out."
WITHOUT_DEMO = """\
No extension is started here (DEMO=off). A request fails after {wait} if no connected extension can do it; a
request with a deadlineMs waits for one until that deadline."""
AUTH_REQUIRED = """\
No extension is started here, because it needs a token (AUTH_MODE=required). Start one in another terminal{settings}:

  export IMAGEFLEET_EXTENSION_TOKEN=$(.venv/bin/python -m app.manage create-extension-token my-extension)
  PYTHONPATH=client .venv/bin/python -m imagefleet extension --id my-extension --server {http}

or create a code to paste into the options of the browser extension:

  .venv/bin/python -m app.manage create-extension-token my-browser --pairing

Clients need a key. Create a user, then a key of this user{settings}:

  .venv/bin/python -m app.manage create-user me
  KEY=$(.venv/bin/python -m app.manage create-key me)"""

FIRST_REQUEST = """\
Submit a request, then get the result with the requestId from the answer:

  curl -s {http}/api/images/generate{key} -H 'Content-Type: application/json' -d '{body}'
  curl -s {http}/api/images/REQUEST_ID{key}"""

WITH_KEY = ' -H "Authorization: Bearer $KEY"'
BODY = '{"prompt": "A beautiful sunset", "model": "dall-e-3", "userId": "me"}'

STOP = "Ctrl-C stops everything."


def banner(settings: Settings, *, demo: bool) -> str:
    """The addresses of everything, and a request to try."""
    http = f"{scheme(settings)}://{local_authority(settings, settings.port)}"
    addresses = ADDRESSES.format(
        http=http,
        sockets=f"{scheme(settings, 'ws')}://{local_authority(settings, settings.socket_port)}",
        path=settings.ws_path,
        pictures=settings.s3_storage.address if settings.s3_storage else settings.storage_path,
    )
    request = FIRST_REQUEST.format(http=http, key=WITH_KEY if settings.auth_required else "", body=BODY)
    return "\n\n".join((addresses, _extension(settings, http, demo=demo), request, STOP))


def _extension(settings: Settings, http: str, *, demo: bool) -> str:
    """Which extension works on requests, and how to start one if none does."""
    if settings.auth_required:
        own_database = settings.database_url != DEFAULT_DATABASE
        return AUTH_REQUIRED.format(http=http, settings=" (with the same DATABASE_URL)" if own_database else "")
    return WITH_DEMO if demo else WITHOUT_DEMO.format(wait=_duration(settings.no_extension_timeout_ms))


def _duration(ms: int) -> str:
    """A duration for a person, in minutes if it is a whole number of them."""
    count, unit = (ms // 60_000, "minute") if ms and ms % 60_000 == 0 else (ms / 1000, "second")
    return f"{count:g} {unit}{'' if count == 1 else 's'}"
