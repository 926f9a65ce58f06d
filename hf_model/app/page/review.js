// "Check these 5": the uncertain notes one after another, each heard in the recording and then on the piano.

import { nameOf } from "./words.js";

const $ = (id) => document.getElementById(id);
const CONTEXT = 0.7; // seconds before and after a note

export class Review {
  /** Notes below the confidence `limit` are uncertain. */
  constructor(editor, limit) {
    Object.assign(this, { editor, limit, ids: null, at: 0 });
    editor.roll.uncertain = limit;
    $("check").addEventListener("click", () => (this.ids ? this.close() : this.begin()));
    $("check-listen").addEventListener("click", () => this.listen());
    $("check-keep").addEventListener("click", () => this.keep());
    $("check-delete").addEventListener("click", () => this.delete());
    $("check-next").addEventListener("click", () => this.go(1));
    $("check-back").addEventListener("click", () => this.go(-1));
    $("check-close").addEventListener("click", () => this.close());
  }

  /** Shows how many notes are uncertain. */
  update() {
    const number = this.editor.melody.uncertain(this.limit).length;
    $("check").hidden = !number && !this.ids;
    $("check").textContent = number === 1 ? "Check this note" : `Check these ${number}`;
    if (this.ids) this.show();
  }

  begin() {
    this.ids = this.editor.melody.uncertain(this.limit).map((note) => note.id);
    $("review").hidden = false;
    $("check").setAttribute("aria-expanded", true);
    this.at = 0;
    this.visit();
  }

  close() {
    this.stop?.();
    this.ids = null;
    $("review").hidden = true;
    $("check").setAttribute("aria-expanded", false);
    this.update();
    this.editor.roll.canvas.focus({ preventScroll: true });
  }

  get note() {
    return this.editor.melody.shownNote(this.ids[this.at]);
  }

  /** Goes to the next (1) or previous (-1) one that is still there. */
  go(direction) {
    const { melody } = this.editor;
    let to = this.at + direction;
    while (this.ids[to] !== undefined && !melody.shownNote(this.ids[to])) to += direction;
    if (this.ids[to] === undefined) {
      if (direction > 0) {
        this.close();
        this.editor.say("All uncertain notes are checked.");
      }
      return;
    }
    this.at = to;
    this.visit();
  }

  visit() {
    this.editor.choose(this.note, false);
    this.show();
    this.listen();
  }

  show() {
    const { note } = this;
    $("check-words").textContent = `${this.at + 1} of ${this.ids.length}: ${note ? `${nameOf(note.key)} at ${note.onset.toFixed(1)} s` : "deleted"}`;
    for (const id of ["check-listen", "check-keep", "check-delete"]) $(id).disabled = !note;
    $("check-back").disabled = this.at === 0;
  }

  /** Plays the place in the recording, and then on the piano: the note itself at once, even if it was just changed. */
  async listen() {
    const { player, melody, tone } = this.editor;
    const { note } = this;
    if (!note) return;
    this.stop?.();
    player.pause();
    const [from, to] = [Math.max(0, note.onset - CONTEXT), Math.min(melody.duration, note.offset + CONTEXT)];
    let isStopped = false;
    let end = () => {};
    this.stop = () => {
      isStopped = true;
      end();
    };
    for (const stem of ["voice", "piano"]) {
      if (stem === "piano" && melody.isPending) {
        await tone.play(note.key, note.velocity, note.offset - note.onset);
        return;
      }
      $("review").dataset.playing = stem;
      const slice = await player.playSlice(stem, from, to);
      if (isStopped) slice.stop();
      end = slice.stop;
      await slice.ended;
      if (isStopped) return;
    }
    $("review").dataset.playing = "";
  }

  keep() {
    this.editor.melody.select([this.ids[this.at]]);
    this.editor.do("keep-note");
    this.go(1);
  }

  delete() {
    this.editor.melody.select([this.ids[this.at]]);
    this.editor.do("delete");
    this.go(1);
  }
}
