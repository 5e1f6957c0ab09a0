"""A headless Chromium, spoken to by its DevTools protocol through two pipes: no library is needed for it."""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_SECONDS = 60.0
# The browser reads descriptor 3 and writes 4.
_LAUNCH = """
import os, sys
reading, writing = (os.dup(os.dup(int(number))) for number in sys.argv[1:3])
os.dup2(reading, 3)
os.dup2(writing, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find() -> str | None:
    """The browser of this machine, if it has one."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page of a headless browser; `events` are those of its log, its console and its network, in order."""

    def __init__(self, program: str, profile: Path) -> None:
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()

        self._process = subprocess.Popen(
            [
                sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out),
                program, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-dev-shm-usage", "--disable-background-networking", f"--user-data-dir={profile}", "about:blank",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(theirs_in, theirs_out),
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out = os.fdopen(ours_in, "rb"), os.fdopen(ours_out, "wb", buffering=0)
        self._number, self._session = 0, None
        self.events: list[dict[str, Any]] = []
        targets = self._until(lambda: [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"])
        attached = self.call("Target.attachToTarget", targetId=targets[0]["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """Ask for something and wait for the answer; what happens meanwhile goes to `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def _read(self) -> dict[str, Any]:
        parts = bytearray()
        while (sign := self._in.read(1)) != b"\0":
            assert sign, "the browser has gone"
            parts += sign
        return json.loads(parts)

    def open(
        self, page: Path, width: int = 1000, height: int = 900, *, dark: bool = False, touch: bool = False
    ) -> None:
        """Open a file on a screen of this size."""
        self.events.clear()
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)
        self.call("Emulation.setTouchEmulationEnabled", enabled=touch)
        self.call("Page.navigate", url=page.resolve().as_uri())
        self._until(lambda: any(event.get("method") == "Page.loadEventFired" for event in self.events))
        # Plots are drawn once their size is known.
        self.wait("document.querySelectorAll('.holder > svg').length === document.querySelectorAll('.drawing').length")

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str) -> None:
        """Wait until an expression is true."""
        self._until(lambda: self.run(script))

    def _until(self, true: Callable[[], Any]) -> Any:
        end = time.monotonic() + _SECONDS
        while not (value := true()):
            assert time.monotonic() < end, "the browser takes too long"
            time.sleep(0.02)
            if self._session:
                self.call("Runtime.evaluate", expression="0")
        return value

    def move(self, x: float, y: float) -> None:
        """Move the mouse."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def tap(self, x: float, y: float) -> None:
        """Touch and let go."""
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def press(self, key: str) -> None:
        """Press and release a key by its name."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def screenshot(self, path: Path) -> None:
        """The whole page as PNG."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    @property
    def errors(self) -> list[str]:
        """What the console and the log say that is wrong."""
        found = []
        for event in self.events:
            method, values = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown" or (
                method == "Runtime.consoleAPICalled" and values["type"] in ("error", "warning", "assert")
            ):
                found.append(str(values))
            if method == "Log.entryAdded" and values["entry"]["level"] in ("error", "warning"):
                found.append(values["entry"]["text"])
        return found

    @property
    def requests(self) -> list[str]:
        """The addresses that the page asked for, its own among them."""
        asked = [event for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in asked]

    def close(self) -> None:
        """End the browser."""
        self._session = None
        self.call("Browser.close")
        self._out.close()
        self._in.close()
        self._process.wait(timeout=_SECONDS)
