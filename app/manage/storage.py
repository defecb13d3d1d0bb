"""Commands for the storage of pictures."""

from collections import Counter

import click

from app.manage.console import GetServices, command, print_table
from app.services.verification import Finding, Problem, Verification

SHOWN = 100  # findings that are listed


@command("verify-storage")
@click.option(
    "--repair", is_flag=True, help="Delete files that no row names, and mark pictures as removed that are lost."
)
@click.option("--deep", is_flag=True, help="Read every picture and compare its checksum.")
def verify_storage(get_services: GetServices, repair: bool, deep: bool) -> None:
    """Compare the rows of pictures with the files, while the service runs.

    The status is 1 if something is wrong and was not repaired.
    """
    if print_findings(get_services().verification, repair=repair, deep=deep):
        raise click.exceptions.Exit(1)


def print_findings(verification: Verification, *, repair: bool, deep: bool) -> int:
    """Print what is wrong, and a table of it; returns how much of it is not repaired."""
    counts: Counter[tuple[Problem, bool]] = Counter()
    for number, finding in enumerate(verification.run(repair=repair, deep=deep)):
        counts[finding.problem, finding.repaired] += 1
        if number < SHOWN:
            click.echo(_line(finding))
    rows = [(each.value, str(counts[each, True]), str(counts[each, False])) for each in Problem]
    print_table(("PROBLEM", "REPAIRED", "LEFT"), rows)
    return sum(count for (_, repaired), count in counts.items() if not repaired)


def _line(finding: Finding) -> str:
    return f"{finding.problem}  {finding.file}{'  repaired' if finding.repaired else ''}"


COMMANDS = (verify_storage,)
