// The table of transcribed notes, which the user can edit.

import { nameOf } from "./roll.js";
import { showFieldError } from "./status.js";

const STEPS = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };
const SIGNS = { "": 0, "#": 1, "♯": 1, b: -1, "♭": -1 };
const MIDDLE = 60;

/** Parses "C4", "f#3", "Bb2" or a MIDI number; undefined if it is not from 21 to 108. */
export function keyOf(text) {
  const match = /^([A-G])([#♯b♭]?)(-?\d)$/i.exec(text.trim());
  const key = match ? STEPS[match[1].toUpperCase()] + SIGNS[match[2].toLowerCase()] + 12 * (Number(match[3]) + 1) : Number(text || NaN);
  return Number.isInteger(key) && key >= 21 && key <= 108 ? key : undefined;
}

const FIELDS = [
  { label: "key", show: (table, note) => nameOf(table.keyOfNote(note)), read: keyOf, expected: "a key from A0 to C8" },
  { label: "start", show: (_, note) => note[0].toFixed(2), read: Number, expected: "seconds before the note's end" },
  { label: "end", show: (_, note) => note[1].toFixed(2), read: Number, expected: "seconds after the note's start" },
  { label: "velocity", show: (_, note) => String(note[3]), read: Number, expected: "a whole number from 1 to 127" },
];

export class NotesTable {
  /** `onChange()` is called after every edit. */
  constructor(table, onChange) {
    this.body = table.tBodies[0];
    this.panel = table.closest("details");
    this.onChange = onChange;
    this.history = [];
    this.panel.addEventListener("toggle", () => this.draw());
  }

  load({ notes, tuning, duration }) {
    Object.assign(this, { transcribed: notes, notes: structuredClone(notes), tuning, duration, history: [] });
    this.draw();
  }

  keyOfNote([, , pitch]) {
    return Math.floor(pitch - this.tuning + 0.5);
  }

  get edited() {
    return JSON.stringify(this.notes) !== JSON.stringify(this.transcribed);
  }

  change(notes) {
    this.history.push(this.notes);
    this.notes = notes.sort((a, b) => a[0] - b[0]);
    this.draw();
    this.onChange();
  }

  undo() {
    if (!this.history.length) return;
    this.notes = this.history.pop();
    this.draw();
    this.onChange();
  }

  reset() {
    this.change(structuredClone(this.transcribed));
  }

  add() {
    const last = this.notes.at(-1);
    const onset = Math.min(last ? last[1] : 0, this.duration - 0.3);
    this.change([...this.notes, [Math.max(0, onset), Math.min(Math.max(0, onset) + 0.5, this.duration), last ? last[2] : MIDDLE + this.tuning, 80, 1]]);
    this.body.lastElementChild?.querySelector("input").select();
  }

  /** Fills the table; a song has hundreds of rows, which are made when they are looked at. */
  draw() {
    this.body.replaceChildren(...(this.panel.open && this.notes ? this.notes.map((note, index) => this.row(note, index)) : []));
  }

  row(note, index) {
    const row = document.createElement("tr");
    FIELDS.forEach((field, column) => {
      const input = document.createElement("input");
      input.value = field.show(this, note);
      input.inputMode = column ? "decimal" : "text";
      input.setAttribute("aria-label", `Note ${index + 1}, ${field.label}`);
      input.addEventListener("change", () => this.edit(index, column, input));
      row.insertCell().append(input);
    });
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = "×";
    remove.setAttribute("aria-label", `Delete note ${index + 1}, ${nameOf(this.keyOfNote(note))} at ${note[0].toFixed(2)} seconds`);
    remove.addEventListener("click", () => {
      this.change(this.notes.filter((_, other) => other !== index));
      (this.body.rows[Math.min(index, this.notes.length - 1)]?.querySelector("button") ?? this.panel.querySelector("summary")).focus();
    });
    row.insertCell().append(remove);
    return row;
  }

  edit(index, column, input) {
    const note = [...this.notes[index]];
    const value = FIELDS[column].read(input.value.replace(",", "."));
    if (column === 0) [note[2], note[4]] = [value + this.tuning, 1]; // exactly in tune and certain: it stays as the user set it
    else note[[0, 0, 1, 3][column]] = value;
    const fits = note.every(Number.isFinite) && note[0] >= 0 && note[0] < note[1] && note[1] <= this.duration + 0.01;
    const invalid = !fits || !Number.isInteger(note[3]) || note[3] < 1 || note[3] > 127;
    showFieldError(input, invalid ? `Expected ${FIELDS[column].expected}.` : "");
    if (invalid) return;
    note[1] = Math.min(note[1], this.duration);
    const focused = [index, column];
    this.change(this.notes.map((other, at) => (at === index ? note : other)));
    this.body.rows[focused[0]]?.cells[focused[1]].querySelector("input").focus();
  }

  /** Highlights the notes at a position. */
  highlight(seconds) {
    if (!this.panel.open) return;
    this.notes.forEach(([onset, offset], index) => this.body.rows[index]?.classList.toggle("now", seconds > 0 && seconds >= onset && seconds < offset));
  }
}
