// The client of the server: uploads, jobs in the queue and their progress.

const LOST = "The server cannot be reached. Is it still running?";
const FULL = "The server is busy. Please try again in a minute.";

/** An error whose message is shown to the user. */
export class UserError extends Error {}

async function send(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { method: "POST", ...options });
  } catch {
    throw new UserError(LOST);
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  if (response.status === 503 && !body.error) throw new UserError(FULL);
  throw new UserError(body.error || "The server refused this request.");
}

/** Uploads a recording (a Blob), or opens the example without one; returns its id. */
export async function upload(blob) {
  const response = await (blob ? send("recordings", { body: blob }) : send("example"));
  return (await response.json()).recording;
}

/** Sends a score (a Blob) to practise a recording with. */
export const sendScore = (recording, blob) => send(`recordings/${recording}/practice`, { body: blob });

/** Sends a part of a recording that goes on (samples, or nothing), and returns the answer. */
export const sendLive = async (path, samples) => (await send(path, samples && { body: samples })).json();

/** Runs a job ("open", "convert", "render", "practice" or "sing") and returns its result; `onProgress(step, share)` is called meanwhile. */
export async function runJob(name, data, onProgress = () => {}) {
  const response = await send("jobs", {
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ job: name, ...data }),
  });
  for await (const message of messagesOf(response)) {
    if (message.waiting > 0) onProgress(`Waiting: ${message.waiting} before you`);
    if (message.step) onProgress(message.step, message.share);
    if (message.error) throw new UserError(message.error);
    if (message.result) return message.result;
  }
  throw new UserError(LOST);
}

/** Gives the lines of JSON of a response as they arrive. */
async function* messagesOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (true) {
    const { value, done } = await reader.read().catch(() => ({ done: true }));
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line) yield JSON.parse(line);
  }
}

export const fileUrl = (recording, name, version = 0) => `recordings/${recording}/${name}?v=${version}`;

/** Deletes a recording on the server, also while the page is closing. */
export const deleteRecording = (recording) => recording && navigator.sendBeacon(`recordings/${recording}/forget`);
