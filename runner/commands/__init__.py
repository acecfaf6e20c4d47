"""The command line and the other ways in, from a path to an exit code."""
