"""The keeper: the process that owns a stack, and its clients. See docs/adr/0003-keeper.md."""
