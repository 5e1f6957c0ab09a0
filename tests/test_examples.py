"""Each example runs, on its small slice, and says something."""

import subprocess
import sys
from pathlib import Path

import pytest
import tiny

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def test_there_is_one_for_each_task() -> None:
    assert {path.stem for path in EXAMPLES} == {"language_model", "classify", "tag", "translate"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(path), "--quick"],
        cwd=tmp_path,
        env=tiny.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 2
    assert list(tmp_path.iterdir()) == []
