"""The repository's tools as modules: what `scripts/` and `benchmarks/` hold is no package."""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

from tests.unit.rigs.core_rig import ROOT


def script(name: str, folder: str = "scripts") -> ModuleType:
    """A file of `scripts/` (or another folder), imported anew."""
    loader = SourceFileLoader(Path(name).stem.replace("-", "_"), str(ROOT / folder / name))
    spec = spec_from_loader(loader.name, loader)
    assert spec
    module = module_from_spec(spec)
    sys.modules[loader.name] = module  # dataclasses look their module up
    loader.exec_module(module)
    return module
