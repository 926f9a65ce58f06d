// The engraved score: as wide as its panel, follows the player; a note that is pressed is played.

import { playPassages } from "./passages.js";
import { nameOf } from "./words.js";

const $ = (id) => document.getElementById(id);
const SAME_WIDTH = 24; // pixels; a smaller change of the width needs no other score
const WAIT = 250; // ms after a change of the width

export class Score {
  /** `player` plays what is pressed. */
  constructor(player) {
    Object.assign(this, { player, view: $("score-view"), notes: [], sounding: [], isSeen: false });
    document.addEventListener("rendered", ({ detail }) => this.expect(detail));
    document.addEventListener("position", ({ detail }) => this.follow(detail));
    new IntersectionObserver((entries) => this.see(entries.at(-1).isIntersecting), { rootMargin: "400px" }).observe($("score"));
    new ResizeObserver(() => this.resize()).observe(this.view);
    this.view.addEventListener("click", (event) => this.press(event.target.closest("g.note")));
    this.view.addEventListener("keydown", (event) => this.step(event));
  }

  /** Another rendering: its score is fetched when the panel is seen. */
  expect({ id, rendering }) {
    this.wanted = { id, version: rendering.version };
    this.load();
  }

  see(isSeen) {
    this.isSeen = isSeen;
    this.load();
  }

  resize() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => Math.abs(this.view.clientWidth - (this.width ?? 0)) > SAME_WIDTH && this.load(), WAIT);
  }

  /** Fetches the score, unless it is there. */
  async load() {
    const width = this.view.clientWidth;
    if (!this.wanted || !this.isSeen || !width) return;
    const { id, version } = this.wanted;
    const asked = `recordings/${id}/score.json?width=${width}&v=${version}-${this.wanted.words ?? 0}`;
    if (asked === this.asked) return;
    [this.asked, this.width] = [asked, width];
    const response = await fetch(asked).catch(() => null);
    const score = await response?.json().catch(() => null);
    if (this.asked !== asked) return; // another one is wanted meanwhile
    if (response?.ok) this.draw(score);
    else this.asked = null;
  }

  /** Shows the words that were sung under the notes. */
  withWords() {
    this.wanted.words = (this.wanted.words ?? 0) + 1;
    this.load();
  }

  draw({ pictures = [], notes = [], missing = "" }) {
    $("score-problem").textContent = missing && `No score here: ${missing}.`;
    $("score-problem").hidden = !missing;
    this.view.hidden = Boolean(missing);
    // The server leaves only shapes and texts in the pictures.
    const parser = new DOMParser();
    this.view.replaceChildren(...pictures.map((picture) => document.importNode(parser.parseFromString(picture, "image/svg+xml").documentElement, true)));
    this.notes = notes.map(([id, onset, offset, key]) => ({ onset, offset, key, item: document.getElementById(id) })).filter(({ item }) => item);
    this.byItem = new Map(this.notes.map((note) => [note.item, note]));
    this.sounding = [];
    this.view.dataset.version = this.wanted.version;
    this.view.setAttribute("aria-label", `Score of ${this.notes.length} notes. The arrow keys go from note to note.`);
    document.dispatchEvent(new CustomEvent("engraved", { detail: this }));
    this.follow(this.player.position);
  }

  /** Highlights the notes that sound at a position, and scrolls to them while they play. */
  follow(seconds) {
    const sounding = seconds > 0 ? this.notes.filter(({ onset, offset }) => onset <= seconds && seconds < offset) : [];
    if (sounding.length === this.sounding.length && sounding.every((note, index) => note === this.sounding[index])) return;
    for (const { item } of this.sounding) item.classList.remove("now");
    for (const { item } of sounding) item.classList.add("now");
    this.sounding = sounding;
    if (sounding.length && this.player.playing) this.scrollTo(sounding[0].item);
  }

  scrollTo(item) {
    const [shown, view] = [(item.closest("g.system") ?? item).getBoundingClientRect(), this.view.getBoundingClientRect()];
    if (shown.top >= view.top && shown.bottom <= view.bottom) return;
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.view.scrollBy({ top: shown.top - view.top - 8, behavior: isCalm ? "auto" : "smooth" });
  }

  /** Plays a note, or moves there while something plays. */
  press(item) {
    const note = this.byItem?.get(item);
    if (!note) return;
    this.at = this.notes.indexOf(note);
    if (this.player.playing) this.player.seek(note.onset);
    else playPassages(this.player, [[note.onset, note.offset]]);
    $("score-said").textContent = nameOf(note.key);
  }

  step(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by || !this.notes.length) return;
    event.preventDefault();
    const at = Math.min(Math.max(0, (this.at ?? -1) + by), this.notes.length - 1);
    this.scrollTo(this.notes[at].item);
    this.press(this.notes[at].item);
  }
}
