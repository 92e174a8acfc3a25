"""Whether a type checker finds errors in user_program.py where they are, and nowhere else.

python tests/typing/check.py "$PWD/.venv/bin/mypy" --strict --python-executable "$PWD/.venv/bin/python"
python tests/typing/check.py "$PWD/.venv/bin/pyright" --pythonpath "$PWD/.venv/bin/python"
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = Path(__file__).resolve().with_name("user_program.py")
LINE = re.compile(rf"{PROGRAM.name}:(\d+)(?::\d+)?(?: -)?:? error\b")


def marked():
    """Return the numbers of the lines that must be errors."""
    lines = PROGRAM.read_text("utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("  # error")}


def wrong(output):
    """Return the lines of a checker's output that should not be there, and the numbers of lines that it lacks."""
    found = {int(match[1]): line for line in output.splitlines() if (match := LINE.search(line))}
    return [line for number, line in found.items() if number not in marked()], sorted(marked() - set(found))


if __name__ == "__main__":
    # away from the sources, so that the installed package is looked at, as a user has it
    with tempfile.TemporaryDirectory() as folder:
        command = [shutil.which(sys.argv[1]) or sys.argv[1], *sys.argv[2:], str(PROGRAM)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    unexpected, missing = wrong(done.stdout)
    print(*unexpected, sep="\n")
    if missing or unexpected:
        sys.exit(
            f"{sys.argv[1]}: no error in lines {missing} of {PROGRAM}\n{done.stdout if missing else ''}{done.stderr}"
        )
    print(f"{sys.argv[1]}: the errors of {PROGRAM.name} are found, and no other")
