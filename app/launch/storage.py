"""The storage of pictures at a start: a wrong setting ends it in one line."""

import time

from app.adapters.store import LocalStore, StoreError
from app.config import Settings
from app.launch.checks import NotReady, check_folders
from app.launch.console import print_error
from app.storage_settings import S3Location

RETRY_FOR_S = 30.0
PAUSE_S = 1.0


def check_storage(settings: Settings) -> None:
    """Create missing folders, and check that the bucket can be used, if there is one. Raises NotReady.

    A bucket that cannot be reached, or is overloaded, has `RETRY_FOR_S`; the first failure is printed at once.
    """
    check_folders(settings)
    if settings.s3_storage is not None:
        _check_bucket(settings.s3_storage, LocalStore(settings.storage_path))


def _check_bucket(location: S3Location, unfinished: LocalStore) -> None:
    from app.adapters.s3_errors import S3Error  # noqa: PLC0415 - boto3 is slow to load and only a bucket needs it
    from app.adapters.s3_store import S3Store  # noqa: PLC0415 - the same

    store = S3Store(location, unfinished)
    deadline = time.monotonic() + RETRY_FOR_S
    is_reported = False
    while True:
        try:
            return store.verify()
        except S3Error as problem:
            line = f"STORAGE_URL: {problem.remedy}."
            if problem.lasting or time.monotonic() >= deadline:
                raise NotReady(line) from None
            if not is_reported:
                print_error(NotReady(f"{line} Retrying for {RETRY_FOR_S:g} s."))
                is_reported = True
            time.sleep(PAUSE_S)
        except StoreError as problem:
            raise NotReady(f"IMAGE_STORAGE_PATH: {problem}") from None
