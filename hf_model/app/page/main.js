// The page: converts a recording or a part of it, shows the result, and renders it again after each change.

import { SHORTEST } from "./edits.js";
import { Editor } from "./editor.js";
import { deleteRecording, runJob } from "./engine.js";
import { Lyrics } from "./lyrics.js";
import { Loop } from "./loop.js";
import { EditedMelody } from "./melody.js";
import { NotesTable } from "./notes.js";
import { connectFiles, uploadAndOpen } from "./opening.js";
import { PartForm } from "./part.js";
import { Practice } from "./practice.js";
import { connectRecordButton } from "./record_button.js";
import { Repeats } from "./repeats.js";
import { Result } from "./result.js";
import { Review } from "./review.js";
import { Score } from "./score.js";
import * as settings from "./settings.js";
import { connectShortcuts } from "./shortcuts.js";
import { hideErrors, showError, showStatus } from "./status.js";
import { TapTempo } from "./tap_tempo.js";
import { Tone } from "./tone.js";
import { useNames } from "./words.js";

const $ = (id) => document.getElementById(id);
const limits = JSON.parse(document.body.dataset.limits);
const SECTIONS = ["results", "score", "change", "edit", "panels"]; // of a recording that is converted
const SHORT = 20; // seconds; of a shorter recording no part is selected
const ASK = 90; // seconds; a longer recording is converted when its part is chosen

const EDIT_PAUSE = 900; // milliseconds after an edit, or a tap, before the piano is played again
const LOST_EDITS = "Your edits of the notes have not been downloaded. Go on without them?";

const melody = new EditedMelody(showNotes);
const table = new NotesTable($("notes"), melody);
const result = new Result(melody, table);
const { player } = result;
const loop = new Loop(player, result.roll, () => $("loop").setAttribute("aria-pressed", loop.on));
const tone = new Tone(() => player.open());
const taps = new TapTempo();
const editor = new Editor({ melody, roll: result.roll, player, loop, tone, setDownbeat, tapTempo });
const review = new Review(editor, limits.uncertain);
const part = new PartForm(limits.partSeconds, (start, end) => mayReplace() && whileBusy(() => convertPart(start, end, chosenSource())));
const score = new Score(player);
new Practice(player, () => melody.request({}).notes, score);
new Lyrics(player, score);
new Repeats(result);
let recording = null; // its id on the server
let converted = null; // the part that the result shows
let title = "melody";
let name = ""; // of the file: the title of the score
let busy = false;
let stale = false;
let timer;

const chosenSource = () => document.querySelector("input[name=source]:checked").value;

/** Does one thing at a time; what has no `place` for its errors opens or converts a recording, and the notes wait for it. */
async function whileBusy(work, place) {
  if (busy) return;
  busy = true;
  melody.isLocked = !place;
  document.body.dataset.state = "busy";
  hideErrors();
  try {
    await work();
    document.body.dataset.state = converted ? "ready" : "choosing";
  } catch (error) {
    document.body.dataset.state = "problem";
    showError(error, place);
  }
  showStatus("");
  busy = melody.isLocked = false;
}

// ------------------------------------------------------------------------------------------------------------ conversion

/**
 * Opens a file or a microphone recording (a Blob), or the example without one; converts it unless it is long. Of a
 * `live` recording the server has everything already, unless the connection failed.
 */
function openFile(blob, fileName, live = null) {
  if (!live && !mayReplace()) return undefined; // before a recording it was asked
  return whileBusy(async () => {
    player.pause();
    showStatus(live ? "Finishing the notes" : "");
    const opened = (await live?.end()) ?? (await uploadAndOpen(blob, limits.uploadBytes));
    const before = recording;
    [recording, title, name] = [opened.id, baseName(fileName), fileName.slice(-255)];
    try {
      await showRecordingOf(opened, blob, fileName);
    } finally {
      deleteRecording(before);
    }
  });
}

/** Converts a recording that was opened; of a long one, or one that fails, it shows the waveform first. */
async function showRecordingOf(opened, blob, fileName) {
  const { duration } = opened;
  try {
    if (duration > Math.min(ASK, limits.partSeconds)) hideResult();
    else await convert(0, duration, chosenSource());
  } catch (error) {
    hideResult();
    throw error;
  } finally {
    if (converted && duration < SHORT) part.hide();
    else part.load(opened, blob, fileName);
  }
  if (converted) showResult();
  else $("part").scrollIntoView({ block: "nearest" });
}

const baseName = (fileName) => fileName.replace(/\.[^.]*$/, "") || "melody";

async function convertPart(start, end, source) {
  await convert(start, end, source);
  showResult();
}

async function convert(start, end, source) {
  player.pause();
  clearTimeout(timer);
  const used = settings.read($("settings"));
  const conversion = await runJob("convert", { recording, start, end, source, title: name, settings: used }, showStatus);
  showStatus("Loading the audio", 0.95);
  for (const section of SECTIONS) $(section).hidden = false;
  if (review.ids) review.close();
  loop.clear();
  const sent = melody.load(conversion);
  await result.showConversion(recording, conversion);
  takeRendering(sent, conversion.played, used);
  await result.showRendering(recording, conversion.played, title);
  converted = { start, end, kind: conversion.source.kind };
}

/** Takes what the piano plays of the notes that were sent. */
function takeRendering(sent, rendering, used) {
  useNames(rendering.key.names);
  melody.shortest = Math.max(SHORTEST, $("min_note").valueAsNumber + 0.001); // a shorter note would be left out
  melody.take(sent, rendering, { transpose: used.arrangement.transpose, decisive: settings.decisive(used) });
  result.roll.barOne = $("downbeat").valueAsNumber;
  $("snap").disabled = rendering.beats.length < 2;
  if (!$("snap").dataset.chosen) $("snap").checked = rendering.beats.length > 1 && (rendering.tempo.confidence >= 1 || $("quantize").value !== "off");
}

function showResult() {
  part.mark(converted.start, converted.end);
  $("results").focus({ preventScroll: true });
  $("results").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth", block: "start" });
}

function hideResult() {
  converted = null;
  for (const section of SECTIONS) $(section).hidden = true;
}

/** Renders the notes with the current settings, and once more if something changed meanwhile. */
async function renderAgain() {
  stale = true;
  if (busy || !converted) return;
  await whileBusy(async () => {
    while (stale) {
      stale = false;
      showPending();
      const used = settings.read($("settings"));
      const sent = melody.notes;
      const request = melody.request({ tuning: used.singing.tuning, decisive: settings.decisive(used) });
      const data = { recording, ...request, settings: used };
      const rendering = await runJob("render", data, (step, share) => showStatus(step || "Rendering the piano", share));
      if (stale) continue;
      takeRendering(sent, rendering, used);
      await result.showRendering(recording, rendering, title);
    }
  }, "change-problem");
  showPending();
}

// --------------------------------------------------------------------------------------------------------------------- edits

/** Shows the notes after an edit, or when only what is shown has changed; the piano follows a short pause. */
function showNotes(isEdit) {
  if (!result) return;
  result.roll.draw();
  table.draw();
  result.showCount();
  review.update();
  for (const button of document.querySelectorAll("[data-edit=undo]")) button.disabled = !melody.history.past.length && !melody.history.held;
  for (const button of document.querySelectorAll("[data-edit=redo]")) button.disabled = !melody.history.future.length;
  for (const name of ["split", "merge", "delete"]) document.querySelector(`[data-edit=${name}]`).disabled = !melody.selection.size;
  showPending();
  if (isEdit) schedule(renderAgain, EDIT_PAUSE);
}

function showPending() {
  const hasFailed = document.body.dataset.state === "problem";
  const words = hasFailed ? "The piano does not play the last edits." : "The piano follows in a moment.";
  $("pending").textContent = converted && melody.isPending ? words : "";
  $("render-again").hidden = !hasFailed || !converted || !melody.isPending;
}

/** Asks before edits are lost. */
const mayReplace = () => !converted || !melody.isUnsaved || confirm(LOST_EDITS);

function setDownbeat(seconds) {
  $("downbeat").value = seconds.toFixed(3);
  scheduleRendering();
}

function tapTempo() {
  const bpm = taps.tap(performance.now() / 1000);
  editor.say(bpm ? `${bpm} bpm` : `Tap ${taps.missing} more`);
  if (!bpm) return;
  $("tempo").value = bpm;
  scheduleRendering(EDIT_PAUSE);
}

// ------------------------------------------------------------------------------------------------------------- user actions

connectFiles(openFile);
connectRecordButton(limits.partSeconds, mayRecord, (blob, live) => openFile(blob, "recording", live));

function mayRecord() {
  if (busy || !mayReplace()) return false;
  player.pause();
  return true;
}

$("other-source").addEventListener("click", () => {
  if (!mayReplace()) return;
  const { start, end, kind } = converted;
  whileBusy(() => convertPart(start, end, kind === "voice" ? "song" : "voice"));
});

function schedule(work, pause) {
  clearTimeout(timer);
  timer = setTimeout(work, pause);
}

function scheduleRendering(pause = 250) {
  settings.updateLabels($("settings"));
  schedule(() => settings.check($("settings")) && renderAgain(), pause);
}

$("settings").addEventListener("input", () => scheduleRendering());
$("settings").addEventListener("reset", () => setTimeout(scheduleRendering));
$("settings").addEventListener("submit", (event) => event.preventDefault());
$("render-again").addEventListener("click", renderAgain);
$("snap").addEventListener("change", () => ($("snap").dataset.chosen = "true"));
$("add-note").addEventListener("click", () => editor.addAfterLast());
$("reset-notes").addEventListener("click", () => melody.reset());
$("downloads").addEventListener("click", (event) => event.target.closest("a") && !melody.isPending && melody.markSaved());
connectShortcuts(editor, $("roll"), $("results"));

addEventListener("beforeunload", (event) => converted && melody.isUnsaved && event.preventDefault());
addEventListener("pagehide", (event) => event.persisted || deleteRecording(recording));

$("idle").textContent = limits.idleMinutes;
settings.fillKeys($("key"));
settings.updateLabels($("settings"));
document.body.dataset.state = "idle";
