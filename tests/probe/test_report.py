"""The page of a probe: its words and tables, what stands in it as text, and what it does in a browser."""

import json
import math
import struct
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import browser
import pytest
from results import example

from elman.errors import RunError
from elman.probe.plots import DECADES, Plot, Series, plots_of
from elman.probe.report import JSON, as_json, page, table_of, write_picture, write_pictures, write_report

EVIL = "</script><script>window.broken = 1</script><img src=x onerror='window.broken = 2'>&\"'"


class Words(HTMLParser):
    """The visible text of a page and its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._hidden = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._hidden = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def evil() -> dict[str, Any]:
    """A result in which every text is an attack."""
    result = example(name=EVIL)
    result["model"]["task"] = EVIL
    result["verdict"] = result["notes"] = [EVIL]
    result["remedies"] = [{"option": {EVIL: EVIL}, "reason": EVIL}]
    for entry in result["gradient"] + result["horizons"]:
        entry["state"] = EVIL
    for entry in result["saturation"]:
        entry["gates"][0]["name"] = EVIL
    return result


def test_the_verdict_comes_first_then_what_to_do_then_figures_then_notes() -> None:
    result = example()
    text = Words(page(result)).text
    order = [
        result["verdict"][0],
        result["verdict"][1],
        result["remedies"][0]["reason"],
        result["remedies"][2]["reason"],
        "How far back learning reaches",
        "How far back it looks",
        "Lyapunov exponents",
        "Gates and units at their ends",
        "The state over a long stream",
        result["notes"][0],
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_remedies_say_their_options_and_what_they_gained() -> None:
    text = Words(page(example())).text
    assert "cell = lstm tried: gained 0.12 nats" in text
    assert "chrono = 200 tried: lost 0.01 nats" in text
    assert "bptt = 128 The window" in text


def test_remedies_that_were_trained_say_what_came_of_it() -> None:
    result = example()
    options = [{}, *(remedy["option"] for remedy in result["remedies"])]
    runs = [{"option": option, "loss_nats": 2.0, "gained_nats": 0.5} for option in options[:-1]]
    result["tried"] = {"minutes": 1, "runs": [*runs, {"option": options[-1], "error": "<b> diverged"}]}
    text = Words(page(result)).text
    assert "chrono = 200 tried: gained 0.5 nats" in text
    assert "bptt = 128 tried: <b> diverged" in text


def test_directions_are_told_apart() -> None:
    result = example(layers=1)
    backwards = {**result["spectrum"][0], "direction": "backwards", "verdict": "edge"}
    result["spectrum"].append(backwards)
    result["saturation"].append({**result["saturation"][0], "direction": "backwards"})
    result["horizons"].append({"layer": 1, "state": "h, backwards", "lag_1_e": 3.0, "lag_1_percent": 9.0})
    text = Words(page(result)).text
    assert "layer 1, h, backwards 3 9 edge" in text
    assert "layer 1, backwards, forget gate" in text


def test_horizons_beyond_what_was_measured_are_said_so() -> None:
    text = Words(page(example())).text
    assert "layer 1, c 14 64.4 forgets" in text
    assert "layer 2, c 28 beyond 100 forgets" in text


def test_every_value_of_a_plot_stands_in_its_table() -> None:
    gradient = plots_of(example())[0]
    heads, rows = table_of(gradient)
    names = ["layer 1, h", "layer 1, c", "layer 2, h", "layer 2, c"]
    assert heads == ["steps back", *(head for name in names for head in (name, "from", "to"))]
    assert len(rows) == 101
    assert rows[14][0] == "14"
    assert float(rows[14][4]) == pytest.approx(0.3 / math.e, rel=1e-3)
    assert float(rows[14][5]) == pytest.approx(0.15 / math.e, rel=1e-3)


def test_a_result_with_nothing_in_it_is_a_page_without_plots() -> None:
    assert plots_of({}) == []
    empty = {"gradient": [], "context": {"steps": [], "loss_nats": []}, "lags": [], "verdict": ["nothing was measured"]}
    parsed = Words(page(empty))
    assert "Nothing was measured." in parsed.text
    assert not [attributes for tag, attributes in parsed.tags if attributes.get("class") == "drawing"]


def test_numbers_that_are_not_finite_are_gaps(tmp_path: Path) -> None:
    result = example()
    result["gradient"][0]["median"][3] = float("nan")
    result["spectrum"][0]["exponents"][-1] = -math.inf
    result["seconds"] = float("inf")
    assert plots_of(result)[0].series[0].y[3] is None
    assert table_of(plots_of(result)[0])[1][3][1] == "–"
    assert json.loads(as_json(result))["spectrum"][0]["exponents"][-1] is None
    assert "NaN" not in page(result)
    write_pictures(result, tmp_path)


def test_a_logarithmic_axis_ends_where_nothing_can_be_told_apart() -> None:
    plot = Plot("p", "t", "h", "x", "y", [Series("s", [0, 1, 2], [1e3, 0.0, 1e-200])], y_scale="log")
    assert plot.limits == pytest.approx((1e3 * 10.0**-DECADES, 1e3), rel=1e-9)
    assert Plot("p", "t", "h", "x", "y", [Series("s", [0], [0.0])], y_scale="log").limits == (1.0, 1.0)


def test_what_comes_from_data_is_text_and_nothing_else() -> None:
    parsed, plain = Words(page(evil())), Words(page(example()))
    assert EVIL.replace("  ", " ") in parsed.text
    assert [tag for tag, _ in parsed.tags if tag in ("script", "img")] == ["script", "script"]
    assert {name for _, attributes in parsed.tags for name in attributes} <= {
        name for _, attributes in plain.tags for name in attributes
    }


def test_the_page_names_no_address_and_lets_nothing_be_loaded() -> None:
    parsed = Words(page(example()))
    assert not {"src", "href", "action"} & {name for _, attributes in parsed.tags for name in attributes}
    policy = next(a["content"] for _, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="could not be written"):
        write_report(example(), tmp_path / "missing" / "report.html")


def test_pictures_and_json_lie_side_by_side(tmp_path: Path) -> None:
    paths = write_pictures(example(), tmp_path / "new")
    keys = ["gradient", "context", "exponents", "singular-values", "saturation", "norms"]
    assert [path.name for path in paths] == [*(f"{key}.png" for key in keys), JSON]
    for path in paths[:-1]:
        data = path.read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        assert min(struct.unpack(">II", data[16:24])) > 300
    assert json.loads(paths[-1].read_text(encoding="utf-8")) == example()


def test_all_plots_go_into_one_picture(tmp_path: Path) -> None:
    path = write_picture(example(), tmp_path / "all.png")
    assert struct.unpack(">II", path.read_bytes()[16:24]) == (1800, 1890)


def test_pictures_take_names_that_look_like_formulas(tmp_path: Path) -> None:
    result = example()
    result["gradient"][0]["state"] = "$\\frac{"
    write_pictures(result, tmp_path)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Browser]:
    program = browser.find()
    if program is None:
        pytest.skip(f"no browser is installed: the page is tried out in one of {', '.join(browser.NAMES)}")
    opened = browser.Browser(program, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return write_report(example(), tmp_path / "report.html")


def shown(chromium: browser.Browser, plot: str) -> str | None:
    """What the plot says of the place that is pointed at."""
    return chromium.run(f"(tip => tip.hidden ? null : tip.innerText)(document.querySelector('#{plot} .tip'))")


def place(chromium: browser.Browser, plot: str, across: float, down: float = 0.5) -> tuple[float, float]:
    """Where in the window a part of a plot lies."""
    left, top, width, height = chromium.run(
        f"(() => {{ const holder = document.querySelector('#{plot} .holder'); holder.scrollIntoView({{block: 'center'}});"
        "const box = holder.getBoundingClientRect(); return [box.left, box.top, box.width, box.height]; })()"
    )
    return left + across * width, top + down * height


def clean(chromium: browser.Browser, report: Path) -> None:
    assert chromium.errors == []
    assert chromium.requests == [report.resolve().as_uri()]


def test_every_plot_is_drawn_without_an_error_and_nothing_is_asked_for(chromium: browser.Browser, report: Path) -> None:
    chromium.open(report)
    assert chromium.run("document.querySelectorAll('.holder > svg').length") == 6
    assert chromium.run("document.querySelectorAll('#gradient .line').length") == 4 * 2
    assert chromium.run("document.querySelectorAll('#gradient .band').length") == 4
    assert chromium.run("[...document.querySelectorAll('path')].every(path => !/NaN|undefined/.test(path.outerHTML))")
    clean(chromium, report)


def test_hovering_gives_the_values_of_the_nearest_place(chromium: browser.Browser, report: Path) -> None:
    chromium.open(report)
    assert shown(chromium, "gradient") is None
    chromium.move(*place(chromium, "gradient", 0.999))
    words = shown(chromium, "gradient")
    assert words is not None
    assert "steps back: 100" in words
    value = 0.3 * math.exp(-100 / 28)
    assert f"{value:.3g}" in words
    assert f"{value / 2:.3g} to {2 * value:.3g}" in words
    chromium.move(*place(chromium, "saturation", 0.5, 0.02))
    assert shown(chromium, "gradient") is None
    words = shown(chromium, "saturation")
    assert words is not None
    assert words.split("\n")[0] == "layer 1, input gate"
    assert "12 %" in words
    clean(chromium, report)


def test_the_keyboard_gives_the_values_too(chromium: browser.Browser, report: Path) -> None:
    chromium.open(report)
    chromium.run("document.querySelector('#context .holder').focus()")
    for key in ("ArrowRight", "ArrowRight"):
        chromium.press(key)
    assert "past steps that it may see: 1" in str(shown(chromium, "context"))
    assert "2.4" in str(shown(chromium, "context"))
    chromium.press("End")
    assert "1.43" in str(shown(chromium, "context"))
    chromium.press("Escape")
    assert shown(chromium, "context") is None
    clean(chromium, report)


def test_a_line_can_be_taken_away_and_comes_back(chromium: browser.Browser, report: Path) -> None:
    chromium.open(report)
    lines = "document.querySelectorAll('#gradient .holder .line').length"
    for expected in (3, 4):
        chromium.run("document.querySelector('#gradient .entry').click()")
        assert chromium.run(lines) == expected


def test_on_a_telephone_nothing_is_wider_than_the_screen_and_touching_gives_values(
    chromium: browser.Browser, report: Path
) -> None:
    chromium.open(report, width=400, height=800, touch=True)
    assert chromium.run("document.documentElement.scrollWidth") <= 400
    chromium.tap(*place(chromium, "gradient", 0.5))
    assert "steps back" in str(shown(chromium, "gradient"))
    tip = chromium.run(
        "(box => [box.left, box.right])(document.querySelector('#gradient .tip').getBoundingClientRect())"
    )
    assert tip[0] >= 0
    assert tip[1] <= 400
    clean(chromium, report)


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, "rgb(r, g, b)", as the Web Content Accessibility Guidelines define it."""

    def brightness(colour: str) -> float:
        channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        straight = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
        return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), straight, strict=True))

    low, high = sorted((brightness(one), brightness(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_text_and_lines_stand_out_by_day_and_by_night(chromium: browser.Browser, report: Path, dark: bool) -> None:
    chromium.open(report, dark=dark)

    def colour(selector: str, name: str = "color") -> str:
        return chromium.run(f"getComputedStyle(document.querySelector({selector!r})).{name}")

    paper = colour("body", "backgroundColor")
    assert (contrast(paper, "rgb(255, 255, 255)") > 10) == dark
    assert contrast(paper, colour("body")) > 7
    assert contrast(paper, colour(".how")) > 4.5
    for number in range(8):
        line = chromium.run(
            f"(() => {{ const node = document.createElement('i'); node.className = 's{number}'; document.body.append(node);"
            "return getComputedStyle(node).color; })()"
        )
        assert contrast(paper, line) > 4.5


def test_an_attack_in_the_data_does_nothing(chromium: browser.Browser, tmp_path: Path) -> None:
    report = write_report(evil(), tmp_path / "report.html")
    chromium.open(report)
    chromium.move(*place(chromium, "gradient", 0.5))
    assert EVIL in str(shown(chromium, "gradient"))
    assert chromium.run("window.broken === undefined")
    clean(chromium, report)
