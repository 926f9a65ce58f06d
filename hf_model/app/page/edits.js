// Edits of a melody, without the page: each takes the notes and gives new ones, or the same list if nothing can be done.
//
// A note is { id, onset, offset (seconds), pitch (as sung, float), velocity, confidence, key }. `key` is the piano key that a
// user has chosen, else null. Notes are sorted and never overlap: a note that is moved, stretched or added has precedence, and
// what it covers of the others is cut off, as on a track of one voice.

export const SHORTEST = 0.04; // seconds
export const LOWEST = 21; // A0
export const HIGHEST = 108; // C8

const TOLERANCE = 1e-6;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const tidy = (seconds) => Math.round(seconds * 1e4) / 1e4; // as exact as the server

/** What bounds the edits of a recording of `duration` seconds; `keyOf(note)` is the key of a note that no user has set. */
export const boundsOf = (duration, options = {}) => ({
  duration: Math.floor(duration * 1e4 + TOLERANCE) / 1e4,
  shortest: SHORTEST,
  lowest: LOWEST,
  highest: HIGHEST,
  keyOf: (note) => Math.floor(note.pitch + 0.5),
  ...options,
});

const keyOf = (note, bounds) => clamp(note.key ?? bounds.keyOf(note), LOWEST, HIGHEST);
const lengthOf = (note) => note.offset - note.onset;

/** The note as its user wants it: its key stays, and it is certain. */
const touched = (note, bounds, changes = {}) => ({ ...note, key: keyOf(note, bounds), confidence: 1, ...changes });

const sorted = (notes) => notes.sort((a, b) => a.onset - b.onset);

/** Makes notes one voice: where two overlap, the one that begins later has precedence. */
export function asOneVoice(notes, bounds) {
  const found = [];
  for (const note of sorted(notes.map((each) => ({ ...each, offset: Math.min(each.offset, bounds.duration) })))) {
    const before = found.at(-1);
    if (before && before.offset > note.onset) before.offset = note.onset;
    if (before && lengthOf(before) <= TOLERANCE) found.pop();
    if (lengthOf(note) > TOLERANCE) found.push(note);
  }
  return found;
}

/** Cuts from the other notes what the winners (ids) cover: a note keeps its beginning, else its end, else it goes. */
function settle(notes, winners, bounds) {
  const covers = notes.filter((note) => winners.has(note.id));
  const others = notes.flatMap((note) => (winners.has(note.id) ? [] : remains(note, covers, bounds)));
  return sorted([...covers, ...others]);
}

function remains(note, covers, bounds) {
  let pieces = [note];
  for (const { onset, offset } of covers) {
    if (offset <= note.onset || onset >= note.offset) continue;
    pieces = pieces.flatMap((piece) => [
      { ...piece, offset: Math.min(piece.offset, onset) },
      { ...piece, onset: Math.max(piece.onset, offset) },
    ]).filter((piece) => lengthOf(piece) >= bounds.shortest - TOLERANCE);
  }
  return pieces.slice(0, 1);
}

/** Moves notes together, in time and in pitch, as far as the recording and the keyboard go. */
export function moved(notes, ids, { seconds = 0, semitones = 0 }, bounds) {
  const chosen = notes.filter((note) => ids.has(note.id));
  if (!chosen.length) return notes;
  const keys = chosen.map((note) => keyOf(note, bounds));
  const late = tidy(clamp(seconds, -chosen[0].onset, Math.max(0, bounds.duration - Math.max(...chosen.map((note) => note.offset)))));
  const higher = clamp(Math.round(semitones), Math.min(0, bounds.lowest - Math.min(...keys)), Math.max(0, bounds.highest - Math.max(...keys)));
  if (!late && !higher) return notes;
  const shifted = notes.map((note) =>
    ids.has(note.id)
      ? touched(note, bounds, { onset: tidy(note.onset + late), offset: Math.min(tidy(note.offset + late), bounds.duration), key: keyOf(note, bounds) + higher })
      : note,
  );
  return settle(shifted, ids, bounds);
}

/** Moves the "onset" or "offset" of a note to a time. */
export function stretched(notes, id, edge, seconds, bounds) {
  const note = notes.find((each) => each.id === id);
  if (!note) return notes;
  const shortest = Math.min(bounds.shortest, lengthOf(note));
  const at = tidy(edge === "onset" ? clamp(seconds, 0, note.offset - shortest) : clamp(seconds, note.onset + shortest, bounds.duration));
  if (Math.abs(at - note[edge]) < TOLERANCE) return notes;
  return settle(notes.map((each) => (each === note ? touched(note, bounds, { [edge]: at }) : each)), new Set([id]), bounds);
}

/** Splits a note at a time; in its middle if the time is not within it. The second half gets the id `newId`. */
export function split(notes, id, seconds, newId, bounds) {
  const note = notes.find((each) => each.id === id);
  if (!note || lengthOf(note) < 2 * bounds.shortest + 2e-4) return notes;
  const fits = seconds !== null && seconds >= note.onset + bounds.shortest && seconds <= note.offset - bounds.shortest;
  const at = tidy(fits ? seconds : (note.onset + note.offset) / 2);
  const halves = [touched(note, bounds, { offset: at }), touched(note, bounds, { id: newId, onset: at })];
  return notes.flatMap((each) => (each === note ? halves : [each]));
}

/** Merges a note with the next one: the first one's key and velocity stay. */
export function merged(notes, id, bounds) {
  const at = notes.findIndex((each) => each.id === id);
  if (at < 0 || at === notes.length - 1) return notes;
  const whole = touched(notes[at], bounds, { offset: notes[at + 1].offset });
  return [...notes.slice(0, at), whole, ...notes.slice(at + 2)];
}

export function removed(notes, ids) {
  return notes.some((note) => ids.has(note.id)) ? notes.filter((note) => !ids.has(note.id)) : notes;
}

/** Adds a note of a key and a velocity; it is moved into the recording. */
export function added(notes, { id, onset, offset, key, velocity }, bounds) {
  const length = Math.min(Math.max(offset - onset, bounds.shortest), bounds.duration);
  if (!(length >= bounds.shortest - TOLERANCE) || !Number.isFinite(onset)) return notes;
  const start = tidy(clamp(onset, 0, bounds.duration - length));
  const note = {
    id,
    onset: start,
    offset: Math.min(tidy(start + length), bounds.duration),
    pitch: clamp(Math.round(key), bounds.lowest, bounds.highest),
    velocity: clamp(Math.round(velocity), 1, 127),
    confidence: 1,
    key: clamp(Math.round(key), bounds.lowest, bounds.highest),
  };
  return settle([...notes, note], new Set([id]), bounds);
}

/** The end of a new note at a time: after `length`, or where the next note begins if there is room for a note. */
export function roomAfter(notes, onset, length, bounds) {
  const next = notes.find((note) => note.onset >= onset + 2 * bounds.shortest);
  return Math.min(onset + length, next ? next.onset : bounds.duration, bounds.duration);
}

/** Makes notes certain, with the keys that they have. */
export function kept(notes, ids, bounds) {
  const isOpen = (note) => ids.has(note.id) && (note.confidence < 1 || note.key === null);
  return notes.some(isOpen) ? notes.map((note) => (isOpen(note) ? touched(note, bounds) : note)) : notes;
}

/** Sets the velocity of a note. */
export function withVelocity(notes, id, velocity, bounds) {
  return notes.map((note) => (note.id === id && note.velocity !== velocity ? touched(note, bounds, { velocity: clamp(Math.round(velocity), 1, 127) }) : note));
}
