"""`imagefleet styles`: named templates of prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from imagefleet.options import PARAMETERS, USER, command, group, texts
from imagefleet.output.tables import Column
from imagefleet.session import Session

if TYPE_CHECKING:
    from imagefleet.models import Style

COLUMNS = (
    Column("NAME"),
    Column("WHOSE", optional=True),
    Column("VARIABLES"),
    Column("MODEL", optional=True),
    Column("TEMPLATE", shrinks=True),
)
NAME = click.argument("name")
SHARED = click.option("--shared", is_flag=True, default=None, help="Everybody's style of this name.")


@command("list", examples="imagefleet styles list\nimagefleet styles list --jsonl | jq -r .name")
@click.option("--shared", is_flag=True, default=None, help="Only everybody's.")
@USER
def list_styles(session: Session, shared: bool | None = None, user: str | None = None) -> None:
    """List the styles that requests can name."""
    with session.connect() as client:
        session.show_each(client.styles(shared=shared, user_id=user), COLUMNS, _row, none="There is no style yet.")


@command("show", examples="imagefleet styles show noir")
@NAME
@SHARED
@USER
def show_style(session: Session, name: str, shared: bool | None, user: str | None) -> None:
    """Show a style: its template, its variables and what it sets."""
    with session.connect() as client:
        style = client.get_style(name, shared=shared, user_id=user)
    session.show(style, *_lines(style))


@command(
    "create",
    examples="""
imagefleet styles create noir "{prompt}, film noir, {light} light" --var light=cold --model dall-e-3
imagefleet styles create noir "{prompt}, {medium}, film noir" --required medium --replace
""",
)
@NAME
@click.argument("template")
@click.option("--var", multiple=True, callback=texts, metavar="NAME=DEFAULT", help="A variable; may be repeated.")
@click.option("--required", multiple=True, metavar="NAME", help="A variable that every request has to give.")
@click.option("--model", help="Model of requests that name none.")
@PARAMETERS
@click.option("--description", help="What it is for.")
@click.option("--replace", is_flag=True, help="Replace the style of this name.")
@click.option("--shared", is_flag=True, default=None, help="For everybody; for operators.")
@USER
def create_style(
    session: Session,
    name: str,
    template: str,
    var: dict[str, str],
    required: tuple[str, ...],
    model: str | None,
    param: dict[str, Any],
    description: str | None,
    replace: bool,
    shared: bool | None,
    user: str | None,
) -> None:
    """Define a style. TEMPLATE has {prompt} and {name} for each variable."""
    variables: dict[str, str | None] = {**var, **dict.fromkeys(required)}
    with session.connect() as client:
        style = (client.put_style if replace else client.create_style)(
            name,
            template,
            variables=variables or None,
            model=model,
            parameters=param or None,
            description=description,
            shared=shared,
            user_id=user,
        )
    session.show(style, style.name)


@command("delete", examples="imagefleet styles delete noir")
@NAME
@SHARED
@USER
def delete_style(session: Session, name: str, shared: bool | None, user: str | None) -> None:
    """Remove a style. Requests that were made with it stay as they are."""
    with session.connect() as client:
        client.delete_style(name, shared=shared, user_id=user)
    session.remark(f"Removed the style {name}.")


styles = group(
    "styles",
    "List, show, define and remove styles: templates of prompts that requests name.",
    list_styles,
    show_style,
    create_style,
    delete_style,
    examples='imagefleet styles\nimagefleet styles create noir "{prompt}, film noir"\nimagefleet generate a street --style noir',
)


def _row(style: Style) -> tuple[object, ...]:
    whose = "everybody's" if style.shared else style.user_id
    return style.name, whose, ",".join(style.variables), style.model, style.template


def _lines(style: Style) -> list[str]:
    lines = [style.name, f"Template: {style.template}"]
    lines += [f"Variable {name}: {'required' if value is None else value}" for name, value in style.variables.items()]
    lines += [f"Model: {style.model}"] if style.model else []
    lines += [f"Parameter {name}: {value}" for name, value in style.parameters.items()]
    return lines + ([f"Description: {style.description}"] if style.description else [])
