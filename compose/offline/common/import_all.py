"""Run while an image is built: import every module of one emulator, so that a missing package fails the build.

Importing as root also leaves the compiled files, which a container's user could not write.
"""

import importlib
import pkgutil
import sys

package = importlib.import_module(f"harness.emulators.{sys.argv[1]}")
names = [module.name for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
for name in names:
    importlib.import_module(name)
print(f"{len(names)} modules of {package.__name__} imported")
