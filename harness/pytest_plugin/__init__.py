"""The pytest plugin: options, fixtures, layers, gating and the journal. Inert in a project until it is enabled."""
