"""The command line: one file per verb, each reached through `VERBS` in `main`."""
