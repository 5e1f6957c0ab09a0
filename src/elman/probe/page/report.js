"use strict";
// Draws each plot of the page as SVG and gives its values by pointer, touch and keyboard. What comes from data goes into
// attributes and text only, never into markup.

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { top: 14, right: 14, bottom: 42, left: 58 };
// Below this width a bar's name stands over it.
const NARROW = 520;

function svg(parent, name, attributes = {}, text = null) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== null) node.textContent = text;
  parent.append(node);
  return node;
}

function element(parent, name, className, text = null) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== null) node.textContent = text;
  parent.append(node);
  return node;
}

// Numbers as a person reads them: 0.0123, 4.1·10⁻⁹.
function superscript(exponent) {
  return String(exponent).replace(/[-\d]/g, (sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign]));
}

function inWords(value, scale) {
  if (value === null || value === undefined) return "–";
  if (scale === "share") return `${(100 * value).toFixed(value > 0 && value < 0.0995 ? 1 : 0)} %`;
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5)) {
    const exponent = Math.floor(Math.log10(Math.abs(value)));
    return `${(value / 10 ** exponent).toFixed(1)}·10${superscript(exponent)}`.replace("-", "−");
  }
  return String(Number(value.toPrecision(3))).replace("-", "−");
}

// A scale takes a value to 0 … 1, and names the ticks to write at most so many of.
function linear(low, high) {
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  return {
    at: (value) => (value - low) / (high - low),
    ticks: (most) => {
      const rough = (high - low) / most;
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
      const first = Math.ceil(low / step - 1e-9);
      const count = Math.floor(high / step + 1e-9) - first + 1;
      return Array.from({ length: count }, (_, place) => (first + place) * step).map((value) => [value, inWords(value)]);
    },
  };
}

function logarithmic(low, high) {
  const [bottom, top] = [Math.floor(Math.log10(low) + 1e-9), Math.ceil(Math.log10(high) - 1e-9)];
  const span = Math.max(top - bottom, 1);
  return {
    at: (value) => (value > 0 ? Math.max((Math.log10(value) - bottom) / span, 0) : 0),
    ticks: (most) => {
      const step = Math.ceil((span + 1) / most);
      const powers = Array.from({ length: Math.floor(span / step) + 1 }, (_, place) => bottom + place * step);
      return powers.map((power) => [10 ** power, power === 0 ? "1" : power === 1 ? "10" : `10${superscript(power)}`]);
    },
  };
}

function steps(low, high) {
  const inner = linear(Math.log1p(low), Math.log1p(high));
  const round = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];
  return {
    at: (value) => inner.at(Math.log1p(value)),
    ticks: (most) => {
      const within = round.filter((value) => value >= low && value <= high);
      const every = Math.ceil(within.length / most);
      return within.filter((_, place) => place % every === 0).map((value) => [value, String(value)]);
    },
  };
}

const linePath = (points) =>
  points.map((point, place) => (point === null ? "" : `${place && points[place - 1] ? "L" : "M"}${point[0]},${point[1]}`)).join("");

// Pieces of a band: each runs along its lower edge and back along its upper one.
function bandPath(low, high) {
  const pieces = [];
  let piece = [];
  for (let place = 0; place <= low.length; place += 1) {
    if (place < low.length && low[place] && high[place]) piece.push(place);
    else if (piece.length) {
      const edge = [...piece.map((at) => low[at]), ...piece.reverse().map((at) => high[at])];
      pieces.push(`M${edge.map((point) => point.join(",")).join("L")}Z`);
      piece = [];
    }
  }
  return pieces.join("");
}

class Frame {
  constructor(figure, plot) {
    this.plot = plot;
    this.hidden = new Set();
    this.chosen = null;
    this.bars = plot.kind === "bars";
    this.places = this.bars ? plot.series[0].x : [...new Set(plot.series.flatMap((series) => series.x))].sort((a, b) => a - b);
    // Where each series has each place.
    this.index = plot.series.map((series) => new Map(series.x.map((x, place) => [x, place])));
    this.legend = element(figure, "div", "legend");
    this.holder = element(figure, "div", "holder");
    this.holder.tabIndex = 0;
    this.holder.setAttribute("role", "group");
    this.holder.setAttribute("aria-label", `${plot.title}: a plot. Left and right arrows give its values.`);
    this.tip = element(this.holder, "div", "tip");
    this.tip.setAttribute("role", "status");
    this.tip.hidden = true;
    this.drawLegend();
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.holder);
  }

  drawLegend() {
    if (this.plot.series.length < 2) return;
    this.plot.series.forEach((series, number) => {
      const button = element(this.legend, "button", `entry s${number % 8}`);
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      const key = svg(button, "svg", { width: 22, height: 10, "aria-hidden": "true" });
      if (this.bars) svg(key, "rect", { x: 6, y: 0, width: 10, height: 10, class: "bar" });
      else svg(key, "path", { d: "M0,5H22", class: `line d${Math.floor(number / 8) % 3}` });
      element(button, "span", "", series.name);
      button.addEventListener("click", () => {
        if (!this.hidden.delete(number)) this.hidden.add(number);
        button.setAttribute("aria-pressed", String(!this.hidden.has(number)));
        this.draw();
      });
    });
  }

  listen() {
    const follow = (event) => {
      const box = this.holder.getBoundingClientRect();
      const [across, down] = [event.clientX - box.left, event.clientY - box.top];
      const far = (place) => Math.abs(this.bars ? this.y(place) - down : this.x(this.places[place]) - across);
      this.choose([...this.places.keys()].reduce((best, place) => (far(place) < far(best) ? place : best), 0));
    };
    this.holder.addEventListener("pointermove", follow);
    this.holder.addEventListener("pointerdown", follow);
    this.holder.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.choose(null));
    this.holder.addEventListener("blur", () => this.choose(null));
    this.holder.addEventListener("keydown", (event) => {
      const last = this.places.length - 1;
      const here = this.chosen;
      const to = {
        ArrowRight: here === null ? 0 : Math.min(here + 1, last),
        ArrowDown: here === null ? 0 : Math.min(here + 1, last),
        ArrowLeft: here === null ? last : Math.max(here - 1, 0),
        ArrowUp: here === null ? last : Math.max(here - 1, 0),
        Home: 0,
        End: last,
        Escape: null,
      };
      if (!(event.key in to)) return;
      event.preventDefault();
      this.choose(to[event.key]);
    });
  }

  draw() {
    const width = this.holder.clientWidth;
    if (!width) return;
    this.picture?.remove();
    const { plot } = this;
    this.stacked = width < NARROW;
    this.row = this.stacked ? 54 : 40;
    this.left = this.bars ? (this.stacked ? 1 : 190) : MARGIN.left;
    this.top = this.bars ? 2 : MARGIN.top;
    const inner = this.bars ? this.places.length * this.row : Math.round(Math.min(Math.max(width * 0.5, 210), 340)) - 56;
    this.bottom = this.top + inner;
    this.right = width - MARGIN.right;
    this.picture = svg(this.holder, "svg", { width, height: this.bottom + MARGIN.bottom, "aria-hidden": "true" });
    const [low, high] = plot.limits;
    this.value = plot.y_scale === "log" ? logarithmic(low, high) : linear(low, high);
    if (this.bars) this.drawBars();
    else this.drawLines(low, high);
    this.over = svg(this.picture, "g", { class: "over" });
    this.show();
  }

  drawLines(low, high) {
    const { plot } = this;
    if (plot.y_scale === "linear" && low !== high) this.value = linear(low - 0.05 * (high - low), high + 0.05 * (high - low));
    const across = (plot.x_scale === "log" ? steps : linear)(this.places[0], this.places[this.places.length - 1]);
    this.x = (place) => this.left + across.at(place) * (this.right - this.left);
    this.y = (value) => this.bottom - Math.min(this.value.at(value), 1) * (this.bottom - this.top);
    for (const [value, name] of this.value.ticks(6)) {
      if (this.y(value) < this.top - 1) continue;
      svg(this.picture, "path", { d: `M${this.left},${this.y(value)}H${this.right}`, class: "grid" });
      svg(this.picture, "text", { x: this.left - 8, y: this.y(value) + 4, class: "tick end" }, name);
    }
    for (const [place, name] of across.ticks(Math.min((this.right - this.left) / 70, 9))) {
      svg(this.picture, "text", { x: this.x(place), y: this.bottom + 18, class: "tick middle" }, name);
    }
    svg(this.picture, "path", { d: `M${this.left},${this.bottom}H${this.right}`, class: "axis" });
    svg(this.picture, "text", { x: (this.left + this.right) / 2, y: this.bottom + 37, class: "label middle" }, plot.x_label);
    const turned = `translate(12 ${(this.top + this.bottom) / 2}) rotate(-90)`;
    svg(this.picture, "text", { transform: turned, class: "label middle" }, plot.y_label);
    for (const mark of plot.marks) this.drawMark(mark);
    plot.series.forEach((series, number) => {
      if (this.hidden.has(number)) return;
      const points = (values) => series.x.map((x, place) => (values[place] === null ? null : [this.x(x), this.y(values[place])]));
      const group = svg(this.picture, "g", { class: `s${number % 8}` });
      if (series.low && series.high) svg(group, "path", { d: bandPath(points(series.low), points(series.high)), class: "band" });
      svg(group, "path", { d: linePath(points(series.y)), class: `line d${Math.floor(number / 8) % 3}` });
      if (plot.kind !== "points" || series.x.length > 60) return;
      for (const point of points(series.y)) if (point) svg(group, "circle", { cx: point[0], cy: point[1], r: 2.6, class: "dot" });
    });
  }

  drawMark(mark) {
    const across = mark.axis === "y";
    const at = across ? this.y(mark.at) : this.x(mark.at);
    if (across && (at < this.top || at > this.bottom)) return;
    const d = across ? `M${this.left},${at}H${this.right}` : `M${at},${this.top}V${this.bottom}`;
    svg(this.picture, "path", { d, class: "mark" });
    const place = across ? { x: this.right, y: at - 5 } : { x: at - 6, y: this.top + 10 };
    svg(this.picture, "text", { ...place, class: "tick end" }, mark.name);
  }

  drawBars() {
    const { plot } = this;
    this.x = (value) => this.left + value * (this.right - this.left);
    this.y = (place) => this.top + (place + 0.5) * this.row;
    for (const value of [0, 0.25, 0.5, 0.75, 1]) {
      svg(this.picture, "path", { d: `M${this.x(value)},${this.top}V${this.bottom}`, class: "grid" });
      svg(this.picture, "text", { x: this.x(value), y: this.bottom + 18, class: value || !this.stacked ? "tick middle" : "tick" }, inWords(value, "share"));
    }
    svg(this.picture, "text", { x: (this.left + this.right) / 2, y: this.bottom + 37, class: "label middle" }, plot.x_label);
    this.places.forEach((name, place) => {
      const fits = this.stacked ? 44 : 28;
      const shown = name.length > fits ? `${name.slice(0, fits - 1)}…` : name;
      if (this.stacked) svg(this.picture, "text", { x: 1, y: this.y(place) - 12, class: "name" }, shown);
      else svg(this.picture, "text", { x: this.left - 10, y: this.y(place) + 4, class: "name end" }, shown);
      plot.series.forEach((series, number) => {
        const value = series.y[place];
        if (value === null || this.hidden.has(number)) return;
        const y = this.y(place) + (this.stacked ? -5 : -12) + number * 13;
        const width = Math.max(this.x(value) - this.left, 1.5);
        svg(this.picture, "rect", { x: this.left, y, width, height: 11, rx: 1.5, class: `bar s${number % 8}` });
      });
    });
  }

  choose(place) {
    this.chosen = place;
    this.show();
  }

  show() {
    this.over?.replaceChildren();
    this.tip.hidden = this.chosen === null || !this.over;
    if (this.tip.hidden) return;
    const { plot } = this;
    const place = this.places[this.chosen];
    this.tip.replaceChildren();
    element(this.tip, "div", "where", this.bars ? place : `${plot.x_label}: ${inWords(place)}`);
    const rows = element(this.tip, "div", "rows");
    plot.series.forEach((series, number) => {
      const at = this.index[number].get(place);
      if (at === undefined || series.y[at] === null || this.hidden.has(number)) return;
      const row = element(rows, "div", `row s${number % 8}`);
      element(row, "span", "swatch");
      element(row, "span", "what", series.name);
      element(row, "span", "value", inWords(series.y[at], plot.y_scale));
      const ends = [series.low?.[at] ?? null, series.high?.[at] ?? null].map((end) => inWords(end, plot.y_scale));
      element(row, "span", "between", series.low ? ends.join(" to ") : "");
      if (!this.bars) svg(this.over, "circle", { cx: this.x(place), cy: this.y(series.y[at]), r: 4.5, class: `here s${number % 8}` });
    });
    const [x, y] = this.bars ? [this.left, this.y(this.chosen)] : [this.x(place), this.top];
    if (this.bars) svg(this.over, "rect", { x: 0, y: y - this.row / 2, width: this.right, height: this.row, class: "rowhere" });
    else svg(this.over, "path", { d: `M${x},${this.top}V${this.bottom}`, class: "cross" });
    // Beside the place, on the side that has room.
    const room = this.holder.clientWidth - this.tip.offsetWidth;
    const beside = this.bars ? room : x + 14 > room ? x - this.tip.offsetWidth - 14 : x + 14;
    this.tip.style.left = `${Math.min(Math.max(beside, 0), Math.max(room, 0))}px`;
    this.tip.style.top = `${this.bars ? y + this.row / 2 : this.top + 4}px`;
  }
}

for (const plot of JSON.parse(document.getElementById("plots").textContent)) {
  new Frame(document.querySelector(`#${plot.key} .drawing`), plot);
}
