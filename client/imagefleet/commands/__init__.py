"""The commands of `imagefleet`, a file for each."""
