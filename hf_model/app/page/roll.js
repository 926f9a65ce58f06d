// The piano roll: what it shows, where times and keys are on it, zoom and playhead.

import { prepare } from "./canvas.js";
import { Grid } from "./grid.js";
import { HANDLE, KEYBOARD_WIDTH, RULER_HEIGHT, drawRoll } from "./roll_drawing.js";
import { nameOf } from "./words.js";

const MIN_SECOND_WIDTH = 16; // pixels, also on a narrow screen
const MAX_SECOND_WIDTH = 800;
const LONG = 30; // seconds; the notes of a longer part are drawn wider, and the view follows the playhead
const MARGIN = 3; // keys above the highest and below the lowest one
const PAUSE = 2000; // milliseconds after which the view follows the playhead again when a user has scrolled

export { nameOf };

const loadImage = (url) =>
  new Promise((resolve) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => resolve(null);
    image.src = url;
  });

export class Roll {
  /** Draws the notes of a melody on a canvas, which stays in view while the box around it is scrolled. */
  constructor(canvas, playhead, melody) {
    Object.assign(this, { canvas, playhead, melody, grid: new Grid(), loop: null, marquee: null, touch: false, uncertain: 0, scrolledAt: 0 });
    this.lane = canvas.parentElement;
    this.view = this.lane.parentElement;
    this.view.addEventListener("scroll", () => this.onScroll());
    for (const name of ["wheel", "touchmove", "pointerdown"]) this.view.addEventListener(name, () => (this.scrolledAt = performance.now()), { passive: true });
    new ResizeObserver(() => this.fit()).observe(this.view);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  async show(transcription, url) {
    this.transcription = transcription;
    this.rendering = null;
    this.perSecond = 0;
    this.view.scrollLeft = 0;
    this.fit();
    this.spectrogram = await loadImage(url);
    this.tinted = null;
  }

  /** Shows another rendering of the same recording. */
  update(rendering, quantize = "off") {
    this.rendering = rendering;
    this.grid = new Grid(rendering.beats, rendering.tempo.meter, quantize);
    this.draw();
  }

  // ---------------------------------------------------------------------------------------------------------- places and zoom

  get fitting() {
    return Math.max(1, (this.view.clientWidth - KEYBOARD_WIDTH) / this.transcription.duration);
  }

  /** Keeps the zoom when the width changes; at first all is seen, unless the notes became too narrow. */
  fit() {
    if (!this.transcription || !this.view.clientWidth) return;
    const narrow = MIN_SECOND_WIDTH * (this.transcription.duration > LONG ? 2 : 1);
    const wanted = this.perSecond && !this.isFitted ? this.perSecond : Math.max(this.fitting, narrow);
    this.setZoom(wanted);
  }

  setZoom(perSecond) {
    const first = Math.max(this.fitting, MIN_SECOND_WIDTH * (this.transcription.duration > LONG ? 2 : 1));
    this.perSecond = Math.min(Math.max(perSecond, this.fitting), Math.max(MAX_SECOND_WIDTH, this.fitting));
    this.isFitted = Math.abs(this.perSecond - first) < 0.5;
    this.lane.style.width = `${KEYBOARD_WIDTH + this.perSecond * this.transcription.duration}px`;
    this.canvas.style.width = `${this.view.clientWidth}px`;
    this.draw();
  }

  /** Zooms by a factor; the time at `x` (pixels of the canvas) stays where it is. */
  zoom(factor, x = this.width / 2) {
    if (!this.transcription) return;
    const at = this.secondsAt(x);
    this.setZoom(this.perSecond * factor);
    this.view.scrollLeft = KEYBOARD_WIDTH + at * this.perSecond - x;
    this.scrolledAt = performance.now();
    this.draw();
  }

  onScroll() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  x(seconds) {
    return KEYBOARD_WIDTH + this.perSecond * seconds - this.view.scrollLeft;
  }

  y(pitch) {
    return RULER_HEIGHT + ((this.height - RULER_HEIGHT) * (this.highest + 0.5 - pitch)) / (this.highest - this.lowest + 1);
  }

  secondsAt(x) {
    return Math.min(Math.max(0, (x + this.view.scrollLeft - KEYBOARD_WIDTH) / this.perSecond), this.transcription.duration);
  }

  /** The key at a height, also above and below what is drawn. */
  keyAt(y) {
    return Math.round(this.highest + 0.5 - ((y - RULER_HEIGHT) * (this.highest - this.lowest + 1)) / (this.height - RULER_HEIGHT));
  }

  isRuler(y) {
    return y < RULER_HEIGHT;
  }

  isKeyboard(x) {
    return x < KEYBOARD_WIDTH;
  }

  get rowHeight() {
    return this.y(0) - this.y(1);
  }

  /** The note at a place of the canvas, the nearest one within `reach` pixels of it. */
  noteAt(x, y, reach) {
    const distance = (note) => Math.hypot(Math.max(this.x(note.onset) - x, 0, x - this.x(note.offset)), Math.max(0, Math.abs(this.y(note.key) - y) - this.thickness / 2));
    const near = this.melody.shown().map((note) => ({ note, distance: distance(note) })).filter((each) => each.distance <= reach);
    return near.sort((a, b) => a.distance - b.distance)[0]?.note;
  }

  /** The two places where a selected note is stretched by touch: beside its ends. */
  handlesOf(note) {
    const y = this.y(note.key);
    return { onset: [this.x(note.onset) - 2 * HANDLE, y], offset: [this.x(note.offset) + 2 * HANDLE, y] };
  }

  /** Brings a note into view. */
  reveal(note) {
    const [from, to] = [this.x(note.onset), this.x(note.offset)];
    if (from >= KEYBOARD_WIDTH && to <= this.width - 8) return;
    this.view.scrollLeft += from - KEYBOARD_WIDTH - 0.25 * (this.width - KEYBOARD_WIDTH);
  }

  // ------------------------------------------------------------------------------------------------------------------ drawing

  draw() {
    const { canvas } = this;
    if (!this.rendering || !canvas.clientWidth) return;
    const { pen, colour } = prepare(canvas);
    [this.width, this.height, this.colour] = [canvas.clientWidth, canvas.clientHeight, colour];
    this.notes = this.melody.shown();
    if (!this.isDragging) this.setRange();
    this.thickness = Math.max(5, Math.min(16, this.rowHeight - 1));
    drawRoll(this, pen);
    this.movePlayhead(this.seconds ?? 0, false);
  }

  /** The keys that are drawn; while a note is dragged they stay. */
  setRange() {
    const keys = [...this.notes, ...this.left].map((note) => note.key);
    const { spectrum } = this.transcription;
    this.lowest = Math.min(...keys, spectrum.lowest + 4) - MARGIN;
    this.highest = Math.max(...keys, spectrum.highest - 4) + MARGIN;
    this.canvas.dataset.keys = `${this.lowest} ${this.highest}`;
  }

  get left() {
    return this.rendering.accompaniment.map(([onset, offset, key, velocity]) => ({ onset, offset, key, velocity }));
  }

  /** Moves the playhead; the view follows, unless a user has just scrolled. */
  movePlayhead(seconds, follows = true) {
    this.seconds = seconds;
    if (!this.rendering) return;
    const at = this.x(seconds);
    const isSeen = at >= KEYBOARD_WIDTH - 1 && at <= this.width;
    this.playhead.style.transform = `translateX(${at + this.view.scrollLeft - 1}px)`;
    this.playhead.hidden = !isSeen;
    const isNear = at >= KEYBOARD_WIDTH - 1 && at <= this.width - KEYBOARD_WIDTH;
    if (follows && !isNear && performance.now() - this.scrolledAt > PAUSE) this.view.scrollLeft += at - KEYBOARD_WIDTH - 8;
  }
}
