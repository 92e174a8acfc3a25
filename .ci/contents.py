"""Check what is in the wheel and the source distribution of a folder: python .ci/contents.py FOLDER."""

import pathlib
import subprocess
import sys
import tarfile
import zipfile


def main(folder: str) -> None:
    """Exit with a message unless both hold what they must, and nothing else."""
    (wheel,), (source,) = (list(pathlib.Path(folder).glob(f"mpimpy_crossbar-*{end}")) for end in (".whl", ".tar.gz"))
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.split()
    package = {name for name in listed if name.startswith("mpimpy/")}
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name for name in archive.namelist() if ".dist-info/" not in name}
    with tarfile.open(source) as archive:
        in_source = {name.partition("/")[2] for name in archive.getnames()}
    missing = sorted(package - in_wheel) + sorted(set(listed) - {".gitignore"} - in_source)
    strange = sorted(in_wheel - package)
    missing = [name for name in missing if not name.startswith(".github/")]
    if missing or strange:
        sys.exit(f"missing: {', '.join(missing) or 'none'}; strange: {', '.join(strange) or 'none'}")
    print(f"{wheel.name}: {len(in_wheel)} files; {source.name}: {len(in_source)} entries")


if __name__ == "__main__":
    main(sys.argv[1])
