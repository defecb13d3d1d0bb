"""What is printed once everything runs: where it is and what to try first."""

from app.config import Settings
from app.service_address import local_authority, scheme

READY = """\
Imagefleet is ready.

  HTTP      {http}
  sockets   {sockets}{path}
  pictures  {pictures}
  browsers  {http}/extension  (download the browser extension)
{extension}
Submit a request, then look at it with the requestId from the answer:

  curl -s {http}/api/images/generate -H 'Content-Type: application/json' -d '{{"prompt": "A beautiful sunset", "model": "dall-e-3", "userId": "me"}}'
  curl -s {http}/api/images/REQUEST_ID

Ctrl-C stops everything."""

WITH_DEMO = "\nA reference extension is started too; it draws test pictures. DEMO=off leaves it out.\n"
WITHOUT_DEMO = "\nNo extension is started here (DEMO=off); requests wait until one connects.\n"


AUTH_REQUIRED = """
No extension is started here, because clients need credentials (AUTH_MODE=required). Create a token for an extension, and
a key for yourself:

  .venv/bin/python -m app.manage create-extension-token my-extension
  .venv/bin/python -m app.manage create-user me && .venv/bin/python -m app.manage create-key me

and send the key with each request:  -H "Authorization: Bearer $IMAGEFLEET_API_KEY", without a userId.
"""


def banner(settings: Settings, *, demo: bool) -> str:
    """The addresses of everything, and a request to try."""
    return READY.format(
        http=f"{scheme(settings)}://{local_authority(settings, settings.port)}",
        sockets=f"{scheme(settings, 'ws')}://{local_authority(settings, settings.socket_port)}",
        path=settings.ws_path,
        pictures=settings.storage_path,
        extension=AUTH_REQUIRED if settings.auth_required else WITH_DEMO if demo else WITHOUT_DEMO,
    )
