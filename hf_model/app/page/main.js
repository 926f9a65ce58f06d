// The page: takes a recording, shows what was heard, plays it, and plays it anew after every change.

import { Problem, fileOf, forget, run, send } from "./engine.js";
import { NotesTable } from "./notes.js";
import { Player } from "./player.js";
import { Recorder } from "./recorder.js";
import { Roll, nameOf } from "./roll.js";
import * as settings from "./settings.js";

const $ = (id) => document.getElementById(id);
const limits = JSON.parse(document.body.dataset.limits);
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

const player = new Player(showPosition);
const roll = new Roll($("roll"), (seconds) => player.seek(seconds));
const table = new NotesTable($("notes"), replay);
let recording = null;
let name = "melody";
let busy = false;
let stale = false;
let recorder = null;

// ------------------------------------------------------------------------------------------------ words for the visitor

function say(words, share) {
  $("status").textContent = words;
  $("working").hidden = !words;
  if (Number.isFinite(share)) $("progress").value = share;
  else $("progress").removeAttribute("value");
}

function complain(error) {
  say("");
  if (!(error instanceof Problem)) console.error(error);
  $("problem").textContent = error instanceof Problem ? error.message : "Something went wrong in the page. Please load it again.";
  $("problem").hidden = false;
}

async function whileBusy(work) {
  if (busy) return;
  busy = true;
  document.body.dataset.state = "busy";
  $("problem").hidden = true;
  try {
    await work();
    document.body.dataset.state = "ready";
  } catch (error) {
    document.body.dataset.state = "problem";
    complain(error);
  }
  say("");
  busy = false;
}

// --------------------------------------------------------------------------------------------------------- a recording

function take(blob, called) {
  return whileBusy(async () => {
    player.pause();
    if (blob && blob.size > limits.uploadBytes) throw new Problem(`This file is larger than ${Math.round(limits.uploadBytes / 2 ** 20)} MB. A few minutes of singing are enough.`);
    if (blob && !blob.size) throw new Problem("This file is empty.");
    say("Sending the recording");
    const sent = await send(blob);
    try {
      await listen(sent, 0);
    } catch (error) {
      forget(sent);
      throw error;
    }
    if (recording !== sent) forget(recording);
    recording = sent;
    name = called.replace(/\.[^.]*$/, "") || "melody";
    nameDownloads();
  });
}

async function listen(which, start) {
  const heard = await run("listen", [which, start, settings.read($("settings"))], say);
  say("Loading the sound", 0.95);
  await Promise.all([roll.show(heard, fileOf(which, "spectrum.png", heard.played.version)), player.load("voice", fileOf(which, "voice.wav", heard.played.version))]);
  for (const id of ["results", "change", "edit"]) $(id).hidden = false;
  table.load(heard);
  showPart(heard);
  list("warnings", [heard.remark, ...heard.warnings]);
  await show(which, heard.played, heard.tuning);
  player.seek(0);
  $("results").focus({ preventScroll: true });
  $("results").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth", block: "start" });
}

function showPart({ wholeDuration, duration, start }) {
  $("part").hidden = wholeDuration <= duration + 0.01;
  $("start").max = Math.max(0, wholeDuration - duration);
  $("start").value = start;
  $("start").dispatchEvent(new Event("input"));
}

// --------------------------------------------------------------------------------------------------------- what is played

/** Plays the notes anew: now, or once more after what is running. */
async function replay() {
  stale = true;
  $("undo").disabled = !table.past.length;
  if (busy || !recording) return;
  await whileBusy(async () => {
    while (stale) {
      stale = false;
      const played = await run("play", [recording, table.notes, settings.read($("settings"))], (words, share) => say(words || "Playing it anew", share));
      if (!stale) await show(recording, played, table.tuning);
    }
  });
}

async function show(which, played, tuning) {
  const at = player.position;
  const wasPlaying = player.playing;
  await player.load("piano", fileOf(which, "piano.wav", played.version));
  player.voiceGain = played.voiceGain;
  if (wasPlaying) {
    player.pause();
    player.at = at;
    player.play();
  }
  roll.update(played);
  tell(played, tuning);
  for (const kind of ["wav", "musicxml", "csv"]) $(`get-${kind}`).href = fileOf(which, `piano.${kind}`, played.version);
  $("get-midi").href = fileOf(which, "piano.mid", played.version);
  $("play").disabled = false;
  document.body.dataset.version = played.version;
  showPosition();
}

function tell({ key, tempo, notes, accompaniment, remarks }, tuning) {
  const cents = Math.round(100 * tuning);
  const sure = (confidence) => (confidence >= 0.8 ? "sure" : confidence >= 0.4 ? "fairly sure" : "a guess");
  fact("key", key.name.replace("#", "♯").replace(/^([A-G])b/, "$1♭"), sure(key.confidence));
  fact("tempo", `${Math.round(tempo.bpm)} a minute`, `${tempo.meter}, ${sure(tempo.confidence)}`);
  fact("tuning", cents ? `${Math.abs(cents)} cents ${cents > 0 ? "sharp" : "flat"}` : "in tune", "against A = 440 Hz");
  const range = notes.map((note) => note[2]);
  fact("notes", String(notes.length), notes.length ? `${nameOf(Math.min(...range))} to ${nameOf(Math.max(...range))}` : "none left by these settings");
  $("legend-left").hidden = !accompaniment.length;
  $("notes-count").textContent = `${table.notes.length} notes${table.edited ? ", edited" : ""}`;
  list("remarks", remarks);
  $("roll").setAttribute("aria-label", `Piano roll of ${notes.length} notes in ${key.name}: ${notes.slice(0, 40).map((note) => nameOf(note[2])).join(" ")}${notes.length > 40 ? " and so on" : ""}`);
}

function fact(which, words, more) {
  const small = document.createElement("small");
  small.textContent = more;
  $(`fact-${which}`).replaceChildren(words, " ", small);
}

function list(id, sentences) {
  $(id).replaceChildren(
    ...sentences.filter(Boolean).map((sentence) => {
      const item = document.createElement("li");
      item.textContent = sentence;
      return item;
    }),
  );
}

function nameDownloads() {
  const endings = { wav: "wav", midi: "mid", musicxml: "musicxml", csv: "csv" };
  for (const [kind, ending] of Object.entries(endings)) $(`get-${kind}`).download = `${name}_piano.${ending}`;
}

function showPosition() {
  const at = player.position;
  roll.point(at);
  table.notes && table.point(at);
  $("seek").max = player.duration;
  $("seek").value = at;
  $("seek").setAttribute("aria-valuetext", `${clock(at)} of ${clock(player.duration)}`);
  $("now").textContent = clock(at);
  $("end").textContent = clock(player.duration);
  $("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
  $("play").setAttribute("aria-pressed", Boolean(player.playing));
}

// ------------------------------------------------------------------------------------------------------------- the visitor

$("record").addEventListener("click", async () => {
  if (recorder) {
    recorder.stop();
    return;
  }
  if (busy) return;
  player.pause();
  $("problem").hidden = true;
  recorder = new Recorder();
  try {
    await recorder.start(limits.partSeconds, (seconds, level) => {
      $("clock").textContent = `${clock(seconds)} of ${clock(limits.partSeconds)}`;
      $("level").style.transform = `scaleX(${level})`;
    });
    showRecording(true);
    const blob = await recorder.done;
    await take(blob, "recording");
  } catch (error) {
    complain(error);
  }
  recorder = null;
});

function showRecording(on) {
  $("source").classList.toggle("recording", on);
  $("record-label").textContent = on ? "Stop and play" : "Record";
  $("meter-row").hidden = !on;
  if (on) recorder.done.then(() => showRecording(false));
}

$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  if (file) take(file, file.name);
  $("file").value = "";
});
$("example").addEventListener("click", () => take(null, "twinkle"));

addEventListener("dragover", (event) => {
  event.preventDefault();
  $("source").classList.add("over");
});
addEventListener("dragleave", (event) => event.relatedTarget || $("source").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  $("source").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) take(file, file.name);
});

$("start").addEventListener("input", () => ($("start-told").value = clock($("start").valueAsNumber)));
$("part").addEventListener("submit", (event) => {
  event.preventDefault();
  whileBusy(() => listen(recording, $("start").valueAsNumber));
});

$("play").addEventListener("click", () => (player.playing ? player.pause() : player.play()));
$("seek").addEventListener("input", () => player.seek($("seek").valueAsNumber));
for (const choice of document.getElementsByName("hear")) {
  choice.addEventListener("change", () => {
    player.hear = choice.value;
    $("balance-row").hidden = choice.value !== "both";
    player.mix();
  });
}
$("balance").addEventListener("input", () => {
  player.balance = $("balance").valueAsNumber;
  player.mix();
});
addEventListener("keydown", (event) => {
  const writes = event.target.closest?.("input:not([type=range]), select, button, a, summary, textarea");
  if (event.key === " " && !writes && !$("play").disabled) {
    event.preventDefault();
    $("play").click();
  }
});

let waiting;
const soon = () => {
  settings.describe($("settings"));
  clearTimeout(waiting);
  waiting = setTimeout(replay, 250);
};
$("settings").addEventListener("input", soon);
$("settings").addEventListener("reset", () => setTimeout(soon));
$("settings").addEventListener("submit", (event) => event.preventDefault());
$("add-note").addEventListener("click", () => table.add());
$("undo").addEventListener("click", () => table.undo());
$("as-heard").addEventListener("click", () => table.reset());

addEventListener("pagehide", (event) => event.persisted || forget(recording));

$("idle").textContent = limits.idleMinutes;
settings.describe($("settings"));
document.body.dataset.state = "idle";
