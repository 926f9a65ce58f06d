// What comes again: a picture of every pair of moments, light where the melody does the same; a press plays both.

import { prepare } from "./canvas.js";
import { playPassages } from "./passages.js";
import { clock } from "./words.js";

const $ = (id) => document.getElementById(id);
const EDGE = 18; // pixels of the axes
const COLOURS = ["#fcfdbf", "#fe9f6d", "#de4968", "#8c2981", "#3b0f70", "#000004"]; // magma, from light to dark
const MARKS = 8; // phrases that are drawn

export class Repeats {
  /** Plays by the player of a result, and marks both passages on its roll. */
  constructor(result) {
    Object.assign(this, { result, panel: $("repeats-panel"), canvas: $("repeats"), at: [0, 0] });
    document.addEventListener("rendered", ({ detail }) => this.expect(detail));
    this.panel.addEventListener("toggle", () => this.load());
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    this.canvas.addEventListener("click", ({ offsetX, offsetY }) => this.press(this.secondsAt(offsetX), this.secondsAt(this.size - offsetY)));
    this.canvas.addEventListener("keydown", (event) => this.move(event));
  }

  expect({ id, rendering }) {
    this.wanted = `recordings/${id}/structure.json?v=${rendering.version}`;
    this.mark([]);
    this.load();
  }

  async load() {
    if (!this.panel.open || !this.wanted || this.shown === this.wanted) return;
    const asked = (this.shown = this.wanted);
    const response = await fetch(asked).catch(() => null);
    const found = response?.ok ? await response.json() : null;
    if (this.shown !== asked) return;
    if (!found) this.shown = null;
    else {
      this.found = found;
      this.duration = found.step * found.rows.length;
      this.at = [found.step / 2, this.duration / 2];
      const count = found.phrases.length;
      $("repeats-words").textContent = count ? `${count === 1 ? "One phrase comes" : `${count} phrases come`} again: the lines.` : "No phrase comes again.";
      this.draw();
    }
  }

  get size() {
    return this.canvas.clientWidth;
  }

  secondsAt(pixels) {
    return Math.min(Math.max(0, ((pixels - EDGE) / (this.size - EDGE)) * this.duration), this.duration - 0.01);
  }

  x(seconds) {
    return EDGE + ((this.size - EDGE) * seconds) / this.duration;
  }

  draw() {
    if (!this.found || !this.size) return;
    const { rows, levels, phrases } = this.found;
    const { pen, colour } = prepare(this.canvas);
    const cell = (this.size - EDGE) / rows.length;
    const y = (seconds) => this.size - this.x(seconds);
    rows.forEach((row, i) =>
      [...row].forEach((letter, j) => {
        if (letter === "-") return;
        const place = (levels.indexOf(letter) / (levels.length - 1)) * (COLOURS.length - 1);
        pen.fillStyle = `color-mix(in srgb, ${COLOURS[Math.floor(place)]}, ${COLOURS[Math.ceil(place)]} ${Math.round(100 * (place % 1))}%)`;
        pen.fillRect(EDGE + j * cell, this.size - EDGE - (i + 1) * cell, cell + 0.5, cell + 0.5);
      }),
    );
    pen.strokeStyle = colour("voice");
    pen.lineWidth = 2;
    for (const [first, ...others] of phrases.slice(0, MARKS)) {
      for (const other of others) {
        for (const [a, b] of [[first, other], [other, first]]) {
          pen.beginPath();
          pen.moveTo(this.x(a[0]), y(b[0]));
          pen.lineTo(this.x(a[1]), y(b[1]));
          pen.stroke();
        }
      }
    }
    pen.strokeStyle = colour("accent");
    const reach = this.found.window / 2;
    const [left, top] = [this.x(Math.max(0, this.at[0] - reach)), y(Math.min(this.duration, this.at[1] + reach))];
    pen.strokeRect(left, top, this.x(Math.min(this.duration, this.at[0] + reach)) - left, y(Math.max(0, this.at[1] - reach)) - top);
    pen.fillStyle = colour("soft");
    pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    pen.fillText("0:00", EDGE, this.size - 4);
    const end = clock(this.duration);
    pen.fillText(end, this.size - pen.measureText(end).width, this.size - 4);
  }

  move(event) {
    const step = event.shiftKey ? 0.5 : 2;
    const [x, y] = { ArrowRight: [step, 0], ArrowLeft: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key] ?? [];
    if (!this.found || (x === undefined && event.key !== "Enter")) return;
    event.preventDefault();
    if (event.key === "Enter") this.press(...this.at);
    else {
      this.at = [this.at[0] + x, this.at[1] + y].map((seconds) => Math.min(Math.max(0, seconds), this.duration));
      this.say();
      this.draw();
    }
  }

  /** Plays what is around two times; both ends of a phrase that comes again are whole phrases. */
  press(first, second) {
    if (!this.found) return;
    this.at = [first, second];
    this.draw();
    this.say();
    const passages = this.passages();
    this.mark(passages);
    playPassages(this.result.player, passages, (index) => this.mark(index < 0 ? [] : passages, index));
  }

  passages() {
    const [first, second] = this.at;
    const around = ([start, end], seconds) => start <= seconds && seconds <= end;
    for (const phrases of this.found.phrases) {
      const [one, other] = [phrases.find((phrase) => around(phrase, first)), phrases.find((phrase) => around(phrase, second))];
      if (one && other && one !== other) return [one, other];
    }
    const reach = this.found.window / 2;
    return this.at.map((seconds) => [Math.max(0, seconds - reach), Math.min(this.duration, seconds + reach)]);
  }

  say() {
    $("repeats-said").textContent = this.passages().map(([start, end]) => `${clock(start)} to ${clock(end)}`).join(", then ");
  }

  /** Marks passages on the piano roll. */
  mark(passages, sounding = -1) {
    const { roll } = this.result;
    document.querySelectorAll(".passage").forEach((mark) => mark.remove());
    passages.forEach(([start, end], index) => {
      const mark = document.createElement("div");
      mark.className = `passage${index === sounding ? " now" : ""}`;
      Object.assign(mark.style, { left: `${roll.x(start) + roll.view.scrollLeft}px`, width: `${roll.x(end) - roll.x(start)}px` });
      $("playhead").before(mark);
    });
  }
}
