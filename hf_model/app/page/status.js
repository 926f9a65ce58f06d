// What the page tells while it works and when something fails: the step, and a message beside the field that caused it.

import { UserError } from "./engine.js";

const $ = (id) => document.getElementById(id);

/** Shows the step that runs, and the share that is done; nothing for an empty text. */
export function showStatus(text, share) {
  $("status").textContent = text;
  $("working").hidden = !text;
  if (Number.isFinite(share)) $("progress").value = share;
  else $("progress").removeAttribute("value");
}

/** Shows an error in the place (an element's id) where its cause is, in view. */
export function showError(error, place = "problem") {
  if (!(error instanceof UserError)) console.error(error);
  $(place).textContent = error instanceof UserError ? error.message : "Something went wrong. Please reload the page.";
  $(place).hidden = false;
  $(place).scrollIntoView({ block: "nearest" });
}

export function hideErrors() {
  for (const shown of document.querySelectorAll(".problem")) shown.hidden = true;
}

let count = 0;

/** Marks a field as invalid with a message under it, in view; an empty message takes both away. */
export function showFieldError(field, message) {
  field.setAttribute("aria-invalid", Boolean(message));
  const known = field.getAttribute("aria-errormessage");
  if (known) $(known)?.remove();
  field.removeAttribute("aria-errormessage");
  if (!message) return;
  const text = document.createElement("p");
  text.className = "field-error";
  text.id = `error-${++count}`;
  text.setAttribute("role", "alert");
  text.textContent = message;
  field.after(text);
  field.setAttribute("aria-errormessage", text.id);
  text.scrollIntoView({ block: "nearest" });
}
