// The settings: from the form to what the server takes, and said in words beside each slider.

const SIMPLER = ["off", "no ornaments", "eighths", "five fingers"];
const percent = (value) => `${Math.round(100 * value)} %`;
const WORDS = {
  simplify: (value) => SIMPLER[value],
  transpose: (value) => (value ? `${value > 0 ? "+" : "−"}${Math.abs(value)} semitone${Math.abs(value) > 1 ? "s" : ""}` : "off"),
  min_note: (value) => `${value.toFixed(2)} s`,
  min_confidence: (value) => (value ? `from ${percent(value)}` : "all"),
  strength: percent,
  reverb: (value) => (value ? percent(value) : "none"),
};
const PERFORMANCE = new Set(["sound", "pedal", "reverb"]);

/** Reads the form. */
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

/** Says what each slider is set to. */
export function describe(form) {
  for (const [name, words] of Object.entries(WORDS)) {
    const field = form.elements[name];
    form.querySelector(`output[for="${name}"]`).value = words(field.valueAsNumber);
    field.setAttribute("aria-valuetext", words(field.valueAsNumber));
  }
  const off = form.elements.quantize.value === "off";
  form.elements.strength.disabled = form.elements.swing.disabled = off;
}
