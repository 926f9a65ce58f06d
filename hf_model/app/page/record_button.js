// The record button: records the microphone, and shows level and notes meanwhile.

import { LiveRecording, LiveRoll } from "./live.js";
import { Recorder } from "./recorder.js";
import { hideErrors, showError } from "./status.js";
import { clock, nameOf } from "./words.js";

const $ = (id) => document.getElementById(id);

/**
 * Connects the button. A recording of `maxSeconds` at most begins if `mayRecord()` is true; at its end
 * `open(blob, live)` gets the sound, and the `LiveRecording` whose notes the server has already.
 */
export function connectRecordButton(maxSeconds, mayRecord, open) {
  const roll = new LiveRoll($("live"));
  let recorder = null;
  $("record").addEventListener("click", async () => {
    if (recorder) {
      recorder.stop();
      return;
    }
    if (!mayRecord()) return;
    hideErrors();
    recorder = new Recorder();
    try {
      await recorder.start(maxSeconds, (seconds, level) => {
        $("clock").textContent = `${clock(seconds)} of ${clock(maxSeconds)}`;
        $("level").style.transform = `scaleX(${level})`;
      });
      const live = new LiveRecording(recorder.stream, recorder.context, (notes, seconds) => {
        $("live").hidden = false;
        roll.draw(notes, seconds);
        $("sounding").textContent = notes.sounding === undefined ? "" : nameOf(notes.sounding);
      });
      showRecording(true);
      recorder.done.then(() => showRecording(false));
      await open(await recorder.done, live);
      $("live").hidden = true;
    } catch (error) {
      showError(error);
    }
    recorder = null;
  });
}

function showRecording(on) {
  $("source").classList.toggle("recording", on);
  $("record-label").textContent = on ? "Stop" : "Record";
  $("meter-row").hidden = !on;
  $("sounding").textContent = "";
}
