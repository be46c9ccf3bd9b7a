"""The disk of a virtual machine: this Debian with the kit in /opt/thuisloket and the image's files in place.

Built once below `build/appliance/` (packages), and again for each change of ours (a minute). Needs root.
"""

import shutil
import subprocess
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from provisioning.demo import ports, props, world
from provisioning.demo.cast import CITIZENS
from provisioning.demo.layout import Layout

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "provisioning" / "image"
GUEST = Path(__file__).parent / "guest"
BUILT = ROOT / "build" / "appliance"
SIZE = "3G"  # sparse
OWN = ("protocol", "look", "device", "server", "provisioning", "competent")
PLACES = {  # what the image has, and where Debian looks for it
    "systemd": "etc/systemd/system",
    "sysusers": "usr/lib/sysusers.d",
    "tmpfiles": "usr/lib/tmpfiles.d",
    "udev": "etc/udev/rules.d",
    "sysctl": "etc/sysctl.d",
    "modules-load": "etc/modules-load.d",
}
PACKAGES = (
    "systemd,systemd-sysv,udev,dbus,kmod,python3,pcscd,libccid,iproute2,procps,util-linux,mount,"
    "initramfs-tools,zstd,linux-image-amd64"
)
INITRD = """#!/bin/sh
[ "$1" != prereqs ] || exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules virtio_pci virtio_blk ext4 crc32c_generic
"""
PATIENCE_S = 600
SLOW = f"[Service]\nTimeoutStartSec=900\nWatchdogSec={PATIENCE_S}\n"
"""An emulated processor takes minutes for what a kit does in seconds."""
SHELL = """[Unit]
Description=The test's own way in
[Service]
ExecStart=/usr/bin/python3 /opt/test/shell.py
[Install]
WantedBy=multi-user.target
"""


def disk() -> Path:
    """A fresh disk; kernel and initrd lie beside it as `vmlinuz` and `initrd.img`."""
    base, root, image = BUILT / "base", BUILT / "root", BUILT / "disk.img"
    BUILT.mkdir(parents=True, exist_ok=True)
    if not (BUILT / "packages").exists() or (BUILT / "packages").read_text() != PACKAGES:
        _base(base)
        (BUILT / "packages").write_text(PACKAGES)
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", base, root], check=True)
    _programs(root / "opt" / "thuisloket")
    for what, place in PLACES.items():
        (root / place).mkdir(parents=True, exist_ok=True)
        shutil.copytree(IMAGE / what, root / place, dirs_exist_ok=True)
    shutil.copytree(GUEST, root / "opt" / "test")
    _kit(root / "var" / "lib" / "thuisloket")
    (root / "etc/systemd/system/test-shell.service").write_text(SHELL)
    for name in ("agent", "keys"):
        slow = root / f"etc/systemd/system/thuisloket-{name}.service.d"
        slow.mkdir()
        (slow / "slow.conf").write_text(SLOW)
    units = ["thuisloket-agent", "thuisloket-uplink", "test-shell"]
    subprocess.run(["systemctl", f"--root={root}", "--quiet", "enable", *units], check=True)
    for name in ("vmlinuz", "initrd.img"):
        (newest,) = (root / "boot").glob(f"{name}-*")
        shutil.copy(newest, BUILT / name)
    image.unlink(missing_ok=True)
    subprocess.run(["truncate", "-s", SIZE, image], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-d", root, image], check=True)
    return image


def _base(base: Path) -> None:
    """Debian with its kernel; the initrd has only what mounts the disk."""
    shutil.rmtree(base, ignore_errors=True)
    hook = BUILT / "initrd-hook"
    hook.write_text(INITRD)
    hook.chmod(0o755)
    codename = next(
        line.partition("=")[2]
        for line in Path("/etc/os-release").read_text().splitlines()
        if line.startswith("VERSION_CODENAME=")
    )
    to = "$1/etc/initramfs-tools"
    setup = (
        f"mkdir -p {to}/hooks {to}/conf.d && cp {hook} {to}/hooks/test && echo MODULES=list >{to}/conf.d/test"
    )
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", f"--include={PACKAGES}",
         f"--essential-hook={setup}", "--dpkgopt=path-exclude=/usr/share/doc/*",
         "--aptopt=Acquire::Check-Valid-Until \"false\"", codename, base],
        check=True,
    )  # fmt: skip


def _kit(home: Path) -> None:
    """A kit's folder with its keys in a file, where an administrator copies it. Its fleet is nowhere."""
    layout = Layout(BUILT / "world")
    shutil.rmtree(layout.root, ignore_errors=True)
    authority = props.make(layout, CITIZENS[:1])
    world.sweep(layout)
    world.make_kit(world.write(layout, authority, ports.USUAL), authority)
    shutil.copytree(layout.kit, home)


def _programs(place: Path) -> None:
    """The installed packages of the product and what they need, on the system's own Python."""
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", place], check=True)
    (packages,) = place.glob("lib/python3*/site-packages")
    for name in OWN:
        shutil.copytree(ROOT / name, packages / name, ignore=shutil.ignore_patterns("__pycache__"))
    ours = distribution("thuisloket")
    papers = packages / f"thuisloket-{ours.version}.dist-info"
    papers.mkdir()
    (papers / "METADATA").write_text(ours.read_text("METADATA") or ours.read_text("PKG-INFO") or "")
    for needed in _needed("thuisloket", frozenset(), {}).values():
        for file in needed.files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(needed.locate_file(file)), packages / file)
    for script in distribution("thuisloket").entry_points.select(group="console_scripts"):
        path = place / "bin" / script.name
        path.write_text(
            f"#!/opt/thuisloket/bin/python3\nfrom {script.module} import {script.attr}\n{script.attr}()\n"
        )
        path.chmod(0o755)
    subprocess.run(
        ["/usr/bin/python3", "-m", "compileall", "-q", "-s", place.parents[1], packages], check=False
    )


def _needed(name: str, extras: frozenset[str], found: dict[str, Distribution]) -> dict[str, Distribution]:
    """Every distribution that this one leads to on this machine, itself aside, by name."""
    for requirement in map(Requirement, distribution(name).requires or ()):
        marker = requirement.marker
        wanted = marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""})
        if wanted and requirement.name not in found:
            found[requirement.name] = distribution(requirement.name)
            _needed(requirement.name, frozenset(requirement.extras), found)
    return found
