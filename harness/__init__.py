"""Infrastructure test harness: stands a platform's services up, tests them in layers, breaks them, and judges.

Importing this package does nothing: no configuration is read, no service library loaded.
"""

__version__ = "0.1.0"
