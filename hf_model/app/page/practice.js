// Practice: the recording beside a score that the user chooses; what each note is off, as a table, a picture and colours.

import { prepare } from "./canvas.js";
import { UserError, runJob, sendScore } from "./engine.js";
import { playPassages } from "./passages.js";
import { showError } from "./status.js";

const $ = (id) => document.getElementById(id);
const MAX_BYTES = 2 ** 20; // of a score; the server takes no larger one
const [IN_TUNE, NEAR] = [20, 50]; // cents
const MAX_CENTS = 100; // of the picture
const SAME = 0.02; // seconds between a sung note and that of the score

const sharp = (name) => (name ?? "").replace("#", "♯");
const signed = (value) => (value === null ? "" : `${["−", "", "+"][Math.sign(Math.round(value)) + 1]}${Math.abs(Math.round(value))}`);
const kindOf = ({ status, cents }) => (status !== "sung" ? "off" : Math.abs(cents) <= IN_TUNE ? "good" : Math.abs(cents) <= NEAR ? "near" : "off");

export class Practice {
  /** `notesOf()` gives the notes that are compared, as rows; `score` is the engraved one. */
  constructor(player, notesOf, score) {
    Object.assign(this, { player, notesOf, score, rows: [] });
    $("practice-file").addEventListener("change", () => this.choose($("practice-file").files[0]));
    document.addEventListener("rendered", ({ detail }) => this.expect(detail.id));
    document.addEventListener("engraved", () => this.colour());
    new ResizeObserver(() => this.draw()).observe($("practice-picture"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    $("practice-picture").addEventListener("click", ({ offsetX }) => this.press(offsetX));
  }

  /** Another rendering: the comparison with the same score is made again if the notes are others. */
  expect(id) {
    if (this.id !== id) {
      [this.id, this.hasScore] = [id, false];
      this.show(null);
    } else if (this.hasScore && this.compared !== JSON.stringify(this.notesOf())) this.compare();
  }

  async choose(file) {
    $("practice-file").value = "";
    if (!file) return;
    $("practice-name").textContent = file.name;
    await this.attempt(async () => {
      if (file.size > MAX_BYTES) throw new UserError("This score is larger than 1 MB.");
      await sendScore(this.id, file);
      this.hasScore = true;
    });
    if (this.hasScore) await this.compare();
  }

  compare() {
    return this.attempt(async () => {
      const notes = this.notesOf();
      this.compared = JSON.stringify(notes);
      this.show(await runJob("practice", { recording: this.id, notes }, (step) => ($("practice-status").textContent = step)));
    });
  }

  async attempt(work) {
    $("practice-problem").hidden = true;
    try {
      await work();
    } catch (error) {
      this.show(null);
      showError(error, "practice-problem");
    }
    $("practice-status").textContent = "";
  }

  show(found) {
    this.rows = (found?.notes ?? []).filter(({ status }) => status !== "outside");
    this.drift = found?.drift ?? [];
    $("practice-result").hidden = !found;
    $("practice-summary").replaceChildren(...(found?.summary ?? []).map((sentence) => Object.assign(document.createElement("li"), { textContent: sentence })));
    $("practice-notes").tBodies[0].replaceChildren(...this.rows.map((row) => this.rowOf(row)));
    if (!found) $("practice-name").textContent = "";
    this.draw();
    this.colour();
  }

  rowOf(row) {
    const line = document.createElement("tr");
    line.className = kindOf(row);
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = row.number ?? "+";
    button.setAttribute("aria-label", row.number ? `Play note ${row.number}` : "Play the extra note");
    button.addEventListener("click", () => this.play(row));
    line.insertCell().append(button);
    for (const text of [sharp(row.written), sharp(row.sung), signed(row.cents), signed(row.milliseconds), row.remark]) line.insertCell().textContent = text;
    return line;
  }

  play({ onset, offset, expected }) {
    playPassages(this.player, [onset === null ? [Math.max(0, expected - 1), expected + 1] : [onset, offset]]);
  }

  get span() {
    return [Math.max(0, Math.min(...this.rows.map((row) => row.onset ?? row.expected)) - 0.3), Math.max(...this.rows.map((row) => row.offset ?? row.expected + 0.3)) + 0.3];
  }

  press(x) {
    const [first, last] = this.span;
    const seconds = first + ((last - first) * x) / $("practice-picture").clientWidth;
    const distance = (row) => Math.abs((row.onset ?? row.expected) + 0.1 - seconds);
    if (this.rows.length) this.play(this.rows.reduce((best, row) => (distance(row) < distance(best) ? row : best)));
  }

  /** Draws written notes as outlines, sung ones filled, and under them the cents of each. */
  draw() {
    const canvas = $("practice-picture");
    if (!this.rows.length || !canvas.clientWidth) return;
    const { pen, colour } = prepare(canvas);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const [first, last] = this.span;
    const x = (seconds) => (width * (seconds - first)) / (last - first);
    const pitches = this.rows.flatMap((row) => [row.pitch, row.meant]).filter((pitch) => pitch !== null);
    const [low, high, split] = [Math.min(...pitches) - 1.5, Math.max(...pitches) + 1.5, height * 0.62];
    const y = (pitch) => split * (1 - (pitch - low) / (high - low));
    const step = Math.max(5, Math.min(14, y(0) - y(1)));
    const middle = (split + height) / 2 + 4;
    const perCent = (height - split - 16) / 2 / MAX_CENTS;
    pen.fillStyle = colour("grid");
    pen.fillRect(0, middle - IN_TUNE * perCent, width, 2 * IN_TUNE * perCent);
    pen.fillRect(0, middle - 0.5, width, 1);
    for (const row of this.rows) {
      const [begin, end] = [row.onset ?? row.expected, row.offset ?? row.expected + 0.25];
      const fill = colour(kindOf(row));
      if (row.meant !== null) {
        pen.strokeStyle = row.status === "missed" ? fill : colour("soft");
        pen.strokeRect(x(row.expected), y(row.meant) - step / 2, Math.max(4, x(end) - x(begin)), step);
      }
      if (row.pitch === null) continue;
      pen.fillStyle = fill;
      pen.fillRect(x(begin), y(row.pitch) - step / 4, Math.max(3, x(end) - x(begin)), step / 2);
      const cents = Math.max(-MAX_CENTS, Math.min(MAX_CENTS, row.cents ?? 0));
      pen.fillRect(x(begin), Math.min(middle, middle - cents * perCent), Math.max(3, x(end) - x(begin)), Math.max(1, Math.abs(cents * perCent)));
    }
    pen.strokeStyle = colour("voice");
    pen.beginPath();
    for (const [seconds, cents] of this.drift) pen.lineTo(x(seconds), middle - cents * perCent);
    pen.stroke();
    pen.fillStyle = colour("soft");
    pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    pen.fillText("sharp", 3, split + 14);
    pen.fillText("flat", 3, height - 4);
    canvas.setAttribute("aria-label", `Written and sung notes: ${this.rows.filter((row) => kindOf(row) === "good").length} of ${this.rows.length} in tune`);
  }

  /** Colours the notes of the engraved score. */
  colour() {
    for (const { onset, item } of this.score.notes) {
      const row = this.rows.find((one) => one.onset !== null && Math.abs(one.onset - onset) < SAME);
      for (const kind of ["good", "near", "off"]) item.classList.toggle(kind, Boolean(row) && kindOf(row) === kind);
    }
  }
}
