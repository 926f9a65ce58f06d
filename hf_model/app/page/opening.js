// Opening a recording: a file, or the example, goes to the server, which measures it.

import { UserError, deleteRecording, runJob, upload } from "./engine.js";
import { takeSound } from "./sound.js";
import { showStatus } from "./status.js";

const $ = (id) => document.getElementById(id);

/** Uploads a file (a Blob of any size), or the example without one, and opens it: its id, and what the job "open" gives. */
export async function uploadAndOpen(blob, uploadBytes) {
  if (blob && !blob.size) throw new UserError("This file is empty.");
  const sent = await fitting(blob, uploadBytes);
  showStatus("Uploading the recording");
  const id = await upload(sent);
  try {
    return { id, ...(await runJob("open", { recording: id }, showStatus)) };
  } catch (error) {
    deleteRecording(id);
    throw error;
  }
}

/** Returns what is uploaded: the file, or the sound of one that is too large. */
async function fitting(blob, uploadBytes) {
  if (!blob || blob.size <= uploadBytes) return blob;
  showStatus("Taking the sound out of the file");
  const sound = await takeSound(blob, uploadBytes);
  if (sound) return sound;
  throw new UserError(`This file is larger than ${Math.round(uploadBytes / 2 ** 20)} MB, and its sound cannot be taken out of it here. A compressed one (mp3, m4a, ogg) is smaller.`);
}

/** Connects the ways to choose a recording: a file, the example, a file that is dropped. Each calls `open(blob, name)`. */
export function connectFiles(open) {
  $("file").addEventListener("change", () => {
    const [file] = $("file").files;
    if (file) open(file, file.name);
    $("file").value = "";
  });
  $("example").addEventListener("click", () => open(null, "twinkle"));
  addEventListener("dragover", (event) => {
    event.preventDefault();
    $("source").classList.add("over");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || $("source").classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    $("source").classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) open(file, file.name);
  });
}
