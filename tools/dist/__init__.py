"""What goes on a release page: `python -m tools.dist --help`."""
