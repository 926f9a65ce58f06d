// The result of a conversion: the facts, the piano roll, the player and the downloads.

import { fileUrl } from "./engine.js";
import { Player } from "./player.js";
import { Roll } from "./roll.js";
import { showError } from "./status.js";
import { clock, keyWords, nameOf, sourceWords, tempoWords, tuningWords } from "./words.js";

const $ = (id) => document.getElementById(id);
const DOWNLOADS = { wav: "piano.wav", midi: "piano.mid", musicxml: "piano.musicxml", csv: "piano.csv", cover: "cover.wav", voice: "voice.wav" };

export class Result {
  /** `melody` has the notes; `table` is the table of notes: it follows the player. */
  constructor(melody, table) {
    Object.assign(this, { melody, table });
    this.player = new Player(() => this.showPosition());
    this.roll = new Roll($("roll"), $("playhead"), melody);
    this.connect();
  }

  /** Shows a conversion; its rendering is shown by `showRendering`. */
  async showConversion(id, result) {
    const { source, start, duration, wholeDuration, played } = result;
    const isSong = source.kind === "song";
    this.player.reset();
    for (const item of document.querySelectorAll("[data-for]")) item.hidden = (item.dataset.for === "song") !== isSong;
    for (const stem of isSong ? ["voice", "backing"] : ["voice"]) this.player.offer(stem, fileUrl(id, `${stem}.wav`, played.version));
    const [words, other] = sourceWords(source);
    $("source-words").textContent = words;
    $("other-source").textContent = other;
    $("part-words").textContent = duration < wholeDuration - 0.05 ? `Converted: ${clock(start)} to ${clock(start + duration)} of ${clock(wholeDuration)}.` : "";
    $("downloads").classList.toggle("six", isSong);
    $("balance-left").textContent = isSong ? "Accompaniment" : "Voice";
    $("balance").setAttribute("aria-label", `Balance of ${isSong ? "accompaniment" : "voice"} and piano`);
    showList("warnings", result.warnings);
    this.isSong = isSong;
    this.isNew = true;
    await this.roll.show(result, fileUrl(id, "spectrum.png", played.version));
  }

  async showRendering(id, rendering, title) {
    const { player } = this;
    const piano = fileUrl(id, "piano.wav", rendering.version);
    player.voiceGain = rendering.voiceGain;
    if (rendering.coverGains) player.coverGains = rendering.coverGains;
    if (this.isNew) {
      player.offer("piano", piano);
      const mode = this.isSong ? "cover" : "piano";
      document.querySelector(`input[name=mode][value=${mode}]`).checked = true;
      await this.listenTo(mode);
      player.seek(0);
      this.isNew = false;
    } else await player.replacePiano(piano);
    this.roll.update(rendering, $("quantize").value);
    this.showFacts(rendering);
    for (const [kind, name] of Object.entries(DOWNLOADS)) {
      $(`get-${kind}`).href = fileUrl(id, name, rendering.version);
      const [stem, ending] = name.split(".");
      $(`get-${kind}`).download = `${title}_${stem}.${ending}`;
    }
    $("play").disabled = false;
    document.body.dataset.version = rendering.version;
    document.dispatchEvent(new CustomEvent("rendered", { detail: { id, rendering, title } })); // for the panels
    this.showPosition();
  }

  async listenTo(mode) {
    $("balance-row").hidden = !["both", "cover"].includes(mode);
    await this.player.choose(mode);
  }

  showFacts({ key, tempo, tuning, notes, accompaniment, remarks }) {
    showFact("key", ...keyWords(key));
    showFact("tempo", ...tempoWords(tempo));
    showFact("tuning", ...tuningWords(tuning));
    const keys = notes.map((note) => note[2]);
    showFact("notes", String(notes.length), notes.length ? `${nameOf(Math.min(...keys))} to ${nameOf(Math.max(...keys))}` : "all are left out");
    $("legend-left").hidden = !accompaniment.length;
    $("legend-left").textContent = $("ensemble").value === "band" ? "band, without drums" : "left hand";
    this.showCount();
    showList("remarks", remarks);
    $("roll").setAttribute("aria-label", `Piano roll of ${notes.length} notes in ${key.name}: ${notes.slice(0, 40).map((note) => nameOf(note[2])).join(" ")}${notes.length > 40 ? " and so on" : ""}`);
  }

  showCount() {
    $("notes-count").textContent = `${this.melody.notes.length} notes${this.melody.edited ? ", edited" : ""}`;
  }

  showPosition() {
    const { player, roll, table } = this;
    const at = player.position;
    roll?.movePlayhead(at);
    table.highlight(at);
    document.dispatchEvent(new CustomEvent("position", { detail: at }));
    $("seek").max = player.duration;
    $("seek").value = at;
    $("seek").setAttribute("aria-valuetext", `${clock(at)} of ${clock(player.duration)}`);
    $("now").textContent = clock(at);
    $("end").textContent = clock(player.duration);
    $("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
    $("play").setAttribute("aria-pressed", Boolean(player.playing));
  }

  /** Connects the controls of the player. */
  connect() {
    const { player } = this;
    $("play").addEventListener("click", () => (player.playing ? player.pause() : player.play()));
    $("seek").addEventListener("input", () => player.seek($("seek").valueAsNumber));
    for (const choice of document.getElementsByName("mode")) choice.addEventListener("change", () => this.listenTo(choice.value).catch(showError));
    $("balance").addEventListener("input", () => {
      player.balance = $("balance").valueAsNumber;
      player.mix();
    });
    addEventListener("keydown", (event) => {
      const isControl = event.target.closest?.("input:not([type=range]), select, button, a, summary, textarea");
      if (event.key === " " && !isControl && !$("play").disabled) {
        event.preventDefault();
        $("play").click();
      }
    });
  }
}

function showFact(name, value, detail) {
  const small = document.createElement("small");
  small.textContent = detail;
  $(`fact-${name}`).replaceChildren(value, " ", small);
}

function showList(id, sentences) {
  $(id).replaceChildren(
    ...sentences.filter(Boolean).map((sentence) => {
      const item = document.createElement("li");
      item.textContent = sentence;
      return item;
    }),
  );
}
