"""The WSGI application: `gunicorn -c gunicorn.conf.py wsgi:app`.

gunicorn's gevent worker patches the standard library before it imports this module.
"""

import sys

from app.config import BadSetting, Settings
from app.factory import create_app
from app.launch.checks import NotReady
from app.launch.schema import migrate_when_reachable
from app.launch.storage import check_storage

try:
    settings = Settings.from_env()
    check_storage(settings)
    migrate_when_reachable(settings)
except (BadSetting, NotReady) as problem:
    sys.exit(str(problem))

app = create_app(settings)
app.extensions["hub"].start()
