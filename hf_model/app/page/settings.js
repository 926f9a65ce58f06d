// The settings form: its values for the server, and the label of each slider.

const SIMPLIFY = ["off", "no ornaments", "eighths", "five fingers"];
const percent = (value) => `${Math.round(100 * value)} %`;
const LABELS = {
  simplify: (value) => SIMPLIFY[value],
  transpose: (value) => (value ? `${value > 0 ? "+" : "−"}${Math.abs(value)} semitone${Math.abs(value) > 1 ? "s" : ""}` : "off"),
  min_note: (value) => `${value.toFixed(2)} s`,
  min_confidence: (value) => (value ? `≥ ${percent(value)}` : "all"),
  strength: percent,
  reverb: (value) => (value ? percent(value) : "off"),
};
const PERFORMANCE = new Set(["sound", "pedal", "reverb"]);

/** Reads the values of the form. */
export function read(form) {
  const arrangement = {};
  const performance = {};
  for (const field of form.elements) {
    if (!field.name || (field.value === "" && field.type !== "checkbox")) continue;
    const value = field.type === "checkbox" ? field.checked : ["range", "number"].includes(field.type) ? field.valueAsNumber : field.value;
    (PERFORMANCE.has(field.name) ? performance : arrangement)[field.name] = value;
  }
  return { arrangement, performance };
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
}
