"""Makes the rig beside this file importable under the name that mypy knows it by."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4]))
