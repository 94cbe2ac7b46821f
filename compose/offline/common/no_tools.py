"""Run while an image is built whose official counterpart has no shell: remove every program but Python.

`no_tools.py UID DIRECTORY...` also names the user, makes the directories that belong to it (mode 0700), and removes
the directories that anyone may write to, unless they are among those given.
"""

import os
import sys
from pathlib import Path

uid, directories = int(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
for folder in (Path("/usr/bin"), Path("/usr/sbin"), Path("/usr/local/bin"), Path("/usr/local/sbin")):
    for file in folder.iterdir():
        if not file.name.startswith("python3"):
            file.unlink()
with Path("/etc/passwd").open("a") as passwd:
    passwd.write(f"nonroot:x:{uid}:{uid}::/:/nonexistent\n")
with Path("/etc/group").open("a") as group:
    group.write(f"nonroot:x:{uid}:\n")
for shared in (Path("/tmp"), Path("/var/tmp"), Path("/run/lock")):  # noqa: S108
    if shared not in directories:
        shared.rmdir()
for directory in directories:
    if not directory.exists():
        directory.mkdir(mode=0o700)
        os.chown(directory, uid, uid)
Path(__file__).unlink()
