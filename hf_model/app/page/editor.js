// The commands of the editor, for its buttons, its keys and the pointer; each is told in one line that is read out.

import { added, kept, merged, moved, removed, roomAfter, split, stretched } from "./edits.js";
import { RollPointer } from "./pointer.js";
import { nameOf } from "./words.js";

const $ = (id) => document.getElementById(id);
const FINE = 0.01; // seconds
const RUN = 700; // milliseconds: key presses that follow each other so closely are one step of the history
const NEW_LENGTH = 0.5; // seconds of a new note if no beat is known
const ZOOM = 1.4;

const describe = (note) => `${nameOf(note.key)}, ${note.onset.toFixed(1)} s`;
const count = (number) => `${number} note${number === 1 ? "" : "s"}`;

export class Editor {
  /** `setDownbeat(seconds)` changes the setting, `tapTempo()` takes a tap. */
  constructor({ melody, roll, player, loop, tone, setDownbeat, tapTempo }) {
    Object.assign(this, { melody, roll, player, loop, tone, setDownbeat, tapTempo, cursor: 0, run: null, escaped: false });
    new RollPointer(roll, melody, this);
    this.commands = {
      undo: () => this.undo("undo"),
      redo: () => this.undo("redo"),
      add: () => this.addAt(this.player.position, this.keyNear(this.player.position)),
      split: () => this.split(),
      merge: () => this.merge(),
      delete: () => this.delete(),
      "keep-note": () => this.keep(),
      "zoom-in": () => this.zoom(ZOOM),
      "zoom-out": () => this.zoom(1 / ZOOM),
      loop: () => this.toggleLoop(),
      "bar-one": () => this.setBarOne(),
      tap: () => this.tapTempo(),
      keys: () => $("keys-list").showModal(),
    };
    for (const button of document.querySelectorAll("[data-edit]")) button.addEventListener("click", () => this.do(button.dataset.edit));
  }

  do(name) {
    if (this.melody.isLocked || !this.melody.duration) return;
    this.endRun();
    this.commands[name]();
  }

  say(text) {
    $("edit-status").textContent = text;
  }

  /** Sounds a key, as loud and long as a note. */
  sound(key, note) {
    this.tone.play(key, note?.velocity, note && note.offset - note.onset);
  }

  /** Moves a time to the grid, if that is on; Alt decides otherwise. */
  snapped(seconds, event) {
    return $("snap").checked !== Boolean(event?.altKey) ? this.roll.grid.snap(seconds) : seconds;
  }

  onPress() {
    this.endRun();
    this.escaped = false;
    this.pressed = true; // what gets the focus by a press keeps its selection
    this.roll.canvas.focus({ preventScroll: true });
    this.pressed = false;
  }

  // ----------------------------------------------------------------------------------------------------------------- selection

  /** Selects a note and says which. */
  choose(note, sounds = true, hint = "") {
    if (!note) return;
    this.melody.select([note.id]);
    this.cursor = note.onset;
    this.roll.reveal(note);
    if (sounds) this.sound(note.key, note);
    this.say([describe(note), hint].filter(Boolean).join(": "));
  }

  toggle(id) {
    const ids = new Set(this.melody.selection);
    if (!ids.delete(id)) ids.add(id);
    this.melody.select(ids);
    this.say(`${count(ids.size)} selected`);
  }

  selectAll() {
    this.melody.select(this.melody.shown().map((note) => note.id));
    this.say(`${count(this.melody.selection.size)} selected`);
  }

  /** The selected note that is shown first. */
  get first() {
    return this.melody.shown().find((note) => this.melody.selection.has(note.id));
  }

  /** Selects the next (1) or the previous (-1) note; whether there is one. */
  step(direction) {
    const shown = this.melody.shown();
    const at = shown.findIndex((note) => this.melody.selection.has(note.id));
    const near = shown.findIndex((note) => note.offset > this.cursor);
    const to = at >= 0 ? at + direction : near < 0 ? shown.length - 1 : near;
    if (!shown[to]) return false;
    this.choose(shown[to]);
    return true;
  }

  keyNear(seconds) {
    const before = this.melody.shown().filter((note) => note.onset <= seconds).at(-1) ?? this.melody.shown()[0];
    return (before?.key ?? 60 + this.melody.transpose);
  }

  // --------------------------------------------------------------------------------------------------------------------- edits

  /** Moves the selected notes by semitones, and by steps of the grid or (finely) of 10 ms; quick presses are one step. */
  nudge(semitones, steps, isFine) {
    const { melody } = this;
    if (!this.first) {
      this.step(0);
      return;
    }
    const run = this.beginRun("move", () => ({ note: this.first, semitones: 0, seconds: 0, notes: [...melody.selected] }));
    run.semitones += semitones;
    run.seconds += this.stepFrom(run.note.onset + run.seconds, steps, isFine);
    run.seconds = Math.max(-run.notes[0].onset, Math.min(run.seconds, melody.duration - run.notes.at(-1).offset));
    const ids = new Set(melody.selection);
    melody.hold((notes) => moved(notes, ids, run, melody.bounds));
    const now = this.first;
    run.semitones = now.key - run.note.key; // not beyond the keyboard
    this.sound(now.key, now);
    this.roll.reveal(now);
    this.tellMoved({ note: run.note });
  }

  /** Makes the selected note longer (1) or shorter (-1). */
  lengthen(steps, isFine) {
    const { melody } = this;
    if (!this.first) return;
    const run = this.beginRun("stretch", () => ({ note: this.first, seconds: 0 }));
    run.seconds += this.stepFrom(run.note.offset + run.seconds, steps, isFine);
    run.seconds = Math.max(melody.shortest - (run.note.offset - run.note.onset), Math.min(run.seconds, melody.duration - run.note.offset));
    melody.hold((notes) => stretched(notes, run.note.id, "offset", notes.find((each) => each.id === run.note.id).offset + run.seconds, melody.bounds));
    this.tellMoved({ note: run.note, kind: "stretch" });
  }

  stepFrom(seconds, steps, isFine) {
    if (!steps) return 0;
    const usesGrid = !isFine && $("snap").checked;
    return (usesGrid ? this.roll.grid.next(seconds, steps) : seconds + steps * FINE) - seconds;
  }

  beginRun(kind, make) {
    if (this.run?.kind !== kind) {
      this.endRun();
      this.run = { kind, ...make() };
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.endRun(), RUN);
    return this.run;
  }

  endRun() {
    clearTimeout(this.timer);
    if (!this.run) return;
    this.run = null;
    this.melody.release();
  }

  tellMoved({ note, kind }) {
    const now = this.melody.shownNote(note.id);
    if (!now) return;
    const changes = [
      now.key !== note.key && `moved to ${nameOf(now.key)}`,
      kind !== "stretch" && Math.abs(now.onset - note.onset) > 0.001 && `moved to ${now.onset.toFixed(2)} s`,
      kind === "stretch" && `now ${(now.offset - now.onset).toFixed(2)} s long`,
    ].filter(Boolean);
    this.cursor = now.onset;
    this.say([describe(note), ...changes].join(", "));
  }

  addAt(seconds, key, event) {
    const { melody, roll } = this;
    const onset = this.snapped(seconds, event);
    const { grid } = roll;
    const length = grid.isKnown ? grid.stepAt(onset) * grid.parts : NEW_LENGTH;
    const id = melody.newId();
    const velocity = Math.round(median(melody.notes.map((note) => note.velocity)) ?? 80);
    const note = { id, onset, offset: roomAfter(melody.notes, onset, length, melody.bounds), key: key - melody.transpose, velocity };
    if (!melody.edit((notes) => added(notes, note, melody.bounds))) return;
    const made = melody.shownNote(id);
    this.choose(made);
    this.say(`${describe(made)}, added`);
  }

  /** Adds a note after the last one, for the table. */
  addAfterLast() {
    const last = this.melody.shown().at(-1);
    this.addAt(Math.min(last?.offset ?? 0, this.melody.duration - NEW_LENGTH / 2), last?.key ?? this.keyNear(0), { altKey: $("snap").checked });
  }

  split() {
    const { melody, first } = this;
    if (!first) {
      this.say("Select a note to split it.");
      return;
    }
    const note = melody.find(first.id);
    const at = this.player.position + note.onset - first.onset;
    const id = melody.newId();
    const done = melody.edit((notes) => split(notes, note.id, at, id, melody.bounds));
    this.say(done ? `${describe(first)}, split at ${melody.shownNote(id).onset.toFixed(2)} s` : `${describe(first)} is too short to be split`);
  }

  merge() {
    const { melody, first } = this;
    if (!first) {
      this.say("Select a note to merge it with the next one.");
      return;
    }
    const done = melody.edit((notes) => merged(notes, first.id, melody.bounds));
    if (done) melody.select([first.id]);
    this.say(done ? `${describe(first)}, merged with the next note` : `${describe(first)} is the last note`);
  }

  delete() {
    const { melody, first } = this;
    if (!first) {
      this.say("Select a note to delete it.");
      return;
    }
    const number = melody.selection.size;
    const ids = new Set(melody.selection);
    melody.edit((notes) => removed(notes, ids));
    this.cursor = first.onset;
    this.say(number > 1 ? `${count(number)} deleted` : `${describe(first)}, deleted`);
  }

  /** Makes the selected notes certain, as they are. */
  keep() {
    const ids = new Set(this.melody.selection);
    this.melody.edit((notes) => kept(notes, ids, this.melody.bounds));
    if (this.first) this.say(`${describe(this.first)}, kept`);
  }

  undo(which) {
    this.say(this.melody[which]() ? { undo: "Undone", redo: "Redone" }[which] : `Nothing to ${which}`);
  }

  // ------------------------------------------------------------------------------------------------------- zoom, loop and bars

  /** Zooms around the selected note or the playhead, if it is in view. */
  zoom(factor) {
    const { roll } = this;
    const places = [this.first?.onset, this.player.position].filter((seconds) => seconds !== undefined).map((seconds) => roll.x(seconds));
    roll.zoom(factor, places.find((x) => !roll.isKeyboard(x) && x < roll.width));
  }

  toggleLoop() {
    const chosen = this.melody.shown().filter((note) => this.melody.selection.has(note.id));
    const { range } = this.loop;
    const [start, end] = [chosen[0]?.onset, chosen.at(-1)?.offset];
    if (chosen.length && !(this.loop.on && range.start === start && range.end === end)) this.loop.set(start, end);
    else this.loop.toggle();
    this.say(this.loop.on ? `Loop from ${this.loop.range.start.toFixed(1)} s to ${this.loop.range.end.toFixed(1)} s` : this.loop.range ? "Loop off" : "Drag over the ruler, or select notes, to loop them.");
  }

  setBarOne() {
    const at = this.first ? this.first.onset : this.player.position;
    this.setDownbeat(at);
    this.say(`Bar 1 begins at ${at.toFixed(2)} s`);
  }
}

function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
