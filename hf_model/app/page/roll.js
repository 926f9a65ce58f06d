// The piano roll: keyboard, beats, spectrogram and pitch of the voice, and the notes of the piano.

import { prepare } from "./canvas.js";

const BLACK = new Set([1, 3, 6, 8, 10]);
const LETTERS = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const KEYBOARD_WIDTH = 34; // pixels
const MIN_SECOND_WIDTH = 16; // pixels, also on a narrow screen
const LONG = 30; // seconds; the notes of a longer part are drawn wider, and the view follows the playhead
const MAX_LEAP = 5; // semitones between two points of the pitch curve that are connected
const MAX_PIXELS = 16000; // of a canvas: browsers draw no wider one

export const nameOf = (key) => `${LETTERS[((key % 12) + 12) % 12]}${Math.floor(key / 12) - 1}`;

const loadImage = (url) =>
  new Promise((resolve) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => resolve(null);
    image.src = url;
  });

export class Roll {
  /** Draws on a canvas, with the playhead over it; `seek(seconds)` is called with the position of a click. */
  constructor(canvas, playhead, seek) {
    Object.assign(this, { canvas, playhead });
    canvas.addEventListener("click", ({ offsetX }) => this.transcription && seek((this.transcription.duration * (offsetX - KEYBOARD_WIDTH)) / (canvas.clientWidth - KEYBOARD_WIDTH)));
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  async show(transcription, url) {
    this.transcription = transcription;
    const perSecond = MIN_SECOND_WIDTH * (transcription.duration > LONG ? 2 : 1);
    this.canvas.style.minWidth = `${KEYBOARD_WIDTH + Math.ceil(perSecond * transcription.duration)}px`;
    this.spectrogram = await loadImage(url);
  }

  /** Shows another rendering of the same recording. */
  update(rendering) {
    this.rendering = rendering;
    const keys = [...rendering.notes, ...rendering.accompaniment].map((note) => note[2]);
    const low = Math.min(...keys, this.transcription.spectrum.lowest + 4);
    const high = Math.max(...keys, this.transcription.spectrum.highest - 4);
    this.lowest = low - 2;
    this.highest = high + 2;
    this.draw();
  }

  draw() {
    const { canvas } = this;
    if (!this.rendering || !canvas.clientWidth) return;
    const { pen, colour } = prepare(canvas, Math.min(devicePixelRatio || 1, MAX_PIXELS / canvas.clientWidth));
    [this.width, this.height, this.colour] = [canvas.clientWidth, canvas.clientHeight, colour];
    this.drawGrid(pen);
    this.drawVoice(pen);
    this.drawNotes(pen);
    this.drawKeyboard(pen);
    this.movePlayhead(this.seconds ?? 0);
  }

  x(seconds) {
    return KEYBOARD_WIDTH + ((this.width - KEYBOARD_WIDTH) * seconds) / this.transcription.duration;
  }

  y(pitch) {
    return (this.height * (this.highest + 0.5 - pitch)) / (this.highest - this.lowest + 1);
  }

  drawGrid(pen) {
    pen.fillStyle = this.colour("roll");
    pen.fillRect(0, 0, this.width, this.height);
    pen.fillStyle = this.colour("grid");
    const step = this.y(0) - this.y(1);
    for (let key = this.lowest; key <= this.highest; key++) {
      if (BLACK.has(key % 12)) pen.fillRect(KEYBOARD_WIDTH, this.y(key + 0.5), this.width, step);
    }
    for (const [seconds, first] of this.rendering.beats) pen.fillRect(this.x(seconds), 0, first ? 1.5 : 0.5, this.height);
  }

  drawVoice(pen) {
    const { spectrum, pitch, duration } = this.transcription;
    if (this.spectrogram) {
      const tinted = document.createElement("canvas");
      [tinted.width, tinted.height] = [this.spectrogram.width, this.spectrogram.height];
      const brush = tinted.getContext("2d");
      brush.drawImage(this.spectrogram, 0, 0);
      brush.globalCompositeOperation = "source-in";
      brush.fillStyle = this.colour("spectrogram");
      brush.fillRect(0, 0, tinted.width, tinted.height);
      pen.globalAlpha = 0.75;
      const top = this.y(spectrum.highest);
      pen.drawImage(tinted, KEYBOARD_WIDTH, top, this.width - KEYBOARD_WIDTH, this.y(spectrum.lowest) - top);
      pen.globalAlpha = 1;
    }
    this.curve = new Path2D();
    let before = null;
    pitch.points.forEach((value, index) => {
      if (value !== null && index * pitch.step <= duration) {
        const isConnected = before !== null && Math.abs(value - before) < MAX_LEAP;
        this.curve[isConnected ? "lineTo" : "moveTo"](this.x(index * pitch.step), this.y(value));
      }
      before = value;
    });
  }

  drawNotes(pen) {
    const thickness = Math.max(5, Math.min(16, this.y(0) - this.y(1) - 1));
    const bar = ([onset, offset, key, velocity], fill, edge) => {
      pen.beginPath();
      pen.roundRect(this.x(onset) + 0.5, this.y(key) - thickness / 2, Math.max(2, this.x(offset) - this.x(onset) - 1), thickness, 3);
      pen.globalAlpha = 0.35 + (0.6 * velocity) / 127;
      pen.fillStyle = fill;
      pen.fill();
      pen.globalAlpha = 1;
      pen.strokeStyle = edge;
      pen.stroke();
    };
    for (const note of this.rendering.accompaniment) bar(note, this.colour("left"), this.colour("left"));
    for (const note of this.rendering.notes) bar(note, this.colour("bar"), this.colour("bar-edge"));
    pen.strokeStyle = this.colour("voice");
    pen.lineWidth = 1.6;
    pen.lineJoin = "round";
    pen.stroke(this.curve);
  }

  drawKeyboard(pen) {
    const step = this.y(0) - this.y(1);
    const played = new Set([...this.rendering.notes, ...this.rendering.accompaniment].map((note) => note[2]));
    pen.font = `10px ${getComputedStyle(document.body).fontFamily}`;
    pen.textBaseline = "middle";
    for (let key = this.lowest; key <= this.highest; key++) {
      pen.fillStyle = played.has(key) ? this.colour("bar") : BLACK.has(key % 12) ? "#23273a" : "#f2efe6";
      pen.fillRect(0, this.y(key + 0.5), KEYBOARD_WIDTH - 2, Math.max(1, step - 0.6));
      if (key % 12 === 0 || (played.has(key) && step > 9)) {
        pen.fillStyle = "#171a28";
        pen.fillText(nameOf(key), 4, this.y(key));
      }
    }
  }

  /** Moves the playhead. */
  movePlayhead(seconds) {
    this.seconds = seconds;
    if (!this.rendering) return;
    const at = this.x(seconds);
    this.playhead.style.transform = `translateX(${at - 1}px)`;
    const view = this.canvas.parentElement;
    if (at < view.scrollLeft || at > view.scrollLeft + view.clientWidth - KEYBOARD_WIDTH) view.scrollLeft = at - KEYBOARD_WIDTH - 8;
  }
}
