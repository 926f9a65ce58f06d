// The waveform of the whole recording, and the part of it that is selected: by mouse, touch, keyboard or numbers.

import { prepare } from "./canvas.js";
import { clock } from "./words.js";

const MIN_SECONDS = 1;
const CLICK_PIXELS = 4; // a shorter movement selects nothing
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };

export class RangeSelector {
  /** `box` has a canvas and the two handles; `onChange()` is called when the selection has changed. */
  constructor(box, handles, longest, onChange) {
    Object.assign(this, { box, handles, longest, onChange, canvas: box.querySelector("canvas"), start: 0, end: 0, duration: 0, peaks: [] });
    handles.forEach((handle, which) => handle.addEventListener("keydown", (event) => this.onKey(event, which)));
    box.addEventListener("pointerdown", (event) => this.onPress(event));
    box.addEventListener("pointermove", (event) => this.onMove(event));
    for (const name of ["pointerup", "pointercancel"]) box.addEventListener(name, () => (this.drag = null));
    new ResizeObserver(() => this.draw()).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  load({ duration, peaks }) {
    Object.assign(this, { duration, peaks });
    this.select(0, Math.min(duration, this.longest));
  }

  /** Selects a part; `moved` is the end that a user moved: the other one follows it. */
  select(start, end, moved = 1) {
    const shortest = Math.min(MIN_SECONDS, this.duration);
    let [first, last] = [Math.min(Math.max(0, start), this.duration - shortest), Math.min(Math.max(shortest, end), this.duration)];
    if (moved) first = Math.min(Math.max(first, last - this.longest), last - shortest);
    else last = Math.max(Math.min(last, first + this.longest), first + shortest);
    Object.assign(this, { start: first, end: last });
    this.draw();
    this.onChange();
  }

  /** Moves the selection without changing its length. */
  shift(start) {
    const length = this.end - this.start;
    const first = Math.min(Math.max(0, start), this.duration - length);
    this.select(first, first + length);
  }

  get isWhole() {
    return this.end - this.start >= this.duration - 0.05;
  }

  onKey(event, which) {
    const step = STEPS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const by = event.shiftKey ? step / 10 : step;
    if (which) this.select(this.start, this.end + by, 1);
    else this.select(this.start + by, this.end, 0);
  }

  onPress(event) {
    if (event.button) return;
    const at = this.secondsAt(event);
    const which = this.handles.indexOf(event.target);
    const inside = at > this.start && at < this.end && !this.isWhole;
    this.drag = { which, x: event.clientX, anchor: at, offset: at - this.start, kind: which >= 0 ? "handle" : inside ? "shift" : "new" };
    this.box.setPointerCapture(event.pointerId);
    if (which >= 0) event.target.focus();
    event.preventDefault();
  }

  onMove(event) {
    if (!this.drag) return;
    const { kind, which, x, anchor, offset } = this.drag;
    const at = this.secondsAt(event);
    if (kind === "handle") {
      if (which) this.select(this.start, Math.max(at, this.start + MIN_SECONDS), 1);
      else this.select(Math.min(at, this.end - MIN_SECONDS), this.end, 0);
    } else if (Math.abs(event.clientX - x) > CLICK_PIXELS || this.drag.moves) {
      this.drag.moves = true;
      if (kind === "shift") this.shift(at - offset);
      else if (at > anchor) this.select(anchor, at, 1);
      else this.select(at, anchor, 0);
    }
  }

  secondsAt({ clientX }) {
    const { left, width } = this.canvas.getBoundingClientRect();
    return (this.duration * (clientX - left)) / width;
  }

  draw() {
    const { canvas, peaks, duration } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !duration) return;
    this.handles.forEach((handle, which) => {
      const at = which ? this.end : this.start;
      handle.style.left = `${(100 * at) / duration}%`;
      handle.setAttribute("aria-valuemax", duration.toFixed(1));
      handle.setAttribute("aria-valuenow", at.toFixed(1));
      handle.setAttribute("aria-valuetext", clock(at));
    });
    const { pen, colour } = prepare(canvas);
    const [from, to] = [(this.start / duration) * width, (this.end / duration) * width];
    pen.fillStyle = colour("selected");
    pen.fillRect(from, 0, to - from, height);
    const step = 3;
    for (let x = 0; x < width; x += step) {
      const [first, last] = [x, x + step].map((edge) => Math.floor((edge / width) * peaks.length));
      const peak = Math.max(0, ...peaks.slice(first, Math.max(first + 1, last))) / 255;
      const bar = Math.max(2, peak * (height - 8));
      pen.fillStyle = colour(x + step / 2 >= from && x + step / 2 <= to ? "accent" : "unselected");
      pen.fillRect(x, (height - bar) / 2, step - 1, bar);
    }
  }
}
