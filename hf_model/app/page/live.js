// Sends the microphone's samples to the server while it records, and draws the notes that come back.

import { prepare } from "./canvas.js";
import { deleteRecording, sendLive } from "./engine.js";
import { nameOf } from "./words.js";

const MOST_SECONDS = 1; // in one request
const PAUSE = 30; // milliseconds between two requests
const SHOWN = 10; // seconds
const MIN_KEYS = 13;
const BLACK = new Set([1, 3, 6, 8, 10]);

export class LiveRecording {
  /** `onNotes(notes, seconds)` is called when the server answers; it may fail at any time, see `end`. */
  constructor(stream, context, onNotes) {
    Object.assign(this, { context, onNotes, id: null, sent: 0, blocks: [], waiting: 0, failed: false, stopped: false });
    this.notes = new LiveNotes();
    this.running = this.run(stream).catch(() => this.fail());
  }

  async run(stream) {
    await this.context.audioWorklet.addModule("page/worklet.js");
    const node = new AudioWorkletNode(this.context, "samples", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    node.port.onmessage = ({ data }) => {
      if (this.failed || this.stopped) return;
      this.blocks.push(new Int16Array(data));
      this.waiting += data.byteLength / 2;
    };
    this.context.createMediaStreamSource(stream).connect(node);
    this.id = (await sendLive(`live?rate=${this.context.sampleRate}`)).recording;
    while (!this.failed && (!this.stopped || this.waiting)) {
      if (this.waiting) await this.sendBlocks();
      if (!this.stopped) await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }

  async sendBlocks() {
    const samples = this.take(Math.min(this.waiting, Math.round(MOST_SECONDS * this.context.sampleRate)));
    const answer = await sendLive(`recordings/${this.id}/sound?first=${this.sent}`, samples);
    this.sent += samples.length;
    this.notes.take(answer.events);
    if (!this.stopped) this.onNotes(this.notes, answer.seconds);
  }

  /** Takes samples from the blocks that wait. */
  take(length) {
    const samples = new Int16Array(length);
    let at = 0;
    while (at < length) {
      const [block] = this.blocks;
      const part = block.subarray(0, length - at);
      samples.set(part, at);
      at += part.length;
      if (part.length === block.length) this.blocks.shift();
      else this.blocks[0] = block.subarray(part.length);
    }
    this.waiting -= length;
    return samples;
  }

  /** Ends the recording; gives its id and what "open" gives, or null if the whole recording must be uploaded. */
  async end() {
    this.stopped = true;
    await this.running;
    if (this.failed || !this.sent) return this.fail();
    try {
      return { id: this.id, ...(await sendLive(`recordings/${this.id}/end`)) };
    } catch {
      return this.fail();
    }
  }

  fail() {
    this.failed = true;
    this.blocks = [];
    deleteRecording(this.id);
    this.id = null;
    return null;
  }
}

/** The notes so far: provisional ones until the final ones of the same time arrive. */
class LiveNotes {
  constructor() {
    this.provisional = new Map();
    this.final = [];
  }

  take(events) {
    for (const [kind, number, onset, offset, key] of events) {
      if (kind === "final") {
        this.final.push({ onset, offset, key });
        for (const [other, note] of this.provisional) if (note.onset < offset - 0.05) this.provisional.delete(other);
      } else this.provisional.set(number, { onset, offset, key, sounds: kind !== "off" });
    }
  }

  get sounding() {
    return [...this.provisional.values()].findLast((note) => note.sounds)?.key;
  }
}

export class LiveRoll {
  constructor(canvas) {
    this.canvas = canvas;
    this.centre = null;
  }

  /** Draws the notes of the last seconds. */
  draw(notes, seconds) {
    const { canvas } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    const { pen, colour } = prepare(canvas);
    const start = Math.max(0, seconds - SHOWN);
    const seen = [...notes.final, ...notes.provisional.values()].filter((note) => note.sounds || note.offset > start);
    const [low, high] = this.range(seen.map((note) => note.key));
    const x = (at) => ((at - start) / SHOWN) * width;
    const step = height / (high - low + 1);
    const y = (key) => (high - key) * step;
    pen.fillStyle = colour("grid");
    for (let key = low; key <= high; key++) if (BLACK.has(key % 12)) pen.fillRect(0, y(key), width, step);
    pen.font = `${Math.min(12, Math.max(8, step - 2))}px ${getComputedStyle(canvas).fontFamily}`;
    pen.textBaseline = "middle";
    for (const note of seen) {
      const isFinal = !("sounds" in note);
      const from = x(note.onset);
      const to = note.sounds ? x(seconds) : x(note.offset);
      pen.globalAlpha = isFinal ? 1 : 0.6;
      pen.fillStyle = colour("bar");
      pen.beginPath();
      pen.roundRect(from, y(note.key) + 1, Math.max(3, to - from - 1), Math.max(3, step - 2), 3);
      pen.fill();
      pen.globalAlpha = 1;
      if (isFinal) {
        pen.strokeStyle = colour("bar-edge");
        pen.stroke();
      }
      pen.fillStyle = colour("soft");
      if (step > 9 && from >= 0) pen.fillText(nameOf(note.key), from, y(note.key) - step / 2 + 1);
    }
    canvas.setAttribute("aria-label", `Notes while you sing: ${seen.slice(-8).map((note) => nameOf(note.key)).join(" ")}`);
    canvas.dataset.notes = notes.final.length + notes.provisional.size;
  }

  /** Gives the lowest and the highest key that are drawn; they move slowly. */
  range(keys) {
    if (!keys.length) return [54, 54 + MIN_KEYS - 1];
    const low = Math.min(...keys) - 2;
    const high = Math.max(...keys) + 3;
    const spare = Math.max(0, MIN_KEYS - (high - low + 1));
    return [low - Math.floor(spare / 2), high + Math.ceil(spare / 2)];
  }
}
