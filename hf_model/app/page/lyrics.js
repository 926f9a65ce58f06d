// Words under the score: typed by the user, sung on the melody by a synthetic voice, and shown under the notes.

import { fileUrl, runJob } from "./engine.js";
import { showError } from "./status.js";

const $ = (id) => document.getElementById(id);

export class Lyrics {
  /** `player` stops while the voice sings; `score` shows the words. */
  constructor(player, score) {
    Object.assign(this, { player, score, count: 0, isSinging: false });
    document.addEventListener("rendered", ({ detail }) => this.expect(detail));
    $("lyrics").addEventListener("submit", (event) => {
      event.preventDefault();
      this.sing();
    });
    $("sung").addEventListener("play", () => player.pause());
    $("sung").addEventListener("timeupdate", () => $("sung").paused || score.follow($("sung").currentTime));
  }

  /** Another rendering: what was sung is not its melody. */
  expect({ id, title }) {
    if (this.id !== id) $("lyrics-text").value = "";
    Object.assign(this, { id, title });
    $("sung").pause();
    $("sung").removeAttribute("src");
    $("sung-row").hidden = true;
    $("lyrics-warnings").replaceChildren();
  }

  async sing() {
    if (this.isSinging) return;
    const { id, title } = this;
    this.isSinging = $("sing").disabled = true;
    $("lyrics-problem").hidden = true;
    try {
      const data = { recording: id, lyrics: $("lyrics-text").value.trim() || "la", voice: $("lyrics-voice").value, language: $("lyrics-language").value };
      const sung = await runJob("sing", data, (step) => ($("lyrics-status").textContent = step));
      if (this.id === id) this.show(sung, title);
    } catch (error) {
      showError(error, "lyrics-problem");
    }
    $("lyrics-status").textContent = "";
    this.isSinging = $("sing").disabled = false;
  }

  show({ version, warnings }, title) {
    const url = fileUrl(this.id, "sung.wav", `${version}-${++this.count}`);
    $("sung").src = $("get-sung").href = url;
    $("get-sung").download = `${title}_sung.wav`;
    $("sung-row").hidden = false;
    $("lyrics-warnings").replaceChildren(...warnings.map((warning) => Object.assign(document.createElement("li"), { textContent: warning })));
    this.score.withWords();
    $("sung").play().catch(() => {}); // a browser may refuse to begin without a press
  }
}
