// The notes of a recording as they are edited: their history, the selection, and what the piano plays of them.

import { HIGHEST, LOWEST, SHORTEST, asOneVoice, boundsOf } from "./edits.js";
import { History } from "./history.js";

export class EditedMelody {
  /** `onChange(isEdit)` is called after each edit, undo and redo, and (false) when only what is shown has changed. */
  constructor(onChange) {
    this.onChange = onChange;
    this.history = new History([]);
    this.isLocked = false; // while another recording is opened, whose notes will replace these
    Object.assign(this, { selection: new Set(), played: new Map(), keys: new Map(), transpose: 0, tuning: 0, duration: 0, shortest: SHORTEST });
  }

  /** Begins with the notes of another recording: nothing of the one before stays. Gives what `take` gets of its first rendering. */
  load({ notes, tuning, duration }) {
    const all = notes.map(([onset, offset, pitch, velocity, confidence], id) => ({ id, onset, offset, pitch, velocity, confidence, key: null }));
    Object.assign(this, { tuning, sungTuning: tuning, duration, selection: new Set(), played: new Map(), keys: new Map(), decisive: null, nextId: all.length });
    this.transcribed = asOneVoice(all, boundsOf(duration));
    this.history.reset(this.transcribed);
    Object.assign(this, { saved: this.transcribed, rendered: this.transcribed });
    this.onChange(false);
    const kept = new Map(this.transcribed.map((note) => [note.id, note]));
    return all.map((note) => kept.get(note.id) ?? note); // in the order of the server's rows
  }

  get notes() {
    return this.history.state;
  }

  get edited() {
    return this.notes !== this.transcribed;
  }

  /** Whether closing the page loses edits: those since the last download. */
  get isUnsaved() {
    return this.edited && this.notes !== this.saved;
  }

  /** Whether the piano does not play the last edits yet. */
  get isPending() {
    return this.notes !== this.rendered;
  }

  get bounds() {
    return boundsOf(this.duration, {
      shortest: this.shortest,
      lowest: Math.max(LOWEST, LOWEST - this.transpose),
      highest: Math.min(HIGHEST, HIGHEST - this.transpose),
      keyOf: (note) => this.keyOf(note),
    });
  }

  /** The key of a note before transposing: as chosen, as it was played, else the nearest to the sung pitch. */
  keyOf(note) {
    return note.key ?? this.keys.get(note.id) ?? Math.floor(note.pitch - this.tuning + 0.5);
  }

  /** Whether the program plays another key than the one nearest to the sung pitch: the one that was meant. */
  isCorrected(note) {
    return note.key === null && this.keyOf(note) !== Math.floor(note.pitch - this.tuning + 0.5);
  }

  /**
   * What is rendered: the notes as rows, and their keys. A note whose key was set is exactly in tune. After an edit all keys
   * stay as they were played, so that it changes no other note; settings that decide about keys (`decisive`) decide anew.
   */
  request({ tuning, decisive }) {
    const rows = this.notes.map(({ onset, offset, pitch, velocity, confidence, key }) => [onset, offset, key === null ? pitch : key + (tuning ?? this.sungTuning), velocity, confidence]);
    const stay = this.edited && decisive === this.decisive;
    return { notes: rows, keys: this.notes.map((note) => note.key ?? (stay ? (this.keys.get(note.id) ?? null) : null)) };
  }

  /** Takes what the piano plays of the notes that were sent, in the order in which they were sent. */
  take(sent, { notes, sources, tuning }, { transpose, decisive }) {
    if (sent === this.notes) this.rendered = sent;
    if (decisive !== this.decisive) this.keys = new Map();
    Object.assign(this, { tuning, transpose, decisive });
    this.played = new Map(sent.map((source) => [source.id, { source }]));
    sources.forEach((row, index) => {
      if (row === null) return;
      const [onset, offset, key] = notes[index];
      Object.assign(this.played.get(sent[row].id), { onset, offset, key });
      if (sent[row].key === null) this.keys.set(sent[row].id, key - transpose);
    });
    this.onChange(false);
  }

  /** The notes as the roll shows them: as played, and what was edited since then as it will be. */
  shown() {
    return this.notes.flatMap((note) => {
      const played = this.played.get(note.id);
      const { source } = played ?? {};
      if (source === note && played.key === undefined) return []; // left out by the settings
      const byPlayed = source && played.key !== undefined;
      const key = byPlayed && source.key === note.key ? played.key : this.keyOf(note) + this.transpose;
      const onset = byPlayed ? played.onset + note.onset - source.onset : note.onset;
      const offset = byPlayed ? played.offset + note.offset - source.offset : note.offset;
      return [{ id: note.id, onset, offset: Math.max(offset, onset + 0.01), key, velocity: note.velocity, confidence: note.confidence }];
    });
  }

  shownNote(id) {
    return this.shown().find((note) => note.id === id);
  }

  find(id) {
    return this.notes.find((note) => note.id === id);
  }

  newId() {
    return this.nextId++;
  }

  select(ids) {
    this.selection = new Set(ids);
    this.onChange(false);
  }

  /** The selected notes, in order. */
  get selected() {
    return this.notes.filter((note) => this.selection.has(note.id));
  }

  /** Applies an edit, a function from notes to notes; whether it did anything. */
  edit(change) {
    if (this.isLocked) return false;
    const before = this.notes;
    this.history.push(change(before));
    return this.changed(before);
  }

  /** Shows an edit while a gesture lasts. */
  hold(change) {
    if (this.isLocked) return;
    this.history.hold(change);
    this.keepSelection();
    this.onChange(false);
  }

  /** Makes the gesture one step of the history; whether it did anything. */
  release() {
    const before = this.history.held?.before ?? this.notes;
    this.history.release();
    return this.changed(before);
  }

  cancel() {
    this.history.cancel();
    this.onChange(false);
  }

  undo() {
    const before = this.notes;
    return !this.isLocked && this.history.undo() && this.changed(before);
  }

  redo() {
    const before = this.notes;
    return !this.isLocked && this.history.redo() && this.changed(before);
  }

  reset() {
    return this.edit(() => this.transcribed);
  }

  changed(before) {
    this.keepSelection();
    this.onChange(this.notes !== before);
    return this.notes !== before;
  }

  keepSelection() {
    const known = new Set(this.notes.map((note) => note.id));
    this.selection = new Set([...this.selection].filter((id) => known.has(id)));
  }

  markSaved() {
    this.saved = this.notes;
  }

  /** The notes of which the program is not sure. */
  uncertain(limit) {
    return this.shown().filter((note) => note.confidence < limit);
  }
}
