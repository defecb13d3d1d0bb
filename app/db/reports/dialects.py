"""What differs between SQLite and PostgreSQL in the definitions of reports: they write it as functions in capitals.

| in a definition | what becomes of it |
|---|---|
| `TIME(ms)` | a timestamp; text as `2024-01-14 12:00:00.000` on SQLite, which has no type for it |
| `DAY(days)` | the date, of days since the epoch |
| `SECONDS(ms)` | seconds, with a fraction |
| `JSON(column, name)` | a member of a JSON object |
| `NOW()` | the database's clock in ms |
| `PERIOD(ms)` | whether a time is of the period that is asked for |
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# arguments may contain brackets, but none within brackets
_FUNCTION = re.compile(r"\b(TIME|DAY|SECONDS|JSON|NOW|PERIOD)\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)")

SQLITE = {
    "TIME": "strftime('%Y-%m-%d %H:%M:%f', ({0}) / 1000.0, 'unixepoch')",
    "DAY": "date(({0}) * 86400, 'unixepoch')",
    "SECONDS": "(CAST({0} AS FLOAT) / 1000)",
    "JSON": "json_extract({0}, '$.{1}')",
    "NOW": "CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)",
}
POSTGRESQL = {
    "TIME": "to_timestamp(CAST({0} AS FLOAT) / 1000)",
    "DAY": "(DATE '1970-01-01' + CAST({0} AS INTEGER))",
    "SECONDS": "(CAST({0} AS FLOAT) / 1000)",
    "JSON": "({0} ->> '{1}')",
    "NOW": "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS BIGINT)",
}
_FUNCTIONS = {"sqlite": SQLITE, "postgresql": POSTGRESQL}


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` until before `until`, in ms since the epoch; None is without a bound."""

    since: int | None = None
    until: int | None = None

    def holds(self, column: str) -> str:
        """The condition that the time in this column is of the period."""
        bounds = ((">=", self.since), ("<", self.until))
        return " AND ".join(f"{column} {sign} {bound:d}" for sign, bound in bounds if bound is not None) or "1 = 1"


ALWAYS = Period()


def translated(definition: str, dialect: str, period: Period = ALWAYS) -> str:
    """The definition in the SQL of a database."""

    def replaced(found: re.Match[str]) -> str:
        name, argument = found[1], _FUNCTION.sub(replaced, found[2])
        if name == "PERIOD":
            return period.holds(argument)
        if name == "JSON":
            return _FUNCTIONS[dialect][name].format(*argument.split(", "))
        return _FUNCTIONS[dialect][name].format(argument)

    return _FUNCTION.sub(replaced, definition)
