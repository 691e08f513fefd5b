"""The subcommands beside a run."""
