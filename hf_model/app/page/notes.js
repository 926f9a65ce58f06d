// The table of transcribed notes, which the user can edit.

import { kept, moved, removed, stretched, withVelocity } from "./edits.js";
import { showFieldError } from "./status.js";
import { nameOf, sungWords } from "./words.js";

const STEPS = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };
const SIGNS = { "": 0, "#": 1, "♯": 1, b: -1, "♭": -1 };

/** Parses "C4", "f#3", "Bb2" or a MIDI number; undefined if it is not from 21 to 108. */
export function keyOf(text) {
  const match = /^([A-G])([#♯b♭]?)(-?\d)$/i.exec(text.trim());
  const key = match ? STEPS[match[1].toUpperCase()] + SIGNS[match[2].toLowerCase()] + 12 * (Number(match[3]) + 1) : Number(text || NaN);
  return Number.isInteger(key) && key >= 21 && key <= 108 ? key : undefined;
}

const FIELDS = [
  {
    label: "key",
    show: (melody, note) => nameOf(melody.keyOf(note)),
    read: keyOf,
    expected: "a key from A0 to C8",
    fits: (melody, note, key) => key !== undefined && key >= melody.bounds.lowest && key <= melody.bounds.highest,
    edit: (notes, note, key, { bounds }) => {
      const ids = new Set([note.id]);
      return moved(kept(notes, ids, bounds), ids, { semitones: key - bounds.keyOf(note) }, bounds);
    },
  },
  {
    label: "start",
    show: (_, note) => note.onset.toFixed(2),
    read: Number,
    expected: "seconds before the note's end",
    fits: (melody, note, seconds) => seconds >= 0 && note.offset - seconds > melody.shortest - 0.001,
    edit: (notes, note, seconds, { bounds }) => stretched(notes, note.id, "onset", seconds, bounds),
  },
  {
    label: "end",
    show: (_, note) => note.offset.toFixed(2),
    read: Number,
    expected: "seconds after the note's start",
    fits: (melody, note, seconds) => seconds - note.onset > melody.shortest - 0.001 && seconds <= melody.duration + 0.01,
    edit: (notes, note, seconds, { bounds }) => stretched(notes, note.id, "offset", seconds, bounds),
  },
  {
    label: "velocity",
    show: (_, note) => String(note.velocity),
    read: Number,
    expected: "a whole number from 1 to 127",
    fits: (_, note, velocity) => Number.isInteger(velocity) && velocity >= 1 && velocity <= 127,
    edit: (notes, note, velocity, { bounds }) => withVelocity(notes, note.id, velocity, bounds),
  },
];

export class NotesTable {
  /** Shows and edits the notes of a melody. */
  constructor(table, melody) {
    this.body = table.tBodies[0];
    this.panel = table.closest("details");
    this.melody = melody;
    this.panel.addEventListener("toggle", () => this.draw());
  }

  /** Fills the table; a song has hundreds of rows, which are made when they are looked at. Rows that stay the same are kept. */
  draw() {
    if (!this.panel.open) {
      this.body.replaceChildren();
      this.drawn = null;
      return;
    }
    const { melody } = this;
    const drawn = JSON.stringify(melody.notes.map((note) => [note.id, ...FIELDS.map((field) => field.show(melody, note))]));
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const [row, cell] = this.focused();
    this.body.replaceChildren(...melody.notes.map((note, index) => this.row(note, index)));
    if (cell >= 0) this.body.rows[Math.min(row, melody.notes.length - 1)]?.cells[cell].firstElementChild.focus();
  }

  /** Where the focus is: row and column, -1 if it is elsewhere. */
  focused() {
    const cell = document.activeElement?.closest("td");
    return this.body.contains(cell) ? [cell.parentElement.sectionRowIndex, cell.cellIndex] : [-1, -1];
  }

  row(note, index) {
    const row = document.createElement("tr");
    row.dataset.id = note.id;
    FIELDS.forEach((field, column) => {
      const input = document.createElement("input");
      input.value = input.dataset.shown = field.show(this.melody, note);
      input.inputMode = column ? "decimal" : "text";
      input.setAttribute("aria-label", `Note ${index + 1}, ${field.label}`);
      input.addEventListener("change", () => this.edit(note.id, field, input));
      row.insertCell().append(input);
    });
    if (this.melody.isCorrected(note)) {
      const sung = document.createElement("small");
      sung.className = "sung-key";
      sung.textContent = sungWords(note.pitch, nameOf(this.melody.keyOf(note)), this.melody.transpose);
      row.cells[0].append(sung);
    }
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = "×";
    remove.setAttribute("aria-label", `Delete note ${index + 1}, ${nameOf(this.melody.keyOf(note))} at ${note.onset.toFixed(2)} seconds`);
    remove.addEventListener("click", () => {
      this.melody.edit((notes) => removed(notes, new Set([note.id])));
      if (!this.melody.notes.length) this.panel.querySelector("summary").focus();
    });
    row.insertCell().append(remove);
    return row;
  }

  edit(id, field, input) {
    const { melody } = this;
    const note = melody.find(id);
    if (!note) return;
    const value = field.read(input.value.replace(",", "."));
    const fits = field.fits(melody, note, value) && !Number.isNaN(value);
    showFieldError(input, fits ? "" : `Expected ${field.expected}.`);
    if (fits) melody.edit((notes) => field.edit(notes, note, value, melody));
  }

  /** Highlights the notes at a position. */
  highlight(seconds) {
    if (!this.panel.open) return;
    this.melody.notes.forEach(({ onset, offset }, index) => this.body.rows[index]?.classList.toggle("now", seconds > 0 && seconds >= onset && seconds < offset));
  }
}
