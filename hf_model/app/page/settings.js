// The settings form: its values for the server, the label of each slider, and messages beside wrong values.

import { showFieldError } from "./status.js";

const SIMPLIFY = ["off", "no ornaments", "eighths", "five fingers"];
const TONICS = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
const percent = (value) => `${Math.round(100 * value)} %`;
const LABELS = {
  simplify: (value) => SIMPLIFY[value],
  transpose: (value) => (value ? `${value > 0 ? "+" : "−"}${Math.abs(value)} semitone${Math.abs(value) > 1 ? "s" : ""}` : "off"),
  min_note: (value) => `${value.toFixed(2)} s`,
  min_confidence: (value) => (value ? `below ${percent(value)}` : "off"),
  strength: percent,
  reverb: (value) => (value ? percent(value) : "off"),
};
const SECTIONS = { sound: "performance", pedal: "performance", reverb: "performance", tuning: "singing" };

/** Fills the choice of the key. */
export function fillKeys(select) {
  for (const mode of ["major", "minor"]) {
    for (const tonic of TONICS) select.add(new Option(`${tonic.replace("#", "♯").replace(/b$/, "♭")} ${mode}`, `${tonic} ${mode}`));
  }
}

/** Reads the values of the form; numbers that are not valid are left out, with a message beside them. */
export function read(form) {
  const values = { arrangement: {}, performance: {}, singing: {} };
  for (const field of form.elements) {
    if (!field.name || (field.value === "" && field.type !== "checkbox") || !field.validity.valid) continue;
    let value = field.type === "checkbox" ? field.checked : ["range", "number"].includes(field.type) ? field.valueAsNumber : field.value;
    if (field.name === "tuning") value /= 100; // cents to semitones
    values[SECTIONS[field.name] ?? "arrangement"][field.name] = value;
  }
  return values;
}

/** The values that decide which keys are played for sung pitches. */
export const decisive = ({ arrangement, singing }) => JSON.stringify([arrangement.keys, arrangement.snap_key, arrangement.key, arrangement.agree_repeats, singing.tuning]);

/** Shows or hides the message beside each number; whether all are valid. */
export function check(form) {
  let isValid = true;
  for (const field of form.querySelectorAll("input[type=number]")) {
    const message = field.validity.valid ? "" : `Expected ${field.step === "1" ? "a whole number" : "a number"} from ${field.min} to ${field.max}.`;
    if (message || field.getAttribute("aria-invalid") === "true") showFieldError(field, message);
    isValid &&= !message;
  }
  return isValid;
}

/** Updates the label of each slider. */
export function updateLabels(form) {
  for (const [name, label] of Object.entries(LABELS)) {
    const field = form.elements[name];
    form.querySelector(`output[for="${name}"]`).value = label(field.valueAsNumber);
    field.setAttribute("aria-valuetext", label(field.valueAsNumber));
  }
  const off = form.elements.quantize.value === "off";
  form.elements.strength.disabled = form.elements.swing.disabled = off;
  form.elements.style.disabled = form.elements.ensemble.disabled = !form.elements.accompany.checked;
}
