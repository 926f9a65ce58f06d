// The form "which part": the waveform, the times in numbers, and listening to the part before it is converted.

import { RangeSelector } from "./range.js";
import { showFieldError } from "./status.js";
import { clock, parseClock, partWords } from "./words.js";

const $ = (id) => document.getElementById(id);

export class PartForm {
  /** `longest` is the length of a part in seconds; `onConvert(start, end)` is called when it is submitted. */
  constructor(longest, onConvert) {
    this.longest = longest;
    this.range = new RangeSelector($("wave"), [$("handle-start"), $("handle-end")], longest, () => this.show());
    this.sound = new Audio();
    $("from").addEventListener("change", () => this.read($("from"), 0));
    $("to").addEventListener("change", () => this.read($("to"), 1));
    $("part-all").addEventListener("click", () => this.range.select(0, Math.min(this.duration, longest), 0));
    $("preview").addEventListener("click", () => (this.sound.paused ? this.listen() : this.sound.pause()));
    for (const name of ["play", "pause"]) this.sound.addEventListener(name, () => this.showListening());
    this.sound.addEventListener("timeupdate", () => this.sound.currentTime >= this.range.end && this.sound.pause());
    this.sound.addEventListener("error", () => ($("preview").hidden = true));
    $("part").addEventListener("submit", (event) => {
      event.preventDefault();
      this.sound.pause();
      const wrong = $("part").querySelector("[aria-invalid=true]");
      if (wrong) wrong.focus();
      else onConvert(this.range.start, this.range.end);
    });
  }

  /** Tells which part is converted already. */
  mark(start, end) {
    this.done = [start, end];
    if (!$("part").hidden) this.show();
  }

  /** Shows the waveform of a recording (a Blob, or none for the example); all of it is selected, if it is not too long. */
  load({ duration, peaks }, blob, name) {
    Object.assign(this, { duration, done: null });
    $("part").hidden = false;
    $("part-name").textContent = name;
    $("part-whole").textContent = clock(duration);
    $("part-limit").hidden = duration <= this.longest;
    $("part-limit").textContent = `At most ${clock(this.longest)} can be converted at a time.`;
    $("part-all").hidden = duration > this.longest;
    URL.revokeObjectURL(this.sound.src);
    $("preview").hidden = !blob;
    this.sound.pause();
    this.sound.src = blob ? URL.createObjectURL(blob) : "";
    this.range.load({ duration, peaks });
  }

  hide() {
    this.sound.pause();
    $("part").hidden = true;
  }

  listen() {
    this.sound.currentTime = this.range.start;
    this.sound.play().catch(() => ($("preview").hidden = true)); // a format that the browser cannot play
  }

  showListening() {
    $("preview").textContent = this.sound.paused ? "Listen" : "Stop";
    $("preview").setAttribute("aria-pressed", !this.sound.paused);
  }

  show() {
    const { start, end } = this.range;
    $("from").value = clock(start);
    $("to").value = clock(end);
    for (const field of [$("from"), $("to")]) showFieldError(field, "");
    $("convert-part").textContent = `Convert ${partWords(start, end, this.duration)}`;
    $("part-all").disabled = this.range.isWhole;
    const isDone = this.done && Math.abs(this.done[0] - start) + Math.abs(this.done[1] - end) < 0.05;
    $("convert-part").classList.toggle("done", Boolean(isDone));
  }

  read(field, which) {
    const seconds = parseClock(field.value);
    const fits = seconds !== undefined && (which ? seconds > 0 && seconds <= this.duration + 1 : seconds < this.duration);
    if (!fits) showFieldError(field, `Expected a time like 1:05, ${which ? "up to" : "before"} ${clock(this.duration)}.`);
    else if (which) this.range.select(Math.min(this.range.start, Math.max(0, seconds - 1)), seconds, 1);
    else this.range.select(seconds, Math.max(this.range.end, seconds + 1), 0);
  }
}
