"""Who but the agent may open the device behind the kit's keys. The image must grant it to nobody else."""

import grp
import os
import pwd
import stat
from pathlib import Path


def too_open(device: Path) -> str:
    """Why `device` is open to others than this program's user and root; empty when it is not.

    A missing device is somebody else's complaint."""
    try:
        found = device.stat()
    except OSError:
        return ""
    may_use = stat.S_IWOTH if stat.S_ISSOCK(found.st_mode) else stat.S_IRWXO
    if found.st_mode & may_use:
        return f"{device} is open to every program (mode {stat.S_IMODE(found.st_mode):04o})"
    me = os.geteuid()
    strangers = sorted(
        {*(_in_group(found.st_gid) if found.st_mode & stat.S_IRWXG else ()), found.st_uid} - {me, 0}
    )
    names = ", ".join(_name(user) for user in strangers)
    return f"{device} is open to {names} as well" if names else ""


def _in_group(group: int) -> set[int]:
    """Users who are in a group, by their login or by its list."""
    try:
        listed = grp.getgrgid(group).gr_mem
    except KeyError:
        listed = []
    return {user.pw_uid for user in pwd.getpwall() if user.pw_gid == group or user.pw_name in listed}


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
