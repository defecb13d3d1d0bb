"""Which files the rows of the database name, for comparing them with the storage."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from sqlalchemy import BindParameter, Connection, Integer, bindparam, select, tuple_, union_all

from app.db.engine import Database
from app.db.images import StoredImage
from app.db.input_tables import inputs, job_inputs
from app.db.tables import HAS_PICTURES, files, images, jobs

PAGE = 500

_names: BindParameter[str] = bindparam("names", expanding=True)
# one statement, so that a file that is kept at this moment is found either as an intended one or as a picture
_NAMED = union_all(
    select(files.c.name).where(files.c.name.in_(_names)),
    select(images.c.file).join(jobs, jobs.c.id == images.c.job_id).where(images.c.file.in_(_names), HAS_PICTURES),
    select(inputs.c.file).where(inputs.c.file.in_(_names)),
    select(job_inputs.c.file).where(job_inputs.c.file.in_(_names)),
)
_PICTURE = [images.c[name] for name in StoredImage.__dataclass_fields__]
_AFTER = (
    select(images.c.job_id, *_PICTURE)
    .join(jobs, jobs.c.id == images.c.job_id)
    .where(HAS_PICTURES, tuple_(images.c.job_id, images.c.position) > tuple_(bindparam("job_id"), bindparam("place")))
    .order_by(images.c.job_id, images.c.position)
    .limit(bindparam("limit", type_=Integer))
)


def named(connection: Connection, names: Sequence[str]) -> set[str]:
    """Those of these files that a row names, or that are being made or removed."""
    return set(connection.execute(_NAMED, {"names": list(names)}).scalars())


def pictures(database: Database) -> Iterator[tuple[str, list[StoredImage]]]:
    """The requests with pictures that were not removed, and these, read in pages."""
    for job_id, rows in groupby(_rows(database), key=itemgetter(0)):
        yield job_id, [picture for _, picture in rows]


def _rows(database: Database) -> Iterator[tuple[str, StoredImage]]:
    after = ("", -1)
    while True:
        values = {"job_id": after[0], "place": after[1], "limit": PAGE}
        page = database.read(lambda c, values=values: c.execute(_AFTER, values).all())  # type: ignore[misc]
        for job_id, *picture in page:
            yield job_id, StoredImage(*picture)
        if len(page) < PAGE:
            return
        after = (page[-1].job_id, page[-1].position)
