// The page: converts a recording, shows and plays the result, and renders it again after each change.

import { UserError, deleteRecording, fileUrl, runJob, upload } from "./engine.js";
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
const table = new NotesTable($("notes"), renderAgain);
let recording = null;
let title = "melody";
let busy = false;
let stale = false;
let recorder = null;

// ----------------------------------------------------------------------------------------------------- status and errors

function showStatus(text, share) {
  $("status").textContent = text;
  $("working").hidden = !text;
  if (Number.isFinite(share)) $("progress").value = share;
  else $("progress").removeAttribute("value");
}

function showError(error) {
  showStatus("");
  if (!(error instanceof UserError)) console.error(error);
  $("problem").textContent = error instanceof UserError ? error.message : "Something went wrong. Please reload the page.";
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
    showError(error);
  }
  showStatus("");
  busy = false;
}

// ------------------------------------------------------------------------------------------------------------ conversion

/** Converts a file or a microphone recording (a Blob), or the example without one. */
function convertFile(blob, fileName) {
  return whileBusy(async () => {
    player.pause();
    if (blob && blob.size > limits.uploadBytes) throw new UserError(`This file is larger than ${Math.round(limits.uploadBytes / 2 ** 20)} MB. A few minutes of singing are enough.`);
    if (blob && !blob.size) throw new UserError("This file is empty.");
    showStatus("Uploading the recording");
    const uploaded = await upload(blob);
    try {
      await convertPart(uploaded, 0);
    } catch (error) {
      deleteRecording(uploaded);
      throw error;
    }
    if (recording !== uploaded) deleteRecording(recording);
    recording = uploaded;
    title = fileName.replace(/\.[^.]*$/, "") || "melody";
    nameDownloads();
  });
}

async function convertPart(id, start) {
  const result = await runJob("convert", [id, start, settings.read($("settings"))], showStatus);
  const { version } = result.played;
  showStatus("Loading the audio", 0.95);
  await Promise.all([roll.show(result, fileUrl(id, "spectrum.png", version)), player.load("voice", fileUrl(id, "voice.wav", version))]);
  for (const section of ["results", "change", "edit"]) $(section).hidden = false;
  table.load(result);
  showPart(result);
  showList("warnings", [result.remark, ...result.warnings]);
  await showRendering(id, result.played, result.tuning);
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

// ------------------------------------------------------------------------------------------------------------- rendering

/** Renders the notes with the current settings, and once more if something changed meanwhile. */
async function renderAgain() {
  stale = true;
  $("undo").disabled = !table.history.length;
  if (busy || !recording) return;
  await whileBusy(async () => {
    while (stale) {
      stale = false;
      const rendering = await runJob("render", [recording, table.notes, settings.read($("settings"))], (step, share) => showStatus(step || "Rendering the piano", share));
      if (!stale) await showRendering(recording, rendering, table.tuning);
    }
  });
}

async function showRendering(id, rendering, tuning) {
  const { version, voiceGain } = rendering;
  const { position, playing } = player;
  await player.load("piano", fileUrl(id, "piano.wav", version));
  player.voiceGain = voiceGain;
  if (playing) {
    player.pause();
    player.pausedAt = position;
    player.play();
  }
  roll.update(rendering);
  showFacts(rendering, tuning);
  for (const kind of ["wav", "musicxml", "csv"]) $(`get-${kind}`).href = fileUrl(id, `piano.${kind}`, version);
  $("get-midi").href = fileUrl(id, "piano.mid", version);
  $("play").disabled = false;
  document.body.dataset.version = version;
  showPosition();
}

function showFacts({ key, tempo, notes, accompaniment, remarks }, tuning) {
  const cents = Math.round(100 * tuning);
  const certainty = (confidence) => (confidence >= 0.9 ? "" : confidence >= 0.5 ? "likely" : "a guess");
  showFact("key", key.name.replace("#", "♯").replace(/^([A-G])b/, "$1♭"), certainty(key.confidence));
  showFact("tempo", `${Math.round(tempo.bpm)} bpm, ${tempo.meter}`, certainty(tempo.confidence));
  showFact("tuning", `${cents > 0 ? "+" : cents < 0 ? "−" : ""}${Math.abs(cents)} cents`, "A = 440 Hz");
  const keys = notes.map((note) => note[2]);
  showFact("notes", String(notes.length), notes.length ? `${nameOf(Math.min(...keys))} to ${nameOf(Math.max(...keys))}` : "all filtered out");
  $("legend-left").hidden = !accompaniment.length;
  $("notes-count").textContent = `${table.notes.length} notes${table.edited ? ", edited" : ""}`;
  showList("remarks", remarks);
  $("roll").setAttribute("aria-label", `Piano roll of ${notes.length} notes in ${key.name}: ${notes.slice(0, 40).map((note) => nameOf(note[2])).join(" ")}${notes.length > 40 ? " and so on" : ""}`);
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

function nameDownloads() {
  const endings = { wav: "wav", midi: "mid", musicxml: "musicxml", csv: "csv" };
  for (const [kind, ending] of Object.entries(endings)) $(`get-${kind}`).download = `${title}_piano.${ending}`;
}

function showPosition() {
  const at = player.position;
  roll.movePlayhead(at);
  if (table.notes) table.highlight(at);
  $("seek").max = player.duration;
  $("seek").value = at;
  $("seek").setAttribute("aria-valuetext", `${clock(at)} of ${clock(player.duration)}`);
  $("now").textContent = clock(at);
  $("end").textContent = clock(player.duration);
  $("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
  $("play").setAttribute("aria-pressed", Boolean(player.playing));
}

// ------------------------------------------------------------------------------------------------------------- user actions

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
    await convertFile(blob, "recording");
  } catch (error) {
    showError(error);
  }
  recorder = null;
});

function showRecording(on) {
  $("source").classList.toggle("recording", on);
  $("record-label").textContent = on ? "Stop" : "Record";
  $("meter-row").hidden = !on;
  if (on) recorder.done.then(() => showRecording(false));
}

$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  if (file) convertFile(file, file.name);
  $("file").value = "";
});
$("example").addEventListener("click", () => convertFile(null, "twinkle"));

addEventListener("dragover", (event) => {
  event.preventDefault();
  $("source").classList.add("over");
});
addEventListener("dragleave", (event) => event.relatedTarget || $("source").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  $("source").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) convertFile(file, file.name);
});

$("start").addEventListener("input", () => ($("start-value").value = clock($("start").valueAsNumber)));
$("part").addEventListener("submit", (event) => {
  event.preventDefault();
  whileBusy(() => convertPart(recording, $("start").valueAsNumber));
});

$("play").addEventListener("click", () => (player.playing ? player.pause() : player.play()));
$("seek").addEventListener("input", () => player.seek($("seek").valueAsNumber));
for (const choice of document.getElementsByName("mode")) {
  choice.addEventListener("change", () => {
    player.mode = choice.value;
    $("balance-row").hidden = choice.value !== "both";
    player.mix();
  });
}
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

let timer;
const scheduleRendering = () => {
  settings.updateLabels($("settings"));
  clearTimeout(timer);
  timer = setTimeout(renderAgain, 250);
};
$("settings").addEventListener("input", scheduleRendering);
$("settings").addEventListener("reset", () => setTimeout(scheduleRendering));
$("settings").addEventListener("submit", (event) => event.preventDefault());
$("add-note").addEventListener("click", () => table.add());
$("undo").addEventListener("click", () => table.undo());
$("reset-notes").addEventListener("click", () => table.reset());

addEventListener("pagehide", (event) => event.persisted || deleteRecording(recording));

$("idle").textContent = limits.idleMinutes;
settings.updateLabels($("settings"));
document.body.dataset.state = "idle";
