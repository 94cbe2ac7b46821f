"""Reading what the user wrote: settings (options) and compose files. Functions that return frozen values."""
