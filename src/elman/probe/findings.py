"""What the linter found, and what it could not check: the codes, and the record that lies in a run's folder."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from elman.errors import RunError
from elman.files import write_atomically

LINT = "lint.json"
# Every code, with what it says in short; each has a page in docs/lint.
CODES = {
    "state-across-documents": "a state is carried into a sequence that doesn't go on with the one before it",
    "state-never-carried": "windows go on where others ended, but start from an empty state",
    "padding-scored": "steps that are padding take part in the loss",
    "loss-scaled-by-padding": "the loss depends on how much padding a batch has",
    "scale-from-test": "what is fitted to data was fitted to more than the training part",
    "saturated-from-start": "units stand at the ends of their range before training",
    "no-better-than-trivial": "the network is no better than an answer that needs no network",
    "window-below-horizon": "the network remembers beyond the window that it is trained in",
}


@dataclass(frozen=True)
class Finding:
    """A fault: its code, and a sentence with its figures and what to do."""

    code: str
    sentence: str

    @property
    def page(self) -> str:
        return f"docs/lint/{self.code}.md"

    @property
    def note(self) -> str:
        """A line for a person."""
        return f"warning: {self.sentence} [{self.code}: {self.page}]"


@dataclass
class Lint:
    """What was found; which checks were made, and which could not be, with the reason."""

    findings: list[Finding] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    unchecked: dict[str, str] = field(default_factory=dict)

    def check(self, code: str, look: Callable[[], str | None]) -> None:
        """Make a check: `look` gives what is wrong, or None. What it raises ends the check, never the run."""
        self.findings = [finding for finding in self.findings if finding.code != code]
        self.checked = [checked for checked in self.checked if checked != code]
        self.unchecked.pop(code, None)
        try:
            sentence = look()
        except Exception as error:
            # A task may be anything, and the check may be the first to call it so.
            self.unchecked[code] = f"{type(error).__name__}: {error}"
            return
        self.checked.append(code)
        if sentence is not None:
            self.findings.append(Finding(code, sentence))

    def notes(self, codes: Iterable[str]) -> list[str]:
        """What a person should know of these checks: a line for each finding, and one for those that could not be made."""
        own = set(codes)
        missed = [code for code in self.unchecked if code in own]
        said = f"note: the linter could not check {', '.join(missed)}: {LINT} in the run's folder says why."
        return [*(found.note for found in self.findings if found.code in own), *([said] if missed else [])]

    @classmethod
    def read(cls, folder: Path) -> "Lint":
        """What `lint.json` holds; of a run that was made without the linter, nothing."""
        if not (folder / LINT).exists():
            return cls()
        try:
            record = json.loads((folder / LINT).read_text(encoding="utf-8"))
            findings = [Finding(found["code"], found["sentence"]) for found in record["findings"]]
            return cls(findings, list(record["checked"]), dict(record["unchecked"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{folder / LINT} can't be read ({error}): delete it, it will be written anew.") from error

    def save(self, folder: Path) -> None:
        """Write `lint.json`."""
        found = [{"code": f.code, "sentence": f.sentence, "page": f.page} for f in self.findings]
        record = {"format": 1, "findings": found, "checked": self.checked, "unchecked": self.unchecked}
        write_atomically(folder / LINT, json.dumps(record, ensure_ascii=False, indent=2) + "\n")
