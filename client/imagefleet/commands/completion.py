"""`imagefleet completion`: makes a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from imagefleet.options import command
from imagefleet.session import Session

EXAMPLES = """
eval "$(imagefleet completion bash)"                                     (in ~/.bashrc)
eval "$(imagefleet completion zsh)"                                      (in ~/.zshrc)
imagefleet completion fish > ~/.config/fish/completions/imagefleet.fish
"""


@command("completion", examples=EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(session: Session, shell: str) -> None:
    """Print the script with which a shell completes commands and options."""
    program = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(program, {}, "imagefleet", "_IMAGEFLEET_COMPLETE").source())
