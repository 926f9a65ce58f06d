// The words of the page: names of keys, times, and the estimates as a musician would say them.

let letters = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];

/** From now on keys have these names, from C on: those of the melody's key. */
export const useNames = (names) => (letters = names);

/** The name of a key: 60 is "C4", and "B♯3" where C has that name. */
export function nameOf(key) {
  const name = letters[((key % 12) + 12) % 12];
  const alter = name.split("♯").length - name.split("♭").length;
  return `${name}${Math.floor((key - alter) / 12) - 1}`;
}

/** Writes seconds as m:ss. */
export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** Reads "1:05", "1:05.5" or "65" as seconds; undefined if it is none of them. */
export function parseClock(text) {
  const match = /^(?:(\d{1,3}):)?(\d{1,4}(?:[.,]\d*)?)$/.exec(text.trim());
  if (!match) return undefined;
  const seconds = Number(match[2].replace(",", "."));
  return match[1] !== undefined && seconds >= 60 ? undefined : 60 * Number(match[1] ?? 0) + seconds;
}

const SURE = 0.9;
const LIKELY = 0.5;
const SLOW = 70; // bpm; for a slower estimate twice the tempo is named too

const hedge = (confidence) => (confidence >= SURE ? "" : confidence >= LIKELY ? "probably " : "perhaps ");

/** "About 55 bpm (or 109), probably 4/4"; values that were set are told as they are. */
export function tempoWords({ bpm, confidence, meter, meterConfidence }) {
  const isGiven = confidence >= 1;
  const faster = !isGiven && bpm < SLOW ? ` (or ${Math.round(2 * bpm)})` : "";
  // the metre of a lone melody is never certain
  return [`${isGiven ? "" : "About "}${Math.round(bpm)} bpm${faster}`, `${meterConfidence >= 1 ? "" : hedge(Math.min(meterConfidence, SURE - 0.01))}${meter}`];
}

export function keyWords({ name, confidence }) {
  const written = name.replace("#", "♯").replace(/^([A-G])b/, "$1♭");
  return [written, hedge(confidence).trim()];
}

export function tuningWords(tuning) {
  const cents = Math.round(100 * tuning);
  return [`${cents > 0 ? "+" : cents < 0 ? "−" : ""}${Math.abs(cents)} cents`, cents ? `A = ${(440 * 2 ** (tuning / 12)).toFixed(1)} Hz` : "A = 440 Hz"];
}

/** "sung 64.4, played F4"; a melody that is transposed is played elsewhere. */
export const sungWords = (pitch, name, transpose) => `sung ${pitch.toFixed(1)}, ${transpose ? "meant" : "played"} ${name}`;

/** What was decided about the source, and the words of the button that decides otherwise. */
export function sourceWords({ kind, confidence, chosen }) {
  const sure = chosen === "auto" ? ` (${Math.min(99, Math.round(100 * confidence))}\u00a0% sure)` : " (as you chose)";
  if (kind === "song") return [`A song: the voice was separated${sure}.`, "It is only a voice"];
  if (kind === "whistle") return [`Whistling${sure}.`, "It is a voice"];
  return [`Only a voice: nothing was separated${sure}.`, "It is a song"];
}

/** "all of it · 3:58", or "this part · 0:45". */
export const partWords = (start, end, whole) => `${end - start > whole - 0.05 ? "all of it" : "this part"} · ${clock(end - start + 0.01)}`;
