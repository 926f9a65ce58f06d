// The piano roll: ruler, keyboard, beats, spectrogram and pitch of the voice, and the notes of the piano.

import { prepare } from "./canvas.js";
import { Grid } from "./grid.js";

const BLACK = new Set([1, 3, 6, 8, 10]);
const LETTERS = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const KEYBOARD_WIDTH = 34; // pixels
const RULER_HEIGHT = 24;
const MIN_SECOND_WIDTH = 16; // pixels, also on a narrow screen
const MAX_SECOND_WIDTH = 800;
const LONG = 30; // seconds; the notes of a longer part are drawn wider, and the view follows the playhead
const MAX_LEAP = 5; // semitones between two points of the pitch curve that are connected
const MARGIN = 3; // keys above the highest and below the lowest one
const PAUSE = 2000; // milliseconds after which the view follows the playhead again when a user has scrolled
const HANDLE = 7; // pixels: radius of the handles of a note that is stretched by touch

export const nameOf = (key) => `${LETTERS[((key % 12) + 12) % 12]}${Math.floor(key / 12) - 1}`;

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
    this.drawGrid(pen);
    this.drawVoice(pen);
    this.drawNotes(pen);
    this.drawKeyboard(pen);
    this.drawRuler(pen);
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

  drawGrid(pen) {
    pen.fillStyle = this.colour("roll");
    pen.fillRect(0, 0, this.width, this.height);
    if (this.loop) {
      pen.fillStyle = this.colour("selected");
      pen.fillRect(this.x(this.loop.start), RULER_HEIGHT, this.x(this.loop.end) - this.x(this.loop.start), this.height);
    }
    pen.fillStyle = this.colour("grid");
    for (let key = this.lowest; key <= this.highest; key++) {
      if (BLACK.has(key % 12)) pen.fillRect(KEYBOARD_WIDTH, this.y(key + 0.5), this.width, this.rowHeight);
    }
    for (const [seconds, first] of this.rendering.beats) pen.fillRect(this.x(seconds), RULER_HEIGHT, first ? 1.5 : 0.5, this.height);
  }

  drawVoice(pen) {
    const { spectrum, pitch, duration } = this.transcription;
    if (this.spectrogram) {
      const tinted = this.tint(this.spectrogram);
      pen.globalAlpha = 0.75;
      const top = this.y(spectrum.highest);
      pen.drawImage(tinted, this.x(0), top, this.perSecond * duration, this.y(spectrum.lowest) - top);
      pen.globalAlpha = 1;
    }
    this.curve = new Path2D();
    let before = null;
    const [first, last] = [0, this.width].map((x) => this.secondsAt(x) / pitch.step);
    for (let index = Math.max(0, Math.floor(first) - 1); index <= Math.min(pitch.points.length - 1, last + 1); index++) {
      const value = pitch.points[index];
      if (value !== null && index * pitch.step <= duration) {
        const isConnected = before !== null && Math.abs(value - before) < MAX_LEAP;
        this.curve[isConnected ? "lineTo" : "moveTo"](this.x(index * pitch.step), this.y(value));
      }
      before = value;
    }
  }

  /** The spectrogram in the colour of the style sheet; kept, because it is drawn again with every movement. */
  tint(image) {
    const colour = this.colour("spectrogram");
    if (this.tinted?.colour === colour) return this.tinted.canvas;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    const brush = canvas.getContext("2d");
    brush.drawImage(image, 0, 0);
    brush.globalCompositeOperation = "source-in";
    brush.fillStyle = colour;
    brush.fillRect(0, 0, canvas.width, canvas.height);
    this.tinted = { colour, canvas };
    return canvas;
  }

  drawNotes(pen) {
    for (const note of this.left) this.drawBar(pen, note, "left", "left");
    for (const note of this.notes) this.drawBar(pen, note, "bar", "bar-edge");
    pen.strokeStyle = this.colour("voice");
    pen.lineWidth = 1.6;
    pen.lineJoin = "round";
    pen.stroke(this.curve);
    for (const note of this.notes) if (this.melody.selection.has(note.id)) this.drawSelected(pen, note);
    if (this.marquee) {
      const { x, y, toX, toY } = this.marquee;
      pen.strokeStyle = this.colour("accent");
      pen.lineWidth = 1;
      pen.setLineDash([4, 3]);
      pen.strokeRect(x, y, toX - x, toY - y);
      pen.setLineDash([]);
    }
  }

  drawBar(pen, { onset, offset, key, velocity, confidence = 1 }, fill, edge) {
    const [from, to] = [this.x(onset), this.x(offset)];
    if (to < KEYBOARD_WIDTH || from > this.width) return;
    pen.beginPath();
    pen.roundRect(from + 0.5, this.y(key) - this.thickness / 2, Math.max(2, to - from - 1), this.thickness, 3);
    pen.globalAlpha = (0.35 + (0.6 * velocity) / 127) * (confidence < this.uncertain ? 0.45 : 1);
    pen.fillStyle = this.colour(fill);
    pen.fill();
    pen.globalAlpha = 1;
    pen.strokeStyle = this.colour(edge);
    pen.lineWidth = 1;
    if (confidence < this.uncertain) pen.setLineDash([3, 2]);
    pen.stroke();
    pen.setLineDash([]);
  }

  drawSelected(pen, note) {
    pen.beginPath();
    pen.roundRect(this.x(note.onset) - 1.5, this.y(note.key) - this.thickness / 2 - 2, Math.max(5, this.x(note.offset) - this.x(note.onset) + 3), this.thickness + 4, 4);
    pen.strokeStyle = this.colour("ink");
    pen.lineWidth = 2.5;
    pen.stroke();
    if (!this.touch || this.melody.selection.size > 1) return;
    pen.fillStyle = this.colour("ink");
    for (const [x, y] of Object.values(this.handlesOf(note))) {
      pen.beginPath();
      pen.arc(x, y, HANDLE, 0, 2 * Math.PI);
      pen.fill();
    }
  }

  drawKeyboard(pen) {
    const played = new Set([...this.notes, ...this.left].map((note) => note.key));
    pen.font = `10px ${getComputedStyle(document.body).fontFamily}`;
    pen.textBaseline = "middle";
    pen.fillStyle = this.colour("roll");
    pen.fillRect(0, RULER_HEIGHT, KEYBOARD_WIDTH, this.height);
    for (let key = this.lowest; key <= this.highest; key++) {
      pen.fillStyle = played.has(key) ? this.colour("bar") : BLACK.has(key % 12) ? "#23273a" : "#f2efe6";
      pen.fillRect(0, this.y(key + 0.5), KEYBOARD_WIDTH - 2, Math.max(1, this.rowHeight - 0.6));
      if (key % 12 === 0 || (played.has(key) && this.rowHeight > 9)) {
        pen.fillStyle = "#171a28";
        pen.fillText(nameOf(key), 4, this.y(key));
      }
    }
  }

  /** The ruler: the bars with their numbers, and the range of the loop. */
  drawRuler(pen) {
    pen.fillStyle = this.colour("card");
    pen.fillRect(0, 0, this.width, RULER_HEIGHT);
    if (this.loop) {
      pen.fillStyle = this.colour("accent");
      pen.globalAlpha = this.loop.on ? 0.55 : 0.2;
      pen.fillRect(this.x(this.loop.start), 2, this.x(this.loop.end) - this.x(this.loop.start), RULER_HEIGHT - 4);
      pen.globalAlpha = 1;
    }
    pen.fillStyle = this.colour("ink");
    let free = -Infinity; // numbers that would touch are left out
    for (const [seconds, number] of this.grid.bars(this.barOne)) {
      const at = this.x(seconds);
      pen.fillRect(at, RULER_HEIGHT - 7, 1, 7);
      if (number < 1 || at < Math.max(free, KEYBOARD_WIDTH - 2)) continue;
      pen.fillText(String(number), at + 4, RULER_HEIGHT / 2);
      free = at + 12 + pen.measureText(String(number)).width;
    }
    pen.fillStyle = this.colour("card");
    pen.fillRect(0, 0, KEYBOARD_WIDTH, RULER_HEIGHT);
    pen.fillStyle = this.colour("soft");
    pen.fillText("bar", 8, RULER_HEIGHT / 2);
    pen.fillStyle = this.colour("line");
    pen.fillRect(0, RULER_HEIGHT - 1, this.width, 1);
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
