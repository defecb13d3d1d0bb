"""What people and scripts see of the command: exit codes, sentences, tables, progress."""
